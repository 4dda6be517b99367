// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPriceSource, QuoteStatus} from "../interfaces/IPriceSource.sol";
import {Bounded} from "./Bounded.sol";
import {IAggregatorProxy} from "./ChainlinkSource.sol";

/// @title Another source, on a rollup, while its sequencer works
/// @notice Refuses while Chainlink's uptime feed says the sequencer is down (answer 1) and for a grace period
/// after it came back: until then prices are those of before the outage.
contract SequencerSource is IPriceSource {
    address public immutable base;
    address public immutable quote;
    address public immutable inner;
    address public immutable uptimeFeed;
    /// @notice Seconds to wait after the sequencer came back.
    uint256 public immutable grace;

    uint256 private constant LEAST_GRACE = 10 minutes;
    uint256 private constant MOST_GRACE = 1 days;

    constructor(address inner_, address uptimeFeed_, uint256 grace_) {
        if (inner_.code.length == 0) revert InvalidSource("inner");
        if (uptimeFeed_.code.length == 0) revert InvalidSource("uptimeFeed");
        if (grace_ < LEAST_GRACE || grace_ > MOST_GRACE) revert InvalidSource("grace");
        (inner, uptimeFeed, grace) = (inner_, uptimeFeed_, grace_);
        (base, quote) = (IPriceSource(inner_).base(), IPriceSource(inner_).quote());
    }

    /// @inheritdoc IPriceSource
    function read() external view returns (uint256, uint256, uint8) {
        (bool ok, uint256[8] memory answer) =
            Bounded.view_(uptimeFeed, abi.encodeCall(IAggregatorProxy.latestRoundData, ()), 5);
        if (!ok) return (0, 0, QuoteStatus.CALL_FAILED);
        (uint256 down, uint256 since) = (answer[1], answer[2]);
        // A feed that never reported says it started at zero.
        bool settled = since != 0 && since <= block.timestamp && block.timestamp - since > grace;
        if (down != 0 || !settled) return (0, 0, QuoteStatus.SEQUENCER_DOWN);
        return Bounded.source(inner);
    }
}
