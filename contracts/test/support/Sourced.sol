// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPriceSource, QuoteStatus} from "../../src/interfaces/IPriceSource.sol";
import {StatedSource} from "./StatedSource.sol";
import {Test} from "forge-std/Test.sol";

/// @dev What tests of price sources share.
abstract contract Sourced is Test {
    uint256 internal constant NOW = 1_700_000_000;

    address internal weth = makeAddr("weth");
    address internal dai = makeAddr("dai");
    address internal usd = address(0x348);

    function assertRead(IPriceSource source, uint256 price, uint8 status) internal view {
        (uint256 priceE18,, uint8 found) = source.read();
        assertEq(found, status, "status");
        assertEq(priceE18, price, "price");
    }

    /// @dev The sentence that refuses a constructor argument.
    function invalid(string memory field) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IPriceSource.InvalidSource.selector, field);
    }

    /// @dev Whatever an inner source does, the source around it answers with a status and never reverts.
    function assertPassesRefusalsOn(IPriceSource source, StatedSource inner) internal {
        for (uint8 status = QuoteStatus.MISSING; status <= QuoteStatus.CHANGED; status++) {
            inner.set(1e18, NOW, status);
            assertRead(source, 0, status);
        }
        inner.set(1e18, NOW, uint256(QuoteStatus.CHANGED) + 1);
        assertRead(source, 0, QuoteStatus.CALL_FAILED);
        inner.set(1e18, NOW, type(uint256).max);
        assertRead(source, 0, QuoteStatus.CALL_FAILED);
        inner.set(0, NOW, QuoteStatus.OK);
        assertRead(source, 0, QuoteStatus.OUT_OF_BOUNDS);
        inner.set(uint256(type(uint128).max) + 1, NOW, QuoteStatus.OK);
        assertRead(source, 0, QuoteStatus.OUT_OF_BOUNDS);
        inner.set(1e18, NOW, QuoteStatus.OK);
        for (uint8 manner = 1; manner <= 3; manner++) {
            inner.misbehave(StatedSource.Manner(manner));
            assertRead(source, 0, QuoteStatus.CALL_FAILED);
        }
    }

    function assertCostsAtMost(IPriceSource source, uint256 gas) internal view {
        uint256 before = gasleft();
        source.read();
        assertLt(before - gasleft(), gas);
    }
}
