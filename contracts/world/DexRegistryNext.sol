// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DexRegistry} from "../src/DexRegistry.sol";

/// @title A later version of the registry: one more function on the same storage
/// @dev For drills of upgrade and rollback on test chains. What was initialised stays so.
/// @custom:oz-upgrades-unsafe-allow missing-initializer
contract DexRegistryNext is DexRegistry {
    /// @notice Which version this is.
    function generation() external pure returns (uint256) {
        return 2;
    }
}
