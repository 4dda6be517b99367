// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IArbitrageRouter} from "../src/interfaces/IArbitrageRouter.sol";
import {Cycle} from "./support/Cycle.sol";

/// @dev Newer than the published forge-std.
interface ICooling {
    function cool(address target) external;
}

/// @dev What the router's calls cost, held to `contracts/snapshots/gas.json` within half a per cent: runs over published
/// pools, each as if alone in its transaction, and what anybody else gets. `make gas` has all kinds of cycle.
contract RouterGasTest is Cycle {
    string private constant PATH = "contracts/snapshots/gas.json";

    function setUp() public {
        deployCycleWorld();
        router = deployRouter(vault, tokens[0]);
        deal(tokens[0], address(router), 1e18);
        deal(tokens[0], vault, 1e18);
    }

    function test_runs() public {
        _run("routerV2V2", [0, 0]);
        _run("routerV2V3", [0, 1]);
        _run("routerV3V2", [1, 0]);
        _run("routerV3V3", [1, 1]);
        _run("routerPancakeV3V3", [2, 1]);
    }

    function test_others() public {
        vm.prank(operator, operator);
        _measure("routerSweep", abi.encodeCall(IArbitrageRouter.sweep, (tokens[0])), true);
        _measure("routerView", abi.encodeCall(IArbitrageRouter.VAULT, ()), true);
        _measure("routerRefusesStranger", encode(_cycle([0, 0]), 0), false);
    }

    function _run(string memory name, uint8[2] memory kinds) private {
        uint256 start = vm.snapshotState();
        bytes memory stream = _stream(_cycle(kinds));
        for (uint256 i = 0; i < 2; i++) {
            ICooling(address(vm)).cool(tokens[i]);
        }
        vm.prank(operator, operator);
        _measure(name, stream, true);
        vm.revertToState(start);
    }

    function _cycle(uint8[2] memory kinds) private returns (Hop[] memory hops) {
        Kind[] memory mix = new Kind[](2);
        (mix[0], mix[1]) = (Kind(kinds[0]), Kind(kinds[1]));
        hops = buildCycle(mix, 1e18, 1000e18, 1500);
        for (uint256 i = 0; i < hops.length; i++) {
            ICooling(address(vm)).cool(hops[i].pool);
        }
    }

    /// @dev The base token is pinned, so that nothing names it.
    function _stream(Hop[] memory hops) private view returns (bytes memory) {
        return bytes.concat(
            abi.encodePacked(uint8(0x20), uint32(block.timestamp), uint112(uint256(gain(hops)))),
            commands(hops)
        );
    }

    function _measure(string memory name, bytes memory call, bool lands) private {
        ICooling(address(vm)).cool(address(router));
        uint256 before = gasleft();
        (bool ok,) = address(router).call(call);
        uint256 used = before - gasleft();
        assertEq(ok, lands, name);
        uint256 recorded = vm.parseJsonUint(vm.readFile(PATH), string.concat(".", name));
        // The test's own call costs a little too, as the compiler likes.
        assertApproxEqAbs(used, recorded, recorded / 200 + 30, name);
    }
}
