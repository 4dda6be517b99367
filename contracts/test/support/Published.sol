// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PancakePoolDeployer} from "../../world/PancakePoolDeployer.sol";
import {IV3Pool, V3Callee} from "../../world/V3Callee.sol";
import {WorldToken} from "../../world/WorldToken.sol";
import {V3Quoter} from "./V3Quoter.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Test} from "forge-std/Test.sol";

interface IV2Factory {
    function createPair(address a, address b) external returns (address);
    function getPair(address a, address b) external view returns (address);
}

interface IV2Pair {
    function getReserves() external view returns (uint112, uint112, uint32);
    function mint(address to) external returns (uint256);
    function swap(uint256 amount0Out, uint256 amount1Out, address to, bytes calldata data) external;
    function token0() external view returns (address);
}

interface IV3Factory {
    function createPool(address a, address b, uint24 fee) external returns (address);
    function getPool(address a, address b, uint24 fee) external view returns (address);
    function enableFeeAmount(uint24 fee, int24 tickSpacing) external;
}

interface IV3Init {
    function initialize(uint160 sqrtPriceX96) external;
    function tickSpacing() external view returns (int24);
}

/// @dev The published bytecode of Uniswap V2, Uniswap V3 and PancakeSwap V3, deployed and filled for tests.
abstract contract Published is Test {
    enum Kind {
        UniswapV2,
        UniswapV3,
        PancakeV3
    }

    uint256 internal constant SLOTS = 4;

    /// One V2 factory and one fee tier per hop of a cycle, so that a cycle never meets a pool twice.
    IV2Factory[SLOTS] internal v2Factories;
    IV3Factory internal uniswapV3Factory;
    IV3Factory internal pancakeV3Factory;
    uint24[SLOTS] internal uniswapFees = [uint24(3000), 500, 100, 10000];
    uint24[SLOTS] internal pancakeFees = [uint24(2500), 500, 100, 10000];
    V3Callee internal callee;
    V3Quoter internal quoter;

    function deployPublished() internal {
        bytes memory v2 = _code("@uniswap/v2-core/build/UniswapV2Factory.json");
        for (uint256 i = 0; i < SLOTS; i++) {
            v2Factories[i] = IV2Factory(_create(bytes.concat(v2, abi.encode(address(this)))));
        }
        string memory v3 = "@uniswap/v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json";
        uniswapV3Factory = IV3Factory(_create(_code(v3)));
        uniswapV3Factory.enableFeeAmount(100, 1);

        string memory folder = "@pancakeswap/v3-core/artifacts/contracts/";
        bytes memory pool = _code(string.concat(folder, "PancakeV3Pool.sol/PancakeV3Pool.json"));
        bytes memory factory = _code(string.concat(folder, "PancakeV3Factory.sol/PancakeV3Factory.json"));
        PancakePoolDeployer deployer = new PancakePoolDeployer(pool);
        pancakeV3Factory = IV3Factory(_create(bytes.concat(factory, abi.encode(address(deployer)))));
        deployer.setFactoryAddress(address(pancakeV3Factory));

        callee = new V3Callee();
        quoter = new V3Quoter();
    }

    /// @dev A pool in which one token0 is worth `priceE18 / 1e18` token1, with about `depth` of each token.
    function fill(Kind kind, uint256 slot, address a, address b, uint256 priceE18, uint256 depth)
        internal
        returns (address pool)
    {
        (address token0, address token1) = a < b ? (a, b) : (b, a);
        if (kind == Kind.UniswapV2) {
            pool = v2Factories[slot].createPair(a, b);
            WorldToken(token0).mint(pool, depth);
            WorldToken(token1).mint(pool, depth * priceE18 / 1e18);
            IV2Pair(pool).mint(address(this));
        } else {
            bool uniswap = kind == Kind.UniswapV3;
            IV3Factory factory = uniswap ? uniswapV3Factory : pancakeV3Factory;
            pool = factory.createPool(a, b, uniswap ? uniswapFees[slot] : pancakeFees[slot]);
            _fillV3(pool, token0, token1, priceE18, depth);
        }
    }

    /// @dev Liquidity over three nested ranges, so that swaps of some size cross ticks.
    function _fillV3(address pool, address token0, address token1, uint256 priceE18, uint256 depth) private {
        uint160 sqrtPrice = uint160(Math.sqrt(priceE18 * 2 ** 64 / 1e18 * 2 ** 128));
        IV3Init(pool).initialize(sqrtPrice);
        int24 spacing = IV3Init(pool).tickSpacing();
        WorldToken(token0).mint(address(this), 100 * depth);
        WorldToken(token1).mint(address(this), 100 * depth);
        _approve(token0);
        _approve(token1);
        int24[3] memory widths = [int24(4000), 12000, 400000];
        for (uint256 i = 0; i < widths.length; i++) {
            int24 edge = widths[i] / spacing * spacing;
            callee.mint(pool, address(this), -edge, edge, uint128(depth));
        }
    }

    function _approve(address token) private {
        (bool ok,) =
            token.call(abi.encodeWithSignature("approve(address,uint256)", callee, type(uint256).max));
        require(ok, "approve");
    }

    function _code(string memory path) internal view returns (bytes memory) {
        string memory json = vm.readFile(string.concat("node_modules/", path));
        string memory code = vm.parseJsonString(json, ".bytecode");
        bool prefixed = bytes(code).length > 1 && bytes(code)[1] == "x";
        return vm.parseBytes(prefixed ? code : string.concat("0x", code));
    }

    function _create(bytes memory code) internal returns (address made) {
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
        }
        require(made != address(0), "creation failed");
    }
}
