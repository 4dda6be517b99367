// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IV3Pool} from "../../world/V3Callee.sol";

/// @dev Asks a V3-type pool for its amounts by starting a swap and not paying.
contract V3Quoter {
    uint160 private constant LOWEST_LIMIT = 4295128740;
    uint160 private constant HIGHEST_LIMIT = 1461446703485210103287273052203988822378723970341;

    error Amounts(int256 delta0, int256 delta1);

    function quoteIn(address pool, bool zeroForOne, uint256 amountIn) external returns (uint256 amountOut) {
        (int256 delta0, int256 delta1) = _ask(pool, zeroForOne, int256(amountIn));
        return uint256(-(zeroForOne ? delta1 : delta0));
    }

    function quoteOut(address pool, bool zeroForOne, uint256 amountOut) external returns (uint256 amountIn) {
        (int256 delta0, int256 delta1) = _ask(pool, zeroForOne, -int256(amountOut));
        require(uint256(-(zeroForOne ? delta1 : delta0)) == amountOut, "partial");
        return uint256(zeroForOne ? delta0 : delta1);
    }

    function uniswapV3SwapCallback(int256 delta0, int256 delta1, bytes calldata) external pure {
        revert Amounts(delta0, delta1);
    }

    function pancakeV3SwapCallback(int256 delta0, int256 delta1, bytes calldata) external pure {
        revert Amounts(delta0, delta1);
    }

    function _ask(address pool, bool zeroForOne, int256 amount) private returns (int256, int256) {
        uint160 limit = zeroForOne ? LOWEST_LIMIT : HIGHEST_LIMIT;
        try IV3Pool(pool).swap(address(this), zeroForOne, amount, limit, "") {
            revert("paid by nobody");
        } catch (bytes memory reason) {
            require(reason.length == 68 && bytes4(reason) == Amounts.selector, "no quote");
            assembly ("memory-safe") {
                reason := add(reason, 4)
            }
            return abi.decode(_withLength(reason), (int256, int256));
        }
    }

    /// @dev The bytes behind a four-byte selector.
    function _withLength(bytes memory shifted) private pure returns (bytes memory) {
        assembly ("memory-safe") {
            mstore(shifted, 64)
        }
        return shifted;
    }
}
