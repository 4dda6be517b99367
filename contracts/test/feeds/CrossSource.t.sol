// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CrossSource} from "../../src/feeds/CrossSource.sol";
import {QuoteStatus} from "../../src/interfaces/IPriceSource.sol";
import {Sourced} from "../support/Sourced.sol";
import {StatedSource} from "../support/StatedSource.sol";

contract CrossSourceTest is Sourced {
    StatedSource private first;
    StatedSource private second;
    CrossSource private source;

    function setUp() public {
        vm.warp(NOW);
        first = new StatedSource(dai, weth);
        second = new StatedSource(weth, usd);
        first.set(0.0005e18, NOW - 3, QuoteStatus.OK);
        second.set(2000e18, NOW - 5, QuoteStatus.OK);
        source = new CrossSource(address(first), address(second));
    }

    function test_multipliesAndIsAsOldAsTheOlder() public {
        (uint256 price, uint256 updatedAt, uint8 status) = source.read();
        assertEq(price, 1e18);
        assertEq(updatedAt, NOW - 5);
        assertEq(status, QuoteStatus.OK);
        assertEq(source.base(), dai);
        assertEq(source.quote(), usd);
        first.set(0.0005e18, NOW - 8, QuoteStatus.OK);
        (, updatedAt,) = source.read();
        assertEq(updatedAt, NOW - 8);
    }

    function test_innerRefusalsPassThrough() public {
        assertPassesRefusalsOn(source, first);
        first.set(0.0005e18, NOW, QuoteStatus.OK);
        assertPassesRefusalsOn(source, second);
    }

    function test_bounds_everyArgument() public {
        vm.expectRevert(invalid("first"));
        new CrossSource(dai, address(second));
        vm.expectRevert(invalid("second"));
        new CrossSource(address(first), dai);
        vm.expectRevert(invalid("second"));
        new CrossSource(address(second), address(first));
        address back = address(new StatedSource(weth, dai));
        vm.expectRevert(invalid("quote"));
        new CrossSource(address(first), back);
    }

    function test_bounds_extremes() public {
        first.set(type(uint128).max, NOW, QuoteStatus.OK);
        second.set(type(uint128).max, NOW, QuoteStatus.OK);
        assertRead(source, uint256(type(uint128).max) * type(uint128).max / 1e18, QuoteStatus.OK);
        first.set(1, NOW, QuoteStatus.OK);
        second.set(1e18 - 1, NOW, QuoteStatus.OK);
        assertRead(source, 0, QuoteStatus.OUT_OF_BOUNDS);
    }

    function test_bounds_gas() public {
        first.misbehave(StatedSource.Manner.BurnGas);
        assertCostsAtMost(source, 1_100_000);
    }

    function testFuzz_neverReverts(uint256 a, uint256 b, uint256 statusA, uint256 statusB) public {
        first.set(a, NOW, statusA);
        second.set(b, NOW, statusB);
        (uint256 price,, uint8 status) = source.read();
        bool fits = a > 0 && b > 0 && a <= type(uint128).max && b <= type(uint128).max;
        if (statusA == 0 && statusB == 0 && fits && a * b >= 1e18) {
            assertEq(status, QuoteStatus.OK);
            assertEq(price, a * b / 1e18);
        } else {
            assertTrue(status != QuoteStatus.OK);
            assertEq(price, 0);
        }
    }
}
