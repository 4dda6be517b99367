// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ArbitrageRouter} from "./ArbitrageRouter.sol";
import {IArbitrageRouter} from "./interfaces/IArbitrageRouter.sol";

/// @title The router for chains where a guardian is to be able to stop it on the chain itself
/// @notice Every run reads one more storage slot. The guardian can stop, and only the vault can let it run again.
contract ArbitrageRouterWithStop is ArbitrageRouter {
    address public immutable GUARDIAN;
    bool public stopped;

    event Stopped();
    event Resumed();

    /// @notice The guardian has stopped this router.
    error IsStopped();

    constructor(
        address guardian,
        address operator,
        address vault,
        address wrappedNative,
        address poolManager,
        address balancerVault,
        address balancerVaultV3
    ) ArbitrageRouter(operator, vault, wrappedNative, poolManager, balancerVault, balancerVaultV3) {
        if (guardian == address(0)) revert IArbitrageRouter.ZeroAddress();
        GUARDIAN = guardian;
    }

    function stop() external {
        if (msg.sender != GUARDIAN) revert IArbitrageRouter.NotAllowed(msg.sender);
        stopped = true;
        emit Stopped();
    }

    function resume() external {
        if (_caller() != _vault) revert IArbitrageRouter.NotAllowed(msg.sender);
        stopped = false;
        emit Resumed();
    }

    function _mayRun() internal view override {
        if (stopped) revert IsStopped();
    }
}
