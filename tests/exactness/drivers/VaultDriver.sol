// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

interface IToken {
    function set(address account, uint256 balance) external;
}

interface IVault {
    function setSupply(uint256 supply) external;
    function totalSupply() external view returns (uint256);
    function totalAssets() external view returns (uint256);
    function deposit(uint256 assets, address receiver) external returns (uint256);
    function mint(uint256 shares, address receiver) external returns (uint256);
    function redeem(uint256 shares, address receiver, address owner) external returns (uint256);
    function withdraw(uint256 assets, address receiver, address owner) external returns (uint256);
    function previewDeposit(uint256 assets) external view returns (uint256);
    function previewMint(uint256 shares) external view returns (uint256);
    function previewRedeem(uint256 shares) external view returns (uint256);
    function previewWithdraw(uint256 assets) external view returns (uint256);
}

/// @title Many moves into and out of one ERC-4626 vault, each from its own state and undone
/// @dev A case is four words: supply, total assets, amount, what: 0 deposit, 1 mint, 2 redeem, 3 withdraw. An answer
/// is five: 1 if done, the other amount, its preview, supply and total assets after. The driver owns every share
/// and the rest of all assets there can be.
contract VaultDriver {
    uint256 private constant MOVE_GAS = 1_000_000;

    IToken private immutable _asset;

    error Done(uint256[4] outcome);

    constructor(IToken asset) {
        _asset = asset;
    }

    function run(IVault vault, uint256[4][] calldata cases) external returns (uint256[5][] memory answers) {
        answers = new uint256[5][](cases.length);
        for (uint256 i = 0; i < cases.length; i++) {
            vault.setSupply(cases[i][0]);
            _asset.set(address(vault), cases[i][1]);
            _asset.set(address(this), type(uint256).max - cases[i][1]);
            try this.attempt{gas: MOVE_GAS}(vault, cases[i][2], cases[i][3]) {}
            catch (bytes memory reason) {
                if (reason.length == 132 && bytes4(reason) == Done.selector) {
                    answers[i][0] = 1;
                    for (uint256 k = 0; k < 4; k++) {
                        uint256 word;
                        assembly ("memory-safe") {
                            word := mload(add(add(reason, 36), mul(k, 32)))
                        }
                        answers[i][k + 1] = word;
                    }
                }
            }
        }
    }

    function attempt(IVault vault, uint256 amount, uint256 what) external {
        uint256 preview;
        uint256 moved;
        if (what == 0) (preview, moved) = (vault.previewDeposit(amount), vault.deposit(amount, address(this)));
        else if (what == 1) (preview, moved) = (vault.previewMint(amount), vault.mint(amount, address(this)));
        else if (what == 2) {
            preview = vault.previewRedeem(amount);
            moved = vault.redeem(amount, address(this), address(this));
        } else {
            preview = vault.previewWithdraw(amount);
            moved = vault.withdraw(amount, address(this), address(this));
        }
        revert Done([moved, preview, vault.totalSupply(), vault.totalAssets()]);
    }
}
