// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A price feed of the embedded world with Chainlink's AggregatorV3 interface
/// @dev For test chains only: whoever deploys it is its only reporter.
contract WorldFeed {
    struct Round {
        int256 answer;
        uint256 updatedAt;
    }

    address public immutable owner;
    uint8 public immutable decimals;
    uint256 public constant version = 1;
    string public description;
    uint80 private _latest;
    mapping(uint80 id => Round) private _rounds;

    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    error NotOwner(address caller);
    error NoDataPresent(uint80 roundId);

    constructor(uint8 decimals_, string memory description_, int256 answer) {
        owner = msg.sender;
        decimals = decimals_;
        description = description_;
        _report(answer);
    }

    /// @notice Report `answer`, scaled by 10**decimals, as of now.
    function set(int256 answer) external {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        _report(answer);
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return getRoundData(_latest);
    }

    function getRoundData(uint80 roundId)
        public
        view
        returns (uint80, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        Round memory round = _rounds[roundId];
        if (round.updatedAt == 0) revert NoDataPresent(roundId);
        return (roundId, round.answer, round.updatedAt, round.updatedAt, roundId);
    }

    function _report(int256 answer) private {
        _latest += 1;
        _rounds[_latest] = Round(answer, block.timestamp);
        emit AnswerUpdated(answer, _latest, block.timestamp);
    }
}
