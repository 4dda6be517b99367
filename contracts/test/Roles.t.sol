// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DexRegistry} from "../src/DexRegistry.sol";
import {PriceFeedRegistry} from "../src/PriceFeedRegistry.sol";
import {WorldFeed} from "../world/WorldFeed.sol";
import {Managed} from "./support/Managed.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

/// @dev Every function that changes something, as every role: one may, the others may not.
contract RolesTest is Managed {
    struct Restricted {
        address target;
        bytes call;
        address allowed;
    }

    Restricted[] private _table;
    address private _base = makeAddr("base");
    address private _quote = makeAddr("quote");

    function setUp() public {
        deployManaged();
        address aggregator = address(new WorldFeed(8, "", 1e8));
        vm.startPrank(curator);
        dexes.addVenue(v2Venue("first", makeAddr("first")));
        feeds.setFeed(_base, _quote, aggregator, 60, 1, 1e12);
        vm.stopPrank();

        address d = address(dexes);
        address f = address(feeds);
        _add(d, abi.encodeCall(dexes.addVenue, (v2Venue("second", makeAddr("second")))), curator);
        _add(d, abi.encodeCall(dexes.setVenueEnabled, (0, true)), curator);
        _add(d, abi.encodeCall(dexes.disableVenue, (0)), guardian);
        _add(d, abi.encodeCall(dexes.emergencyStop, ()), guardian);
        _add(d, abi.encodeCall(dexes.resume, ()), admin);
        _add(d, abi.encodeCall(dexes.setRouter, (address(this))), upgrader);
        _add(d, abi.encodeCall(dexes.upgradeToAndCall, (address(new DexRegistry()), "")), upgrader);
        _add(f, abi.encodeCall(feeds.setFeed, (_base, _quote, aggregator, 60, 1, 1e12)), curator);
        _add(f, abi.encodeCall(feeds.removeFeed, (_base, _quote)), guardian);
        _add(f, abi.encodeCall(feeds.upgradeToAndCall, (address(new PriceFeedRegistry()), "")), upgrader);
    }

    function test_everyFunctionAsEveryRole() public {
        address[6] memory callers = [admin, curator, guardian, operator, upgrader, stranger];
        for (uint256 i = 0; i < _table.length; i++) {
            for (uint256 j = 0; j < callers.length; j++) {
                uint256 start = vm.snapshotState();
                _check(_table[i], callers[j]);
                vm.revertToState(start);
            }
        }
    }

    /// @dev The table has a row for each function that is not a view, so that a new one cannot be forgotten.
    function test_tableIsComplete() public view {
        assertEq(_changing("DexRegistry"), _rows(address(dexes)));
        assertEq(_changing("PriceFeedRegistry"), _rows(address(feeds)));
    }

    function testFuzz_strangers(address caller, uint256 row) public {
        vm.assume(
            caller != address(0) && caller != admin && caller != curator && caller != guardian
                && caller != upgrader && caller != address(manager)
        );
        Restricted memory one = _table[bound(row, 0, _table.length - 1)];
        one.allowed = address(0);
        _check(one, caller);
    }

    function test_roleTakenAwayIsGone() public {
        vm.prank(admin);
        manager.revokeRole(GUARDIAN, guardian);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, guardian));
        vm.prank(guardian);
        dexes.emergencyStop();
    }

    /// @dev The administrator can put a delay on a role; what adds risk then has to be announced.
    function test_curatorWithDelayMustSchedule() public {
        vm.startPrank(admin);
        manager.grantRole(CURATOR, stranger, 1 hours);
        vm.stopPrank();
        bytes memory call = abi.encodeCall(dexes.addVenue, (v2Venue("slow", makeAddr("slow"))));
        vm.startPrank(stranger);
        (bool tooEarly,) = address(dexes).call(call);
        assertFalse(tooEarly);
        manager.schedule(address(dexes), call, 0);
        vm.warp(block.timestamp + 1 hours);
        (bool inTime,) = address(dexes).call(call);
        assertTrue(inTime);
        vm.stopPrank();
    }

    function _add(address target, bytes memory call, address allowed) private {
        _table.push(Restricted(target, call, allowed));
    }

    function _check(Restricted memory one, address caller) private {
        vm.prank(caller);
        (bool ok, bytes memory returned) = one.target.call(one.call);
        if (caller == one.allowed) {
            assertTrue(ok, vm.toString(one.call));
        } else {
            assertFalse(ok, vm.toString(one.call));
            assertEq(
                returned, abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller)
            );
        }
    }

    function _rows(address target) private view returns (uint256 count) {
        for (uint256 i = 0; i < _table.length; i++) {
            if (_table[i].target == target) count++;
        }
    }

    /// @dev Functions that change something, without the two that guard themselves (initialize, setAuthority).
    function _changing(string memory name) private view returns (uint256 count) {
        string memory json = vm.readFile(string.concat("out/", name, ".sol/", name, ".json"));
        for (uint256 i = 0; vm.keyExistsJson(json, _at(i, "type")); i++) {
            if (!_is(json, _at(i, "type"), "function")) continue;
            string memory mutability = vm.parseJsonString(json, _at(i, "stateMutability"));
            if (_same(mutability, "view") || _same(mutability, "pure")) continue;
            if (_is(json, _at(i, "name"), "initialize") || _is(json, _at(i, "name"), "setAuthority")) {
                continue;
            }
            count++;
        }
    }

    function _at(uint256 index, string memory field) private pure returns (string memory) {
        return string.concat(".abi[", vm.toString(index), "].", field);
    }

    function _is(string memory json, string memory key, string memory value) private pure returns (bool) {
        return _same(vm.parseJsonString(json, key), value);
    }

    function _same(string memory a, string memory b) private pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }
}
