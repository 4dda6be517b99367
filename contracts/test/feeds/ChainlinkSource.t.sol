// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ChainlinkSource} from "../../src/feeds/ChainlinkSource.sol";
import {QuoteStatus} from "../../src/interfaces/IPriceSource.sol";
import {WorldFeed} from "../../world/WorldFeed.sol";
import {ClampedAggregator, LooseAggregator} from "../support/LooseAggregator.sol";
import {Sourced} from "../support/Sourced.sol";

interface IFluxAggregator {
    function addAccess(address reader) external;
    function changeOracles(
        address[] calldata removed,
        address[] calldata added,
        address[] calldata admins,
        uint32 least,
        uint32 most,
        uint32 restartDelay
    ) external;
    function submit(uint256 roundId, int256 submission) external;
}

interface IPhasedProxy {
    function proposeAggregator(address next) external;
    function confirmAggregator(address next) external;
    function phaseId() external view returns (uint16);
}

contract ChainlinkSourceTest is Sourced {
    uint256 private constant MAX_STALENESS = 3600;
    int256 private constant LEAST = 100e8;
    int256 private constant MOST = 10_000e8;
    LooseAggregator.Manner private constant ANSWER = LooseAggregator.Manner.Answer;

    LooseAggregator private origin;
    ChainlinkSource private source;

    struct Row {
        LooseAggregator.Manner manner;
        int256 answer;
        uint256 updatedAt;
        uint256 price;
        uint8 status;
    }

    function setUp() public {
        vm.warp(NOW);
        origin = new LooseAggregator();
        origin.set(8, ANSWER, 2000e8, NOW);
        source = _source(address(origin), LEAST, MOST);
    }

    /// @dev One row for each rule: fresh, on the boundary, one beyond it, and every way to misbehave.
    function test_tableOfAnswers() public {
        _row(Row(ANSWER, 2000e8, NOW, 2000e18, QuoteStatus.OK));
        _row(Row(ANSWER, 2000e8, NOW - MAX_STALENESS + 1, 2000e18, QuoteStatus.OK));
        _row(Row(ANSWER, 2000e8, NOW - MAX_STALENESS, 2000e18, QuoteStatus.OK));
        _row(Row(ANSWER, 2000e8, NOW - MAX_STALENESS - 1, 0, QuoteStatus.STALE));
        _row(Row(ANSWER, 2000e8, 0, 0, QuoteStatus.STALE));
        _row(Row(ANSWER, 2000e8, NOW + 1, 0, QuoteStatus.STALE));
        _row(Row(ANSWER, 2000e8, type(uint256).max, 0, QuoteStatus.STALE));
        _row(Row(ANSWER, LEAST, NOW, 100e18, QuoteStatus.OK));
        _row(Row(ANSWER, LEAST - 1, NOW, 0, QuoteStatus.OUT_OF_BOUNDS));
        _row(Row(ANSWER, MOST, NOW, 10_000e18, QuoteStatus.OK));
        _row(Row(ANSWER, MOST + 1, NOW, 0, QuoteStatus.OUT_OF_BOUNDS));
        _row(Row(ANSWER, 0, NOW, 0, QuoteStatus.OUT_OF_BOUNDS));
        _row(Row(ANSWER, -1, NOW, 0, QuoteStatus.OUT_OF_BOUNDS));
        _row(Row(ANSWER, type(int256).min, NOW, 0, QuoteStatus.OUT_OF_BOUNDS));
        _row(Row(ANSWER, type(int256).max, NOW, 0, QuoteStatus.OUT_OF_BOUNDS));
        _row(Row(LooseAggregator.Manner.Revert, 2000e8, NOW, 0, QuoteStatus.CALL_FAILED));
        _row(Row(LooseAggregator.Manner.BurnGas, 2000e8, NOW, 0, QuoteStatus.CALL_FAILED));
        _row(Row(LooseAggregator.Manner.ShortAnswer, 2000e8, NOW, 0, QuoteStatus.CALL_FAILED));
        _row(Row(LooseAggregator.Manner.LongAnswer, 2000e8, NOW, 0, QuoteStatus.CALL_FAILED));
    }

    function test_changedDecimalsRefuse() public {
        origin.set(18, ANSWER, 2000e8, NOW);
        assertRead(source, 0, QuoteStatus.CHANGED);
    }

    function test_newPhaseRefuses() public {
        origin.setRound(type(uint64).max);
        assertRead(source, 2000e18, QuoteStatus.OK);
        origin.setRound(uint80(type(uint64).max) + 1);
        assertRead(source, 0, QuoteStatus.CHANGED);
    }

    function test_originThatIsGone() public {
        vm.etch(address(origin), "");
        assertRead(source, 0, QuoteStatus.CALL_FAILED);
    }

    function test_clampRefusesWithinOnePercent() public {
        ClampedAggregator clamped = new ClampedAggregator(10e8, 1000e8);
        clamped.set(8, ANSWER, 500e8, NOW);
        ChainlinkSource inside = _source(address(clamped), 1, type(int128).max);
        int256[4] memory refused = [int256(10e8), 10e8 + 10e8 / 100, 1000e8, 1000e8 - 1000e8 / 100];
        int256[3] memory believed = [int256(10e8 + 10e8 / 100 + 1), 500e8, 1000e8 - 1000e8 / 100 - 1];
        for (uint256 i = 0; i < refused.length; i++) {
            clamped.set(8, ANSWER, refused[i], NOW);
            assertRead(inside, 0, QuoteStatus.OUT_OF_BOUNDS);
        }
        for (uint256 i = 0; i < believed.length; i++) {
            clamped.set(8, ANSWER, believed[i], NOW);
            assertRead(inside, uint256(believed[i]) * 1e10, QuoteStatus.OK);
        }
        // The curator's bounds hold where they are narrower.
        assertEq(_source(address(clamped), 100e8, 200e8).minAnswer(), 100e8);
        assertEq(_source(address(clamped), 100e8, 200e8).maxAnswer(), 200e8);
    }

    function test_bounds_everyArgument() public {
        address a = address(origin);
        _invalid(address(0), usd, a, 60, 1, 2, "base");
        _invalid(usd, usd, a, 60, 1, 2, "base");
        _invalid(weth, address(0), a, 60, 1, 2, "quote");
        _invalid(weth, usd, makeAddr("nobody"), 60, 1, 2, "aggregator");
        _invalid(weth, usd, a, 29, 1, 2, "maxStaleness");
        _invalid(weth, usd, a, 72 hours + 1, 1, 2, "maxStaleness");
        _invalid(weth, usd, a, 60, 0, 2, "minAnswer");
        _invalid(weth, usd, a, 60, 3, 2, "maxAnswer");
        _invalid(weth, usd, a, 60, 1, int256(type(int128).max) + 1, "maxAnswer");
        origin.set(37, ANSWER, 1, NOW);
        _invalid(weth, usd, a, 60, 1, 2, "decimals");
        origin.set(8, LooseAggregator.Manner.Revert, 1, NOW);
        vm.expectRevert();
        new ChainlinkSource(weth, usd, a, 0, 60, 1, 2);
    }

    function test_bounds_gas() public {
        assertCostsAtMost(source, 40_000);
        origin.set(8, LooseAggregator.Manner.BurnGas, 1, NOW);
        assertCostsAtMost(source, 250_000);
        origin.set(8, LooseAggregator.Manner.LongAnswer, 1, NOW);
        assertCostsAtMost(source, 250_000);
    }

    function testFuzz_neverReverts(uint8 manner, uint80 round, int256 answer, uint256 updatedAt, uint64 time)
        public
    {
        origin.set(8, LooseAggregator.Manner(bound(manner, 0, 4)), answer, updatedAt);
        origin.setRound(round);
        vm.warp(time);
        (uint256 price,, uint8 status) = source.read();
        bool believable = origin.manner() == ANSWER && round >> 64 == 0 && answer >= LEAST && answer <= MOST
            && updatedAt <= time && time - updatedAt <= MAX_STALENESS;
        assertEq(status == QuoteStatus.OK, believable);
        assertEq(price, believable ? uint256(answer) * 1e10 : 0);
    }

    function testFuzz_decimals(uint8 decimals, uint256 whole) public {
        decimals = uint8(bound(decimals, 0, 36));
        whole = bound(whole, 1, 1_000_000);
        int256 answer = int256(whole * 10 ** decimals);
        vm.assume(answer <= type(int128).max);
        origin.set(decimals, ANSWER, answer, NOW);
        assertRead(_source(address(origin), 1, type(int128).max), whole * 1e18, QuoteStatus.OK);
    }

    /// @dev Chainlink's own proxy and aggregator: rounds, the clamp's older names, and a change of phase.
    function test_publishedAggregator() public {
        address[2] memory aggregators = [_flux(), _flux()];
        address proxy = _deploy("EACAggregatorProxy", abi.encode(aggregators[0], address(0)));
        for (uint256 i = 0; i < 2; i++) {
            IFluxAggregator(aggregators[i]).addAccess(proxy);
            IFluxAggregator(aggregators[i]).submit(1, 2000e8);
        }
        ChainlinkSource published =
            new ChainlinkSource(weth, usd, proxy, 1, MAX_STALENESS, 1, type(int128).max);
        assertEq(published.phase(), 1);
        assertEq(published.minAnswer(), 10e8 + 10e8 / 100 + 1);
        assertEq(published.maxAnswer(), 1_000_000e8 - 1_000_000e8 / 100 - 1);
        assertRead(published, 2000e18, QuoteStatus.OK);

        vm.warp(NOW + 100);
        IFluxAggregator(aggregators[0]).submit(2, 10e8);
        assertRead(published, 0, QuoteStatus.OUT_OF_BOUNDS);
        IFluxAggregator(aggregators[0]).submit(3, 2100e8);
        assertRead(published, 2100e18, QuoteStatus.OK);
        vm.warp(NOW + 100 + MAX_STALENESS + 1);
        assertRead(published, 0, QuoteStatus.STALE);
        vm.warp(NOW + 100);

        IPhasedProxy(proxy).proposeAggregator(aggregators[1]);
        IPhasedProxy(proxy).confirmAggregator(aggregators[1]);
        assertEq(IPhasedProxy(proxy).phaseId(), 2);
        assertRead(published, 0, QuoteStatus.CHANGED);
        vm.expectRevert(invalid("phase"));
        new ChainlinkSource(weth, usd, proxy, 1, MAX_STALENESS, 1, type(int128).max);
        ChainlinkSource again = new ChainlinkSource(weth, usd, proxy, 2, MAX_STALENESS, 1, type(int128).max);
        assertEq(again.phase(), 2);
        assertRead(again, 2000e18, QuoteStatus.OK);
    }

    function test_worldFeed() public {
        WorldFeed feed = new WorldFeed(8, "ETH / USD", 3000e8);
        ChainlinkSource ours = _source(address(feed), LEAST, MOST);
        assertRead(ours, 3000e18, QuoteStatus.OK);
        vm.warp(NOW + 10);
        feed.set(3100e8);
        (uint256 price, uint256 updatedAt,) = ours.read();
        assertEq(price, 3100e18);
        assertEq(updatedAt, NOW + 10);
        vm.expectRevert(abi.encodeWithSelector(WorldFeed.NotOwner.selector, dai));
        vm.prank(dai);
        feed.set(1);
    }

    function _flux() private returns (address made) {
        // LINK, payment per answer, timeout, validator, least and greatest submission, decimals, description.
        made = _deploy(
            "AccessControlledAggregator",
            abi.encode(makeAddr("link"), 0, 0, address(0), int256(10e8), int256(1_000_000e8), 8, "ETH / USD")
        );
        vm.mockCall(makeAddr("link"), "", abi.encode(uint256(0)));
        address[] memory oracle = new address[](1);
        oracle[0] = address(this);
        IFluxAggregator(made).changeOracles(new address[](0), oracle, oracle, 1, 1, 0);
    }

    function _deploy(string memory name, bytes memory arguments) private returns (address made) {
        string memory json =
            vm.readFile(string.concat("node_modules/@chainlink/contracts/abi/v0.6/", name, ".json"));
        bytes memory code = bytes.concat(
            vm.parseBytes(vm.parseJsonString(json, ".compilerOutput.evm.bytecode.object")), arguments
        );
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
        }
        require(made != address(0), name);
    }

    function _row(Row memory row) private {
        origin.set(8, row.manner, row.answer, row.updatedAt);
        (uint256 price, uint256 updatedAt, uint8 status) = source.read();
        assertEq(status, row.status);
        assertEq(price, row.price);
        assertEq(updatedAt, row.status == QuoteStatus.CALL_FAILED ? 0 : row.updatedAt);
    }

    function _source(address aggregator, int256 least, int256 most) private returns (ChainlinkSource) {
        return new ChainlinkSource(weth, usd, aggregator, 0, MAX_STALENESS, least, most);
    }

    function _invalid(
        address base,
        address quote,
        address aggregator,
        uint256 maxStaleness,
        int256 least,
        int256 most,
        string memory field
    ) private {
        vm.expectRevert(invalid(field));
        new ChainlinkSource(base, quote, aggregator, 0, maxStaleness, least, most);
    }
}
