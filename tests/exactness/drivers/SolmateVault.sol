// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {ERC20} from "solmate/tokens/ERC20.sol";
import {ERC4626} from "solmate/mixins/ERC4626.sol";

/// @title solmate's vault, whose supply is set at will
contract SolmateVault is ERC4626 {
    constructor(ERC20 asset) ERC4626(asset, "V", "V") {}

    /// @notice All shares, `supply` of them, belong to the caller.
    function setSupply(uint256 supply) external {
        _burn(msg.sender, balanceOf[msg.sender]);
        _mint(msg.sender, supply);
    }

    function totalAssets() public view override returns (uint256) {
        return asset.balanceOf(address(this));
    }
}
