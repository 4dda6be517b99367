// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SwapCommands} from "./SwapCommands.sol";
import "./Words.sol";

/// @dev Venues that keep accounts while they are unlocked: Uniswap V4's pool manager and Balancer V3's vault. Both
/// are pinned. They are given a frame of two words, the payee and the amount, and then the commands: a positive
/// amount is bought exactly, a negative one is sold.
abstract contract LockCommands is SwapCommands {
    uint256 internal immutable _poolManager;
    uint256 internal immutable _balancerVaultV3;

    constructor(address poolManager, address balancerVaultV3) {
        _poolManager = _word(poolManager);
        _balancerVaultV3 = _word(balancerVaultV3);
    }

    /// @dev `unlock` with a frame: the whole command is passed on as it is, to be read inside.
    function _unlock(uint256 kind, uint256 cursor, uint256 end, uint256 payee, uint256 amount) internal {
        uint256 size;
        unchecked {
            if (cursor > end) _fail(MALFORMED_STREAM);
            size = end - cursor + 64;
        }
        if (kind == KIND_V4) {
            assembly {
                mstore(0, UNLOCK)
                mstore(32, 32)
                mstore(64, size)
                mstore(96, payee)
                mstore(128, amount)
                calldatacopy(160, cursor, sub(size, 64))
            }
            _callAwaiting(_poolManager, LAYOUT_V4, 96, size);
        } else {
            unchecked {
                size += 4;
            }
            assembly {
                mstore(0, UNLOCK)
                mstore(32, 32)
                // The selector is the data's first four bytes; the length is written over the rest of its word.
                mstore(68, CALLBACK_BALANCER_V3)
                mstore(64, size)
                mstore(100, payee)
                mstore(132, amount)
                calldatacopy(164, cursor, sub(size, 68))
            }
            _callAwaiting(_balancerVaultV3, LAYOUT_BALANCER_V3, 96, size);
        }
    }

    /// @dev A run of V4 hops, last first: each earlier one buys what the later one sold. What the run bought is taken
    /// once and what it sold is settled once; where both are one token, only the difference is taken.
    /// `[flags:1][tokenOut:20]`, then hops `[flags:1][tokenIn:20][fee:3][tickSpacing:2][hooks:20 if any]`; tokens are
    /// left out where the flags say which they are.
    function _runV4(uint256 cursor, uint256 end, uint256 payee, uint256 amount) internal {
        uint256 manager = _poolManager;
        uint256 flags;
        uint256 bought;
        uint256 sold;
        uint256 amountOut;
        {
            uint256 base = _wrappedNative;
            bool ok;
            assembly {
                flags := byte(0, calldataload(cursor))
                cursor := add(cursor, 1)
                switch and(flags, 3)
                case 0 {
                    bought := shr(96, calldataload(cursor))
                    cursor := add(cursor, 20)
                }
                case 1 { bought := base }
                sold := bought
                for { let more := MORE_HOPS } more {} {
                    let tokenOut := sold
                    more := byte(0, calldataload(cursor))
                    cursor := add(cursor, 1)
                    sold := 0
                    switch and(more, 3)
                    case 0 {
                        sold := shr(96, calldataload(cursor))
                        cursor := add(cursor, 20)
                    }
                    case 1 { sold := base }
                    mstore(0, SWAP_V4)
                    switch lt(sold, tokenOut)
                    case 0 {
                        mstore(32, tokenOut)
                        mstore(64, sold)
                        mstore(192, 0)
                        mstore(256, HIGHEST_LIMIT)
                    }
                    default {
                        mstore(32, sold)
                        mstore(64, tokenOut)
                        mstore(192, 1)
                        mstore(256, LOWEST_LIMIT)
                    }
                    mstore(96, shr(232, calldataload(cursor)))
                    mstore(128, and(shr(216, calldataload(cursor)), 0xffff))
                    cursor := add(cursor, 5)
                    mstore(160, 0)
                    if and(more, HAS_HOOKS) {
                        mstore(160, shr(96, calldataload(cursor)))
                        cursor := add(cursor, 20)
                    }
                    mstore(224, amount)
                    mstore(288, 288)
                    mstore(320, 0)
                    ok := call(gas(), manager, 0, 28, 324, 0, 32)
                    if iszero(ok) { break }
                    // The balance delta: token0's in the upper half, token1's in the lower, negative where owed.
                    let delta := mload(0)
                    let got := sar(128, delta)
                    amount := sub(0, signextend(15, delta))
                    if lt(sold, tokenOut) {
                        amount := sub(0, got)
                        got := signextend(15, delta)
                    }
                    if iszero(and(sgt(amount, 0), sgt(got, 0))) {
                        mstore(0, NOTHING_OWED)
                        revert(28, 4)
                    }
                    if iszero(amountOut) { amountOut := got }
                    more := and(more, MORE_HOPS)
                }
            }
            if (!ok) _failAlike();
        }
        if (cursor > end) _fail(MALFORMED_STREAM);
        if (sold == bought) {
            unchecked {
                _takeV4(manager, bought, payee, amountOut - amount);
            }
            return;
        }
        _takeV4(manager, bought, payee, amountOut);
        _settleRun(flags, cursor, end, sold, amount);
    }

    function _settleRun(uint256 flags, uint256 cursor, uint256 end, uint256 sold, uint256 amount) private {
        uint256 manager = _poolManager;
        if (sold == 0) {
            _deliver(cursor, end, _self(), amount);
            _settleV4(manager, amount);
        } else if (flags & PAY_BY_ROUTER != 0) {
            // What comes in between may use the manager too, which remembers only one token at a time.
            _deliver(cursor, end, _self(), amount);
            _syncV4(manager, sold);
            _pay(sold, manager, amount);
            _settleV4(manager, 0);
        } else {
            _syncV4(manager, sold);
            _deliver(cursor, end, manager, amount);
            _settleV4(manager, 0);
        }
    }

    /// @dev One swap of Balancer V3's vault: `[pool:20][tokenIn:20][tokenOut:20]`.
    function _runBalancerV3(uint256 cursor, uint256 end, uint256 payee, uint256 amount) internal {
        uint256 vault = _balancerVaultV3;
        uint256 sold = _addressAt(cursor + 20);
        uint256 bought = _addressAt(cursor + 40);
        uint256 amountIn;
        uint256 amountOut;
        assembly {
            let exactOut := sgt(amount, 0)
            mstore(0, SWAP_BALANCER_V3)
            mstore(32, 32)
            mstore(64, exactOut)
            mstore(96, shr(96, calldataload(cursor)))
            mstore(128, sold)
            mstore(160, bought)
            mstore(192, amount)
            if iszero(exactOut) { mstore(192, sub(0, amount)) }
            // The limit: the most to sell, or the least to buy.
            mstore(224, sub(0, exactOut))
            mstore(256, 224)
            mstore(288, 0)
        }
        _call(vault, 0, 292, 96);
        assembly {
            amountIn := mload(32)
            amountOut := mload(64)
            mstore(0, SEND_TO)
            mstore(32, bought)
            mstore(64, payee)
            mstore(96, amountOut)
        }
        _call(vault, 0, 100, 0);
        unchecked {
            if (cursor + 60 > end) _fail(MALFORMED_STREAM);
            _deliver(cursor + 60, end, vault, amountIn);
        }
        assembly {
            mstore(0, SETTLE_BALANCER_V3)
            mstore(32, sold)
            mstore(64, amountIn)
        }
        _call(vault, 0, 68, 0);
    }

    function _takeV4(uint256 manager, uint256 token, uint256 to, uint256 amount) private {
        assembly {
            mstore(0, TAKE_V4)
            mstore(32, token)
            mstore(64, to)
            mstore(96, amount)
        }
        _call(manager, 0, 100, 0);
    }

    function _syncV4(uint256 manager, uint256 token) private {
        assembly {
            mstore(0, SYNC_V4)
            mstore(32, token)
        }
        _call(manager, 0, 36, 0);
    }

    function _settleV4(uint256 manager, uint256 value) private {
        assembly {
            mstore(0, SETTLE_V4)
        }
        _call(manager, value, 4, 0);
    }
}
