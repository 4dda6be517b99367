// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {InverseSource} from "../../src/feeds/InverseSource.sol";
import {QuoteStatus} from "../../src/interfaces/IPriceSource.sol";
import {Sourced} from "../support/Sourced.sol";
import {StatedSource} from "../support/StatedSource.sol";

contract InverseSourceTest is Sourced {
    StatedSource private inner;
    InverseSource private source;

    function setUp() public {
        vm.warp(NOW);
        inner = new StatedSource(weth, usd);
        source = new InverseSource(address(inner));
    }

    function test_turnsThePriceAround() public {
        inner.set(2000e18, NOW - 7, QuoteStatus.OK);
        (uint256 price, uint256 updatedAt, uint8 status) = source.read();
        assertEq(price, 0.0005e18);
        assertEq(updatedAt, NOW - 7);
        assertEq(status, QuoteStatus.OK);
        assertEq(source.base(), usd);
        assertEq(source.quote(), weth);
    }

    function test_innerRefusalsPassThrough() public {
        assertPassesRefusalsOn(source, inner);
    }

    function test_bounds_nothingLeft() public {
        inner.set(1e36, NOW, QuoteStatus.OK);
        assertRead(source, 1, QuoteStatus.OK);
        inner.set(1e36 + 1, NOW, QuoteStatus.OK);
        assertRead(source, 0, QuoteStatus.OUT_OF_BOUNDS);
        inner.set(1, NOW, QuoteStatus.OK);
        assertRead(source, 1e36, QuoteStatus.OK);
        vm.expectRevert(invalid("inner"));
        new InverseSource(dai);
    }

    function test_bounds_gas() public {
        inner.misbehave(StatedSource.Manner.BurnGas);
        assertCostsAtMost(source, 1_100_000);
    }

    function testFuzz_neverRevertsAndIsTheReciprocal(uint256 price, uint256 status) public {
        inner.set(price, NOW, status);
        (uint256 inverse,, uint8 found) = source.read();
        if (status == 0 && price > 0 && price <= 1e36) {
            assertEq(found, QuoteStatus.OK);
            assertEq(inverse, 1e36 / price);
        } else {
            assertEq(inverse, 0);
            assertTrue(found != QuoteStatus.OK);
        }
    }
}
