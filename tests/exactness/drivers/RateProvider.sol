// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// @title A rate that is set at will
contract RateProvider {
    uint256 public getRate = 1e18;

    function set(uint256 rate) external {
        getRate = rate;
    }
}
