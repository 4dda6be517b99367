// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPriceSource, QuoteStatus} from "../interfaces/IPriceSource.sol";
import {Bounded} from "./Bounded.sol";

interface IAggregatorProxy {
    function decimals() external view returns (uint8);
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80);
    /// Only proxies have it.
    function aggregator() external view returns (address);
    /// Of the aggregator behind the proxy, where it clamps its answers.
    function minAnswer() external view returns (int192);
    function maxAnswer() external view returns (int192);
    function minSubmissionValue() external view returns (int256);
    function maxSubmissionValue() external view returns (int256);
}

/// @title A price from a Chainlink-style aggregator
/// @notice Refuses answers that are too old, from the future, not positive, beyond the curator's bounds, or
/// within 1 % of where the aggregator clamps what it reports. When the proxy moves to another aggregator (a
/// new phase) or its decimals change, the source refuses everything: it has to be approved anew.
contract ChainlinkSource is IPriceSource {
    address public immutable base;
    address public immutable quote;
    address public immutable aggregator;
    /// @notice Oldest acceptable answer, in seconds.
    uint256 public immutable maxStaleness;
    /// @notice Acceptable answers in the aggregator's units: what the curator said and the clamp leaves.
    int256 public immutable minAnswer;
    int256 public immutable maxAnswer;
    uint8 public immutable decimals;
    /// @notice The phase of the proxy that was approved: the upper bits of its round numbers.
    uint16 public immutable phase;

    uint256 private constant LEAST_STALENESS = 30;
    uint256 private constant MOST_STALENESS = 72 hours;
    uint8 private constant MAX_DECIMALS = 36;

    constructor(
        address base_,
        address quote_,
        address aggregator_,
        uint16 phase_,
        uint256 maxStaleness_,
        int256 minAnswer_,
        int256 maxAnswer_
    ) {
        if (base_ == address(0) || base_ == quote_) revert InvalidSource("base");
        if (quote_ == address(0)) revert InvalidSource("quote");
        if (aggregator_.code.length == 0) revert InvalidSource("aggregator");
        if (maxStaleness_ < LEAST_STALENESS || maxStaleness_ > MOST_STALENESS) {
            revert InvalidSource("maxStaleness");
        }
        if (minAnswer_ <= 0) revert InvalidSource("minAnswer");
        // Keeps the scaling to 18 decimals inside 256 bits.
        if (maxAnswer_ < minAnswer_ || maxAnswer_ > type(int128).max) revert InvalidSource("maxAnswer");
        uint8 decimals_ = IAggregatorProxy(aggregator_).decimals();
        if (decimals_ > MAX_DECIMALS) revert InvalidSource("decimals");
        (uint80 round,,,,) = IAggregatorProxy(aggregator_).latestRoundData();
        if (_phase(round) != phase_) revert InvalidSource("phase");

        (base, quote, aggregator, maxStaleness, decimals) =
        (base_, quote_, aggregator_, maxStaleness_, decimals_);
        phase = phase_;
        (int256 low, int256 high) = _unclamped(aggregator_);
        minAnswer = low > minAnswer_ ? low : minAnswer_;
        maxAnswer = high < maxAnswer_ ? high : maxAnswer_;
    }

    /// @inheritdoc IPriceSource
    function read() external view returns (uint256 priceE18, uint256 updatedAt, uint8 status) {
        (bool ok, uint256[8] memory answer) =
            Bounded.view_(aggregator, abi.encodeCall(IAggregatorProxy.latestRoundData, ()), 5);
        if (!ok || answer[0] > type(uint80).max) return (0, 0, QuoteStatus.CALL_FAILED);
        updatedAt = answer[3];
        // forge-lint: disable-next-line(unsafe-typecast)
        if (_phase(uint80(answer[0])) != phase) return (0, updatedAt, QuoteStatus.CHANGED);
        status = _decimalsStatus();
        if (status != QuoteStatus.OK) return (0, updatedAt, status);
        // forge-lint: disable-next-line(unsafe-typecast)
        int256 value = int256(answer[1]);
        if (value < minAnswer || value > maxAnswer) return (0, updatedAt, QuoteStatus.OUT_OF_BOUNDS);
        if (updatedAt > block.timestamp || block.timestamp - updatedAt > maxStaleness) {
            return (0, updatedAt, QuoteStatus.STALE);
        }
        return (_toE18(answer[1]), updatedAt, QuoteStatus.OK);
    }

    function _decimalsStatus() private view returns (uint8) {
        (bool ok, uint256[8] memory answer) =
            Bounded.view_(aggregator, abi.encodeCall(IAggregatorProxy.decimals, ()), 1);
        if (!ok) return QuoteStatus.CALL_FAILED;
        return answer[0] == decimals ? QuoteStatus.OK : QuoteStatus.CHANGED;
    }

    function _toE18(uint256 answer) private view returns (uint256) {
        return decimals <= 18 ? answer * 10 ** (18 - decimals) : answer / 10 ** (decimals - 18);
    }

    function _phase(uint80 round) private pure returns (uint16) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint16(round >> 64);
    }

    /// @dev What lies more than 1 % inside the aggregator's own clamp; anything where it has none.
    function _unclamped(address proxy) private view returns (int256 low, int256 high) {
        (bool ok, uint256[8] memory answer) =
            Bounded.view_(proxy, abi.encodeCall(IAggregatorProxy.aggregator, ()), 1);
        address behind = ok && answer[0] <= type(uint160).max ? address(uint160(answer[0])) : proxy;
        low =
            _clamp(behind, IAggregatorProxy.minAnswer.selector, IAggregatorProxy.minSubmissionValue.selector);
        high =
            _clamp(behind, IAggregatorProxy.maxAnswer.selector, IAggregatorProxy.maxSubmissionValue.selector);
        low = low > 0 && low < type(int128).max ? low + low / 100 + 1 : int256(0);
        high = high > 0 && high < type(int192).max ? high - high / 100 - 1 : type(int256).max;
    }

    function _clamp(address behind, bytes4 name, bytes4 olderName) private view returns (int256) {
        (bool ok, uint256[8] memory answer) = Bounded.view_(behind, abi.encodePacked(name), 1);
        if (!ok) (ok, answer) = Bounded.view_(behind, abi.encodePacked(olderName), 1);
        // forge-lint: disable-next-line(unsafe-typecast)
        return ok ? int256(answer[0]) : int256(0);
    }
}
