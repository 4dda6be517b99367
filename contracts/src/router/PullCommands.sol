// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {LockCommands} from "./LockCommands.sol";
import "./Words.sol";

/// @dev Hops that must have their input before they give their output. FORWARD: the input is here already, the output
/// stays here for the commands behind. DIRECT: the commands behind bring the input, the output goes to the payee.
/// RELAY: they bring the input, the output comes here, and the payee gets exactly what it is owed.
abstract contract PullCommands is LockCommands {
    uint256 internal immutable _balancerVault;

    constructor(address balancerVault) {
        _balancerVault = _word(balancerVault);
    }

    /// @dev Curve, ERC-4626 and wstETH: `[op:1][venue:20][amountIn:14][form:1][coins:1]`, then `[tokenIn:20]` if the
    /// form says that the input must be approved and is not the pinned base, and `[tokenOut:20]` for RELAY.
    function _pull(uint256 op, uint256 cursor, uint256 end, uint256 payee, uint256 owed) internal {
        uint256 venue = _addressAt(cursor + 1);
        uint256 amountIn = _amountAt(cursor + 21);
        uint256 form = _byteAt(cursor + 35);
        uint256 coins = _byteAt(cursor + 36);
        uint256 tokenIn;
        uint256 tokenOut;
        unchecked {
            cursor += 37;
            if (form & INPUT_IS_BASE != 0) {
                tokenIn = _wrappedNative;
            } else if (form & INPUT_APPROVED != 0) {
                tokenIn = _addressAt(cursor);
                cursor += 20;
            }
            if (op & 3 == RELAY) {
                tokenOut = _addressAt(cursor);
                cursor += 20;
            }
        }
        if (cursor > end) _fail(MALFORMED_STREAM);
        if (op & 3 != FORWARD) {
            _deliver(cursor, end, form & INPUT_PUSHED != 0 ? venue : _self(), amountIn);
        }
        if (form & INPUT_APPROVED != 0) _approve(tokenIn, venue, amountIn);
        uint256 size = _prepare(op >> 2, form, coins, amountIn, op & 3 == DIRECT ? payee : _self());
        _call(venue, 0, size, 0);
        if (form & INPUT_APPROVED != 0) _requireSpent(tokenIn, venue);
        _handOn(op & 3, cursor, end, tokenOut, payee, owed);
    }

    /// @dev Wrapping of the chain's own coin: `[op:1][amountIn:14][form:1]`; the second form unwraps.
    function _pullNative(uint256 op, uint256 cursor, uint256 end, uint256 payee, uint256 owed) internal {
        uint256 amountIn = _amountAt(cursor + 1);
        uint256 form = _byteAt(cursor + 15);
        uint256 wrapped = _wrappedNative;
        unchecked {
            cursor += 16;
        }
        if (cursor > end) _fail(MALFORMED_STREAM);
        if (op & 3 != FORWARD) _deliver(cursor, end, _self(), amountIn);
        if (form & SECOND_FORM == 0) {
            assembly {
                mstore(0, DEPOSIT_NATIVE)
            }
            _call(wrapped, amountIn, 4, 0);
        } else {
            assembly {
                mstore(0, WITHDRAW_NATIVE)
                mstore(32, amountIn)
            }
            _call(wrapped, 0, 36, 0);
        }
        _handOn(op & 3, cursor, end, wrapped, payee, owed);
    }

    /// @dev Balancer V2: `[op:1][form:1][poolId:32][amountIn:14]`, then `[amountOut:14]` in the second form, which buys
    /// exactly that, then `[tokenIn:20]` and `[tokenOut:20]`, each unless the form says that it is the pinned base.
    function _pullBalancer(uint256 op, uint256 cursor, uint256 end, uint256 payee, uint256 owed) internal {
        uint256 form = _byteAt(cursor + 1);
        uint256 amountIn = _amountAt(cursor + 34);
        uint256 tokenIn = _wrappedNative;
        uint256 tokenOut = tokenIn;
        uint256 start = cursor;
        unchecked {
            cursor += form & SECOND_FORM == 0 ? 48 : 62;
            if (form & INPUT_IS_BASE == 0) {
                tokenIn = _addressAt(cursor);
                cursor += 20;
            }
            if (form & OUTPUT_IS_BASE == 0) {
                tokenOut = _addressAt(cursor);
                cursor += 20;
            }
        }
        if (cursor > end) _fail(MALFORMED_STREAM);
        if (op & 3 != FORWARD) _deliver(cursor, end, _self(), amountIn);
        _approve(tokenIn, _balancerVault, amountIn);
        uint256 pulled = _swapBalancer(start, tokenIn, tokenOut, op & 3 == DIRECT ? payee : _self());
        // The pinned vault takes what it says: the whole input, or in the second form what it returns.
        if (form & SECOND_FORM != 0 && pulled != amountIn) _requireSpent(tokenIn, _balancerVault);
        _handOn(op & 3, cursor, end, tokenOut, payee, owed);
    }

    function _swapBalancer(uint256 start, uint256 tokenIn, uint256 tokenOut, uint256 receiver)
        private
        returns (uint256 calculated)
    {
        assembly {
            let exactOut := and(byte(1, calldataload(start)), SECOND_FORM)
            let amountIn := shr(144, calldataload(add(start, 34)))
            mstore(0, SWAP_BALANCER_V2)
            mstore(32, 224)
            mstore(64, address())
            mstore(96, 0)
            mstore(128, receiver)
            mstore(160, 0)
            // The limit: the most to sell, or the least to buy.
            mstore(192, mul(exactOut, amountIn))
            mstore(224, timestamp())
            mstore(256, calldataload(add(start, 2)))
            mstore(288, exactOut)
            mstore(320, tokenIn)
            mstore(352, tokenOut)
            mstore(384, amountIn)
            if exactOut { mstore(384, shr(144, calldataload(add(start, 48)))) }
            mstore(416, 192)
            mstore(448, 0)
        }
        _call(_balancerVault, 0, 452, 32);
        assembly {
            calculated := mload(0)
        }
    }

    /// @dev What follows the swap itself.
    function _handOn(uint256 mode, uint256 cursor, uint256 end, uint256 tokenOut, uint256 payee, uint256 owed)
        private
    {
        if (mode == FORWARD) _deliver(cursor, end, payee, owed);
        else if (mode == RELAY) _pay(tokenOut, payee, owed);
    }

    /// @dev The venue's function with its arguments, from memory[28]; their size.
    function _prepare(uint256 kind, uint256 form, uint256 coins, uint256 amountIn, uint256 receiver)
        private
        view
        returns (uint256 size)
    {
        if (kind == KIND_CURVE) {
            // Pushed input is used by exchange_received, which is told where to send the output.
            uint256 selector = form & SECOND_FORM == 0
                ? (form & INPUT_PUSHED == 0 ? CURVE_EXCHANGE_INT : CURVE_RECEIVED_INT)
                : (form & INPUT_PUSHED == 0 ? CURVE_EXCHANGE_UINT : CURVE_RECEIVED_UINT);
            assembly {
                mstore(0, selector)
                mstore(32, shr(4, coins))
                mstore(64, and(coins, 15))
                mstore(96, amountIn)
                mstore(128, 0)
                mstore(160, receiver)
            }
            return form & INPUT_PUSHED == 0 ? 132 : 164;
        }
        if (kind == KIND_VAULT) {
            uint256 selector = form & SECOND_FORM == 0 ? VAULT_DEPOSIT : VAULT_REDEEM;
            assembly {
                mstore(0, selector)
                mstore(32, amountIn)
                mstore(64, receiver)
                mstore(96, address())
            }
            return form & SECOND_FORM == 0 ? 68 : 100;
        }
        uint256 wrapping = form & SECOND_FORM == 0 ? WRAP : UNWRAP;
        assembly {
            mstore(0, wrapping)
            mstore(32, amountIn)
        }
        return 36;
    }
}
