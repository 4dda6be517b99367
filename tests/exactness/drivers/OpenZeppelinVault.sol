// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

/// @title OpenZeppelin's vault with a decimals offset, whose supply is set at will
contract OpenZeppelinVault is ERC4626 {
    uint8 private immutable _offset;

    constructor(IERC20 asset, uint8 offset) ERC20("V", "V") ERC4626(asset) {
        _offset = offset;
    }

    /// @notice All shares, `supply` of them, belong to the caller.
    function setSupply(uint256 supply) external {
        _burn(msg.sender, balanceOf(msg.sender));
        _mint(msg.sender, supply);
    }

    function _decimalsOffset() internal view override returns (uint8) {
        return _offset;
    }
}
