// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TokenCalls} from "./TokenCalls.sol";
import "./Words.sol";

/// @dev The common commands, V2-type and V3-type, and what every command shares: the commitment to a callback.
/// Commands are read from calldata[cursor:end]; in a callback that is the data the pool was given to pass back.
/// The two functions that every cycle goes through are written out in assembly: their jumps are a third of their cost.
abstract contract SwapCommands is TokenCalls {
    /// @dev The base token of streams that name none, and the token that wraps the chain's own coin.
    uint256 internal immutable _wrappedNative;

    constructor(address wrappedNative) {
        _wrappedNative = _word(wrappedNative);
    }

    /// @dev Calls with memory[28:start + size], whose last `size` bytes the callee must pass back. The word committed
    /// to holds the callee, and the low 96 bits of the data's hash with the callback's form.
    function _callAwaiting(uint256 pool, uint256 form, uint256 start, uint256 size) internal {
        bool ok;
        assembly {
            tstore(EXPECTATION, or(shl(160, xor(keccak256(start, size), form)), pool))
            ok := call(gas(), pool, 0, 28, sub(add(start, size), 28), 0, 0)
        }
        if (!ok) _failAlike();
    }

    /// @dev Requires that the caller passes back, in calldata[start:start + size], what was committed to. That is
    /// forgotten, so it can be used once.
    function _spend(uint256 form, uint256 start, uint256 size) internal {
        assembly {
            calldatacopy(0, start, size)
            if iszero(eq(tload(EXPECTATION), or(shl(160, xor(keccak256(0, size), form)), caller()))) {
                mstore(0, UNEXPECTED_CALLBACK)
                revert(28, 4)
            }
            tstore(EXPECTATION, 0)
        }
    }

    /// @dev One cycle. The first command's output comes to the router before anything is paid. Afterwards no callback
    /// may be outstanding: the commands are nested, so an inner one that was left out would still be awaited.
    function _take(uint256 cursor, uint256 end) internal {
        uint256 op;
        bool ok;
        assembly {
            let word := calldataload(cursor)
            op := byte(0, word)
            let pool := shr(96, shl(8, word))
            let amount := shr(144, calldataload(add(cursor, 21)))
            let rest := add(cursor, 35)
            let size := sub(end, rest)
            switch shr(2, op)
            case 2 {
                if and(op, 2) { amount := sub(0, amount) }
                mstore(0, SWAP_V3)
                mstore(32, address())
                mstore(64, and(op, 1))
                mstore(96, amount)
                mstore(128, LOWEST_LIMIT)
                if iszero(and(op, 1)) { mstore(128, HIGHEST_LIMIT) }
                mstore(160, 160)
                mstore(192, size)
                if iszero(gt(rest, end)) {
                    calldatacopy(224, rest, size)
                    tstore(EXPECTATION, or(shl(160, xor(keccak256(224, size), LAYOUT_V3)), pool))
                    ok := call(gas(), pool, 0, 28, add(196, size), 0, 0)
                    op := DONE
                }
            }
            case 1 {
                // The input goes along at the head of the data, under the same commitment.
                mstore(0, SWAP_V2)
                mstore(32, mul(amount, iszero(and(op, 1))))
                mstore(64, mul(amount, and(op, 1)))
                mstore(96, address())
                mstore(128, 128)
                mstore(160, size)
                if iszero(gt(add(rest, 14), end)) {
                    calldatacopy(192, rest, size)
                    tstore(EXPECTATION, or(shl(160, xor(keccak256(192, size), LAYOUT_V2)), pool))
                    ok := call(gas(), pool, 0, 28, add(164, size), 0, 0)
                    op := DONE
                }
            }
        }
        if (op != DONE) _takeOther(op, cursor, end);
        else if (!ok) _failAlike();
        assembly {
            if tload(EXPECTATION) {
                mstore(0, CALLBACK_NOT_SPENT)
                revert(28, 4)
            }
        }
    }

    /// @dev Delivers exactly `owed` to `payee` by the remaining commands; at their end by paying in the base token.
    function _deliver(uint256 cursor, uint256 end, uint256 payee, uint256 owed) internal {
        uint256 token = _wrappedNative;
        if (cursor == end) {
            _pay(token, payee, owed);
            return;
        }
        uint256 op;
        uint256 pool;
        assembly {
            let word := calldataload(cursor)
            op := byte(0, word)
            pool := shr(96, shl(8, word))
        }
        bool ok;
        if (op >> 2 == KIND_V3) {
            assembly {
                let rest := add(cursor, 21)
                let size := sub(end, rest)
                mstore(0, SWAP_V3)
                mstore(32, payee)
                mstore(64, and(op, 1))
                mstore(96, sub(0, owed))
                mstore(128, LOWEST_LIMIT)
                if iszero(and(op, 1)) { mstore(128, HIGHEST_LIMIT) }
                mstore(160, 160)
                mstore(192, size)
                if gt(rest, end) {
                    mstore(0, MALFORMED_STREAM)
                    revert(28, 4)
                }
                calldatacopy(224, rest, size)
                tstore(EXPECTATION, or(shl(160, xor(keccak256(224, size), LAYOUT_V3)), pool))
                ok := call(gas(), pool, 0, 28, add(196, size), 0, 0)
            }
        } else if (op >> 2 == KIND_V2) {
            uint256 rest;
            uint256 amountIn;
            assembly {
                rest := add(cursor, 35)
                amountIn := shr(144, calldataload(add(cursor, 21)))
                if gt(rest, end) {
                    mstore(0, MALFORMED_STREAM)
                    revert(28, 4)
                }
            }
            if (rest == end) _pay(token, pool, amountIn);
            else _deliver(rest, end, pool, amountIn);
            assembly {
                mstore(0, SWAP_V2)
                mstore(32, mul(owed, iszero(and(op, 1))))
                mstore(64, mul(owed, and(op, 1)))
                mstore(96, payee)
                mstore(128, 128)
                mstore(160, 0)
                ok := call(gas(), pool, 0, 28, 164, 0, 0)
            }
        } else {
            _deliverOther(op, cursor, end, payee, owed);
            return;
        }
        if (!ok) _failAlike();
    }

    /// @dev Kinds that can be first but are rarer.
    function _takeOther(uint256 op, uint256 cursor, uint256 end) internal virtual;

    /// @dev Kinds that can be nested but are rarer.
    function _deliverOther(uint256 op, uint256 cursor, uint256 end, uint256 payee, uint256 owed)
        internal
        virtual;

    function _callbackV3() internal {
        uint256 size;
        uint256 owed;
        assembly {
            size := calldataload(100)
            owed := calldataload(4)
            calldatacopy(0, 132, size)
            if iszero(eq(tload(EXPECTATION), or(shl(160, xor(keccak256(0, size), LAYOUT_V3)), caller()))) {
                mstore(0, UNEXPECTED_CALLBACK)
                revert(28, 4)
            }
            tstore(EXPECTATION, 0)
            if iszero(sgt(owed, 0)) {
                owed := calldataload(36)
                if iszero(sgt(owed, 0)) {
                    mstore(0, NOTHING_OWED)
                    revert(28, 4)
                }
            }
        }
        unchecked {
            _deliver(132, 132 + size, _caller(), owed);
        }
    }

    function _callbackV2() internal {
        uint256 size;
        assembly {
            size := calldataload(132)
        }
        _spend(LAYOUT_V2, 164, size);
        unchecked {
            _deliver(178, 164 + size, _caller(), _amountAt(164));
        }
    }

    function _self() internal view returns (uint256 self) {
        assembly {
            self := address()
        }
    }

    function _caller() internal view returns (uint256 sender) {
        assembly {
            sender := caller()
        }
    }

    function _byteAt(uint256 cursor) internal pure returns (uint256 value) {
        assembly {
            value := byte(0, calldataload(cursor))
        }
    }

    function _addressAt(uint256 cursor) internal pure returns (uint256 value) {
        assembly {
            value := shr(96, calldataload(cursor))
        }
    }

    function _amountAt(uint256 cursor) internal pure returns (uint256 amount) {
        assembly {
            amount := shr(144, calldataload(cursor))
        }
    }

    function _word(address value) internal pure returns (uint256) {
        return uint160(value);
    }
}
