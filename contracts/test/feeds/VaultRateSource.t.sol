// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {VaultRateSource} from "../../src/feeds/VaultRateSource.sol";
import {QuoteStatus} from "../../src/interfaces/IPriceSource.sol";
import {WorldToken} from "../../world/WorldToken.sol";
import {Sourced} from "../support/Sourced.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

/// @dev OpenZeppelin's vault as it is.
contract PlainVault is ERC4626 {
    constructor(WorldToken asset_) ERC20("Vault", "VLT") ERC4626(asset_) {}
}

contract VaultRateSourceTest is Sourced {
    /// 0.1 % a day.
    uint256 private constant GROWTH = 10;
    uint256 private constant DEPOSIT = 1_000_000e6;

    WorldToken private asset;
    PlainVault private vault;
    VaultRateSource private source;

    function setUp() public {
        vm.warp(NOW);
        asset = new WorldToken("Dollar", "USD", 6);
        vault = new PlainVault(asset);
        asset.mint(address(this), DEPOSIT);
        asset.approve(address(vault), DEPOSIT);
        vault.deposit(DEPOSIT, address(this));
        source = new VaultRateSource(address(vault), 0.99e18, GROWTH);
    }

    function test_rateOfAFreshVault() public view {
        assertEq(source.base(), address(vault));
        assertEq(source.quote(), address(asset));
        assertRead(source, 1e18, QuoteStatus.OK);
    }

    function test_earningsAreBelieved() public {
        vm.warp(NOW + 10 days);
        asset.mint(address(vault), DEPOSIT / 200);
        (uint256 price, uint256 updatedAt, uint8 status) = source.read();
        assertEq(status, QuoteStatus.OK);
        assertApproxEqAbs(price, 1.005e18, 1e12);
        assertEq(updatedAt, NOW + 10 days);
    }

    /// @dev Somebody gives the vault assets to lift the rate that others believe.
    function test_donationIsRefused() public {
        vm.warp(NOW + 1 days);
        asset.mint(address(vault), DEPOSIT / 500);
        assertRead(source, 0, QuoteStatus.OUT_OF_BOUNDS);
    }

    function test_lossIsRefused() public {
        vm.prank(address(vault));
        asset.transfer(dai, DEPOSIT / 50);
        assertRead(source, 0, QuoteStatus.OUT_OF_BOUNDS);
    }

    function test_bounds_growthOnTheBoundary() public {
        vm.warp(NOW + 1 days);
        bytes memory request = abi.encodeCall(IERC4626.convertToAssets, (1e6));
        vm.mockCall(address(vault), request, abi.encode(uint256(1.001e6)));
        assertRead(source, 1.001e18, QuoteStatus.OK);
        vm.mockCall(address(vault), request, abi.encode(uint256(1.001e6 + 1)));
        assertRead(source, 0, QuoteStatus.OUT_OF_BOUNDS);
        vm.mockCall(address(vault), request, abi.encode(uint256(0.99e6)));
        assertRead(source, 0.99e18, QuoteStatus.OK);
        vm.mockCall(address(vault), request, abi.encode(uint256(0.99e6 - 1)));
        assertRead(source, 0, QuoteStatus.OUT_OF_BOUNDS);
        vm.mockCall(address(vault), request, abi.encode(type(uint256).max));
        assertRead(source, 0, QuoteStatus.OUT_OF_BOUNDS);
    }

    function test_vaultThatFails() public {
        vm.etch(address(vault), hex"5f5ffd");
        assertRead(source, 0, QuoteStatus.CALL_FAILED);
        vm.etch(address(vault), hex"5b5f56");
        assertRead(source, 0, QuoteStatus.CALL_FAILED);
        assertCostsAtMost(source, 250_000);
    }

    function test_bounds_everyArgument() public {
        vm.expectRevert(invalid("vault"));
        new VaultRateSource(dai, 1, GROWTH);
        vm.expectRevert(invalid("maxGrowthBpsPerDay"));
        new VaultRateSource(address(vault), 1, 0);
        vm.expectRevert(invalid("maxGrowthBpsPerDay"));
        new VaultRateSource(address(vault), 1, 1001);
        vm.expectRevert(invalid("minRateE18"));
        new VaultRateSource(address(vault), 0, GROWTH);
        vm.expectRevert(invalid("minRateE18"));
        new VaultRateSource(address(vault), 1e18 + 1, GROWTH);
    }

    function testFuzz_neverReverts(uint256 rate, uint32 elapsed) public {
        vm.warp(NOW + elapsed);
        bytes memory request = abi.encodeCall(IERC4626.convertToAssets, (1e6));
        vm.mockCall(address(vault), request, abi.encode(rate));
        (uint256 price,, uint8 status) = source.read();
        if (status == QuoteStatus.OK) {
            assertEq(price, rate * 1e12);
            assertGe(price, 0.99e18);
            assertLe(price, 1e18 + uint256(1e18) * GROWTH * elapsed / (10_000 * 1 days));
        } else {
            assertEq(price, 0);
            assertEq(status, QuoteStatus.OUT_OF_BOUNDS);
        }
    }
}
