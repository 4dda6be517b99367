// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IArbitrageRouter} from "./interfaces/IArbitrageRouter.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Executes cycles over V2-type and V3-type pools with flash swaps in reverse nesting
/// @notice Holds no approvals and makes no calls but to the pools of the operator's stream and to its base token.
/// Only the base token ever leaves, and a run that does not end with more of it is undone.
/// @dev While a pool is being called, one transient word says which pool may call back and with what data; the
/// callback spends it. A pool in the path can therefore not put commands of its own in place of the operator's.
contract ArbitrageRouter is IArbitrageRouter {
    using SafeERC20 for IERC20;

    /// @inheritdoc IArbitrageRouter
    address public immutable OPERATOR;
    /// @inheritdoc IArbitrageRouter
    address public immutable VAULT;

    uint256 private constant VERSION = 1;
    uint256 private constant KIND_V2 = 1;
    uint256 private constant KIND_V3 = 2;

    /// @dev Transient slot: 0 at rest, ACTIVE while a stream runs and no callback is awaited, else the commitment
    /// to the awaited callback.
    uint256 private constant EXPECTATION = 0;
    /// @dev Transient slot: the base token of the running stream.
    uint256 private constant BASE_TOKEN = 1;
    uint256 private constant ACTIVE = 1;

    /// @dev One inside TickMath's bounds: where a V3-type pool stops a swap in either direction.
    uint256 private constant LOWEST_LIMIT = 4295128740;
    uint256 private constant HIGHEST_LIMIT = 1461446703485210103287273052203988822378723970341;

    // Selectors of the functions called and the errors raised in assembly.
    uint256 private constant BALANCE_OF = 0x70a08231;
    uint256 private constant TRANSFER = 0xa9059cbb;
    uint256 private constant SWAP_V2 = 0x022c0d9f;
    uint256 private constant SWAP_V3 = 0x128acb08;
    uint256 private constant UNSUPPORTED_VERSION = 0xc9249fee;
    uint256 private constant EXPIRED = 0x203d82d8;
    uint256 private constant MALFORMED_STREAM = 0xf8cdaf81;
    uint256 private constant UNEXPECTED_CALLBACK = 0xdab1e993;
    uint256 private constant CALLBACK_NOT_SPENT = 0x9862725b;
    uint256 private constant NOTHING_OWED = 0x797dba54;
    uint256 private constant TRANSFER_REFUSED = 0x5a0a2fe3;
    uint256 private constant BALANCE_UNKNOWN = 0xbb2eddfe;
    uint256 private constant PROFIT_TOO_LOW = 0x88215f9c;

    constructor(address operator, address vault) {
        if (operator == address(0) || vault == address(0)) revert ZeroAddress();
        OPERATOR = operator;
        VAULT = vault;
    }

    /// @inheritdoc IArbitrageRouter
    /// @dev Its selector begins with the stream's version byte, but continues with what would be a deadline
    /// thousands of years away; the engine sends no such stream.
    function sweep(address token) external returns (uint256 amount) {
        if (msg.sender != OPERATOR && msg.sender != VAULT) revert NotAllowed(msg.sender);
        uint256 running;
        assembly ("memory-safe") {
            running := tload(EXPECTATION)
        }
        if (running != 0) revert Running();
        amount = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransfer(VAULT, amount);
        emit Swept(token, amount);
    }

    /// @dev Runs the operator's stream when at rest; everything else must be the awaited callback.
    fallback() external {
        address operator = OPERATOR;
        assembly {
            function fail(selector) {
                mstore(0, selector)
                revert(28, 4)
            }
            function failWith(selector, value) {
                mstore(0, selector)
                mstore(32, value)
                revert(28, 36)
            }
            function bubble() {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }

            // The awaited caller, the first 96 bits of the hash of the awaited data, and the callback's layout.
            function commitment(pool, kind, start, size) -> word {
                word := xor(or(shl(160, shr(160, keccak256(start, size))), pool), shl(160, kind))
            }

            function balanceOf(token) -> held {
                mstore(0, BALANCE_OF)
                mstore(32, address())
                if iszero(and(gt(returndatasize(), 31), staticcall(gas(), token, 28, 36, 0, 32))) {
                    failWith(BALANCE_UNKNOWN, token)
                }
                held := mload(0)
            }

            function pay(token, to, amount) {
                mstore(0, TRANSFER)
                mstore(32, to)
                mstore(64, amount)
                if iszero(call(gas(), token, 0, 28, 68, 0, 32)) { bubble() }
                if returndatasize() {
                    if iszero(and(gt(returndatasize(), 31), eq(mload(0), 1))) {
                        failWith(TRANSFER_REFUSED, token)
                    }
                }
            }

            // Calls with callback: `data` is calldata[from:end].
            function callAndBeCalled(pool, kind, at, from, end) {
                let size := sub(end, from)
                mstore(at, size)
                let start := add(at, 32)
                calldatacopy(start, from, size)
                tstore(EXPECTATION, commitment(pool, kind, start, size))
                if iszero(call(gas(), pool, 0, 28, add(sub(start, 28), size), 0, 0)) { bubble() }
                if iszero(eq(tload(EXPECTATION), ACTIVE)) { fail(CALLBACK_NOT_SPENT) }
            }

            // IUniswapV3Pool.swap; a positive `amount` is the input, a negative one the output.
            function swapV3(pool, to, zeroForOne, amount, from, end) {
                mstore(0, SWAP_V3)
                mstore(32, to)
                mstore(64, zeroForOne)
                mstore(96, amount)
                mstore(128, LOWEST_LIMIT)
                if iszero(zeroForOne) { mstore(128, HIGHEST_LIMIT) }
                mstore(160, 160)
                callAndBeCalled(pool, KIND_V3, 192, from, end)
            }

            // IUniswapV2Pair.swap up to its data argument.
            function prepareV2(zeroForOne, amountOut, to) {
                mstore(0, SWAP_V2)
                mstore(32, mul(amountOut, iszero(zeroForOne)))
                mstore(64, mul(amountOut, zeroForOne))
                mstore(96, to)
                mstore(128, 128)
            }

            function command(cursor) -> kind, zeroForOne, pool {
                let word := calldataload(cursor)
                kind := byte(0, word)
                zeroForOne := and(kind, 1)
                kind := shr(1, kind)
                pool := shr(96, shl(8, word))
            }

            // The first command: its output comes to the router before anything is paid.
            function take(cursor, end) {
                let kind, zeroForOne, pool := command(cursor)
                let amount := shr(128, calldataload(add(cursor, 21)))
                let rest := add(cursor, 37)
                switch kind
                case 2 {
                    if gt(rest, end) { fail(MALFORMED_STREAM) }
                    swapV3(pool, address(), zeroForOne, amount, rest, end)
                }
                case 1 {
                    // The input goes along at the head of the data, under the same commitment.
                    if gt(add(rest, 16), end) { fail(MALFORMED_STREAM) }
                    prepareV2(zeroForOne, amount, address())
                    callAndBeCalled(pool, KIND_V2, 160, rest, end)
                }
                default { fail(MALFORMED_STREAM) }
            }

            // Deliver exactly `owed` to `payee` by the remaining commands.
            function deliver(cursor, end, payee, owed) {
                if eq(cursor, end) {
                    pay(tload(BASE_TOKEN), payee, owed)
                    leave
                }
                let kind, zeroForOne, pool := command(cursor)
                let rest := add(cursor, 21)
                switch kind
                case 2 {
                    if gt(rest, end) { fail(MALFORMED_STREAM) }
                    swapV3(pool, payee, zeroForOne, sub(0, owed), rest, end)
                }
                case 1 {
                    let amountIn := shr(128, calldataload(rest))
                    rest := add(rest, 16)
                    if gt(rest, end) { fail(MALFORMED_STREAM) }
                    deliver(rest, end, pool, amountIn)
                    prepareV2(zeroForOne, owed, payee)
                    mstore(160, 0)
                    if iszero(call(gas(), pool, 0, 28, 164, 0, 0)) { bubble() }
                }
                default { fail(MALFORMED_STREAM) }
            }

            function runStream() {
                let header := calldataload(0)
                if iszero(eq(byte(0, header), VERSION)) {
                    failWith(UNSUPPORTED_VERSION, byte(0, header))
                }
                if gt(timestamp(), shr(216, shl(8, header))) { fail(EXPIRED) }
                let minProfit := shr(128, calldataload(6))
                let token := shr(96, calldataload(22))
                let before := balanceOf(token)
                tstore(BASE_TOKEN, token)
                take(42, calldatasize())
                tstore(EXPECTATION, 0)
                let held := balanceOf(token)
                let profit := mul(gt(held, before), sub(held, before))
                if or(lt(held, before), lt(profit, minProfit)) {
                    mstore(0, PROFIT_TOO_LOW)
                    mstore(32, profit)
                    mstore(64, minProfit)
                    revert(28, 68)
                }
                mstore(0, profit)
                return(0, 32)
            }

            function runCallback(expectation) {
                // Pools encode their callbacks canonically: the data's length follows the fixed arguments.
                let kind := KIND_V3
                let lengthAt := 100
                switch shr(224, calldataload(0))
                // uniswapV3SwapCallback, pancakeV3SwapCallback
                case 0xfa461e33 {}
                case 0x23a69e75 {}
                // uniswapV2Call, pancakeCall
                case 0x10d1e85c {
                    kind := KIND_V2
                    lengthAt := 132
                }
                case 0x84800812 {
                    kind := KIND_V2
                    lengthAt := 132
                }
                default { fail(UNEXPECTED_CALLBACK) }
                let size := calldataload(lengthAt)
                if gt(size, calldatasize()) { fail(UNEXPECTED_CALLBACK) }
                let cursor := add(lengthAt, 32)
                let end := add(cursor, size)
                calldatacopy(0, cursor, size)
                if iszero(eq(expectation, commitment(caller(), kind, 0, size))) {
                    fail(UNEXPECTED_CALLBACK)
                }
                tstore(EXPECTATION, ACTIVE)
                switch kind
                case 1 { deliver(add(cursor, 16), end, caller(), shr(128, calldataload(cursor))) }
                default {
                    let owed := calldataload(4)
                    if iszero(sgt(owed, 0)) { owed := calldataload(36) }
                    if iszero(sgt(owed, 0)) { fail(NOTHING_OWED) }
                    deliver(cursor, end, caller(), owed)
                }
                stop()
            }

            let expectation := tload(EXPECTATION)
            if and(eq(caller(), operator), iszero(expectation)) { runStream() }
            runCallback(expectation)
        }
    }
}
