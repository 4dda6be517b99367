// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

interface IERC20 {
    function transfer(address to, uint256 amount) external returns (bool);
}

struct VaultSwapParams {
    uint8 kind;
    address pool;
    address tokenIn;
    address tokenOut;
    uint256 amountGivenRaw;
    uint256 limitRaw;
    bytes userData;
}

struct AddLiquidityParams {
    address pool;
    address to;
    uint256[] maxAmountsIn;
    uint256 minBptAmountOut;
    uint8 kind;
    bytes userData;
}

struct RemoveLiquidityParams {
    address pool;
    address from;
    uint256 maxBptAmountIn;
    uint256[] minAmountsOut;
    uint8 kind;
    bytes userData;
}

interface IVault {
    function unlock(bytes calldata data) external returns (bytes memory);
    function settle(address token, uint256 amountHint) external returns (uint256 credit);
    function sendTo(address token, address to, uint256 amount) external;
    function initialize(
        address pool,
        address to,
        address[] calldata tokens,
        uint256[] calldata exactAmountsIn,
        uint256 minBptAmountOut,
        bytes calldata userData
    ) external returns (uint256 bptAmountOut);
    function swap(VaultSwapParams calldata params)
        external
        returns (uint256 amountCalculated, uint256 amountIn, uint256 amountOut);
    function addLiquidity(AddLiquidityParams calldata params)
        external
        returns (uint256[] memory amountsIn, uint256 bptAmountOut, bytes memory returned);
    function removeLiquidity(RemoveLiquidityParams calldata params)
        external
        returns (uint256 bptAmountIn, uint256[] memory amountsOut, bytes memory returned);
}

/// @title Somebody who trades on a Balancer V3 vault and provides liquidity, with tokens of its own
/// @dev Each function has a twin that the unlocked vault calls.
contract VaultV3Trader {
    IVault private immutable _vault;

    constructor(IVault vault) {
        _vault = vault;
    }

    function open(address pool, address[] calldata tokens, uint256[] calldata amounts) external {
        _vault.unlock(abi.encodeCall(this.opening, (pool, tokens, amounts)));
    }

    function opening(address pool, address[] calldata tokens, uint256[] calldata amounts) external {
        _vault.initialize(pool, address(this), tokens, amounts, 0, "");
        for (uint256 k = 0; k < tokens.length; k++) _pay(tokens[k], amounts[k]);
    }

    function swap(address pool, address sold, address bought, uint256 amount, uint8 kind) external {
        _vault.unlock(abi.encodeCall(this.swapping, (pool, sold, bought, amount, kind)));
    }

    function swapping(address pool, address sold, address bought, uint256 amount, uint8 kind) external {
        uint256 limit = kind == 0 ? 0 : type(uint256).max;
        (, uint256 amountIn, uint256 amountOut) =
            _vault.swap(VaultSwapParams(kind, pool, sold, bought, amount, limit, ""));
        _pay(sold, amountIn);
        _vault.sendTo(bought, address(this), amountOut);
    }

    function add(address pool, address[] calldata tokens, uint256[] calldata amounts) external {
        _vault.unlock(abi.encodeCall(this.adding, (pool, tokens, amounts)));
    }

    function adding(address pool, address[] calldata tokens, uint256[] calldata amounts) external {
        (uint256[] memory paid,,) =
            _vault.addLiquidity(AddLiquidityParams(pool, address(this), amounts, 0, 1, ""));
        for (uint256 k = 0; k < tokens.length; k++) _pay(tokens[k], paid[k]);
    }

    function remove(address pool, address[] calldata tokens, uint256 shares) external {
        _vault.unlock(abi.encodeCall(this.removing, (pool, tokens, shares)));
    }

    function removing(address pool, address[] calldata tokens, uint256 shares) external {
        uint256[] memory least = new uint256[](tokens.length);
        (, uint256[] memory paid,) =
            _vault.removeLiquidity(RemoveLiquidityParams(pool, address(this), shares, least, 0, ""));
        for (uint256 k = 0; k < tokens.length; k++) _vault.sendTo(tokens[k], address(this), paid[k]);
    }

    function _pay(address token, uint256 amount) private {
        IERC20(token).transfer(address(_vault), amount);
        _vault.settle(token, amount);
    }
}
