// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IArbitrageRouter} from "../../src/interfaces/IArbitrageRouter.sol";
import {Stream} from "./Stream.sol";

/// @dev Everything somebody might try on the router: each callback in its own layout, asking for as much as there is,
/// functions, and a stream.
library Attempts {
    bytes4 internal constant V2 = 0x10d1e85c;
    bytes4 internal constant PANCAKE_V2 = 0x84800812;
    bytes4 internal constant SOLIDLY = 0x9a7bff79;
    bytes4 internal constant V3 = 0xfa461e33;
    bytes4 internal constant PANCAKE_V3 = 0x23a69e75;
    bytes4 internal constant ALGEBRA = 0x2c8958f6;
    bytes4 internal constant V4 = 0x91dd7346;
    bytes4 internal constant BALANCER_V3 = 0x357b29df;
    bytes4 internal constant BALANCER_LOAN = 0xf04f2707;
    bytes4 internal constant MORPHO_LOAN = 0x31f57072;
    bytes4 internal constant AAVE_LOAN = 0x1b11d0ff;

    function callbacks() internal pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](11);
        (selectors[0], selectors[1], selectors[2]) = (V2, PANCAKE_V2, SOLIDLY);
        (selectors[3], selectors[4], selectors[5]) = (V3, PANCAKE_V3, ALGEBRA);
        (selectors[6], selectors[7], selectors[8]) = (V4, BALANCER_V3, BALANCER_LOAN);
        (selectors[9], selectors[10]) = (MORPHO_LOAN, AAVE_LOAN);
    }

    /// @dev The call that a pool of this kind would make, with `data`.
    function callback(bytes4 selector, address token, uint256 amount, bytes memory data)
        internal
        pure
        returns (bytes memory)
    {
        if (selector == V2 || selector == PANCAKE_V2 || selector == SOLIDLY) {
            return abi.encodeWithSelector(selector, token, amount, amount, data);
        }
        if (selector == V3 || selector == PANCAKE_V3 || selector == ALGEBRA) {
            return abi.encodeWithSelector(selector, amount, -int256(amount), data);
        }
        if (selector == V4) return abi.encodeWithSelector(selector, data);
        if (selector == BALANCER_V3) return bytes.concat(selector, data);
        if (selector == MORPHO_LOAN) return abi.encodeWithSelector(selector, amount, data);
        if (selector == AAVE_LOAN) return abi.encodeWithSelector(selector, token, amount, 0, token, data);
        address[] memory tokens = new address[](1);
        uint256[] memory amounts = new uint256[](1);
        (tokens[0], amounts[0]) = (token, amount);
        return abi.encodeWithSelector(selector, tokens, amounts, new uint256[](1), data);
    }

    /// @dev All of it, for a router holding `amount` of `token`.
    function all(address token, uint256 amount, address pool) internal view returns (bytes[] memory calls) {
        bytes4[] memory selectors = callbacks();
        calls = new bytes[](2 * selectors.length + 2);
        uint256 count;
        for (uint256 i = 0; i < selectors.length; i++) {
            // Nothing left to do but to pay; and commands that would.
            calls[count++] = callback(selectors[i], token, amount, "");
            bytes memory pay = abi.encodePacked(uint256(uint160(pool)), amount, uint112(amount));
            calls[count++] = callback(selectors[i], token, amount, bytes.concat(pay, Stream.end(token)));
        }
        calls[count++] = abi.encodeCall(IArbitrageRouter.sweep, (token));
        bytes memory stream = bytes.concat(
            Stream.flagged(0, block.timestamp, 0), Stream.topV3(pool, true, amount), Stream.end(token)
        );
        calls[count++] = stream;
    }
}
