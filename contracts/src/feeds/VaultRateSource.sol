// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPriceSource, QuoteStatus} from "../interfaces/IPriceSource.sol";
import {Bounded} from "./Bounded.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

/// @title What a share of an ERC-4626 vault is worth in the vault's asset
/// @notice Refuses a rate that grew faster than a vault of its kind can earn (a donation, a broken vault) or
/// that is below a floor (a loss). Both are measured from the rate at deployment.
contract VaultRateSource is IPriceSource {
    address public immutable base;
    address public immutable quote;
    /// @notice Least acceptable rate, with 18 decimals.
    uint256 public immutable minRateE18;
    /// @notice How much of the starting rate may be earned per day, in 1e-4.
    uint256 public immutable maxGrowthBpsPerDay;
    uint256 public immutable startRateE18;
    uint256 public immutable startedAt;

    uint256 private immutable _oneShare;
    uint256 private immutable _oneAsset;

    uint8 private constant MAX_DECIMALS = 36;

    constructor(address vault, uint256 minRateE18_, uint256 maxGrowthBpsPerDay_) {
        if (vault.code.length == 0) revert InvalidSource("vault");
        if (maxGrowthBpsPerDay_ == 0 || maxGrowthBpsPerDay_ > 1000) {
            revert InvalidSource("maxGrowthBpsPerDay");
        }
        (base, quote) = (vault, IERC4626(vault).asset());
        uint8 shareDecimals = IERC4626(vault).decimals();
        uint8 assetDecimals = IERC20Metadata(quote).decimals();
        if (shareDecimals > MAX_DECIMALS || assetDecimals > MAX_DECIMALS) revert InvalidSource("decimals");
        (_oneShare, _oneAsset) = (10 ** shareDecimals, 10 ** assetDecimals);
        (minRateE18, maxGrowthBpsPerDay, startedAt) = (minRateE18_, maxGrowthBpsPerDay_, block.timestamp);
        startRateE18 = _scaled(IERC4626(vault).convertToAssets(_oneShare));
        if (startRateE18 == 0 || minRateE18_ == 0 || minRateE18_ > startRateE18) {
            revert InvalidSource("minRateE18");
        }
    }

    /// @notice Greatest acceptable rate now, with 18 decimals.
    function maxRateE18() public view returns (uint256) {
        uint256 grown = startRateE18 * maxGrowthBpsPerDay * (block.timestamp - startedAt) / (10_000 * 1 days);
        return startRateE18 + grown;
    }

    /// @inheritdoc IPriceSource
    function read() external view returns (uint256, uint256, uint8) {
        (bool ok, uint256[8] memory answer) =
            Bounded.view_(base, abi.encodeCall(IERC4626.convertToAssets, (_oneShare)), 1);
        if (!ok) return (0, 0, QuoteStatus.CALL_FAILED);
        if (answer[0] > type(uint128).max) return (0, 0, QuoteStatus.OUT_OF_BOUNDS);
        uint256 rate = _scaled(answer[0]);
        if (rate < minRateE18 || rate > maxRateE18()) return (0, block.timestamp, QuoteStatus.OUT_OF_BOUNDS);
        return (rate, block.timestamp, QuoteStatus.OK);
    }

    function _scaled(uint256 assets) private view returns (uint256) {
        return assets * 1e18 / _oneAsset;
    }
}
