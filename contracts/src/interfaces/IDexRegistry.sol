// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Which venues are known and enabled, and which router is the current one
interface IDexRegistry {
    /// @notice A protocol deployed by one factory.
    /// @param name What people call it; unique in the registry.
    /// @param kind 1 for constant-product (V2-type), 2 for concentrated liquidity (V3-type).
    /// @param factory The contract that announces pools.
    /// @param deployer The CREATE2 deployer of pools; the factory itself unless the protocol splits the two.
    /// @param initCodeHash keccak256 of the pools' creation code; proves a pool's provenance by CREATE2.
    /// @param poolCodeHash keccak256 of the pools' runtime code where all share it, else zero.
    /// @param feePips The fixed fee of a V2-type venue in 1e-6 of the input; zero where pools have their own.
    /// @param enabled Whether the engine may trade there.
    struct Venue {
        string name;
        uint8 kind;
        address factory;
        address deployer;
        bytes32 initCodeHash;
        bytes32 poolCodeHash;
        uint24 feePips;
        bool enabled;
    }

    event VenueAdded(uint256 indexed id, string name, uint8 kind, address indexed factory);
    event VenueEnabled(uint256 indexed id);
    event VenueDisabled(uint256 indexed id);
    event RouterChanged(address indexed from, address indexed to);
    event EmergencyStopped(address indexed by);
    event Resumed(address indexed by);

    /// @notice There is no venue of this number.
    error UnknownVenue(uint256 id);
    /// @notice A venue of this name and factory exists.
    error VenueExists(string name, address factory);
    /// @notice A venue's `field` cannot have this value.
    error InvalidVenue(string field);
    /// @notice The router must be a contract.
    error NotAContract(address account);

    /// @notice Add a venue. Curator.
    /// @return id Its number; numbers count from zero and are never used again.
    function addVenue(Venue calldata venue) external returns (uint256 id);

    /// @notice Enable or disable a venue. Curator.
    function setVenueEnabled(uint256 id, bool enabled) external;

    /// @notice Disable a venue at once. Guardian.
    function disableVenue(uint256 id) external;

    /// @notice Make `router_` the current router; zero for none. Upgrader.
    function setRouter(address router_) external;

    /// @notice Tell the engine to send nothing more. Guardian.
    function emergencyStop() external;

    /// @notice Take the emergency stop back. Administrator.
    function resume() external;

    function venueCount() external view returns (uint256);

    function venueAt(uint256 id) external view returns (Venue memory);

    /// @notice At most `limit` venues, from number `offset` on.
    function venues(uint256 offset, uint256 limit) external view returns (Venue[] memory page);

    function router() external view returns (address);

    function stopped() external view returns (bool);
}
