// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PullCommands} from "./PullCommands.sol";
import "./Words.sol";

/// @dev First commands for cycles in which no pool pays before it is paid: the base token is borrowed. They read
/// `[op:1][lender:20][amount:14]`, and `[token:20]` if the op's lowest bit says so, else the pinned base is borrowed.
/// Balancer's vault is pinned, so its loans carry no lender. The token heads the data that comes back.
abstract contract LoanCommands is PullCommands {
    function _borrow(uint256 op, uint256 cursor, uint256 end) internal {
        uint256 kind = op >> 2;
        uint256 token = _wrappedNative;
        uint256 lender;
        uint256 amount;
        uint256 size;
        unchecked {
            cursor += 1;
            if (kind != KIND_BALANCER_LOAN) {
                lender = _addressAt(cursor);
                cursor += 20;
            }
            amount = _amountAt(cursor);
            cursor += 14;
            if (op & 1 != 0) {
                token = _addressAt(cursor);
                cursor += 20;
            }
            if (cursor > end) _fail(MALFORMED_STREAM);
            size = end - cursor + 32;
        }
        if (kind == KIND_BALANCER_LOAN) {
            assembly {
                mstore(0, BALANCER_FLASH_LOAN)
                mstore(32, address())
                mstore(64, 128)
                mstore(96, 192)
                mstore(128, 256)
                mstore(160, 1)
                mstore(192, token)
                mstore(224, 1)
                mstore(256, amount)
                mstore(288, size)
                mstore(320, token)
                calldatacopy(352, cursor, sub(size, 32))
            }
            _callAwaiting(_balancerVault, LAYOUT_BALANCER_LOAN, 320, size);
        } else if (kind == KIND_MORPHO_LOAN) {
            assembly {
                mstore(0, MORPHO_FLASH_LOAN)
                mstore(32, token)
                mstore(64, amount)
                mstore(96, 96)
                mstore(128, size)
                mstore(160, token)
                calldatacopy(192, cursor, sub(size, 32))
            }
            _callAwaiting(lender, LAYOUT_MORPHO_LOAN, 160, size);
            _requireSpent(token, lender);
        } else {
            assembly {
                mstore(0, AAVE_FLASH_LOAN)
                mstore(32, address())
                mstore(64, token)
                mstore(96, amount)
                mstore(128, 160)
                mstore(160, 0)
                mstore(192, size)
                mstore(224, token)
                calldatacopy(256, cursor, sub(size, 32))
            }
            _callAwaiting(lender, LAYOUT_AAVE_LOAN, 224, size);
            _requireSpent(token, lender);
        }
    }

    /// @dev Balancer's vault is paid back by transfer, as any pool.
    function _repayBalancer() internal {
        (uint256 cursor, uint256 size) = _dataAt(324);
        _spend(LAYOUT_BALANCER_LOAN, cursor, size);
        uint256 owed;
        assembly {
            owed := add(calldataload(228), calldataload(292))
        }
        unchecked {
            _deliver(cursor + 32, cursor + size, _caller(), owed);
        }
    }

    /// @dev Morpho and Aave pull what they are owed after the callback.
    function _repayPuller(uint256 form) internal {
        (uint256 cursor, uint256 size) = _dataAt(form == LAYOUT_MORPHO_LOAN ? 68 : 164);
        _spend(form, cursor, size);
        uint256 owed;
        uint256 token;
        assembly {
            owed := calldataload(4)
            if eq(form, LAYOUT_AAVE_LOAN) { owed := add(calldataload(36), calldataload(68)) }
            token := calldataload(cursor)
        }
        unchecked {
            _deliver(cursor + 32, cursor + size, _self(), 0);
        }
        _approve(token, _caller(), owed);
    }

    /// @dev Everyone encodes callbacks canonically: the data's length follows the fixed arguments.
    function _dataAt(uint256 lengthAt) internal pure returns (uint256 start, uint256 size) {
        assembly {
            size := calldataload(lengthAt)
            start := add(lengthAt, 32)
        }
    }

    /// @dev The two words at the head of the data of a lock.
    function _frame(uint256 start) internal pure returns (uint256 payee, uint256 amount) {
        assembly {
            payee := calldataload(start)
            amount := calldataload(add(start, 32))
        }
    }
}
