// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ChainlinkSource} from "../src/feeds/ChainlinkSource.sol";
import {IPriceFeedRegistry} from "../src/interfaces/IPriceFeedRegistry.sol";
import {WorldFeed} from "../world/WorldFeed.sol";
import {Managed} from "./support/Managed.sol";

/// @dev Newer than the published forge-std.
interface ICooling {
    function cool(address target) external;
}

/// @dev What the registries' calls cost, held to `contracts/snapshots/gas.json`: within 1 %, so that a change
/// shows and a compiler's whim does not.
contract RegistryGasTest is Managed {
    string private constant PATH = "contracts/snapshots/gas.json";

    function setUp() public {
        deployManaged();
        vm.warp(1_700_000_000);
    }

    function test_gasIsThatOfTheSnapshot() public {
        address base = makeAddr("base");
        address quote = address(0x348);
        WorldFeed origin = new WorldFeed(8, "", 2000e8);
        IPriceFeedRegistry.Feed memory feed;
        (feed.base, feed.quote, feed.minSources) = (base, quote, 1);
        feed.sources = new address[](1);
        feed.sources[0] = address(new ChainlinkSource(base, quote, address(origin), 0, 3600, 1, 1e20));

        _measure("addVenue", curator, address(dexes), abi.encodeCall(dexes.addVenue, (v2Venue("v", base))));
        _measure("disableVenue", guardian, address(dexes), abi.encodeCall(dexes.disableVenue, (0)));
        _measure("enableVenue", curator, address(dexes), abi.encodeCall(dexes.enableVenue, (0)));
        _measure("bar", guardian, address(dexes), abi.encodeCall(dexes.bar, (base)));
        _measure("setRouter", upgrader, address(dexes), abi.encodeCall(dexes.setRouter, (address(this))));
        _measure("emergencyStop", guardian, address(dexes), abi.encodeCall(dexes.emergencyStop, ()));
        _measure("resume", admin, address(dexes), abi.encodeCall(dexes.resume, ()));
        _measure("status", stranger, address(dexes), abi.encodeCall(dexes.status, ()));
        _measure("setFeed", curator, address(feeds), abi.encodeCall(feeds.setFeed, (feed)));
        _measure("tryQuote", stranger, address(feeds), abi.encodeCall(feeds.tryQuote, (base, quote)));
        _measure("removeFeed", guardian, address(feeds), abi.encodeCall(feeds.removeFeed, (base, quote)));
    }

    function _measure(string memory name, address caller, address target, bytes memory call) private {
        vm.prank(caller);
        // Each as if it were alone in its transaction.
        ICooling(address(vm)).cool(address(dexes));
        ICooling(address(vm)).cool(address(feeds));
        ICooling(address(vm)).cool(address(manager));
        uint256 before = gasleft();
        (bool ok,) = target.call(call);
        uint256 used = before - gasleft();
        assertTrue(ok, name);
        uint256 recorded = vm.parseJsonUint(vm.readFile(PATH), string.concat(".", name));
        assertApproxEqRel(used, recorded, 0.01e18, name);
    }
}
