// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPriceFeedRegistry} from "./interfaces/IPriceFeedRegistry.sol";
import {
    AccessManagedUpgradeable
} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";

interface IAggregator {
    function decimals() external view returns (uint8);
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80);
}

/// @title Price feeds with staleness and bounds, behind a proxy
/// @notice Every function that changes something is restricted by the AccessManager this was initialised with.
contract PriceFeedRegistry is IPriceFeedRegistry, AccessManagedUpgradeable, UUPSUpgradeable {
    /// @custom:storage-location erc7201:roundtrip.storage.PriceFeedRegistry
    struct PriceFeedRegistryStorage {
        Feed[] feeds;
        /// One more than the feed's index, so that zero means none.
        mapping(address base => mapping(address quote => uint256)) position;
    }

    /// @dev keccak256(abi.encode(uint256(keccak256("roundtrip.storage.PriceFeedRegistry")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORAGE = 0x7549b88339251cc62cd53ea6418c2460591a8326b98d54026b6bceef2619d400;

    uint8 private constant OK = 0;
    uint8 private constant MISSING = 1;
    uint8 private constant STALE = 2;
    uint8 private constant OUT_OF_BOUNDS = 3;
    uint8 private constant CALL_FAILED = 4;

    uint8 private constant MAX_DECIMALS = 36;
    /// @dev Bounds an aggregator that would burn whatever it is given.
    uint256 private constant CALL_GAS = 200_000;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Put the registry under an AccessManager; once, by the proxy's constructor.
    function initialize(address authority_) external initializer {
        __AccessManaged_init(authority_);
    }

    /// @inheritdoc IPriceFeedRegistry
    function setFeed(
        address base,
        address quote,
        address aggregator,
        uint32 maxStaleness,
        int256 minAnswer,
        int256 maxAnswer
    ) external restricted {
        if (base == address(0) || base == quote) revert InvalidFeed("base");
        if (quote == address(0)) revert InvalidFeed("quote");
        if (aggregator.code.length == 0) revert InvalidFeed("aggregator");
        if (maxStaleness == 0) revert InvalidFeed("maxStaleness");
        if (minAnswer <= 0) revert InvalidFeed("minAnswer");
        // Keeps the scaling to 18 decimals inside 256 bits.
        if (maxAnswer < minAnswer || maxAnswer > type(int128).max) revert InvalidFeed("maxAnswer");
        uint8 decimals = IAggregator(aggregator).decimals();
        if (decimals > MAX_DECIMALS) revert InvalidFeed("decimals");

        Feed memory feed = Feed(base, quote, aggregator, maxStaleness, decimals, minAnswer, maxAnswer);
        PriceFeedRegistryStorage storage $ = _storage();
        uint256 position = $.position[base][quote];
        if (position == 0) {
            $.feeds.push(feed);
            $.position[base][quote] = $.feeds.length;
        } else {
            $.feeds[position - 1] = feed;
        }
        emit FeedSet(base, quote, aggregator, maxStaleness, minAnswer, maxAnswer);
    }

    /// @inheritdoc IPriceFeedRegistry
    function removeFeed(address base, address quote) external restricted {
        PriceFeedRegistryStorage storage $ = _storage();
        uint256 position = $.position[base][quote];
        if (position == 0) revert UnknownFeed(base, quote);
        uint256 last = $.feeds.length;
        if (position != last) {
            Feed storage moved = $.feeds[last - 1];
            $.position[moved.base][moved.quote] = position;
            $.feeds[position - 1] = moved;
        }
        $.feeds.pop();
        delete $.position[base][quote];
        emit FeedRemoved(base, quote);
    }

    /// @inheritdoc IPriceFeedRegistry
    function quoteStrict(address base, address quote)
        external
        view
        returns (uint256 priceE18, uint256 updatedAt)
    {
        uint8 status;
        (priceE18, updatedAt, status) = tryQuote(base, quote);
        if (status != OK) revert QuoteUnavailable(base, quote, status);
    }

    /// @inheritdoc IPriceFeedRegistry
    function feedCount() external view returns (uint256) {
        return _storage().feeds.length;
    }

    /// @inheritdoc IPriceFeedRegistry
    function feedAt(uint256 index) external view returns (Feed memory) {
        return _storage().feeds[index];
    }

    /// @inheritdoc IPriceFeedRegistry
    function tryQuote(address base, address quote)
        public
        view
        returns (uint256 priceE18, uint256 updatedAt, uint8 status)
    {
        PriceFeedRegistryStorage storage $ = _storage();
        uint256 position = $.position[base][quote];
        if (position == 0) return (0, 0, MISSING);
        Feed storage feed = $.feeds[position - 1];

        bool answered;
        int256 answer;
        (answered, answer, updatedAt) = _latest(feed.aggregator);
        if (!answered) return (0, 0, CALL_FAILED);
        if (answer < feed.minAnswer || answer > feed.maxAnswer) return (0, updatedAt, OUT_OF_BOUNDS);

        // forge-lint: disable-next-line(unsafe-typecast)
        priceE18 = _toE18(uint256(answer), feed.decimals);
        bool fresh = updatedAt <= block.timestamp && block.timestamp - updatedAt <= feed.maxStaleness;
        return (priceE18, updatedAt, fresh ? OK : STALE);
    }

    function _authorizeUpgrade(address) internal override restricted {}

    /// @dev Copies no more than the answer, however much is returned, and survives whatever the call does.
    function _latest(address aggregator)
        private
        view
        returns (bool answered, int256 answer, uint256 updatedAt)
    {
        bytes memory request = abi.encodeCall(IAggregator.latestRoundData, ());
        assembly ("memory-safe") {
            let round := mload(0x40)
            answered := staticcall(CALL_GAS, aggregator, add(request, 32), mload(request), round, 160)
            answered := and(answered, gt(returndatasize(), 159))
            answer := mload(add(round, 32))
            updatedAt := mload(add(round, 96))
        }
    }

    function _toE18(uint256 answer, uint256 decimals) private pure returns (uint256) {
        return decimals <= 18 ? answer * 10 ** (18 - decimals) : answer / 10 ** (decimals - 18);
    }

    function _storage() private pure returns (PriceFeedRegistryStorage storage $) {
        assembly ("memory-safe") {
            $.slot := STORAGE
        }
    }
}
