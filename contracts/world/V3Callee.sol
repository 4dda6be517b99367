// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

interface IV3Pool {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function mint(address recipient, int24 tickLower, int24 tickUpper, uint128 amount, bytes calldata data)
        external
        returns (uint256 amount0, uint256 amount1);
    function swap(
        address recipient,
        bool zeroForOne,
        int256 amountSpecified,
        uint160 sqrtPriceLimitX96,
        bytes calldata data
    ) external returns (int256 amount0, int256 amount1);
}

/// @title Lets the inhabitants of the embedded world mint and swap directly on V3-type pools
/// @notice The caller pays from its own balance and must have approved this contract for both tokens.
/// @dev For test chains only. A callback is honoured only from the pool that is being called.
contract V3Callee {
    using SafeERC20 for IERC20;

    uint160 private constant LOWEST_LIMIT = 4295128740;
    uint160 private constant HIGHEST_LIMIT = 1461446703485210103287273052203988822378723970341;

    address private transient _pool;
    address private transient _payer;

    error UnexpectedCallback(address caller);

    modifier calling(address pool) {
        _pool = pool;
        _payer = msg.sender;
        _;
        _pool = address(0);
    }

    /// @notice Add `amount` of liquidity between two ticks, owned by `recipient`.
    function mint(address pool, address recipient, int24 tickLower, int24 tickUpper, uint128 amount)
        external
        calling(pool)
        returns (uint256 amount0, uint256 amount1)
    {
        return IV3Pool(pool).mint(recipient, tickLower, tickUpper, amount, "");
    }

    /// @notice Swap; `amountSpecified` is the input when positive and the output when negative.
    /// @param sqrtPriceLimitX96 Where to stop; zero for no limit.
    function swap(
        address pool,
        address recipient,
        bool zeroForOne,
        int256 amountSpecified,
        uint160 sqrtPriceLimitX96
    ) external calling(pool) returns (int256 amount0, int256 amount1) {
        if (sqrtPriceLimitX96 == 0) {
            sqrtPriceLimitX96 = zeroForOne ? LOWEST_LIMIT : HIGHEST_LIMIT;
        }
        return IV3Pool(pool).swap(recipient, zeroForOne, amountSpecified, sqrtPriceLimitX96, "");
    }

    function uniswapV3MintCallback(uint256 owed0, uint256 owed1, bytes calldata) external {
        _pay(owed0, owed1);
    }

    function pancakeV3MintCallback(uint256 owed0, uint256 owed1, bytes calldata) external {
        _pay(owed0, owed1);
    }

    function uniswapV3SwapCallback(int256 delta0, int256 delta1, bytes calldata) external {
        _pay(_owed(delta0), _owed(delta1));
    }

    function pancakeV3SwapCallback(int256 delta0, int256 delta1, bytes calldata) external {
        _pay(_owed(delta0), _owed(delta1));
    }

    function _owed(int256 delta) private pure returns (uint256) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return delta > 0 ? uint256(delta) : 0;
    }

    function _pay(uint256 owed0, uint256 owed1) private {
        if (msg.sender != _pool) revert UnexpectedCallback(msg.sender);
        if (owed0 > 0) IERC20(IV3Pool(msg.sender).token0()).safeTransferFrom(_payer, msg.sender, owed0);
        if (owed1 > 0) IERC20(IV3Pool(msg.sender).token1()).safeTransferFrom(_payer, msg.sender, owed1);
    }
}
