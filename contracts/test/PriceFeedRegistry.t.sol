// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPriceFeedRegistry} from "../src/interfaces/IPriceFeedRegistry.sol";
import {QuoteStatus} from "../src/interfaces/IPriceSource.sol";
import {Managed} from "./support/Managed.sol";
import {StatedSource} from "./support/StatedSource.sol";

contract PriceFeedRegistryTest is Managed {
    uint256 private constant NOW = 1_700_000_000;

    address private weth = makeAddr("weth");
    address private usd = address(0x348);
    StatedSource[3] private sources;
    StatedSource private check;

    function setUp() public {
        deployManaged();
        vm.warp(NOW);
        for (uint256 i = 0; i < 3; i++) {
            sources[i] = new StatedSource(weth, usd);
            sources[i].set(2000e18, NOW - i, QuoteStatus.OK);
        }
        check = new StatedSource(weth, usd);
        check.set(2000e18, NOW, QuoteStatus.OK);
    }

    function test_missingFeed() public {
        _quote(0, QuoteStatus.MISSING, 0);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPriceFeedRegistry.QuoteUnavailable.selector, weth, usd, QuoteStatus.MISSING
            )
        );
        feeds.quoteStrict(weth, usd);
        vm.expectRevert(abi.encodeWithSelector(IPriceFeedRegistry.UnknownFeed.selector, weth, usd));
        feeds.feedOf(weth, usd);
    }

    function test_oneSource() public {
        _set(_feed(1, 1, false));
        _quote(2000e18, QuoteStatus.OK, 1);
        (uint256 price, uint256 updatedAt) = feeds.quoteStrict(weth, usd);
        assertEq(price, 2000e18);
        assertEq(updatedAt, NOW);
    }

    function test_medianOfThreeAndTheOldestTime() public {
        _set(_feed(3, 2, false));
        sources[0].set(2010e18, NOW, QuoteStatus.OK);
        sources[1].set(1995e18, NOW - 9, QuoteStatus.OK);
        sources[2].set(2001e18, NOW, QuoteStatus.OK);
        _quote(2001e18, QuoteStatus.OK, 3);
        (, uint256 updatedAt) = feeds.quoteStrict(weth, usd);
        assertEq(updatedAt, NOW - 9);
        // One falls out: of two it is the middle between them.
        sources[2].set(2001e18, NOW, QuoteStatus.STALE);
        _quote(2002.5e18, QuoteStatus.OK, 2);
        // Two fall out: fewer than are asked for, with the first one's reason.
        sources[0].set(0, NOW, QuoteStatus.SEQUENCER_DOWN);
        _quote(0, QuoteStatus.SEQUENCER_DOWN, 1);
    }

    function test_disagreementIsRefusedAtTheBoundary() public {
        _set(_feed(2, 2, false));
        // 1 % of the median 2010 is 20.1.
        sources[0].set(2000e18, NOW, QuoteStatus.OK);
        sources[1].set(2020.1e18, NOW, QuoteStatus.OK);
        _quote(2010.05e18, QuoteStatus.OK, 2);
        sources[1].set(2020.11e18, NOW, QuoteStatus.OK);
        _quote(0, QuoteStatus.DISAGREE, 2);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPriceFeedRegistry.QuoteUnavailable.selector, weth, usd, QuoteStatus.DISAGREE
            )
        );
        feeds.quoteStrict(weth, usd);
    }

    /// @dev A cross-check can refuse a price, is never part of it, and does not matter when it has no answer.
    function test_crossCheckOnlyRefuses() public {
        _set(_feed(1, 1, true));
        check.set(2100e18, NOW, QuoteStatus.OK);
        _quote(2000e18, QuoteStatus.OK, 1);
        check.set(2100e18 + 1, NOW, QuoteStatus.OK);
        _quote(0, QuoteStatus.DISAGREE, 1);
        check.set(1900e18, NOW, QuoteStatus.OK);
        _quote(2000e18, QuoteStatus.OK, 1);
        check.set(1900e18 - 1, NOW, QuoteStatus.OK);
        _quote(0, QuoteStatus.DISAGREE, 1);
        check.set(1, NOW, QuoteStatus.CALL_FAILED);
        _quote(2000e18, QuoteStatus.OK, 1);
        check.misbehave(StatedSource.Manner.Revert);
        _quote(2000e18, QuoteStatus.OK, 1);
        // Never alone.
        sources[0].set(0, NOW, QuoteStatus.STALE);
        check.set(2000e18, NOW, QuoteStatus.OK);
        _quote(0, QuoteStatus.STALE, 0);
    }

    function test_sourceThatMisbehaves() public {
        _set(_feed(1, 1, false));
        for (uint8 manner = 1; manner <= 3; manner++) {
            sources[0].misbehave(StatedSource.Manner(manner));
            _quote(0, QuoteStatus.CALL_FAILED, 0);
        }
        // More than a price is returned: what is read of it is the price.
        sources[0].misbehave(StatedSource.Manner.LongAnswer);
        _quote(2000e18, QuoteStatus.OK, 1);
        vm.etch(address(sources[0]), "");
        _quote(0, QuoteStatus.CALL_FAILED, 0);
    }

    function test_gasBurnersCostABoundedAmount() public {
        _set(_feed(3, 1, true));
        sources[0].misbehave(StatedSource.Manner.BurnGas);
        uint256 before = gasleft();
        feeds.tryQuote(weth, usd);
        assertLt(before - gasleft(), 1_200_000);
    }

    function testFuzz_tryQuoteNeverReverts(uint256[4] memory prices, uint8[4] memory statuses, uint8 manners)
        public
    {
        _set(_feed(3, 2, true));
        for (uint256 i = 0; i < 4; i++) {
            StatedSource one = i < 3 ? sources[i] : check;
            one.set(prices[i], NOW, statuses[i] % 10);
            uint256 manner = manners >> (2 * i) & 3;
            // Not the one that burns gas: three times a million are slow and tried elsewhere.
            if (manner == 2) manner = 4;
            one.misbehave(StatedSource.Manner(manner));
        }
        (uint256 price, uint256 updatedAt, uint8 status, uint8 used) = feeds.tryQuote(weth, usd);
        assertLe(status, QuoteStatus.CHANGED);
        assertEq(price != 0, status == QuoteStatus.OK);
        if (status == QuoteStatus.OK) {
            assertGe(used, 2);
            assertEq(updatedAt, NOW);
            assertLe(price, type(uint128).max);
        }
    }

    /// @dev Whatever the order the sources answer in, the price is the same and lies between them.
    function testFuzz_medianIsBetweenAndOrderDoesNotMatter(uint64[3] memory raw, uint8 turn) public {
        _set(_feed(3, 3, false));
        uint256 lowest = type(uint256).max;
        uint256 highest;
        for (uint256 i = 0; i < 3; i++) {
            uint256 price = 2000e18 + uint256(raw[i]) % 20e18;
            if (price < lowest) lowest = price;
            if (price > highest) highest = price;
            sources[i].set(price, NOW, QuoteStatus.OK);
        }
        (uint256 first,, uint8 status,) = feeds.tryQuote(weth, usd);
        assertEq(status, QuoteStatus.OK);
        assertGe(first, lowest);
        assertLe(first, highest);
        IPriceFeedRegistry.Feed memory turned = _feed(3, 3, false);
        for (uint256 i = 0; i < 3; i++) {
            turned.sources[i] = address(sources[(i + turn) % 3]);
        }
        _set(turned);
        (uint256 second,,,) = feeds.tryQuote(weth, usd);
        assertEq(second, first);
    }

    function test_everyFieldIsChecked() public {
        IPriceFeedRegistry.Feed memory feed = _feed(3, 2, true);
        feed.base = address(0);
        _invalid(feed, "base");
        feed.base = usd;
        _invalid(feed, "base");
        feed = _feed(3, 2, true);
        feed.quote = address(0);
        _invalid(feed, "quote");
        feed = _feed(3, 0, true);
        _invalid(feed, "minSources");
        feed.minSources = 4;
        _invalid(feed, "minSources");
        feed = _feed(3, 2, true);
        feed.maxSpreadBps = 0;
        _invalid(feed, "maxSpreadBps");
        feed.maxSpreadBps = 1001;
        _invalid(feed, "maxSpreadBps");
        feed = _feed(3, 2, true);
        feed.maxCrossBps = 0;
        _invalid(feed, "maxCrossBps");
        feed.maxCrossBps = 1001;
        _invalid(feed, "maxCrossBps");
    }

    function test_everySourceIsChecked() public {
        IPriceFeedRegistry.Feed memory feed = _feed(3, 2, true);
        feed.sources = new address[](0);
        _invalid(feed, "sources");
        feed.sources = new address[](6);
        _invalid(feed, "sources");
        feed = _feed(3, 2, true);
        feed.sources[1] = feed.sources[0];
        _invalid(feed, "sources");
        feed.sources[1] = makeAddr("nobody");
        _invalid(feed, "sources");
        feed.sources[1] = address(new StatedSource(usd, weth));
        _invalid(feed, "sources");
        feed = _feed(3, 2, true);
        feed.crossChecks[0] = feed.sources[0];
        _invalid(feed, "crossChecks");
        feed.crossChecks = new address[](4);
        _invalid(feed, "crossChecks");
        // One source has no spread to bound.
        feed = _feed(1, 1, false);
        feed.maxSpreadBps = 5;
        _invalid(feed, "maxSpreadBps");
    }

    function test_setReplaces() public {
        _set(_feed(1, 1, false));
        IPriceFeedRegistry.Feed memory feed = _feed(3, 2, true);
        vm.expectEmit(address(feeds));
        emit IPriceFeedRegistry.FeedSet(weth, usd, 2, 100, 500, feed.sources, feed.crossChecks);
        _set(feed);
        assertEq(feeds.feedCount(), 1);
        assertEq(abi.encode(feeds.feedOf(weth, usd)), abi.encode(feed));
        assertEq(abi.encode(feeds.feeds(0, 1)[0]), abi.encode(feed));
        // Shorter again: nothing of the longer one is left.
        feed = _feed(1, 1, false);
        _set(feed);
        assertEq(abi.encode(feeds.feedOf(weth, usd)), abi.encode(feed));
    }

    function test_guardianTakesSourcesOut() public {
        _set(_feed(3, 2, true));
        vm.startPrank(guardian);
        vm.expectEmit(address(feeds));
        emit IPriceFeedRegistry.SourceRemoved(weth, usd, address(sources[0]));
        feeds.removeSource(weth, usd, address(sources[0]));
        _quote(2000e18, QuoteStatus.OK, 2);
        feeds.removeSource(weth, usd, address(check));
        assertEq(feeds.feedOf(weth, usd).crossChecks.length, 0);
        feeds.removeSource(weth, usd, address(sources[1]));
        _quote(0, QuoteStatus.MISSING, 1);
        feeds.removeSource(weth, usd, address(sources[2]));
        _quote(0, QuoteStatus.MISSING, 0);
        vm.expectRevert(
            abi.encodeWithSelector(IPriceFeedRegistry.UnknownSource.selector, weth, usd, address(sources[2]))
        );
        feeds.removeSource(weth, usd, address(sources[2]));
        vm.stopPrank();
    }

    /// @dev Feeds set and removed in any order: the pages and the look-ups agree with a plain set.
    function testFuzz_listFollowsAnyOrder(uint256 seed) public {
        bool[6] memory present;
        uint256 count;
        for (uint256 i = 0; i < 24; i++) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 index = seed % 6;
            if (seed >> 128 & 1 == 0) {
                _set(_other(index));
                if (!present[index]) count++;
                present[index] = true;
            } else {
                (address base, address quote) = (address(uint160(0x1000 + index)), usd);
                if (!present[index]) {
                    vm.expectRevert(
                        abi.encodeWithSelector(IPriceFeedRegistry.UnknownFeed.selector, base, quote)
                    );
                } else {
                    count--;
                }
                vm.prank(guardian);
                feeds.removeFeed(base, quote);
                present[index] = false;
            }
            assertEq(feeds.feedCount(), count);
        }
        IPriceFeedRegistry.Feed[] memory page = feeds.feeds(0, 100);
        assertEq(page.length, count);
        for (uint256 i = 0; i < page.length; i++) {
            assertTrue(present[uint160(page[i].base) - 0x1000]);
        }
        for (uint256 i = 0; i < 6; i++) {
            (,, uint8 status,) = feeds.tryQuote(address(uint160(0x1000 + i)), usd);
            assertEq(status, present[i] ? QuoteStatus.OK : QuoteStatus.MISSING);
        }
    }

    function _other(uint256 index) private returns (IPriceFeedRegistry.Feed memory feed) {
        address base = address(uint160(0x1000 + index));
        (feed.base, feed.quote, feed.minSources) = (base, usd, 1);
        feed.sources = new address[](1);
        feed.sources[0] = address(new StatedSource(base, usd));
    }

    function _feed(uint256 count, uint8 least, bool crossed)
        private
        view
        returns (IPriceFeedRegistry.Feed memory feed)
    {
        (feed.base, feed.quote, feed.minSources) = (weth, usd, least);
        feed.maxSpreadBps = count > 1 ? 100 : 0;
        feed.maxCrossBps = crossed ? 500 : 0;
        feed.sources = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            feed.sources[i] = address(sources[i]);
        }
        feed.crossChecks = new address[](crossed ? 1 : 0);
        if (crossed) feed.crossChecks[0] = address(check);
    }

    function _set(IPriceFeedRegistry.Feed memory feed) private {
        vm.prank(curator);
        feeds.setFeed(feed);
    }

    function _quote(uint256 wanted, uint8 wantedStatus, uint8 wantedUsed) private view {
        (uint256 price, uint256 updatedAt, uint8 status, uint8 used) = feeds.tryQuote(weth, usd);
        assertEq(status, wantedStatus, "status");
        assertEq(price, wanted, "price");
        assertEq(used, wantedUsed, "used");
        assertEq(updatedAt != 0, status == QuoteStatus.OK, "updatedAt");
    }

    function _invalid(IPriceFeedRegistry.Feed memory feed, string memory field) private {
        vm.expectRevert(abi.encodeWithSelector(IPriceFeedRegistry.InvalidFeed.selector, field));
        _set(feed);
    }
}
