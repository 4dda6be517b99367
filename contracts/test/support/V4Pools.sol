// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ArbitrageRouter} from "../../src/ArbitrageRouter.sol";
import {IArbitrageRouter} from "../../src/interfaces/IArbitrageRouter.sol";
import {WorldToken} from "../../world/WorldToken.sol";
import {Cycle} from "./Cycle.sol";
import {IManager, PoolKey} from "./HostileHook.sol";

interface IProvider {
    struct Change {
        int24 tickLower;
        int24 tickUpper;
        int256 liquidityDelta;
        bytes32 salt;
    }

    function modifyLiquidity(PoolKey memory key, Change memory change, bytes memory data) external payable;
}

/// @dev Uniswap V4's published manager, a router that knows it, and pools of the first two tokens.
abstract contract V4Pools is Cycle {
    uint160 internal constant EVEN = 1 << 96;
    string private constant FOLDER = "node_modules/@uniswap/v4-core/out/";

    IManager internal manager;
    IProvider internal provider;

    /// @dev After the tokens.
    function deployV4() internal {
        bytes memory code = _forgeCode("PoolManager.sol/PoolManager.json");
        manager = IManager(_create(bytes.concat(code, abi.encode(address(this)))));
        code = _forgeCode("PoolModifyLiquidityTest.sol/PoolModifyLiquidityTest.json");
        provider = IProvider(_create(bytes.concat(code, abi.encode(address(manager)))));
        ArbitrageRouter made =
            new ArbitrageRouter(operator, vault, tokens[0], address(manager), address(0), address(0));
        router = IArbitrageRouter(address(made));
        for (uint256 i = 0; i < 2; i++) {
            WorldToken(tokens[i]).mint(address(this), 1e27);
            WorldToken(tokens[i]).approve(address(provider), type(uint256).max);
        }
    }

    /// @dev A pool at even price, with liquidity over the whole range.
    function fillV4(uint24 fee, int24 spacing, address hooks) internal {
        (address token0, address token1) = (tokens[0], tokens[1]);
        if (token1 < token0) (token0, token1) = (token1, token0);
        PoolKey memory key = PoolKey(token0, token1, fee, spacing, hooks);
        manager.initialize(key, EVEN);
        int24 edge = 887220 / spacing * spacing;
        provider.modifyLiquidity(key, IProvider.Change(-edge, edge, 2000e18, 0), "");
    }

    function _forgeCode(string memory path) private view returns (bytes memory) {
        return vm.parseJsonBytes(vm.readFile(string.concat(FOLDER, path)), ".bytecode.object");
    }
}
