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
            protocol: "uniswap-v3",
            factory: makeAddr("factory"),
            deployer: makeAddr("deployer"),
            initCodeHash: keccak256("init"),
            poolCodeHash: 0,
            feePips: 0,
            enabled: true
        });
        vm.expectEmit(address(dexes));
        emit IDexRegistry.VenueAdded(0, venue.name, "uniswap-v3", venue.factory);
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
        vm.expectEmit(address(dexes));
        emit IDexRegistry.VenueEnabled(0);
        vm.prank(curator);
        dexes.enableVenue(0);
        assertTrue(dexes.venueAt(0).enabled);
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
        dexes.enableVenue(1);
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
        venue.protocol = 0;
        _invalid(venue, "protocol");
        venue = v2Venue("v", makeAddr("f"));
        venue.feePips = 1_000_000;
        _invalid(venue, "feePips");
        venue = v2Venue("v", address(0));
        _invalid(venue, "factory");
        venue = v2Venue("v", makeAddr("f"));
        venue.deployer = address(0);
        _invalid(venue, "deployer");
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
        vm.expectRevert(abi.encodeWithSelector(IDexRegistry.NotAContract.selector, address(0)));
        dexes.setRouter(address(0));
        vm.stopPrank();
        vm.expectEmit(address(dexes));
        emit IDexRegistry.RouterChanged(address(this), address(0));
        vm.prank(guardian);
        dexes.clearRouter();
        assertEq(dexes.router(), address(0));
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

    function test_barring() public {
        address pool = makeAddr("pool");
        vm.startPrank(guardian);
        vm.expectEmit(address(dexes));
        emit IDexRegistry.Barred(pool);
        dexes.bar(pool);
        vm.recordLogs();
        dexes.bar(pool);
        assertEq(vm.getRecordedLogs().length, 0);
        vm.stopPrank();
        assertTrue(dexes.isBarred(pool));
        vm.expectEmit(address(dexes));
        emit IDexRegistry.Unbarred(pool);
        vm.startPrank(curator);
        dexes.unbar(pool);
        dexes.unbar(pool);
        vm.stopPrank();
        assertFalse(dexes.isBarred(pool));
        assertEq(dexes.barredCount(), 0);
    }

    function testFuzz_barredPages(uint256 count, uint256 offset, uint256 limit) public {
        count = bound(count, 0, 12);
        for (uint256 i = 1; i <= count; i++) {
            vm.prank(guardian);
            dexes.bar(address(uint160(i)));
        }
        address[] memory page = dexes.barredPage(offset, limit);
        uint256 left = offset < count ? count - offset : 0;
        assertEq(page.length, limit < left ? limit : left);
        for (uint256 i = 0; i < page.length; i++) {
            assertEq(page[i], address(uint160(offset + i + 1)));
        }
    }

    function test_statusAndRevision() public {
        _add("a");
        _revision(1);
        vm.startPrank(guardian);
        dexes.disableVenue(0);
        _revision(2);
        dexes.bar(address(this));
        _revision(3);
        dexes.bar(address(this));
        dexes.emergencyStop();
        vm.stopPrank();
        _revision(3);
        vm.startPrank(curator);
        dexes.enableVenue(0);
        _revision(4);
        dexes.unbar(address(this));
        vm.stopPrank();
        vm.prank(upgrader);
        dexes.setRouter(address(this));
        (bool stopped, address router, uint256 revision) = dexes.status();
        assertTrue(stopped);
        assertEq(router, address(this));
        assertEq(revision, 5);
    }

    function _revision(uint256 wanted) private view {
        (,, uint256 revision) = dexes.status();
        assertEq(revision, wanted);
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
