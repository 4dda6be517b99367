// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DexRegistry} from "../src/DexRegistry.sol";
import {PriceFeedRegistry} from "../src/PriceFeedRegistry.sol";
import {DexRegistryNext} from "../world/DexRegistryNext.sol";
import {Managed} from "./support/Managed.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";

/// @dev The proxies: initialised once, upgraded by the upgrader only, storage where ERC-7201 says.
contract UpgradesTest is Managed {
    function setUp() public {
        deployManaged();
    }

    function test_implementationsCannotBeInitialised() public {
        DexRegistry dex = new DexRegistry();
        PriceFeedRegistry feed = new PriceFeedRegistry();
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        dex.initialize(address(this));
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        feed.initialize(address(this));
    }

    function test_proxiesCannotBeInitialisedAgain() public {
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        dexes.initialize(stranger);
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        feeds.initialize(stranger);
        assertEq(dexes.authority(), address(manager));
        assertEq(feeds.authority(), address(manager));
    }

    function test_proxyWithoutInitialisationIsRefused() public {
        DexRegistry implementation = new DexRegistry();
        vm.expectRevert(ERC1967Proxy.ERC1967ProxyUninitialized.selector);
        new ERC1967Proxy(address(implementation), "");
    }

    function test_upgradeKeepsStateAndAddsCode() public {
        vm.prank(curator);
        dexes.addVenue(v2Venue("kept", makeAddr("kept")));
        address next = address(new DexRegistryNext());
        vm.prank(upgrader);
        dexes.upgradeToAndCall(next, "");
        assertEq(DexRegistryNext(address(dexes)).generation(), 2);
        assertEq(dexes.venueAt(0).name, "kept");
        assertEq(dexes.authority(), address(manager));
        bytes32 word = vm.load(address(dexes), ERC1967Utils.IMPLEMENTATION_SLOT);
        assertEq(address(uint160(uint256(word))), next);
    }

    function test_upgradeToSomethingElseIsRefused() public {
        address[2] memory wrong = [makeAddr("nobody"), address(manager)];
        for (uint256 i = 0; i < wrong.length; i++) {
            vm.prank(upgrader);
            vm.expectRevert();
            dexes.upgradeToAndCall(wrong[i], "");
        }
        // A proxy is no implementation either.
        vm.prank(upgrader);
        vm.expectRevert();
        dexes.upgradeToAndCall(address(feeds), "");
    }

    function test_implementationCannotBeUpgradedItself() public {
        DexRegistry implementation = new DexRegistry();
        address next = address(new DexRegistryNext());
        vm.expectRevert(UUPSUpgradeable.UUPSUnauthorizedCallContext.selector);
        implementation.upgradeToAndCall(next, "");
    }

    function test_storageIsWhereItIsNamed() public {
        vm.prank(upgrader);
        dexes.setRouter(address(this));
        // The array's length, two mappings, a set's array and mapping, then the router.
        bytes32 slot = bytes32(uint256(_namespace("roundtrip.storage.DexRegistry")) + 5);
        assertEq(address(uint160(uint256(vm.load(address(dexes), slot)))), address(this));
        vm.prank(curator);
        dexes.addVenue(v2Venue("first", makeAddr("first")));
        assertEq(uint256(vm.load(address(dexes), _namespace("roundtrip.storage.DexRegistry"))), 1);
        assertEq(uint256(vm.load(address(feeds), _namespace("roundtrip.storage.PriceFeedRegistry"))), 0);
    }

    function _namespace(string memory id) private pure returns (bytes32) {
        return keccak256(abi.encode(uint256(keccak256(bytes(id))) - 1)) & ~bytes32(uint256(0xff));
    }
}
