// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IArbitrageRouter} from "./interfaces/IArbitrageRouter.sol";
import {LoanCommands} from "./router/LoanCommands.sol";
import {LockCommands} from "./router/LockCommands.sol";
import {PullCommands} from "./router/PullCommands.sol";
import {SwapCommands} from "./router/SwapCommands.sol";
import "./router/Words.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Executes cycles of swaps with flash swaps in reverse nesting
/// @notice Makes no calls but those of the operator's stream to the functions it knows, leaves no allowance, and
/// a run that does not end with more of the base token is undone.
/// @dev While a pool is being called, one transient word says which pool may call back and with what data; the
/// callback spends it. A pool in the path can therefore not put commands of its own in place of the operator's.
contract ArbitrageRouter is LoanCommands {
    using SafeERC20 for IERC20;

    uint256 internal immutable _operator;
    uint256 internal immutable _vault;

    /// @param wrappedNative and the others: what `IArbitrageRouter` calls pinned; zero where the chain has none.
    constructor(
        address operator,
        address vault,
        address wrappedNative,
        address poolManager,
        address balancerVault,
        address balancerVaultV3
    ) SwapCommands(wrappedNative) LockCommands(poolManager, balancerVaultV3) PullCommands(balancerVault) {
        if (operator == address(0) || vault == address(0)) revert IArbitrageRouter.ZeroAddress();
        _operator = _word(operator);
        _vault = _word(vault);
    }

    /// @dev All functions are behind the fallback: a dispatcher before it would cost each callback as much as a swap's
    /// own checks.
    fallback() external payable {
        if (_caller() == _operator) _run();
        uint256 selector;
        assembly {
            selector := shr(224, calldataload(0))
        }
        if (selector == CALLBACK_UNISWAP_V3) {
            _callbackV3();
        } else if (selector == CALLBACK_UNISWAP_V2) {
            _callbackV2();
        } else if (selector == CALLBACK_V4) {
            _callbackV4();
        } else if (selector == CALLBACK_PANCAKE_V3 || selector == CALLBACK_ALGEBRA) {
            _callbackV3();
        } else if (selector == CALLBACK_SOLIDLY || selector == CALLBACK_PANCAKE_V2) {
            _callbackV2();
        } else {
            _callbackOther(selector);
        }
        assembly {
            stop()
        }
    }

    /// @dev For builds that can be stopped.
    function _mayRun() internal view virtual {}

    function _takeOther(uint256 op, uint256 cursor, uint256 end) internal override {
        uint256 kind = op >> 2;
        if (kind == KIND_V4 || kind == KIND_BALANCER_V3) {
            uint256 amount = _amountAt(cursor + 1);
            unchecked {
                if (op & 2 == 0) amount = 0 - amount;
            }
            _unlock(kind, cursor + 15, end, _self(), amount);
        } else if (kind >= KIND_BALANCER_LOAN && kind <= KIND_AAVE_LOAN) {
            _borrow(op, cursor, end);
        } else {
            _fail(MALFORMED_STREAM);
        }
    }

    function _deliverOther(uint256 op, uint256 cursor, uint256 end, uint256 payee, uint256 owed)
        internal
        override
    {
        uint256 kind = op >> 2;
        if (kind == KIND_V4) {
            if (op & 1 == 0) _unlock(kind, cursor + 1, end, payee, owed);
            else _runV4(cursor + 1, end, payee, owed);
        } else if (kind == KIND_CURVE || kind == KIND_VAULT || kind == KIND_WRAPPER) {
            _pull(op, cursor, end, payee, owed);
        } else if (kind == KIND_BALANCER_V2) {
            _pullBalancer(op, cursor, end, payee, owed);
        } else if (kind == KIND_BALANCER_V3) {
            _unlock(kind, cursor + 1, end, payee, owed);
        } else if (kind == KIND_NATIVE) {
            _pullNative(op, cursor, end, payee, owed);
        } else if (kind == KIND_END) {
            if (cursor + 21 != end) _fail(MALFORMED_STREAM);
            _pay(_addressAt(cursor + 1), payee, owed);
        } else if (kind != KIND_HOLD) {
            _fail(MALFORMED_STREAM);
        }
    }

    function _callbackV4() private {
        (uint256 cursor, uint256 size) = _dataAt(36);
        _spend(LAYOUT_V4, cursor, size);
        (uint256 payee, uint256 amount) = _frame(cursor);
        unchecked {
            _runV4(cursor + 64, cursor + size, payee, amount);
        }
        assembly {
            // No bytes, as the manager decodes them.
            mstore(0, 32)
            mstore(32, 0)
            return(0, 64)
        }
    }

    function _callbackOther(uint256 selector) private {
        if (selector == CALLBACK_BALANCER_V3) {
            _spend(LAYOUT_BALANCER_V3, 0, msg.data.length);
            (uint256 payee, uint256 amount) = _frame(4);
            _runBalancerV3(68, msg.data.length, payee, amount);
        } else if (selector == CALLBACK_BALANCER_LOAN) {
            _repayBalancer();
        } else if (selector == CALLBACK_MORPHO_LOAN) {
            _repayPuller(LAYOUT_MORPHO_LOAN);
        } else if (selector == CALLBACK_AAVE_LOAN) {
            _repayPuller(LAYOUT_AAVE_LOAN);
            assembly {
                mstore(0, 1)
                return(0, 32)
            }
        } else if (msg.data.length != 0 || (_caller() != _wrappedNative && _caller() != _poolManager)) {
            _serve(selector);
        }
    }

    /// @dev The functions of IArbitrageRouter; does not return.
    function _serve(uint256 selector) private {
        if (msg.value != 0) _fail(UNEXPECTED_CALLBACK);
        uint256 value;
        if (selector == uint32(IArbitrageRouter.OPERATOR.selector)) value = _operator;
        else if (selector == uint32(IArbitrageRouter.VAULT.selector)) value = _vault;
        else if (selector == uint32(IArbitrageRouter.WRAPPED_NATIVE.selector)) value = _wrappedNative;
        else if (selector == uint32(IArbitrageRouter.POOL_MANAGER.selector)) value = _poolManager;
        else if (selector == uint32(IArbitrageRouter.BALANCER_VAULT.selector)) value = _balancerVault;
        else if (selector == uint32(IArbitrageRouter.BALANCER_VAULT_V3.selector)) value = _balancerVaultV3;
        else if (selector == uint32(IArbitrageRouter.sweep.selector)) value = _sweep();
        else _fail(UNEXPECTED_CALLBACK);
        assembly {
            mstore(0, value)
            return(0, 32)
        }
    }

    function _sweep() private returns (uint256 amount) {
        if (_caller() != _operator && _caller() != _vault) revert IArbitrageRouter.NotAllowed(msg.sender);
        if (msg.data.length != 36) _fail(UNEXPECTED_CALLBACK);
        address token = abi.decode(msg.data[4:], (address));
        address vault = address(uint160(_vault));
        if (token == address(0)) {
            amount = address(this).balance;
            (bool ok,) = vault.call{value: amount}("");
            if (!ok) revert IArbitrageRouter.TransferRefused(token);
        } else {
            amount = IERC20(token).balanceOf(address(this));
            IERC20(token).safeTransfer(vault, amount);
        }
        emit IArbitrageRouter.Swept(token, amount);
    }

    /// @dev Runs the stream and does not return.
    function _run() private {
        uint256 header;
        assembly {
            header := calldataload(0)
        }
        uint256 base = _wrappedNative;
        uint256 flags = header >> 248;
        if (flags == VERSION << 4) {
            if (block.timestamp > ((header >> 216) & 0xffffffff)) _fail(EXPIRED);
        } else {
            if (flags >> 4 != VERSION) _serveOperator(header, flags);
            _requireTime(flags, (header >> 216) & 0xffffffff);
            if (flags & EXPLICIT_BASE != 0) base = _addressAt(msg.data.length - 20);
        }
        if (msg.value != 0) revert IArbitrageRouter.EtherRefused();
        // A run starts a transaction, so none can start inside another.
        if (tx.origin != msg.sender) revert IArbitrageRouter.NotAllowed(msg.sender);
        _mayRun();
        uint256 before = _balanceOf(base);
        if (flags & (EXTRAS | SEVERAL) == 0) {
            _take(HEADER_BYTES, msg.data.length);
        } else {
            _runWithExtras(flags, base);
        }
        uint256 held = _balanceOf(base);
        assembly {
            let profit := mul(gt(held, before), sub(held, before))
            let wanted := and(shr(104, header), 0xffffffffffffffffffffffffffff)
            if or(lt(held, before), lt(profit, wanted)) {
                mstore(0, PROFIT_TOO_LOW)
                mstore(32, profit)
                mstore(64, wanted)
                revert(28, 68)
            }
            mstore(0, profit)
            return(0, 32)
        }
    }

    /// @dev What the operator sends that is no stream; does not return.
    function _serveOperator(uint256 header, uint256 flags) private {
        uint256 selector = header >> 224;
        if (msg.data.length == 4 || selector == uint32(IArbitrageRouter.sweep.selector)) _serve(selector);
        _failWith(UNSUPPORTED_VERSION, flags);
    }

    function _requireTime(uint256 flags, uint256 pin) private view {
        if (flags & EXACT_BLOCK == 0 ? block.timestamp > pin : block.number != pin) _fail(EXPIRED);
    }

    /// @dev `[extras:1][parent:8 if pinned][bid:14 if any][token:20 for each guarded one]` and the commands, those
    /// of several cycles each behind their length in two bytes.
    function _runWithExtras(uint256 flags, uint256 base) private {
        uint256 cursor = HEADER_BYTES;
        uint256 bid = 0;
        uint256 guards = 0;
        unchecked {
            if (flags & EXTRAS != 0) {
                uint256 extras = _byteAt(cursor++);
                if (extras & PARENT_PIN != 0) {
                    _requireParent(cursor);
                    cursor += 8;
                }
                if (extras & BUILDER_BID != 0) {
                    bid = _amountAt(cursor);
                    cursor += 14;
                }
                guards = extras >> 4;
                for (uint256 i = 0; i < guards; i++) {
                    _remember(i, _addressAt(cursor));
                    cursor += 20;
                }
            }
            if (flags & SEVERAL == 0) _take(cursor, msg.data.length);
            else _takeEach(cursor);
            for (uint256 i = 0; i < guards; i++) {
                _requireNoLess(i);
            }
        }
        if (bid != 0) _payBuilder(base, bid);
    }

    function _takeEach(uint256 cursor) private {
        unchecked {
            while (cursor != msg.data.length) {
                uint256 end;
                assembly {
                    end := add(add(cursor, 2), shr(240, calldataload(cursor)))
                }
                if (end > msg.data.length) _fail(MALFORMED_STREAM);
                _take(cursor + 2, end);
                cursor = end;
            }
        }
    }

    function _requireParent(uint256 cursor) private view {
        bytes32 parent = blockhash(block.number - 1);
        uint256 pinned;
        assembly {
            pinned := shr(192, calldataload(cursor))
        }
        if (uint256(parent) >> 192 != pinned) _fail(OTHER_PARENT);
    }

    /// @dev In memory beyond anything that commands write to.
    function _remember(uint256 index, uint256 token) private view {
        uint256 held = _heldOf(token);
        assembly {
            let at := add(add(calldatasize(), 1024), shl(6, index))
            mstore(at, token)
            mstore(add(at, 32), held)
        }
    }

    function _requireNoLess(uint256 index) private view {
        uint256 token;
        uint256 least;
        assembly {
            let at := add(add(calldatasize(), 1024), shl(6, index))
            token := mload(at)
            least := mload(add(at, 32))
        }
        if (_heldOf(token) < least) _failWith(BALANCE_FELL, token);
    }

    function _heldOf(uint256 token) private view returns (uint256) {
        return token == 0 ? address(this).balance : _balanceOf(token);
    }

    /// @dev Unwraps the bid and sends it with gas for little; the profit is looked at afterwards.
    function _payBuilder(uint256 base, uint256 bid) private {
        assembly {
            mstore(0, WITHDRAW_NATIVE)
            mstore(32, bid)
        }
        _call(base, 0, 36, 0);
        bool paid;
        assembly {
            paid := call(BUILDER_GAS, coinbase(), bid, 0, 0, 0, 0)
        }
        if (!paid) _fail(BUILDER_REFUSED);
    }
}
