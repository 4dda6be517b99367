// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// @title A token whose balances are set at will, so that any pool state costs one call to reach
/// @dev For the exactness campaigns only: transfers move real balances and ask for no allowance.
contract CampaignToken {
    uint8 public immutable decimals;
    mapping(address account => uint256) public balanceOf;
    uint256 public totalSupply;

    error InsufficientBalance(address account, uint256 balance, uint256 needed);

    constructor(uint8 decimals_) {
        decimals = decimals_;
    }

    function set(address account, uint256 balance) external {
        balanceOf[account] = balance;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        _move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        _move(from, to, amount);
        return true;
    }

    function approve(address, uint256) external pure returns (bool) {
        return true;
    }

    function allowance(address, address) external pure returns (uint256) {
        return type(uint256).max;
    }

    function symbol() external pure returns (string memory) {
        return "C";
    }

    function name() external pure returns (string memory) {
        return "C";
    }

    function _move(address from, address to, uint256 amount) private {
        uint256 held = balanceOf[from];
        if (held < amount) revert InsufficientBalance(from, held, amount);
        unchecked {
            balanceOf[from] = held - amount;
            balanceOf[to] += amount;
        }
    }
}
