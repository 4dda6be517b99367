// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev The router's stream, written the long way round: one function per part.
library Stream {
    function header(uint256 deadline, uint256 minProfit, address base) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), uint40(deadline), uint128(minProfit), base);
    }

    function topV2(address pool, bool zeroForOne, uint256 amountOut, uint256 amountIn)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(_first(1, zeroForOne), pool, uint128(amountOut), uint128(amountIn));
    }

    function topV3(address pool, bool zeroForOne, uint256 amountIn) internal pure returns (bytes memory) {
        return abi.encodePacked(_first(2, zeroForOne), pool, uint128(amountIn));
    }

    function nestedV2(address pool, bool zeroForOne, uint256 amountIn) internal pure returns (bytes memory) {
        return abi.encodePacked(_first(1, zeroForOne), pool, uint128(amountIn));
    }

    function nestedV3(address pool, bool zeroForOne) internal pure returns (bytes memory) {
        return abi.encodePacked(_first(2, zeroForOne), pool);
    }

    function _first(uint8 kind, bool zeroForOne) private pure returns (uint8) {
        return (kind << 1) | (zeroForOne ? 1 : 0);
    }
}
