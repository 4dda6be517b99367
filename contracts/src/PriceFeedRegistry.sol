// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Bounded} from "./feeds/Bounded.sol";
import {IPriceFeedRegistry} from "./interfaces/IPriceFeedRegistry.sol";
import {IPriceSource, QuoteStatus} from "./interfaces/IPriceSource.sol";
import {
    AccessManagedUpgradeable
} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";

/// @title Which sources price which token, behind a proxy
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

    /// @dev Bounds what a quote can cost: each has at most `Bounded.SOURCE_GAS`.
    uint256 private constant MAX_SOURCES = 5;
    uint256 private constant MAX_CROSS_CHECKS = 3;
    uint256 private constant MAX_SPREAD_BPS = 1000;
    uint256 private constant ONE_BPS = 10_000;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Put the registry under an AccessManager; once, by the proxy's constructor.
    function initialize(address authority_) external initializer {
        __AccessManaged_init(authority_);
    }

    /// @inheritdoc IPriceFeedRegistry
    function setFeed(Feed calldata feed) external restricted {
        _validate(feed);
        PriceFeedRegistryStorage storage $ = _storage();
        uint256 position = $.position[feed.base][feed.quote];
        if (position == 0) {
            $.feeds.push(feed);
            $.position[feed.base][feed.quote] = $.feeds.length;
        } else {
            $.feeds[position - 1] = feed;
        }
        emit FeedSet(
            feed.base,
            feed.quote,
            feed.minSources,
            feed.maxSpreadBps,
            feed.maxCrossBps,
            feed.sources,
            feed.crossChecks
        );
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
    function removeSource(address base, address quote, address source) external restricted {
        Feed storage feed = _feed(base, quote);
        if (!_remove(feed.sources, source) && !_remove(feed.crossChecks, source)) {
            revert UnknownSource(base, quote, source);
        }
        emit SourceRemoved(base, quote, source);
    }

    /// @inheritdoc IPriceFeedRegistry
    function quoteStrict(address base, address quote)
        external
        view
        returns (uint256 priceE18, uint256 updatedAt)
    {
        uint8 status;
        (priceE18, updatedAt, status,) = tryQuote(base, quote);
        if (status != QuoteStatus.OK) revert QuoteUnavailable(base, quote, status);
    }

    /// @inheritdoc IPriceFeedRegistry
    function feedCount() external view returns (uint256) {
        return _storage().feeds.length;
    }

    /// @inheritdoc IPriceFeedRegistry
    function feeds(uint256 offset, uint256 limit) external view returns (Feed[] memory page) {
        Feed[] storage all = _storage().feeds;
        uint256 left = offset < all.length ? all.length - offset : 0;
        page = new Feed[](limit < left ? limit : left);
        for (uint256 i = 0; i < page.length; i++) {
            page[i] = all[offset + i];
        }
    }

    /// @inheritdoc IPriceFeedRegistry
    function feedOf(address base, address quote) external view returns (Feed memory) {
        return _feed(base, quote);
    }

    /// @inheritdoc IPriceFeedRegistry
    function tryQuote(address base, address quote)
        public
        view
        returns (uint256 priceE18, uint256 updatedAt, uint8 status, uint8 used)
    {
        PriceFeedRegistryStorage storage $ = _storage();
        uint256 position = $.position[base][quote];
        if (position == 0) return (0, 0, QuoteStatus.MISSING, 0);
        Feed storage feed = $.feeds[position - 1];

        uint256[] memory prices;
        (prices, updatedAt, used, status) = _ask(feed);
        if (used == 0 || used < feed.minSources) {
            return (0, 0, status == QuoteStatus.OK ? QuoteStatus.MISSING : status, used);
        }
        priceE18 = _median(prices, used);
        bool agreed = (prices[used - 1] - prices[0]) * ONE_BPS <= priceE18 * feed.maxSpreadBps;
        if (!agreed || !_passes(feed, priceE18)) return (0, 0, QuoteStatus.DISAGREE, used);
        return (priceE18, updatedAt, QuoteStatus.OK, used);
    }

    function _authorizeUpgrade(address) internal override restricted {}

    /// @dev The answers of the sources that have one, in ascending order, and the first refusal of the others.
    function _ask(Feed storage feed)
        private
        view
        returns (uint256[] memory prices, uint256 oldest, uint8 used, uint8 refusal)
    {
        uint256 count = feed.sources.length;
        prices = new uint256[](count);
        oldest = type(uint256).max;
        for (uint256 i = 0; i < count; i++) {
            (uint256 price, uint256 since, uint8 status) = Bounded.source(feed.sources[i]);
            if (status != QuoteStatus.OK) {
                if (refusal == QuoteStatus.OK) refusal = status;
                continue;
            }
            uint256 place = used++;
            for (; place > 0 && prices[place - 1] > price; place--) {
                prices[place] = prices[place - 1];
            }
            prices[place] = price;
            if (since < oldest) oldest = since;
        }
    }

    /// @dev Whether no cross-check that has an answer is too far from the price.
    function _passes(Feed storage feed, uint256 price) private view returns (bool) {
        for (uint256 i = 0; i < feed.crossChecks.length; i++) {
            (uint256 other,, uint8 status) = Bounded.source(feed.crossChecks[i]);
            if (status != QuoteStatus.OK) continue;
            uint256 apart = other > price ? other - price : price - other;
            if (apart * ONE_BPS > price * feed.maxCrossBps) return false;
        }
        return true;
    }

    function _median(uint256[] memory sorted, uint256 count) private pure returns (uint256) {
        uint256 middle = count / 2;
        return count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    function _feed(address base, address quote) private view returns (Feed storage) {
        PriceFeedRegistryStorage storage $ = _storage();
        uint256 position = $.position[base][quote];
        if (position == 0) revert UnknownFeed(base, quote);
        return $.feeds[position - 1];
    }

    function _remove(address[] storage list, address one) private returns (bool) {
        for (uint256 i = 0; i < list.length; i++) {
            if (list[i] != one) continue;
            list[i] = list[list.length - 1];
            list.pop();
            return true;
        }
        return false;
    }

    function _validate(Feed calldata feed) private view {
        if (feed.base == address(0) || feed.base == feed.quote) revert InvalidFeed("base");
        if (feed.quote == address(0)) revert InvalidFeed("quote");
        if (feed.sources.length == 0 || feed.sources.length > MAX_SOURCES) revert InvalidFeed("sources");
        if (feed.crossChecks.length > MAX_CROSS_CHECKS) revert InvalidFeed("crossChecks");
        if (feed.minSources == 0 || feed.minSources > feed.sources.length) revert InvalidFeed("minSources");
        bool several = feed.sources.length > 1;
        if (feed.maxSpreadBps > MAX_SPREAD_BPS || (feed.maxSpreadBps != 0) != several) {
            revert InvalidFeed("maxSpreadBps");
        }
        bool crossed = feed.crossChecks.length > 0;
        if (feed.maxCrossBps > MAX_SPREAD_BPS || (feed.maxCrossBps != 0) != crossed) {
            revert InvalidFeed("maxCrossBps");
        }
        _fit(feed, feed.sources, "sources");
        _fit(feed, feed.crossChecks, "crossChecks");
        for (uint256 i = 0; i < feed.crossChecks.length; i++) {
            if (_has(feed.sources, feed.crossChecks[i], feed.sources.length)) {
                revert InvalidFeed("crossChecks");
            }
        }
    }

    /// @dev Each is a source of just these two tokens, and none is named twice.
    function _fit(Feed calldata feed, address[] calldata list, string memory field) private view {
        for (uint256 i = 0; i < list.length; i++) {
            if (list[i].code.length == 0 || _has(list, list[i], i)) revert InvalidFeed(field);
            if (IPriceSource(list[i]).base() != feed.base || IPriceSource(list[i]).quote() != feed.quote) {
                revert InvalidFeed(field);
            }
        }
    }

    function _has(address[] calldata list, address one, uint256 count) private pure returns (bool) {
        for (uint256 i = 0; i < count; i++) {
            if (list[i] == one) return true;
        }
        return false;
    }

    function _storage() private pure returns (PriceFeedRegistryStorage storage $) {
        assembly ("memory-safe") {
            $.slot := STORAGE
        }
    }
}
