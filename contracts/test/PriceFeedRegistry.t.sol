// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPriceFeedRegistry} from "../src/interfaces/IPriceFeedRegistry.sol";
import {WorldFeed} from "../world/WorldFeed.sol";
import {Managed} from "./support/Managed.sol";

/// @dev An aggregator that says whatever it is told to, or misbehaves.
contract LooseAggregator {
    enum Manner {
        Answer,
        Revert,
        BurnGas,
        ShortAnswer,
        LongAnswer
    }

    uint8 public decimals;
    Manner public manner;
    int256 public answer;
    uint256 public updatedAt;

    function set(uint8 decimals_, Manner manner_, int256 answer_, uint256 updatedAt_) external {
        (decimals, manner, answer, updatedAt) = (decimals_, manner_, answer_, updatedAt_);
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
        return (1, answer, updatedAt, updatedAt, 1);
    }
}

contract PriceFeedRegistryTest is Managed {
    uint8 private constant OK = 0;
    uint8 private constant MISSING = 1;
    uint8 private constant STALE = 2;
    uint8 private constant OUT_OF_BOUNDS = 3;
    uint8 private constant CALL_FAILED = 4;

    uint256 private constant NOW = 1_700_000_000;
    uint32 private constant MAX_STALENESS = 3600;
    int256 private constant LEAST = 100e8;
    int256 private constant MOST = 10_000e8;

    address private weth = makeAddr("weth");
    address private usd = address(0x348);
    LooseAggregator private source;

    struct Row {
        LooseAggregator.Manner manner;
        int256 answer;
        uint256 updatedAt;
        uint256 price;
        uint8 status;
    }

    function setUp() public {
        deployManaged();
        vm.warp(NOW);
        source = new LooseAggregator();
        source.set(8, LooseAggregator.Manner.Answer, 2000e8, NOW);
        _set(weth, usd, address(source));
    }

    /// @dev One row for each rule, on the boundary and one beyond it.
    function test_tableOfAnswers() public {
        LooseAggregator.Manner answer = LooseAggregator.Manner.Answer;
        _row(Row(answer, 2000e8, NOW, 2000e18, OK));
        _row(Row(answer, 2000e8, NOW - MAX_STALENESS + 1, 2000e18, OK));
        _row(Row(answer, 2000e8, NOW - MAX_STALENESS, 2000e18, OK));
        _row(Row(answer, 2000e8, NOW - MAX_STALENESS - 1, 2000e18, STALE));
        _row(Row(answer, 2000e8, 0, 2000e18, STALE));
        _row(Row(answer, 2000e8, NOW + 1, 2000e18, STALE));
        _row(Row(answer, 2000e8, type(uint256).max, 2000e18, STALE));
        _row(Row(answer, LEAST, NOW, 100e18, OK));
        _row(Row(answer, LEAST - 1, NOW, 0, OUT_OF_BOUNDS));
        _row(Row(answer, MOST, NOW, 10_000e18, OK));
        _row(Row(answer, MOST + 1, NOW, 0, OUT_OF_BOUNDS));
        _row(Row(answer, 0, NOW, 0, OUT_OF_BOUNDS));
        _row(Row(answer, -1, NOW, 0, OUT_OF_BOUNDS));
        _row(Row(answer, type(int256).min, NOW, 0, OUT_OF_BOUNDS));
        _row(Row(answer, type(int256).max, NOW, 0, OUT_OF_BOUNDS));
        _row(Row(LooseAggregator.Manner.Revert, 2000e8, NOW, 0, CALL_FAILED));
        _row(Row(LooseAggregator.Manner.BurnGas, 2000e8, NOW, 0, CALL_FAILED));
        _row(Row(LooseAggregator.Manner.ShortAnswer, 2000e8, NOW, 0, CALL_FAILED));
        _row(Row(LooseAggregator.Manner.LongAnswer, 2000e8, NOW, 0, CALL_FAILED));
    }

    function test_missingFeed() public {
        (uint256 price, uint256 updatedAt, uint8 status) = feeds.tryQuote(usd, weth);
        assertEq(price, 0);
        assertEq(updatedAt, 0);
        assertEq(status, MISSING);
        vm.expectRevert(
            abi.encodeWithSelector(IPriceFeedRegistry.QuoteUnavailable.selector, usd, weth, MISSING)
        );
        feeds.quoteStrict(usd, weth);
    }

    function test_aggregatorThatIsGone() public {
        vm.etch(address(source), "");
        (,, uint8 status) = feeds.tryQuote(weth, usd);
        assertEq(status, CALL_FAILED);
    }

    function test_gasBurnerCostsABoundedAmount() public {
        source.set(8, LooseAggregator.Manner.BurnGas, 1, NOW);
        uint256 before = gasleft();
        feeds.tryQuote(weth, usd);
        assertLt(before - gasleft(), 250_000);
    }

    function testFuzz_tryQuoteNeverReverts(uint8 manner, int256 answer, uint256 updatedAt, uint64 time)
        public
    {
        source.set(8, LooseAggregator.Manner(bound(manner, 0, 4)), answer, updatedAt);
        vm.warp(time);
        (uint256 price,, uint8 status) = feeds.tryQuote(weth, usd);
        if (status == OK) assertEq(price, uint256(answer) * 1e10);
        assertLe(status, CALL_FAILED);
    }

    function testFuzz_decimals(uint8 decimals, uint256 whole) public {
        decimals = uint8(bound(decimals, 0, 36));
        whole = bound(whole, 1, 1_000_000);
        LooseAggregator other = new LooseAggregator();
        int256 answer = int256(whole * 10 ** decimals);
        vm.assume(answer <= type(int128).max);
        other.set(decimals, LooseAggregator.Manner.Answer, answer, NOW);
        vm.prank(curator);
        feeds.setFeed(weth, makeAddr("other"), address(other), 60, 1, type(int128).max);
        (uint256 price,) = feeds.quoteStrict(weth, makeAddr("other"));
        assertEq(price, whole * 1e18);
    }

    function test_worldFeed() public {
        WorldFeed feed = new WorldFeed(8, "ETH / USD", 3000e8);
        _set(weth, makeAddr("eur"), address(feed));
        (uint256 price, uint256 updatedAt) = feeds.quoteStrict(weth, makeAddr("eur"));
        assertEq(price, 3000e18);
        assertEq(updatedAt, NOW);
        vm.warp(NOW + 10);
        feed.set(3100e8);
        (price, updatedAt) = feeds.quoteStrict(weth, makeAddr("eur"));
        assertEq(price, 3100e18);
        assertEq(updatedAt, NOW + 10);
        vm.expectRevert(abi.encodeWithSelector(WorldFeed.NotOwner.selector, stranger));
        vm.prank(stranger);
        feed.set(1);
    }

    function test_everyArgumentIsChecked() public {
        address a = address(source);
        _invalid(address(0), usd, a, 60, 1, 2, "base");
        _invalid(usd, usd, a, 60, 1, 2, "base");
        _invalid(weth, address(0), a, 60, 1, 2, "quote");
        _invalid(weth, usd, makeAddr("nobody"), 60, 1, 2, "aggregator");
        _invalid(weth, usd, a, 0, 1, 2, "maxStaleness");
        _invalid(weth, usd, a, 60, 0, 2, "minAnswer");
        _invalid(weth, usd, a, 60, 3, 2, "maxAnswer");
        _invalid(weth, usd, a, 60, 1, int256(type(int128).max) + 1, "maxAnswer");
        source.set(37, LooseAggregator.Manner.Answer, 1, NOW);
        _invalid(weth, usd, a, 60, 1, 2, "decimals");
    }

    function test_setReplaces() public {
        LooseAggregator other = new LooseAggregator();
        other.set(18, LooseAggregator.Manner.Answer, 5e18, NOW);
        vm.expectEmit(address(feeds));
        emit IPriceFeedRegistry.FeedSet(weth, usd, address(other), 60, 1, 9e18);
        vm.prank(curator);
        feeds.setFeed(weth, usd, address(other), 60, 1, 9e18);
        assertEq(feeds.feedCount(), 1);
        assertEq(feeds.feedAt(0).aggregator, address(other));
        (uint256 price,) = feeds.quoteStrict(weth, usd);
        assertEq(price, 5e18);
    }

    /// @dev Feeds set and removed in any order: the list and the look-ups agree with a plain set.
    function testFuzz_listFollowsAnyOrder(uint256 seed) public {
        bool[6] memory present;
        uint256 count;
        for (uint256 i = 0; i < 24; i++) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 index = seed % 6;
            address base = address(uint160(0x1000 + index));
            if (seed >> 128 & 1 == 0) {
                _set(base, usd, address(source));
                if (!present[index]) count++;
                present[index] = true;
            } else {
                if (!present[index]) {
                    vm.expectRevert(
                        abi.encodeWithSelector(IPriceFeedRegistry.UnknownFeed.selector, base, usd)
                    );
                } else {
                    count--;
                }
                vm.prank(guardian);
                feeds.removeFeed(base, usd);
                present[index] = false;
            }
            assertEq(feeds.feedCount(), count + 1);
        }
        for (uint256 i = 0; i < 6; i++) {
            (,, uint8 status) = feeds.tryQuote(address(uint160(0x1000 + i)), usd);
            assertEq(status, present[i] ? OK : MISSING);
        }
    }

    function _row(Row memory row) private {
        source.set(8, row.manner, row.answer, row.updatedAt);
        (uint256 price, uint256 updatedAt, uint8 status) = feeds.tryQuote(weth, usd);
        assertEq(status, row.status);
        assertEq(price, row.price);
        assertEq(updatedAt, row.status == CALL_FAILED ? 0 : row.updatedAt);
        if (row.status != OK) {
            vm.expectRevert(
                abi.encodeWithSelector(IPriceFeedRegistry.QuoteUnavailable.selector, weth, usd, row.status)
            );
        }
        feeds.quoteStrict(weth, usd);
    }

    function _set(address base, address quote, address aggregator) private {
        vm.prank(curator);
        feeds.setFeed(base, quote, aggregator, MAX_STALENESS, LEAST, MOST);
    }

    function _invalid(
        address base,
        address quote,
        address aggregator,
        uint32 maxStaleness,
        int256 least,
        int256 most,
        string memory field
    ) private {
        vm.expectRevert(abi.encodeWithSelector(IPriceFeedRegistry.InvalidFeed.selector, field));
        vm.prank(curator);
        feeds.setFeed(base, quote, aggregator, maxStaleness, least, most);
    }
}
