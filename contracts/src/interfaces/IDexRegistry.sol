// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What the engine may trade on, through which router, and whether at all
interface IDexRegistry {
    /// @notice A protocol deployed by one factory.
    /// @param name What people call it; unique in the registry.
    /// @param protocol The family of its pools, as left-aligned ASCII such as "uniswap-v3": one formula, one
    /// set of events. An engine leaves out families it does not know.
    /// @param factory The contract that announces pools; unique in the registry.
    /// @param deployer The CREATE2 deployer of pools; the factory itself unless the protocol splits the two.
    /// @param initCodeHash keccak256 of the pools' creation code; proves a pool's provenance by CREATE2. Zero
    /// where pools are not made that way.
    /// @param poolCodeHash keccak256 of the pools' runtime code where all share it, else zero.
    /// @param feePips The fixed fee of the venue in 1e-6 of the input; zero where pools have their own.
    /// @param enabled Whether the engine may trade there.
    struct Venue {
        string name;
        bytes32 protocol;
        address factory;
        address deployer;
        bytes32 initCodeHash;
        bytes32 poolCodeHash;
        uint24 feePips;
        bool enabled;
    }

    event VenueAdded(uint256 indexed id, string name, bytes32 protocol, address indexed factory);
    event VenueEnabled(uint256 indexed id);
    event VenueDisabled(uint256 indexed id);
    event Barred(address indexed account);
    event Unbarred(address indexed account);
    event RouterChanged(address indexed from, address indexed to);
    event EmergencyStopped(address indexed by);
    event Resumed(address indexed by);

    /// @notice There is no venue of this number.
    error UnknownVenue(uint256 id);
    /// @notice A venue of this name or factory exists.
    error VenueExists(string name, address factory);
    /// @notice A venue's `field` cannot have this value.
    error InvalidVenue(string field);
    /// @notice The router must be a contract.
    error NotAContract(address account);

    /// @notice Add a venue. Curator, after the delay.
    /// @return id Its number; numbers count from zero and are never used again.
    function addVenue(Venue calldata venue) external returns (uint256 id);

    /// @notice Enable a venue. Curator, after the delay.
    function enableVenue(uint256 id) external;

    /// @notice Disable a venue at once. Guardian.
    function disableVenue(uint256 id) external;

    /// @notice Bar a pool or a token at once: nothing that touches it is traded. Guardian.
    function bar(address account) external;

    /// @notice Let a barred pool or token be traded again. Curator, after the delay.
    function unbar(address account) external;

    /// @notice Make `router_` the current router. Upgrader, after the delay.
    function setRouter(address router_) external;

    /// @notice Leave no router current, at once. Guardian.
    function clearRouter() external;

    /// @notice Tell the engine to send nothing more, at once. Guardian.
    function emergencyStop() external;

    /// @notice Take the emergency stop back. Administrator, after the delay.
    function resume() external;

    /// @notice Everything an engine asks at each block.
    /// @return stopped_ Whether the emergency stop is on.
    /// @return router_ The current router; zero for none.
    /// @return revision_ Grows whenever a venue or the list of what is barred changes.
    function status() external view returns (bool stopped_, address router_, uint256 revision_);

    function venueCount() external view returns (uint256);

    function venueAt(uint256 id) external view returns (Venue memory);

    /// @notice At most `limit` venues, from number `offset` on.
    function venues(uint256 offset, uint256 limit) external view returns (Venue[] memory page);

    function barredCount() external view returns (uint256);

    /// @notice At most `limit` barred pools and tokens, from index `offset` on, in no particular order.
    function barredPage(uint256 offset, uint256 limit) external view returns (address[] memory page);

    function isBarred(address account) external view returns (bool);

    function router() external view returns (address);

    function stopped() external view returns (bool);
}
