// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDexRegistry} from "../src/interfaces/IDexRegistry.sol";
import {Managed} from "./support/Managed.sol";

contract DexRegistryTest is Managed {
    function setUp() public {
        deployManaged();
    }

    function test_venueComesBackAsItWentIn() public {
        IDexRegistry.Venue memory venue = IDexRegistry.Venue({
            name: "pancake-v3",
            kind: 2,
            factory: makeAddr("factory"),
            deployer: makeAddr("deployer"),
            initCodeHash: keccak256("init"),
            poolCodeHash: 0,
            feePips: 0,
            enabled: true
        });
        vm.expectEmit(address(dexes));
        emit IDexRegistry.VenueAdded(0, venue.name, 2, venue.factory);
        vm.expectEmit(address(dexes));
        emit IDexRegistry.VenueEnabled(0);
        vm.prank(curator);
        assertEq(dexes.addVenue(venue), 0);
        assertEq(abi.encode(dexes.venueAt(0)), abi.encode(venue));
        assertEq(dexes.venueCount(), 1);
    }

    function test_enableAndDisable() public {
        _add("a");
        vm.expectEmit(address(dexes));
        emit IDexRegistry.VenueDisabled(0);
        vm.prank(guardian);
        dexes.disableVenue(0);
        assertFalse(dexes.venueAt(0).enabled);
        vm.startPrank(curator);
        dexes.setVenueEnabled(0, true);
        assertTrue(dexes.venueAt(0).enabled);
        dexes.setVenueEnabled(0, false);
        assertFalse(dexes.venueAt(0).enabled);
        vm.stopPrank();
    }

    function test_unknownVenue() public {
        _add("a");
        bytes memory refusal = abi.encodeWithSelector(IDexRegistry.UnknownVenue.selector, 1);
        vm.expectRevert(refusal);
        dexes.venueAt(1);
        vm.expectRevert(refusal);
        vm.prank(guardian);
        dexes.disableVenue(1);
        vm.expectRevert(refusal);
        vm.prank(curator);
        dexes.setVenueEnabled(1, true);
    }

    function test_sameNameOrFactoryIsRefused() public {
        _add("a");
        _refuse(
            v2Venue("a", makeAddr("other")),
            abi.encodeWithSelector(IDexRegistry.VenueExists.selector, "a", makeAddr("other"))
        );
        _refuse(
            v2Venue("b", makeAddr("a")),
            abi.encodeWithSelector(IDexRegistry.VenueExists.selector, "b", makeAddr("a"))
        );
    }

    function test_everyFieldIsChecked() public {
        IDexRegistry.Venue memory venue = v2Venue("", makeAddr("f"));
        _invalid(venue, "name");
        venue.name = string(new bytes(65));
        _invalid(venue, "name");
        venue = v2Venue("v", makeAddr("f"));
        venue.kind = 0;
        _invalid(venue, "kind");
        venue.kind = 3;
        _invalid(venue, "kind");
        // A pool kind without a fixed fee.
        venue.kind = 2;
        _invalid(venue, "feePips");
        venue = v2Venue("v", makeAddr("f"));
        venue.feePips = 0;
        _invalid(venue, "feePips");
        venue.feePips = 1_000_000;
        _invalid(venue, "feePips");
        venue = v2Venue("v", address(0));
        _invalid(venue, "factory");
        venue = v2Venue("v", makeAddr("f"));
        venue.deployer = address(0);
        _invalid(venue, "deployer");
        venue = v2Venue("v", makeAddr("f"));
        venue.initCodeHash = 0;
        _invalid(venue, "initCodeHash");
        assertEq(dexes.venueCount(), 0);
    }

    function testFuzz_pages(uint256 count, uint256 offset, uint256 limit) public {
        count = bound(count, 0, 12);
        for (uint256 i = 0; i < count; i++) {
            _add(vm.toString(i));
        }
        IDexRegistry.Venue[] memory page = dexes.venues(offset, limit);
        uint256 left = offset < count ? count - offset : 0;
        assertEq(page.length, limit < left ? limit : left);
        for (uint256 i = 0; i < page.length; i++) {
            assertEq(page[i].name, vm.toString(offset + i));
        }
    }

    function test_router() public {
        assertEq(dexes.router(), address(0));
        vm.startPrank(upgrader);
        vm.expectEmit(address(dexes));
        emit IDexRegistry.RouterChanged(address(0), address(this));
        dexes.setRouter(address(this));
        assertEq(dexes.router(), address(this));
        vm.expectRevert(abi.encodeWithSelector(IDexRegistry.NotAContract.selector, makeAddr("nobody")));
        dexes.setRouter(makeAddr("nobody"));
        dexes.setRouter(address(0));
        assertEq(dexes.router(), address(0));
        vm.stopPrank();
    }

    function test_emergencyStop() public {
        assertFalse(dexes.stopped());
        vm.expectEmit(address(dexes));
        emit IDexRegistry.EmergencyStopped(guardian);
        vm.prank(guardian);
        dexes.emergencyStop();
        assertTrue(dexes.stopped());
        vm.expectEmit(address(dexes));
        emit IDexRegistry.Resumed(admin);
        vm.prank(admin);
        dexes.resume();
        assertFalse(dexes.stopped());
    }

    function _add(string memory name) private {
        vm.prank(curator);
        dexes.addVenue(v2Venue(name, makeAddr(name)));
    }

    function _invalid(IDexRegistry.Venue memory venue, string memory field) private {
        _refuse(venue, abi.encodeWithSelector(IDexRegistry.InvalidVenue.selector, field));
    }

    function _refuse(IDexRegistry.Venue memory venue, bytes memory refusal) private {
        vm.expectRevert(refusal);
        vm.prank(curator);
        dexes.addVenue(venue);
    }
}
