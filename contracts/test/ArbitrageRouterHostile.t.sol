// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ArbitrageRouter} from "../src/ArbitrageRouter.sol";
import {IArbitrageRouter} from "../src/interfaces/IArbitrageRouter.sol";
import {WorldToken} from "../world/WorldToken.sol";
import {Cycle} from "./support/Cycle.sol";
import {HostilePool} from "./support/HostilePool.sol";
import {IV2Pair} from "./support/Published.sol";
import {Stream} from "./support/Stream.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @dev A hostile pool in the operator's path, the router holding a balance worth stealing.
contract ArbitrageRouterHostileTest is Cycle {
    uint256 private constant INVENTORY = 50e18;
    uint256 private constant PAID_OUT = 2e18;
    uint256 private constant OWED = 1e18;

    HostilePool private pool;

    function setUp() public {
        deployCycleWorld();
        router = deployRouter(vault, tokens[0]);
        pool = new HostilePool();
        WorldToken(tokens[0]).mint(address(router), INVENTORY);
        WorldToken(tokens[1]).mint(address(router), INVENTORY);
        WorldToken(tokens[0]).mint(address(pool), 10 * PAID_OUT);
    }

    /// @dev The form of the attack works when the pool is honest: 2 for 1.
    function test_honestPoolIsPaid() public {
        for (uint256 v2 = 0; v2 < 2; v2++) {
            uint256 before = held(0);
            (bool ok, bytes memory returned) = _against(HostilePool.Trick.None, v2 == 1);
            assertTrue(ok);
            assertEq(abi.decode(returned, (uint256)), PAID_OUT - OWED);
            assertEq(held(0) - before, PAID_OUT - OWED);
        }
    }

    function test_missingCallback() public {
        _refused(HostilePool.Trick.NoCallback, IArbitrageRouter.CallbackNotSpent.selector);
    }

    function test_forgedData() public {
        // What a thief would want the router to run: nothing left to do but to pay.
        pool.forge("", address(0));
        _refusedV3(HostilePool.Trick.ForgedData, IArbitrageRouter.UnexpectedCallback.selector, true);
        pool.forge(abi.encodePacked(uint112(INVENTORY)), address(0));
        _refused(HostilePool.Trick.ForgedData, IArbitrageRouter.UnexpectedCallback.selector);
    }

    function testFuzz_forgedData(bytes calldata data) public {
        vm.assume(keccak256(data) != keccak256(abi.encodePacked(uint112(OWED))));
        vm.assume(data.length > 0);
        pool.forge(data, address(0));
        _refused(HostilePool.Trick.ForgedData, IArbitrageRouter.UnexpectedCallback.selector);
    }

    function test_resizedData() public {
        _refused(HostilePool.Trick.ExtendedData, IArbitrageRouter.UnexpectedCallback.selector);
        _refusedV2(HostilePool.Trick.TruncatedData, IArbitrageRouter.UnexpectedCallback.selector);
    }

    function test_otherLayoutSelectorOrPlace() public {
        _refused(HostilePool.Trick.OtherLayout, IArbitrageRouter.UnexpectedCallback.selector);
        _refused(HostilePool.Trick.UnknownSelector, IArbitrageRouter.UnexpectedCallback.selector);
        _refusedV3(HostilePool.Trick.OffsetData, IArbitrageRouter.UnexpectedCallback.selector, true);
    }

    function test_callbackFromAnAccomplice() public {
        pool.forge("", address(new HostilePool()));
        _refused(HostilePool.Trick.OtherCaller, IArbitrageRouter.UnexpectedCallback.selector);
    }

    function test_secondCallbackIsRefused() public {
        for (uint256 v2 = 0; v2 < 2; v2++) {
            uint256 before = held(0);
            (bool ok,) = _against(HostilePool.Trick.CallbackTwice, v2 == 1);
            assertTrue(ok, "the first callback was in order");
            assertTrue(pool.secondRefused());
            assertEq(held(0) - before, PAID_OUT - OWED, "paid once");
        }
    }

    function test_overcharge() public {
        // Twice the price eats the profit; the balance check undoes it.
        (bool ok, bytes memory returned) = _against(HostilePool.Trick.Overcharge, false);
        assertFalse(ok);
        assertEq(returned, abi.encodeWithSelector(IArbitrageRouter.ProfitTooLow.selector, 0, PAID_OUT - OWED));
        _untouched();
    }

    function test_nothingOrNegativeOwed() public {
        _refusedV3(HostilePool.Trick.ChargeNothing, IArbitrageRouter.NothingOwed.selector, true);
        _refusedV3(HostilePool.Trick.NegativeAmounts, IArbitrageRouter.NothingOwed.selector, true);
    }

    function test_keptOutput() public {
        _refused(HostilePool.Trick.KeepOutput, IArbitrageRouter.ProfitTooLow.selector);
    }

    /// @dev A pool in the path cannot start a run inside a run, not even in the operator's name from a contract.
    function test_reentry() public {
        bytes memory inner =
            bytes.concat(Stream.flagged(0, block.timestamp, 0), Stream.topV3(address(pool), true, OWED));
        pool.forge(inner, address(0));
        pool.set(HostilePool.Trick.Reenter, IERC20(tokens[0]), PAID_OUT, int256(OWED));
        (bool ok,) = run(inner);
        assertTrue(ok, "the re-entry failed and the run went on");
        assertEq(held(0), INVENTORY + PAID_OUT - OWED);

        // An operator that is called by somebody else's transaction is not obeyed.
        vm.prank(operator);
        bytes memory returned;
        (ok, returned) = address(router).call(inner);
        assertFalse(ok);
        assertEq(returned, abi.encodeWithSelector(IArbitrageRouter.NotAllowed.selector, operator));
    }

    /// @dev A vault in league with a pool may sweep in the middle of a run, which then has no profit to show.
    function test_sweepInTheMiddle() public {
        router = deployRouter(address(pool), tokens[0]);
        WorldToken(tokens[0]).mint(address(router), INVENTORY);
        pool.forge(abi.encodeCall(IArbitrageRouter.sweep, (tokens[0])), address(0));
        (bool ok, bytes memory returned) = _against(HostilePool.Trick.Reenter, false);
        assertFalse(ok);
        assertEq(bytes4(returned), bytes4(keccak256("Error(string)")), "the sweep is what the pool asked for");
        assertEq(held(0), INVENTORY);
    }

    /// @dev A hostile pool behind an honest one: it takes the payment and delivers nothing.
    function test_nestedPoolDeliversNothing() public {
        for (uint256 code = 0; code < 6; code++) {
            Kind outer = Kind(code % 3);
            address honest = fill(outer, code / 3, tokens[1], tokens[0], 1e18, 1000e18);
            bool zeroForOne = tokens[1] < tokens[0];
            bytes memory top = outer == Kind.UniswapV2
                ? Stream.topV2(honest, zeroForOne, 9e17, 1e18)
                : Stream.topV3(honest, zeroForOne, 1e18);
            bytes memory nested = code / 3 == 0
                ? Stream.nestedV2(address(pool), true, 1)
                : Stream.nestedV3(address(pool), true);
            pool.set(HostilePool.Trick.KeepOutput, IERC20(tokens[1]), 1e18, 1);
            (bool ok,) = run(bytes.concat(Stream.flagged(0, block.timestamp, 0), top, nested));
            assertFalse(ok);
            _untouched();
        }
    }

    /// @dev Only the base token can leave, whatever a pool in the path asks for.
    function testFuzz_otherTokensCannotLeave(int256 asked, uint256 delivered, bool v2) public {
        delivered = bound(delivered, 0, 10 * PAID_OUT);
        pool.set(HostilePool.Trick.None, IERC20(tokens[0]), delivered, asked);
        run(_stream(v2, 0));
        assertGe(held(0), INVENTORY);
        assertEq(held(1), INVENTORY);
    }

    /// @dev Real pools can be told by anyone to call the router; it must not listen.
    function test_realPoolsSentByStrangers() public {
        address pair = fill(Kind.UniswapV2, 0, tokens[0], tokens[1], 1e18, 1000e18);
        bytes memory payment = abi.encodePacked(uint112(INVENTORY));
        vm.expectRevert(IArbitrageRouter.UnexpectedCallback.selector);
        IV2Pair(pair).swap(1e18, 0, address(router), payment);
        vm.expectRevert(IArbitrageRouter.UnexpectedCallback.selector);
        vm.prank(operator);
        IV2Pair(pair).swap(1e18, 0, address(router), payment);
        _untouched();
    }

    /// @dev A base token that says false, or something that is no answer, is not believed.
    function test_refusedTransfer() public {
        pool.set(HostilePool.Trick.KeepOutput, IERC20(tokens[0]), 0, int256(OWED));
        bytes[2] memory answers = [abi.encode(false), abi.encodePacked(uint8(1))];
        for (uint256 i = 0; i < answers.length; i++) {
            vm.mockCall(tokens[0], abi.encodeWithSelector(IERC20.transfer.selector), answers[i]);
            (bool ok, bytes memory returned) = run(_stream(false, 0));
            assertFalse(ok);
            assertEq(returned, abi.encodeWithSelector(IArbitrageRouter.TransferRefused.selector, tokens[0]));
        }
    }

    function test_baseTokenWithoutCode() public {
        address nobody = makeAddr("nobody");
        (bool ok, bytes memory returned) = run(
            bytes.concat(
                Stream.header(block.timestamp, 0), Stream.topV3(address(pool), true, OWED), Stream.end(nobody)
            )
        );
        assertFalse(ok);
        assertEq(returned, abi.encodeWithSelector(IArbitrageRouter.BalanceUnknown.selector, nobody));
    }

    function test_poolWithoutCode() public {
        bytes memory stream =
            bytes.concat(Stream.flagged(0, block.timestamp, 0), Stream.topV3(makeAddr("nobody"), true, OWED));
        (bool ok, bytes memory returned) = run(stream);
        assertFalse(ok);
        assertEq(returned, abi.encodeWithSelector(IArbitrageRouter.CallbackNotSpent.selector));
    }

    function _stream(bool v2, uint256 minProfit) private view returns (bytes memory) {
        return bytes.concat(
            Stream.flagged(0, block.timestamp, minProfit),
            v2 ? Stream.topV2(address(pool), true, PAID_OUT, OWED) : Stream.topV3(address(pool), true, OWED)
        );
    }

    function _against(HostilePool.Trick trick, bool v2) private returns (bool, bytes memory) {
        pool.set(trick, IERC20(tokens[0]), PAID_OUT, int256(OWED));
        return run(_stream(v2, PAID_OUT - OWED));
    }

    function _refused(HostilePool.Trick trick, bytes4 reason) private {
        _refusedV2(trick, reason);
        _refusedV3(trick, reason, false);
    }

    function _refusedV2(HostilePool.Trick trick, bytes4 reason) private {
        (bool ok, bytes memory returned) = _against(trick, true);
        assertFalse(ok);
        assertEq(bytes4(returned), reason);
        _untouched();
    }

    /// @dev The rest of the stream is empty unless the hop is nested, so some forgeries need a hop behind it.
    function _refusedV3(HostilePool.Trick trick, bytes4 reason, bool nested) private {
        pool.set(trick, IERC20(tokens[0]), PAID_OUT, int256(OWED));
        bytes memory stream = _stream(false, PAID_OUT - OWED);
        if (nested) stream = bytes.concat(stream, Stream.nestedV2(address(pool), true, OWED));
        (bool ok, bytes memory returned) = run(stream);
        assertFalse(ok);
        assertEq(bytes4(returned), reason);
        _untouched();
    }

    function _untouched() private view {
        assertEq(held(0), INVENTORY);
        assertEq(held(1), INVENTORY);
    }
}
