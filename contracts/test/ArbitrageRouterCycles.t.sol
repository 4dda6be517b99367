// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IArbitrageRouter} from "../src/interfaces/IArbitrageRouter.sol";
import {WorldTokenNoReturn} from "../world/WorldTokenNoReturn.sol";
import {Cycle} from "./support/Cycle.sol";

/// @dev Cycles of every mix of kinds on published bytecode: profit to the wei, or nothing.
contract ArbitrageRouterCyclesTest is Cycle {
    uint256 private constant DEPTH = 1000e18;
    uint256 private constant DISCOUNT_BPS = 1500;

    function setUp() public {
        deployCycleWorld();
    }

    /// @dev Every mix of three kinds over two, three and four hops.
    function test_everyMixEarnsWhatItWasQuoted() public {
        uint256 start = vm.snapshotState();
        for (uint256 length = 2; length <= 4; length++) {
            for (uint256 code = 0; code < 3 ** length; code++) {
                _landsExactly(_mix(length, code), 1e18);
                vm.revertToState(start);
            }
        }
    }

    function testFuzz_profitIsExactOrNothingHappens(
        uint256 length,
        uint256 code,
        uint256 amount,
        uint256 discountBps
    ) public {
        length = bound(length, 2, 4);
        amount = bound(amount, 1e6, 80e18);
        Hop[] memory hops = buildCycle(
            _mix(length, bound(code, 0, 3 ** length - 1)), amount, DEPTH, bound(discountBps, 0, 2000)
        );
        if (gain(hops) > 0) _lands(hops);
        else _refused(hops, 0);
    }

    /// @dev One unit more than there is to earn is too much.
    function testFuzz_minimumProfitIsHonoured(uint256 code, uint256 surplus) public {
        Hop[] memory hops = buildCycle(_mix(3, bound(code, 0, 26)), 1e18, DEPTH, DISCOUNT_BPS);
        uint256 wanted = uint256(gain(hops)) + bound(surplus, 1, type(uint64).max);
        _refused(hops, wanted);
        (bool ok,) = run(encode(hops, uint256(gain(hops))));
        assertTrue(ok, "exactly enough is enough");
    }

    /// @dev What the router holds already is neither spent nor counted as profit.
    function test_standingBalanceIsNotProfit() public {
        deal(tokens[0], address(router), 5e18);
        Hop[] memory hops = buildCycle(_mix(2, 0), 1e18, DEPTH, DISCOUNT_BPS);
        _refused(hops, uint256(gain(hops)) + 1);
        _lands(hops);
        assertEq(held(0), 5e18 + uint256(gain(hops)));
    }

    /// @dev A losing cycle must not be paid for out of the standing balance, even when no profit is asked for.
    function test_lossIsRefusedWithNoMinimum() public {
        deal(tokens[0], address(router), 5e18);
        Hop[] memory hops = buildCycle(_mix(2, 1), 1e18, DEPTH, 0);
        assertLt(gain(hops), 0);
        _refused(hops, 0);
        assertEq(held(0), 5e18);
    }

    function test_secondRunInOneTransaction() public {
        Hop[] memory hops = buildCycle(_mix(3, 5), 1e18, DEPTH, DISCOUNT_BPS);
        _lands(hops);
        size(hops, 1e18);
        _lands(hops);
    }

    function test_tokenThatReturnsNothingAsBase() public {
        _replaceToken(0);
        for (uint256 code = 0; code < 9; code++) {
            uint256 start = vm.snapshotState();
            _landsExactly(_mix(2, code), 1e18);
            vm.revertToState(start);
        }
    }

    function test_tokenThatReturnsNothingInTheMiddle() public {
        _replaceToken(1);
        for (uint256 code = 0; code < 9; code++) {
            uint256 start = vm.snapshotState();
            _landsExactly(_mix(2, code), 1e18);
            vm.revertToState(start);
        }
    }

    function test_sweepAfterwards() public {
        Hop[] memory hops = buildCycle(_mix(2, 0), 1e18, DEPTH, DISCOUNT_BPS);
        _lands(hops);
        vm.expectEmit(address(router));
        emit IArbitrageRouter.Swept(tokens[0], uint256(gain(hops)));
        vm.prank(operator);
        assertEq(router.sweep(tokens[0]), uint256(gain(hops)));
        assertEq(held(0), 0);
    }

    /// @dev Pools whose state moved after the quote: the run reverts or the profit is still enough, never less.
    function testFuzz_movedStateNeverCosts(uint256 code, uint256 poolIndex, uint256 donation) public {
        Hop[] memory hops = buildCycle(_mix(3, bound(code, 0, 26)), 1e18, DEPTH, DISCOUNT_BPS);
        address pool = hops[bound(poolIndex, 0, 2)].pool;
        for (uint256 i = 0; i < 3; i++) {
            deal(tokens[i], pool, _balance(i, pool) + bound(donation, 0, 10e18));
        }
        uint256 wanted = uint256(gain(hops));
        (bool ok, bytes memory returned) = run(encode(hops, wanted));
        if (ok) assertGe(abi.decode(returned, (uint256)), wanted);
        else assertEq(held(0), 0);
    }

    function _balance(uint256 token, address account) private view returns (uint256) {
        return WorldTokenNoReturn(tokens[token]).balanceOf(account);
    }

    function _replaceToken(uint256 index) private {
        tokens[index] = address(new WorldTokenNoReturn("Quiet", "QUIET", 18));
    }

    function _mix(uint256 length, uint256 code) private pure returns (Kind[] memory kinds) {
        kinds = new Kind[](length);
        for (uint256 i = 0; i < length; i++) {
            kinds[i] = Kind(code % 3);
            code /= 3;
        }
    }

    function _landsExactly(Kind[] memory kinds, uint256 amount) private {
        Hop[] memory hops = buildCycle(kinds, amount, DEPTH, DISCOUNT_BPS);
        assertGt(gain(hops), 0, "the world offers a profit");
        _lands(hops);
        for (uint256 i = 1; i < SLOTS; i++) {
            assertEq(held(i), 0, "nothing but the base token stays");
        }
    }

    function _lands(Hop[] memory hops) private {
        uint256 before = held(0);
        uint256 expected = uint256(gain(hops));
        (bool ok, bytes memory returned) = run(encode(hops, expected));
        assertTrue(ok, "lands");
        assertEq(abi.decode(returned, (uint256)), expected, "returned");
        assertEq(held(0) - before, expected, "realised");
    }

    function _refused(Hop[] memory hops, uint256 minProfit) private {
        (bool ok, bytes memory returned) = run(encode(hops, minProfit));
        assertFalse(ok);
        // A loss larger than the balance fails in the transfer, before the profit is looked at.
        if (bytes4(returned) != IArbitrageRouter.ProfitTooLow.selector) {
            assertLt(gain(hops), 0);
            return;
        }
        uint256 got = gain(hops) > 0 ? uint256(gain(hops)) : 0;
        assertEq(returned, abi.encodeWithSelector(IArbitrageRouter.ProfitTooLow.selector, got, minProfit));
    }
}
