// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SequencerSource} from "../../src/feeds/SequencerSource.sol";
import {QuoteStatus} from "../../src/interfaces/IPriceSource.sol";
import {LooseAggregator} from "../support/LooseAggregator.sol";
import {Sourced} from "../support/Sourced.sol";
import {StatedSource} from "../support/StatedSource.sol";

contract SequencerSourceTest is Sourced {
    uint256 private constant GRACE = 1 hours;
    LooseAggregator.Manner private constant ANSWER = LooseAggregator.Manner.Answer;

    LooseAggregator private uptime;
    StatedSource private inner;
    SequencerSource private source;

    function setUp() public {
        vm.warp(NOW);
        uptime = new LooseAggregator();
        uptime.set(0, ANSWER, 0, NOW - 1 days);
        inner = new StatedSource(weth, usd);
        inner.set(2000e18, NOW, QuoteStatus.OK);
        source = new SequencerSource(address(inner), address(uptime), GRACE);
    }

    function test_pricesWhileTheSequencerIsUp() public view {
        assertEq(source.base(), weth);
        assertEq(source.quote(), usd);
        assertRead(source, 2000e18, QuoteStatus.OK);
    }

    function test_downAndGrace() public {
        uptime.set(0, ANSWER, 1, NOW - 1 days);
        assertRead(source, 0, QuoteStatus.SEQUENCER_DOWN);
        uptime.set(0, ANSWER, 0, NOW - GRACE);
        assertRead(source, 0, QuoteStatus.SEQUENCER_DOWN);
        uptime.set(0, ANSWER, 0, NOW - GRACE - 1);
        assertRead(source, 2000e18, QuoteStatus.OK);
        // Never reported; or from the future.
        uptime.set(0, ANSWER, 0, 0);
        assertRead(source, 0, QuoteStatus.SEQUENCER_DOWN);
        uptime.set(0, ANSWER, 0, NOW + 1);
        assertRead(source, 0, QuoteStatus.SEQUENCER_DOWN);
        uptime.set(0, ANSWER, -1, NOW - 1 days);
        assertRead(source, 0, QuoteStatus.SEQUENCER_DOWN);
    }

    function test_uptimeFeedThatMisbehaves() public {
        for (uint8 manner = 1; manner <= 3; manner++) {
            uptime.set(0, LooseAggregator.Manner(manner), 0, NOW - 1 days);
            assertRead(source, 0, QuoteStatus.CALL_FAILED);
        }
    }

    function test_innerRefusalsPassThrough() public {
        assertPassesRefusalsOn(source, inner);
    }

    function test_bounds_everyArgument() public {
        vm.expectRevert(invalid("inner"));
        new SequencerSource(dai, address(uptime), GRACE);
        vm.expectRevert(invalid("uptimeFeed"));
        new SequencerSource(address(inner), dai, GRACE);
        vm.expectRevert(invalid("grace"));
        new SequencerSource(address(inner), address(uptime), 10 minutes - 1);
        vm.expectRevert(invalid("grace"));
        new SequencerSource(address(inner), address(uptime), 1 days + 1);
    }

    function test_bounds_gas() public {
        assertCostsAtMost(source, 50_000);
        inner.misbehave(StatedSource.Manner.BurnGas);
        assertCostsAtMost(source, 1_100_000);
    }

    function testFuzz_onlyUpForLongEnough(int256 answer, uint256 startedAt, uint64 time) public {
        uptime.set(0, ANSWER, answer, startedAt);
        vm.warp(time);
        bool up = answer == 0 && startedAt != 0 && startedAt <= time && time - startedAt > GRACE;
        assertRead(source, up ? 2000e18 : 0, up ? QuoteStatus.OK : QuoteStatus.SEQUENCER_DOWN);
    }
}
