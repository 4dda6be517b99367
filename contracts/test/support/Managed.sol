// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DexRegistry} from "../../src/DexRegistry.sol";
import {PriceFeedRegistry} from "../../src/PriceFeedRegistry.sol";
import {IDexRegistry} from "../../src/interfaces/IDexRegistry.sol";
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Test} from "forge-std/Test.sol";

/// @dev Both registries behind their proxies, with the roles that the deployment script gives out.
abstract contract Managed is Test {
    uint64 internal constant CURATOR = 1;
    uint64 internal constant GUARDIAN = 2;
    uint64 internal constant OPERATOR = 3;
    uint64 internal constant UPGRADER = 4;

    address internal admin = makeAddr("admin");
    address internal curator = makeAddr("curator");
    address internal guardian = makeAddr("guardian");
    address internal operator = makeAddr("operator");
    address internal upgrader = makeAddr("upgrader");
    address internal stranger = makeAddr("stranger");

    AccessManager internal manager;
    DexRegistry internal dexes;
    PriceFeedRegistry internal feeds;

    /// @dev Everybody may act at once.
    function deployManaged() internal {
        deployManaged(0, 0, 0);
    }

    /// @dev Delays in seconds.
    function deployManaged(uint32 adminDelay, uint32 upgradeDelay, uint32 curatorDelay) internal {
        manager = new AccessManager(address(this));
        bytes memory initialise = abi.encodeCall(DexRegistry.initialize, (address(manager)));
        dexes = DexRegistry(address(new ERC1967Proxy(address(new DexRegistry()), initialise)));
        feeds = PriceFeedRegistry(address(new ERC1967Proxy(address(new PriceFeedRegistry()), initialise)));

        _allow(address(dexes), DexRegistry.addVenue.selector, CURATOR);
        _allow(address(dexes), DexRegistry.enableVenue.selector, CURATOR);
        _allow(address(dexes), DexRegistry.unbar.selector, CURATOR);
        _allow(address(dexes), DexRegistry.disableVenue.selector, GUARDIAN);
        _allow(address(dexes), DexRegistry.bar.selector, GUARDIAN);
        _allow(address(dexes), DexRegistry.clearRouter.selector, GUARDIAN);
        _allow(address(dexes), DexRegistry.emergencyStop.selector, GUARDIAN);
        _allow(address(dexes), DexRegistry.setRouter.selector, UPGRADER);
        _allow(address(dexes), dexes.upgradeToAndCall.selector, UPGRADER);
        _allow(address(feeds), PriceFeedRegistry.setFeed.selector, CURATOR);
        _allow(address(feeds), PriceFeedRegistry.removeFeed.selector, GUARDIAN);
        _allow(address(feeds), PriceFeedRegistry.removeSource.selector, GUARDIAN);
        _allow(address(feeds), feeds.upgradeToAndCall.selector, UPGRADER);
        manager.setRoleGuardian(CURATOR, GUARDIAN);
        manager.setRoleGuardian(UPGRADER, GUARDIAN);
        manager.grantRole(CURATOR, curator, curatorDelay);
        manager.grantRole(GUARDIAN, guardian, 0);
        manager.grantRole(OPERATOR, operator, 0);
        manager.grantRole(UPGRADER, upgrader, upgradeDelay);
        manager.grantRole(manager.ADMIN_ROLE(), admin, adminDelay);
        manager.renounceRole(manager.ADMIN_ROLE(), address(this));
    }

    function v2Venue(string memory name, address factory) internal pure returns (IDexRegistry.Venue memory) {
        return IDexRegistry.Venue(
            name, "uniswap-v2", factory, factory, bytes32("init"), bytes32("pool"), 3000, true
        );
    }

    function _allow(address target, bytes4 selector, uint64 role) private {
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = selector;
        manager.setTargetFunctionRole(target, selectors, role);
    }
}
