// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;

import {ERC20} from "solmate/tokens/ERC20.sol";

/// @dev Stands in for a Curve pool or wstETH whose bytecode no registry has: pays what the real one was recorded to pay
/// for an amount, and nothing for any other. Takes its input as the real one does.
contract RecordedVenue is ERC20("Wrapped", "WRAP", 18) {
    ERC20[] public coins;
    mapping(bytes32 trade => uint256) public paid;
    mapping(uint256 coin => uint256) public stored;

    constructor(ERC20[] memory coins_) {
        coins = coins_;
    }

    /// @dev Coins of no address are this contract's own shares.
    function record(uint256 i, uint256 j, uint256 amountIn, uint256 amountOut) external {
        paid[keccak256(abi.encode(i, j, amountIn))] = amountOut;
        if (address(_coin(j)) == address(this)) totalSupply += amountOut;
        for (uint256 k = 0; k < coins.length; k++) {
            stored[k] = _coin(k).balanceOf(address(this));
        }
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function exchange(int128 i, int128 j, uint256 amount, uint256 least) external returns (uint256) {
        return _pulled(uint128(i), uint128(j), amount, least);
    }

    function exchange(uint256 i, uint256 j, uint256 amount, uint256 least) external returns (uint256) {
        return _pulled(i, j, amount, least);
    }

    function exchange_received(int128 i, int128 j, uint256 amount, uint256 least, address to)
        external
        returns (uint256)
    {
        return _pushed(uint128(i), uint128(j), amount, least, to);
    }

    function exchange_received(uint256 i, uint256 j, uint256 amount, uint256 least, address to)
        external
        returns (uint256)
    {
        return _pushed(i, j, amount, least, to);
    }

    function wrap(uint256 amount) external returns (uint256) {
        return _pulled(0, 1, amount, 0);
    }

    function unwrap(uint256 amount) external returns (uint256 out) {
        out = paid[keccak256(abi.encode(uint256(1), uint256(0), amount))];
        require(out != 0, "not recorded");
        _burn(msg.sender, amount);
        coins[0].transfer(msg.sender, out);
    }

    function _pulled(uint256 i, uint256 j, uint256 amount, uint256 least) private returns (uint256) {
        coins[i].transferFrom(msg.sender, address(this), amount);
        return _pay(i, j, amount, least, msg.sender);
    }

    function _pushed(uint256 i, uint256 j, uint256 amount, uint256 least, address to)
        private
        returns (uint256)
    {
        require(coins[i].balanceOf(address(this)) - stored[i] >= amount, "was not sent");
        return _pay(i, j, amount, least, to);
    }

    function _pay(uint256 i, uint256 j, uint256 amount, uint256 least, address to)
        private
        returns (uint256 out)
    {
        out = paid[keccak256(abi.encode(i, j, amount))];
        require(out != 0 && out >= least, "not recorded");
        if (address(_coin(j)) == address(this)) balanceOf[to] += out;
        else coins[j].transfer(to, out);
    }

    function _coin(uint256 k) private view returns (ERC20) {
        return address(coins[k]) == address(0) ? ERC20(address(this)) : coins[k];
    }
}
