// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ArbitrageRouterWithStop} from "../src/ArbitrageRouterWithStop.sol";
import {IArbitrageRouter} from "../src/interfaces/IArbitrageRouter.sol";
import {WorldToken} from "../world/WorldToken.sol";
import {Attempts} from "./support/Attempts.sol";
import {Cycle} from "./support/Cycle.sol";

/// @dev Every function that the router answers to, as everybody: who is served is written here, and nobody else is.
contract ArbitrageRouterRolesTest is Cycle {
    uint256 private constant INVENTORY = 7e18;

    address private guardian = makeAddr("guardian");
    address[] private everybody;
    Hop[] private cycle;

    function setUp() public {
        deployCycleWorld();
        Hop[] memory hops = buildCycle(new Kind[](2), 1e18, 1000e18, 1500);
        for (uint256 i = 0; i < hops.length; i++) {
            cycle.push(hops[i]);
        }
        everybody = [
            operator,
            vault,
            guardian,
            makeAddr("stranger"),
            address(this),
            hops[0].pool,
            tokens[0],
            tokens[1],
            address(router),
            address(0)
        ];
        WorldToken(tokens[0]).mint(address(router), INVENTORY);
    }

    /// @dev The table has a row for every function of the interface, as compiled.
    function test_everyFunctionIsInTheTable() public view {
        string memory json = vm.readFile("out/IArbitrageRouter.sol/IArbitrageRouter.json");
        string[] memory signatures = vm.parseJsonKeys(json, ".methodIdentifiers");
        assertEq(signatures.length, 7);
        for (uint256 i = 0; i < signatures.length; i++) {
            bytes4 selector = bytes4(keccak256(bytes(signatures[i])));
            assertTrue(selector == IArbitrageRouter.sweep.selector || _isView(selector), signatures[i]);
            // A stream begins with 0x2: no function may.
            assertTrue(uint8(selector[0]) >> 4 != 2, signatures[i]);
        }
    }

    function test_functionsByRole() public {
        for (uint256 i = 0; i < everybody.length; i++) {
            address caller = everybody[i];
            bytes4[6] memory views = _views();
            for (uint256 k = 0; k < views.length; k++) {
                assertTrue(_served(caller, abi.encodePacked(views[k])), "everybody may look");
            }
            bytes memory sweep = abi.encodeCall(IArbitrageRouter.sweep, (tokens[0]));
            assertEq(_served(caller, sweep), caller == operator || caller == vault, "sweep");
            assertEq(_served(caller, encode(cycle, 0)), caller == operator, "stream");
            bytes[] memory attempts = Attempts.all(tokens[0], INVENTORY, caller);
            for (uint256 k = 0; k + 2 < attempts.length; k++) {
                assertFalse(_served(caller, attempts[k]), "no callback was awaited");
            }
        }
    }

    function testFuzz_anybodyWithAnyFunction(address caller, uint256 index, bytes calldata data) public {
        vm.assume(caller != operator && caller != vault);
        bytes4[] memory selectors = Attempts.callbacks();
        index = bound(index, 0, selectors.length);
        bytes4 selector = index == selectors.length ? IArbitrageRouter.sweep.selector : selectors[index];
        assertFalse(_served(caller, bytes.concat(selector, data)));
    }

    /// @dev The build that can be stopped: by the guardian alone, at once; only the vault lets it run again.
    function test_guardianStop() public {
        ArbitrageRouterWithStop stoppable = new ArbitrageRouterWithStop(
            guardian, operator, vault, tokens[0], address(0), address(0), address(0)
        );
        for (uint256 i = 0; i < everybody.length; i++) {
            address caller = everybody[i];
            vm.prank(caller);
            (bool stopped,) = address(stoppable).call(abi.encodeCall(stoppable.stop, ()));
            assertEq(stopped, caller == guardian);
            vm.prank(caller);
            (bool resumed,) = address(stoppable).call(abi.encodeCall(stoppable.resume, ()));
            assertEq(resumed, caller == vault);
        }
        router = IArbitrageRouter(address(stoppable));
        vm.prank(guardian);
        stoppable.stop();
        (bool ok, bytes memory returned) = run(encode(cycle, 0));
        assertFalse(ok);
        assertEq(bytes4(returned), ArbitrageRouterWithStop.IsStopped.selector);
        vm.prank(vault);
        stoppable.resume();
        (ok,) = run(encode(cycle, 0));
        assertTrue(ok);
        vm.expectRevert(IArbitrageRouter.ZeroAddress.selector);
        new ArbitrageRouterWithStop(
            address(0), operator, vault, tokens[0], address(0), address(0), address(0)
        );
    }

    function _served(address caller, bytes memory data) private returns (bool ok) {
        uint256 start = vm.snapshotState();
        vm.prank(caller, caller);
        (ok,) = address(router).call{gas: 5_000_000}(data);
        if (!ok) assertEq(held(0), INVENTORY);
        vm.revertToState(start);
    }

    function _views() private pure returns (bytes4[6] memory) {
        return [
            IArbitrageRouter.OPERATOR.selector,
            IArbitrageRouter.VAULT.selector,
            IArbitrageRouter.WRAPPED_NATIVE.selector,
            IArbitrageRouter.POOL_MANAGER.selector,
            IArbitrageRouter.BALANCER_VAULT.selector,
            IArbitrageRouter.BALANCER_VAULT_V3.selector
        ];
    }

    function _isView(bytes4 selector) private pure returns (bool) {
        bytes4[6] memory views = _views();
        for (uint256 i = 0; i < views.length; i++) {
            if (views[i] == selector) return true;
        }
        return false;
    }
}
