// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev The router's stream, written the long way round: one function per part. The base token is always named.
library Stream {
    function header(uint256 deadline, uint256 minProfit) internal pure returns (bytes memory) {
        return flagged(1, deadline, minProfit);
    }

    /// @dev Flags as IArbitrageRouter has them: 1 base named, 2 exact block, 4 extras, 8 several cycles.
    function flagged(uint8 flags, uint256 pin, uint256 minProfit) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(0x20) | flags, uint32(pin), uint112(minProfit));
    }

    function end(address base) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(0), base);
    }

    function topV2(address pool, bool zeroForOne, uint256 amountOut, uint256 amountIn)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(op(1, zeroForOne), pool, uint112(amountOut), uint112(amountIn));
    }

    function topV3(address pool, bool zeroForOne, uint256 amountIn) internal pure returns (bytes memory) {
        return abi.encodePacked(op(2, zeroForOne), pool, uint112(amountIn));
    }

    function topV3Out(address pool, bool zeroForOne, uint256 amountOut) internal pure returns (bytes memory) {
        return abi.encodePacked(op(2, zeroForOne) | 2, pool, uint112(amountOut));
    }

    function nestedV2(address pool, bool zeroForOne, uint256 amountIn) internal pure returns (bytes memory) {
        return abi.encodePacked(op(1, zeroForOne), pool, uint112(amountIn));
    }

    function nestedV3(address pool, bool zeroForOne) internal pure returns (bytes memory) {
        return abi.encodePacked(op(2, zeroForOne), pool);
    }

    /// @dev `place`: 0 forward, 1 direct, 2 relay. `form`: 1 second form, 2 pushed, 4 approved.
    function pull(
        uint8 kind,
        uint8 place,
        address venue,
        uint256 amountIn,
        uint8 form,
        address tokenIn,
        address tokenOut
    ) internal pure returns (bytes memory) {
        return bytes.concat(
            abi.encodePacked((kind << 2) | place, venue, uint112(amountIn), form, uint8(0x01)),
            form & 4 != 0 ? abi.encodePacked(tokenIn) : bytes(""),
            place == 2 ? abi.encodePacked(tokenOut) : bytes("")
        );
    }

    /// @dev 11 Morpho, 12 Aave.
    function loan(uint8 kind, address lender, uint256 amount, address token)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked((kind << 2) | 1, lender, uint112(amount), token);
    }

    /// @dev The heads of a V4 run: first of a cycle, nested, and nested in another run; its hops follow.
    function firstV4(uint256 amountIn) internal pure returns (bytes memory) {
        return abi.encodePacked(op(3, false), uint112(amountIn));
    }

    function nestedV4() internal pure returns (bytes memory) {
        return abi.encodePacked(op(3, false));
    }

    function nestedV4Unlocked() internal pure returns (bytes memory) {
        return abi.encodePacked(op(3, true));
    }

    /// @dev A run of one hop, which the router itself pays in `hopV4Paid`.
    function hopV4(address tokenOut, address tokenIn, uint24 fee, int24 spacing, address hooks)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(uint8(0), tokenOut, uint8(4), tokenIn, fee, spacing16(spacing), hooks);
    }

    function hopV4Paid(address tokenOut, address tokenIn, uint24 fee, int24 spacing)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(uint8(16), tokenOut, uint8(0), tokenIn, fee, spacing16(spacing));
    }

    function hopV4Plain(address tokenOut, address tokenIn, uint24 fee, int24 spacing)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(uint8(0), tokenOut, uint8(0), tokenIn, fee, spacing16(spacing));
    }

    function spacing16(int24 spacing) internal pure returns (uint16) {
        return uint16(uint24(spacing));
    }

    function hold() internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(13 << 2));
    }

    function guarded(address[] memory tokens) internal pure returns (bytes memory list) {
        list = abi.encodePacked(uint8(tokens.length << 4));
        for (uint256 i = 0; i < tokens.length; i++) {
            list = bytes.concat(list, bytes20(tokens[i]));
        }
    }

    function op(uint8 kind, bool zeroForOne) internal pure returns (uint8) {
        return (kind << 2) | (zeroForOne ? 1 : 0);
    }
}
