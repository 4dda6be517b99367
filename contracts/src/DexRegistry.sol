// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDexRegistry} from "./interfaces/IDexRegistry.sol";
import {
    AccessManagedUpgradeable
} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";

/// @title The venues the engine knows and what it must leave alone, behind a proxy
/// @notice Every function that changes something is restricted by the AccessManager this was initialised with.
contract DexRegistry is IDexRegistry, AccessManagedUpgradeable, UUPSUpgradeable {
    using EnumerableSet for EnumerableSet.AddressSet;

    /// @custom:storage-location erc7201:roundtrip.storage.DexRegistry
    struct DexRegistryStorage {
        Venue[] venues;
        mapping(bytes32 nameHash => bool) nameTaken;
        mapping(address factory => bool) factoryTaken;
        EnumerableSet.AddressSet barred;
        address router;
        bool stopped;
        uint64 revision;
    }

    /// @dev keccak256(abi.encode(uint256(keccak256("roundtrip.storage.DexRegistry")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORAGE = 0x726e2e052a36dc8e406bbccae9c8b0320daf43de4c948b73ec59e2f936e77900;

    uint24 private constant ONE_PIPS = 1_000_000;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Put the registry under an AccessManager; once, by the proxy's constructor.
    function initialize(address authority_) external initializer {
        __AccessManaged_init(authority_);
    }

    /// @inheritdoc IDexRegistry
    function addVenue(Venue calldata venue) external restricted returns (uint256 id) {
        _validate(venue);
        DexRegistryStorage storage $ = _storage();
        bytes32 nameHash = keccak256(bytes(venue.name));
        if ($.nameTaken[nameHash] || $.factoryTaken[venue.factory]) {
            revert VenueExists(venue.name, venue.factory);
        }
        $.nameTaken[nameHash] = true;
        $.factoryTaken[venue.factory] = true;
        id = $.venues.length;
        $.venues.push(venue);
        $.revision++;
        emit VenueAdded(id, venue.name, venue.protocol, venue.factory);
        if (venue.enabled) emit VenueEnabled(id);
    }

    /// @inheritdoc IDexRegistry
    function enableVenue(uint256 id) external restricted {
        _venue(id).enabled = true;
        _storage().revision++;
        emit VenueEnabled(id);
    }

    /// @inheritdoc IDexRegistry
    function disableVenue(uint256 id) external restricted {
        _venue(id).enabled = false;
        _storage().revision++;
        emit VenueDisabled(id);
    }

    /// @inheritdoc IDexRegistry
    function bar(address account) external restricted {
        if (!_storage().barred.add(account)) return;
        _storage().revision++;
        emit Barred(account);
    }

    /// @inheritdoc IDexRegistry
    function unbar(address account) external restricted {
        if (!_storage().barred.remove(account)) return;
        _storage().revision++;
        emit Unbarred(account);
    }

    /// @inheritdoc IDexRegistry
    function setRouter(address router_) external restricted {
        if (router_.code.length == 0) revert NotAContract(router_);
        _setRouter(router_);
    }

    /// @inheritdoc IDexRegistry
    function clearRouter() external restricted {
        _setRouter(address(0));
    }

    /// @inheritdoc IDexRegistry
    function emergencyStop() external restricted {
        _storage().stopped = true;
        emit EmergencyStopped(msg.sender);
    }

    /// @inheritdoc IDexRegistry
    function resume() external restricted {
        _storage().stopped = false;
        emit Resumed(msg.sender);
    }

    /// @inheritdoc IDexRegistry
    function status() external view returns (bool stopped_, address router_, uint256 revision_) {
        DexRegistryStorage storage $ = _storage();
        return ($.stopped, $.router, $.revision);
    }

    /// @inheritdoc IDexRegistry
    function venueCount() external view returns (uint256) {
        return _storage().venues.length;
    }

    /// @inheritdoc IDexRegistry
    function venueAt(uint256 id) external view returns (Venue memory) {
        return _venue(id);
    }

    /// @inheritdoc IDexRegistry
    function venues(uint256 offset, uint256 limit) external view returns (Venue[] memory page) {
        Venue[] storage all = _storage().venues;
        uint256 left = offset < all.length ? all.length - offset : 0;
        page = new Venue[](limit < left ? limit : left);
        for (uint256 i = 0; i < page.length; i++) {
            page[i] = all[offset + i];
        }
    }

    /// @inheritdoc IDexRegistry
    function barredCount() external view returns (uint256) {
        return _storage().barred.length();
    }

    /// @inheritdoc IDexRegistry
    function barredPage(uint256 offset, uint256 limit) external view returns (address[] memory page) {
        uint256 count = _storage().barred.length();
        uint256 start = offset < count ? offset : count;
        return _storage().barred.values(start, limit < count - start ? start + limit : count);
    }

    /// @inheritdoc IDexRegistry
    function isBarred(address account) external view returns (bool) {
        return _storage().barred.contains(account);
    }

    /// @inheritdoc IDexRegistry
    function router() external view returns (address) {
        return _storage().router;
    }

    /// @inheritdoc IDexRegistry
    function stopped() external view returns (bool) {
        return _storage().stopped;
    }

    function _authorizeUpgrade(address) internal override restricted {}

    function _setRouter(address router_) private {
        DexRegistryStorage storage $ = _storage();
        emit RouterChanged($.router, router_);
        $.router = router_;
    }

    function _venue(uint256 id) private view returns (Venue storage) {
        Venue[] storage all = _storage().venues;
        if (id >= all.length) revert UnknownVenue(id);
        return all[id];
    }

    function _validate(Venue calldata venue) private pure {
        if (bytes(venue.name).length == 0 || bytes(venue.name).length > 64) revert InvalidVenue("name");
        if (venue.protocol == 0) revert InvalidVenue("protocol");
        if (venue.factory == address(0)) revert InvalidVenue("factory");
        if (venue.deployer == address(0)) revert InvalidVenue("deployer");
        if (venue.feePips >= ONE_PIPS) revert InvalidVenue("feePips");
    }

    function _storage() private pure returns (DexRegistryStorage storage $) {
        assembly ("memory-safe") {
            $.slot := STORAGE
        }
    }
}
