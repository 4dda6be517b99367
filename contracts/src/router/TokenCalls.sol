// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import "./Words.sol";

/// @dev Calls to tokens and the ways to fail. Addresses are words with clean upper bits. The router's assembly uses
/// memory from 0 on as it likes: nothing in it outlives the call it is written for, and no Solidity value lives there.
abstract contract TokenCalls {
    function _fail(uint256 selector) internal pure {
        assembly {
            mstore(0, selector)
            revert(28, 4)
        }
    }

    function _failWith(uint256 selector, uint256 value) internal pure {
        assembly {
            mstore(0, selector)
            mstore(32, value)
            revert(28, 36)
        }
    }

    /// @dev Fails with the reason that the failed call gave.
    function _failAlike() internal pure {
        assembly {
            let size := returndatasize()
            if gt(size, REASON_BYTES) { size := REASON_BYTES }
            returndatacopy(0, 0, size)
            revert(0, size)
        }
    }

    /// @dev Calls with memory[28:28 + size], and writes up to `outSize` of what is returned to memory[0:].
    function _call(uint256 target, uint256 value, uint256 size, uint256 outSize) internal {
        bool ok;
        assembly {
            ok := call(gas(), target, value, 28, size, 0, outSize)
        }
        if (!ok) _failAlike();
    }

    /// @dev The router's balance; of its ether where `token` is zero.
    function _balanceOf(uint256 token) internal view returns (uint256 held) {
        bool known;
        assembly {
            mstore(0, BALANCE_OF)
            mstore(32, address())
            known := and(gt(returndatasize(), 31), staticcall(gas(), token, 28, 36, 0, 32))
            held := mload(0)
        }
        if (!known) _failWith(BALANCE_UNKNOWN, token);
    }

    function _pay(uint256 token, uint256 to, uint256 amount) internal {
        bool accepted;
        assembly {
            mstore(0, TRANSFER)
            mstore(32, to)
            mstore(64, amount)
            // Tokens answer with nothing or with true.
            accepted := call(gas(), token, 0, 28, 68, 0, 32)
            accepted := and(
                accepted,
                or(and(eq(mload(0), 1), gt(returndatasize(), 31)), iszero(returndatasize()))
            )
        }
        if (!accepted) _refuse(token);
    }

    /// @dev Allows exactly `amount`; `_requireSpent` must follow.
    function _approve(uint256 token, uint256 spender, uint256 amount) internal {
        bool accepted;
        assembly {
            mstore(0, APPROVE)
            mstore(32, spender)
            mstore(64, amount)
            accepted := call(gas(), token, 0, 28, 68, 0, 32)
            accepted := and(
                accepted,
                or(and(eq(mload(0), 1), gt(returndatasize(), 31)), iszero(returndatasize()))
            )
        }
        if (!accepted) _refuse(token);
    }

    /// @dev No allowance may be left behind, whatever the spender did with it.
    function _requireSpent(uint256 token, uint256 spender) internal view {
        bool spent;
        assembly {
            mstore(0, ALLOWANCE)
            mstore(32, address())
            mstore(64, spender)
            spent := and(gt(returndatasize(), 31), staticcall(gas(), token, 28, 68, 0, 32))
            spent := and(spent, iszero(mload(0)))
            if iszero(spent) {
                mstore(0, ALLOWANCE_LEFT)
                mstore(32, token)
                mstore(64, spender)
                revert(28, 68)
            }
        }
    }

    /// @dev With the token's own reason, where it gave one by failing.
    function _refuse(uint256 token) private pure {
        assembly {
            let size := returndatasize()
            if or(lt(size, 4), eq(size, 32)) {
                mstore(0, TRANSFER_REFUSED)
                mstore(32, token)
                revert(28, 36)
            }
        }
        _failAlike();
    }
}
