// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DexRegistry} from "../src/DexRegistry.sol";
import {PriceFeedRegistry} from "../src/PriceFeedRegistry.sol";
import {IPriceFeedRegistry} from "../src/interfaces/IPriceFeedRegistry.sol";
import {Managed} from "./support/Managed.sol";
import {StatedSource} from "./support/StatedSource.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";

/// @dev Every external function of both registries, as every role: one may (at once, or after its delay and an
/// announcement), the others may not. What there is to call is read from the compiled contracts.
contract RolesTest is Managed {
    enum Rule {
        Anyone,
        Nobody,
        Role
    }

    struct Row {
        address target;
        bytes call;
        Rule rule;
        address allowed;
        bytes4 refusal;
    }

    uint32 private constant ADMIN_DELAY = 2 days;
    uint32 private constant UPGRADE_DELAY = 2 days;
    uint32 private constant CURATOR_DELAY = 12 hours;

    Row[] private _table;
    mapping(address target => mapping(bytes4 selector => bool)) private _covered;
    address private _base = makeAddr("base");
    address private _quote = makeAddr("quote");
    address private _source;

    function setUp() public {
        deployManaged(ADMIN_DELAY, UPGRADE_DELAY, CURATOR_DELAY);
        _source = address(new StatedSource(_base, _quote));
        _announced(curator, address(dexes), abi.encodeCall(dexes.addVenue, (v2Venue("a", makeAddr("a")))));
        _announced(curator, address(feeds), abi.encodeCall(feeds.setFeed, (_feed())));
        _dexRows(address(dexes));
        _feedRows(address(feeds));
    }

    function test_everyFunctionAsEveryRole() public {
        address[7] memory callers = [admin, curator, guardian, operator, upgrader, stranger, address(this)];
        for (uint256 i = 0; i < _table.length; i++) {
            for (uint256 j = 0; j < callers.length; j++) {
                uint256 start = vm.snapshotState();
                _check(_table[i], callers[j]);
                vm.revertToState(start);
            }
        }
    }

    /// @dev A new function cannot be forgotten: the compiler's list of functions is the list of rows.
    function test_tableIsComplete() public view {
        _complete("DexRegistry", address(dexes));
        _complete("PriceFeedRegistry", address(feeds));
    }

    function testFuzz_strangers(address caller, uint256 index) public {
        vm.assume(caller != admin && caller != curator && caller != guardian && caller != upgrader);
        vm.assume(caller != address(0) && caller != address(manager));
        Row memory row = _table[bound(index, 0, _table.length - 1)];
        _check(row, caller);
    }

    /// @dev What adds risk waits; what removes it does not; whoever deployed is nobody.
    function test_delays() public view {
        _delay(0, admin, true, ADMIN_DELAY);
        _delay(UPGRADER, upgrader, true, UPGRADE_DELAY);
        _delay(CURATOR, curator, true, CURATOR_DELAY);
        _delay(GUARDIAN, guardian, true, 0);
        _delay(0, address(this), false, 0);
    }

    function test_guardianCancelsWhatWasAnnounced() public {
        bytes memory call = abi.encodeCall(dexes.setRouter, (address(this)));
        vm.prank(upgrader);
        manager.schedule(address(dexes), call, 0);
        vm.prank(guardian);
        manager.cancel(upgrader, address(dexes), call);
        vm.warp(block.timestamp + UPGRADE_DELAY);
        vm.expectRevert();
        vm.prank(upgrader);
        dexes.setRouter(address(this));
    }

    function test_announcementsExpire() public {
        bytes memory call = abi.encodeCall(dexes.setRouter, (address(this)));
        vm.prank(upgrader);
        manager.schedule(address(dexes), call, 0);
        vm.warp(block.timestamp + UPGRADE_DELAY + manager.expiration());
        vm.expectPartialRevert(IAccessManager.AccessManagerExpired.selector);
        vm.prank(upgrader);
        dexes.setRouter(address(this));
    }

    function test_roleTakenAwayIsGone() public {
        _announced(admin, address(manager), abi.encodeCall(manager.revokeRole, (GUARDIAN, guardian)));
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, guardian));
        vm.prank(guardian);
        dexes.emergencyStop();
    }

    /// @dev Nobody gives out a role, not even the administrator, without announcing it first.
    function test_rolesAreGivenOutAfterTheDelayOnly() public {
        address[6] memory callers = [admin, curator, guardian, operator, upgrader, stranger];
        for (uint256 i = 0; i < callers.length; i++) {
            vm.prank(callers[i]);
            vm.expectRevert();
            manager.grantRole(UPGRADER, stranger, 0);
        }
        _announced(admin, address(manager), abi.encodeCall(manager.grantRole, (UPGRADER, stranger, 0)));
        (bool held,) = manager.hasRole(UPGRADER, stranger);
        assertTrue(held);
    }

    function _dexRows(address d) private {
        _role(d, abi.encodeCall(dexes.addVenue, (v2Venue("second", makeAddr("second")))), curator);
        _role(d, abi.encodeCall(dexes.enableVenue, (0)), curator);
        _role(d, abi.encodeCall(dexes.unbar, (_base)), curator);
        _role(d, abi.encodeCall(dexes.disableVenue, (0)), guardian);
        _role(d, abi.encodeCall(dexes.bar, (_base)), guardian);
        _role(d, abi.encodeCall(dexes.clearRouter, ()), guardian);
        _role(d, abi.encodeCall(dexes.emergencyStop, ()), guardian);
        _role(d, abi.encodeCall(dexes.resume, ()), admin);
        _role(d, abi.encodeCall(dexes.setRouter, (address(this))), upgrader);
        _role(d, abi.encodeCall(dexes.upgradeToAndCall, (address(new DexRegistry()), "")), upgrader);
        _anyone(d, abi.encodeCall(dexes.status, ()));
        _anyone(d, abi.encodeCall(dexes.venueCount, ()));
        _anyone(d, abi.encodeCall(dexes.venueAt, (0)));
        _anyone(d, abi.encodeCall(dexes.venues, (0, 5)));
        _anyone(d, abi.encodeCall(dexes.barredCount, ()));
        _anyone(d, abi.encodeCall(dexes.barredPage, (0, 5)));
        _anyone(d, abi.encodeCall(dexes.isBarred, (_base)));
        _anyone(d, abi.encodeCall(dexes.router, ()));
        _anyone(d, abi.encodeCall(dexes.stopped, ()));
        _inherited(d);
    }

    function _feedRows(address f) private {
        _role(f, abi.encodeCall(feeds.setFeed, (_feed())), curator);
        _role(f, abi.encodeCall(feeds.removeFeed, (_base, _quote)), guardian);
        _role(f, abi.encodeCall(feeds.removeSource, (_base, _quote, _source)), guardian);
        _role(f, abi.encodeCall(feeds.upgradeToAndCall, (address(new PriceFeedRegistry()), "")), upgrader);
        _anyone(f, abi.encodeCall(feeds.tryQuote, (_base, _quote)));
        _anyone(f, abi.encodeCall(feeds.quoteStrict, (_base, _quote)));
        _anyone(f, abi.encodeCall(feeds.feedCount, ()));
        _anyone(f, abi.encodeCall(feeds.feeds, (0, 5)));
        _anyone(f, abi.encodeCall(feeds.feedOf, (_base, _quote)));
        _inherited(f);
    }

    function _inherited(address target) private {
        _anyone(target, abi.encodeCall(dexes.authority, ()));
        _anyone(target, abi.encodeCall(dexes.isConsumingScheduledOp, ()));
        _anyone(target, abi.encodeWithSignature("UPGRADE_INTERFACE_VERSION()"));
        bytes memory initialise = abi.encodeCall(dexes.initialize, (stranger));
        _nobody(target, initialise, Initializable.InvalidInitialization.selector);
        bytes memory elsewhere = abi.encodeCall(dexes.setAuthority, (stranger));
        _nobody(target, elsewhere, IAccessManaged.AccessManagedUnauthorized.selector);
        // Answers for the implementation only, which is what makes it an implementation.
        bytes memory uuid = abi.encodeWithSignature("proxiableUUID()");
        _nobody(target, uuid, bytes4(keccak256("UUPSUnauthorizedCallContext()")));
    }

    function _feed() private view returns (IPriceFeedRegistry.Feed memory feed) {
        (feed.base, feed.quote, feed.minSources) = (_base, _quote, 1);
        feed.sources = new address[](1);
        feed.sources[0] = _source;
    }

    function _role(address target, bytes memory call, address allowed) private {
        _add(Row(target, call, Rule.Role, allowed, IAccessManaged.AccessManagedUnauthorized.selector));
    }

    function _anyone(address target, bytes memory call) private {
        _add(Row(target, call, Rule.Anyone, address(0), 0));
    }

    function _nobody(address target, bytes memory call, bytes4 refusal) private {
        _add(Row(target, call, Rule.Nobody, address(0), refusal));
    }

    function _add(Row memory row) private {
        _table.push(row);
        _covered[row.target][bytes4(row.call)] = true;
    }

    function _check(Row memory row, address caller) private {
        string memory what = string.concat(vm.toString(row.call), " as ", vm.getLabel(caller));
        if (row.rule == Rule.Role && caller == row.allowed) return _checkAllowed(row, what);
        vm.prank(caller);
        (bool ok, bytes memory returned) = row.target.call(row.call);
        assertEq(ok, row.rule == Rule.Anyone, what);
        if (!ok) assertEq(bytes4(returned), row.refusal, what);
    }

    function _checkAllowed(Row memory row, string memory what) private {
        uint256 delay = _delayOf(row.allowed);
        if (delay > 0) {
            vm.prank(row.allowed);
            (bool early,) = row.target.call(row.call);
            assertFalse(early, what);
            vm.prank(row.allowed);
            manager.schedule(row.target, row.call, 0);
            vm.warp(block.timestamp + delay - 1);
            vm.prank(row.allowed);
            (early,) = row.target.call(row.call);
            assertFalse(early, what);
            vm.warp(block.timestamp + 1);
        }
        vm.prank(row.allowed);
        (bool ok,) = row.target.call(row.call);
        assertTrue(ok, what);
    }

    function _announced(address caller, address target, bytes memory call) private {
        vm.prank(caller);
        manager.schedule(target, call, 0);
        vm.warp(block.timestamp + _delayOf(caller));
        vm.prank(caller);
        manager.execute(target, call);
    }

    function _delayOf(address caller) private view returns (uint256) {
        if (caller == admin) return ADMIN_DELAY;
        if (caller == upgrader) return UPGRADE_DELAY;
        return caller == curator ? CURATOR_DELAY : 0;
    }

    function _delay(uint64 role, address account, bool held, uint32 delay) private view {
        (bool isMember, uint32 executionDelay) = manager.hasRole(role, account);
        assertEq(isMember, held);
        assertEq(executionDelay, delay);
    }

    function _complete(string memory name, address target) private view {
        string memory json = vm.readFile(string.concat("out/", name, ".sol/", name, ".json"));
        string[] memory signatures = vm.parseJsonKeys(json, ".methodIdentifiers");
        uint256 rows;
        for (uint256 i = 0; i < _table.length; i++) {
            if (_table[i].target == target) rows++;
        }
        assertEq(signatures.length, rows, name);
        for (uint256 i = 0; i < signatures.length; i++) {
            assertTrue(_covered[target][bytes4(keccak256(bytes(signatures[i])))], signatures[i]);
        }
    }
}
