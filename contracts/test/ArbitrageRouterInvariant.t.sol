// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {WorldToken} from "../world/WorldToken.sol";
import {RouterHandler} from "./support/RouterHandler.sol";
import {Test} from "forge-std/Test.sol";

/// @dev However the operator, pools and strangers mix: the router's balances only grow, until swept to the vault.
contract ArbitrageRouterInvariantTest is Test {
    RouterHandler private handler;

    function setUp() public {
        handler = new RouterHandler();
        targetContract(address(handler));
        bytes4[] memory selectors = new bytes4[](8);
        selectors[0] = RouterHandler.trade.selector;
        selectors[1] = RouterHandler.move.selector;
        selectors[2] = RouterHandler.hostile.selector;
        selectors[3] = RouterHandler.stranger.selector;
        selectors[4] = RouterHandler.strangerSendsStream.selector;
        selectors[5] = RouterHandler.strangerCallsBack.selector;
        selectors[6] = RouterHandler.donate.selector;
        selectors[7] = RouterHandler.sweep.selector;
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
        excludeSender(handler.routerAddress());
    }

    function invariant_balancesNeverFallButBySweep() public view {
        for (uint256 i = 0; i < 2; i++) {
            assertGe(handler.heldOf(i), handler.floor(i));
        }
    }

    function invariant_whatLeftIsInTheVault() public view {
        for (uint256 i = 0; i < 2; i++) {
            assertEq(WorldToken(handler.tokenAt(i)).balanceOf(handler.vaultAddress()), handler.swept(i));
        }
    }

    function invariant_strangersAreNotServed() public view {
        assertEq(handler.strangersServed(), 0);
    }

    function invariant_noAllowanceIsLeft() public view {
        for (uint256 i = 0; i < 2; i++) {
            WorldToken token = WorldToken(handler.tokenAt(i));
            assertEq(token.allowance(handler.routerAddress(), handler.vaultAddress()), 0);
        }
        assertEq(handler.routerAddress().balance, 0);
    }

    /// @dev The handler's good runs do land; without them the invariants would say nothing.
    function test_handlerLands() public {
        handler.trade(10e18, 0);
        assertEq(handler.landed(), 1);
        handler.trade(10e18, 0);
        handler.move(100e18, tokenOrder());
        handler.trade(20e18, 0);
        assertGt(handler.floor(0), 0);
    }

    function tokenOrder() private view returns (bool) {
        return handler.tokenAt(1) > handler.tokenAt(2);
    }
}
