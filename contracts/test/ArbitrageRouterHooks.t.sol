// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {WorldToken} from "../world/WorldToken.sol";
import {Attempts} from "./support/Attempts.sol";
import {HostileHook} from "./support/HostileHook.sol";
import {Stream} from "./support/Stream.sol";
import {V4Pools} from "./support/V4Pools.sol";

/// @dev Uniswap V4's published manager with a pool whose hook may do anything, beside an honest V3 pool and an honest V4
/// pool. Whatever the hook does, the run is undone, or the router has at least the minimum more and lost nothing.
contract ArbitrageRouterHooksTest is V4Pools {
    uint256 private constant INVENTORY = 50e18;
    uint256 private constant SOLD = 1e18;
    uint256 private constant MINIMUM = 1e16;
    uint24 private constant DYNAMIC_FEE = 0x800000;
    // Before and after swaps, and both amounts.
    uint160 private constant FLAGS = 0xcc;

    HostileHook private hook;
    address private honest;
    bool private sellsBase;

    function setUp() public {
        deployCycleWorld();
        deployV4();
        hook = HostileHook(address(uint160(uint256(keccak256("hook"))) & ~uint160(0x3fff) | FLAGS));
        vm.etch(address(hook), address(new HostileHook()).code);
        sellsBase = tokens[0] < tokens[1];
        for (uint256 i = 0; i < 2; i++) {
            WorldToken(tokens[i]).mint(address(router), INVENTORY);
            WorldToken(tokens[i]).mint(address(hook), 1000e18);
        }
        fillV4(DYNAMIC_FEE, 60, address(hook));
        fillV4(500, 10, address(0));
        // One base token buys 1.25 of the other there.
        honest = fill(Kind.UniswapV3, 0, tokens[0], tokens[1], sellsBase ? 125e16 : 8e17, 1000e18);
    }

    /// @dev The hooked pool is last: it takes exactly what the honest pool sold, and pays in the base token.
    function test_tricksOfTheLastPool() public {
        bytes memory stream = bytes.concat(
            Stream.flagged(0, block.timestamp, MINIMUM),
            Stream.firstV4(SOLD),
            Stream.hopV4(tokens[0], tokens[1], DYNAMIC_FEE, 60, address(hook)),
            Stream.nestedV3(honest, sellsBase)
        );
        uint256 landed = _everyTrick(stream);
        assertGe(landed, 4, "what does not hurt does not stop us");
    }

    /// @dev The hooked pool is first: it sells exactly what the honest pool wants.
    function test_tricksOfTheFirstPool() public {
        // The other way round: dear at the honest pool.
        honest = fill(Kind.UniswapV3, 1, tokens[0], tokens[1], sellsBase ? 8e17 : 125e16, 1000e18);
        bytes memory stream = bytes.concat(
            Stream.flagged(0, block.timestamp, MINIMUM),
            Stream.topV3(honest, !sellsBase, SOLD),
            Stream.nestedV4(),
            Stream.hopV4(tokens[1], tokens[0], DYNAMIC_FEE, 60, address(hook))
        );
        assertGe(_everyTrick(stream), 4);
    }

    /// @dev Both pools are V4's, apart, so that the inner one finds the manager unlocked and the hook between our sync
    /// and our settlement.
    function test_tricksBetweenTwoRuns() public {
        bytes memory stream = bytes.concat(
            Stream.flagged(0, block.timestamp, MINIMUM),
            Stream.firstV4(SOLD),
            // The outer run pays by the router.
            Stream.hopV4Paid(tokens[0], tokens[1], 500, 10),
            Stream.nestedV3(honest, sellsBase)
        );
        assertTrue(_lands(stream), "the same without the hook");
        bytes memory hooked = bytes.concat(
            Stream.flagged(0, block.timestamp, 0),
            Stream.firstV4(SOLD),
            Stream.hopV4Paid(tokens[0], tokens[1], 500, 10),
            Stream.nestedV4Unlocked(),
            Stream.hopV4(tokens[1], tokens[0], DYNAMIC_FEE, 60, address(hook))
        );
        // No profit in it: the prices are the same.
        assertEq(_everyTrick(hooked), 0);
    }

    function _lands(bytes memory stream) private returns (bool ok) {
        uint256 start = vm.snapshotState();
        (ok,) = run(stream);
        vm.revertToState(start);
    }

    function _everyTrick(bytes memory stream) private returns (uint256 landed) {
        for (uint256 trick = 0; trick <= uint256(type(HostileHook.Trick).max); trick++) {
            uint256 start = vm.snapshotState();
            hook.set(manager, address(router), HostileHook.Trick(trick));
            hook.setAttempts(Attempts.all(tokens[0], INVENTORY, address(hook)));
            vm.prank(operator, operator);
            (bool ok,) = address(router).call{gas: 20_000_000}(stream);
            if (ok) landed++;
            assertGe(held(0), INVENTORY + (ok ? MINIMUM : 0));
            assertGe(held(1), INVENTORY);
            if (!ok) assertEq(held(0) + held(1), 2 * INVENTORY);
            assertEq(hook.attemptsServed(), 0, "nothing was done at a hook's bidding");
            // The hook was there, where its doings were not undone.
            if (ok) assertGt(hook.asked(), 0);
            assertEq(address(router).balance, 0);
            vm.revertToState(start);
        }
    }
}
