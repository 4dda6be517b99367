// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// @title Slipstream's swap-fee module with a fee that is set at will
contract FeeModule {
    uint24 private _fee;

    function set(uint24 fee) external {
        _fee = fee;
    }

    function getFee(address) external view returns (uint24) {
        return _fee;
    }
}
