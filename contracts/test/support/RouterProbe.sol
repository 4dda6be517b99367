// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ArbitrageRouter} from "../../src/ArbitrageRouter.sol";

/// @dev The router, whose transient word can be looked at.
contract RouterProbe is ArbitrageRouter {
    constructor(address operator, address vault, address wrappedNative)
        ArbitrageRouter(operator, vault, wrappedNative, address(0), address(0), address(0))
    {}

    function awaited() external view returns (uint256 word) {
        assembly ("memory-safe") {
            word := tload(0)
        }
    }
}
