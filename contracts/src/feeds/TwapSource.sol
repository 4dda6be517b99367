// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPriceSource, QuoteStatus} from "../interfaces/IPriceSource.sol";
import {Bounded} from "./Bounded.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {TickMath} from "@uniswap/v4-core/src/libraries/TickMath.sol";

interface IObservedPool {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function observe(uint32[] calldata secondsAgos) external view returns (int56[] memory, uint160[] memory);
}

/// @title A time-weighted price of a Uniswap V3 pool
/// @notice A cross-check and nothing else: whoever proposes blocks in a row can move it. Refuses when the pool
/// does not remember the whole window, or when its harmonic mean liquidity over it was below a floor.
contract TwapSource is IPriceSource {
    address public immutable base;
    address public immutable quote;
    address public immutable pool;
    /// @notice Seconds the price is averaged over.
    uint32 public immutable window;
    /// @notice Least harmonic mean of the liquidity in range over the window.
    uint128 public immutable minLiquidity;

    bool private immutable _baseIsToken0;
    uint8 private immutable _baseDecimals;
    uint8 private immutable _quoteDecimals;

    uint32 private constant LEAST_WINDOW = 30 minutes;
    uint32 private constant MOST_WINDOW = 7 days;
    uint8 private constant MAX_DECIMALS = 18;

    constructor(address base_, address quote_, address pool_, uint32 window_, uint128 minLiquidity_) {
        if (pool_.code.length == 0) revert InvalidSource("pool");
        (address token0, address token1) = (IObservedPool(pool_).token0(), IObservedPool(pool_).token1());
        if (base_ != token0 && base_ != token1) revert InvalidSource("base");
        if (quote_ != (base_ == token0 ? token1 : token0)) revert InvalidSource("quote");
        if (window_ < LEAST_WINDOW || window_ > MOST_WINDOW) revert InvalidSource("window");
        if (minLiquidity_ == 0) revert InvalidSource("minLiquidity");
        (base, quote, pool, window, minLiquidity) = (base_, quote_, pool_, window_, minLiquidity_);
        _baseIsToken0 = base_ == token0;
        _baseDecimals = _decimals(base_);
        _quoteDecimals = _decimals(quote_);
    }

    /// @inheritdoc IPriceSource
    function read() external view returns (uint256 priceE18, uint256 updatedAt, uint8 status) {
        uint32[] memory ago = new uint32[](2);
        ago[0] = window;
        (bool ok, uint256[8] memory answer) =
            Bounded.view_(pool, abi.encodeCall(IObservedPool.observe, (ago)), 8);
        // Two arrays of two words each, in the one way the compiler lays them out.
        if (!ok || answer[0] != 64 || answer[1] != 160 || answer[2] != 2 || answer[5] != 2) {
            return (0, 0, QuoteStatus.CALL_FAILED);
        }
        (bool possible, int256 tick) = _meanTick(answer[3], answer[4]);
        if (!possible) return (0, 0, QuoteStatus.CALL_FAILED);
        if (_meanLiquidity(answer[6], answer[7]) < minLiquidity) return (0, 0, QuoteStatus.OUT_OF_BOUNDS);
        // forge-lint: disable-next-line(unsafe-typecast)
        priceE18 = _price(TickMath.getSqrtPriceAtTick(int24(tick)));
        if (priceE18 == 0) return (0, 0, QuoteStatus.OUT_OF_BOUNDS);
        return (priceE18, block.timestamp, QuoteStatus.OK);
    }

    /// @dev Rounded towards minus infinity, as the pool rounds its own tick.
    function _meanTick(uint256 before, uint256 now_) private view returns (bool possible, int256 tick) {
        // forge-lint: disable-next-line(unsafe-typecast)
        (int256 first, int256 last) = (int256(before), int256(now_));
        if (first != int56(first) || last != int56(last)) return (false, 0);
        int256 moved = last - first;
        int256 span = int256(uint256(window));
        tick = moved / span;
        if (moved < 0 && moved % span != 0) tick--;
        possible = tick >= TickMath.MIN_TICK && tick <= TickMath.MAX_TICK;
    }

    /// @dev Seconds divided by the growth of seconds per unit of liquidity (128 fractional bits, which wraps).
    function _meanLiquidity(uint256 before, uint256 now_) private view returns (uint256) {
        // forge-lint: disable-next-line(unsafe-typecast)
        (uint160 first, uint160 last) = (uint160(before), uint160(now_));
        uint160 grown;
        unchecked {
            grown = last - first;
        }
        return grown == 0 ? type(uint128).max : (uint256(window) << 128) / grown;
    }

    /// @dev Whole quote units per whole base unit: (sqrtPriceX96 / 2^96)^2 of token1 per token0 base units.
    function _price(uint160 sqrtPriceX96) private view returns (uint256) {
        uint256 scale = 10 ** (18 + _baseDecimals);
        uint256 raw;
        if (sqrtPriceX96 <= type(uint128).max) {
            uint256 ratioX192 = uint256(sqrtPriceX96) * sqrtPriceX96;
            raw = _baseIsToken0
                ? Math.mulDiv(ratioX192, scale, 1 << 192)
                : Math.mulDiv(1 << 192, scale, ratioX192);
        } else {
            uint256 ratioX128 = Math.mulDiv(sqrtPriceX96, sqrtPriceX96, 1 << 64);
            raw = _baseIsToken0
                ? Math.mulDiv(ratioX128, scale, 1 << 128)
                : Math.mulDiv(1 << 128, scale, ratioX128);
        }
        return raw / 10 ** _quoteDecimals;
    }

    function _decimals(address token) private view returns (uint8 decimals) {
        decimals = IERC20Metadata(token).decimals();
        if (decimals > MAX_DECIMALS) revert InvalidSource("decimals");
    }
}
