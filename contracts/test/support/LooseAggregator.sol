// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev An aggregator that says whatever it is told to, or misbehaves; its own proxy and phase.
contract LooseAggregator {
    enum Manner {
        Answer,
        Revert,
        BurnGas,
        ShortAnswer,
        LongAnswer
    }

    uint8 public decimals = 8;
    Manner public manner;
    uint80 public round = 1;
    int256 public answer;
    uint256 public startedAt;
    uint256 public updatedAt;

    function set(uint8 decimals_, Manner manner_, int256 answer_, uint256 updatedAt_) external {
        (decimals, manner, answer, updatedAt) = (decimals_, manner_, answer_, updatedAt_);
        startedAt = updatedAt_;
    }

    function setRound(uint80 round_) external {
        round = round_;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        if (manner == Manner.Revert) revert("no");
        if (manner == Manner.BurnGas) {
            while (true) {}
        }
        if (manner == Manner.ShortAnswer || manner == Manner.LongAnswer) {
            uint256 size = manner == Manner.ShortAnswer ? 128 : 1e6;
            assembly ("memory-safe") {
                return(mload(64), size)
            }
        }
        return (round, answer, startedAt, updatedAt, round);
    }
}

/// @dev With the names a proxy and its aggregator have: behind itself, it clamps.
contract ClampedAggregator is LooseAggregator {
    int192 public minAnswer;
    int192 public maxAnswer;

    constructor(int192 minAnswer_, int192 maxAnswer_) {
        (minAnswer, maxAnswer) = (minAnswer_, maxAnswer_);
    }

    function aggregator() external view returns (address) {
        return address(this);
    }
}
