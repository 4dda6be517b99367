// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ArbitrageRouter} from "../../src/ArbitrageRouter.sol";
import {IArbitrageRouter} from "../../src/interfaces/IArbitrageRouter.sol";
import {WorldToken} from "../../world/WorldToken.sol";
import {IV2Pair, Published} from "./Published.sol";
import {Stream} from "./Stream.sol";

/// @dev Cycles over published pools: built, quoted as the engine quotes them, and written as streams.
abstract contract Cycle is Published {
    struct Hop {
        Kind kind;
        address pool;
        bool zeroForOne;
        uint256 amountIn;
        uint256 amountOut;
    }

    address internal operator = makeAddr("operator");
    address internal vault = makeAddr("vault");
    IArbitrageRouter internal router;
    address[] internal tokens;

    function deployCycleWorld() internal {
        deployPublished();
        router = deployRouter(vault, address(0));
        for (uint256 i = 0; i < SLOTS; i++) {
            tokens.push(address(new WorldToken("Token", "TKN", 18)));
        }
    }

    function deployRouter(address vault_, address wrappedNative) internal returns (IArbitrageRouter) {
        return IArbitrageRouter(
            address(new ArbitrageRouter(operator, vault_, wrappedNative, address(0), address(0), address(0)))
        );
    }

    /// @dev A cycle from tokens[0] back to it in which the first pool sells tokens[1] `discountBps` too cheap.
    function buildCycle(Kind[] memory kinds, uint256 amount, uint256 depth, uint256 discountBps)
        internal
        returns (Hop[] memory hops)
    {
        hops = new Hop[](kinds.length);
        for (uint256 i = 0; i < kinds.length; i++) {
            (address tokenIn, address tokenOut) = (tokens[i], tokens[(i + 1) % kinds.length]);
            bool zeroForOne = tokenIn < tokenOut;
            uint256 price = 1e18;
            if (i == 0) price = zeroForOne ? 1e22 / (1e4 - discountBps) : 1e14 * (1e4 - discountBps);
            hops[i].kind = kinds[i];
            hops[i].zeroForOne = zeroForOne;
            hops[i].pool = fill(kinds[i], i, tokenIn, tokenOut, price, depth);
        }
        size(hops, amount);
    }

    /// @dev Forwards to the last hop, whose input is then fixed; backwards from there, each hop selling exactly that.
    function size(Hop[] memory hops, uint256 amount) internal {
        for (uint256 i = 0; i < hops.length; i++) {
            hops[i].amountIn = amount;
            amount = quoteIn(hops[i], amount);
        }
        uint256 last = hops.length - 1;
        hops[last].amountOut = amount;
        if (hops[last].kind == Kind.UniswapV2) hops[last].amountIn = quoteOut(hops[last], amount);
        for (uint256 i = last; i > 0; i--) {
            hops[i - 1].amountOut = hops[i].amountIn;
            hops[i - 1].amountIn = quoteOut(hops[i - 1], hops[i - 1].amountOut);
        }
    }

    function quoteIn(Hop memory hop, uint256 amountIn) internal returns (uint256) {
        if (hop.kind != Kind.UniswapV2) return quoter.quoteIn(hop.pool, hop.zeroForOne, amountIn);
        (uint256 reserveIn, uint256 reserveOut) = _reserves(hop);
        return amountIn * 997 * reserveOut / (reserveIn * 1000 + amountIn * 997);
    }

    function quoteOut(Hop memory hop, uint256 amountOut) internal returns (uint256) {
        if (hop.kind != Kind.UniswapV2) return quoter.quoteOut(hop.pool, hop.zeroForOne, amountOut);
        (uint256 reserveIn, uint256 reserveOut) = _reserves(hop);
        return reserveIn * amountOut * 1000 / ((reserveOut - amountOut) * 997) + 1;
    }

    /// @dev The gain of a cycle, which may be a loss.
    function gain(Hop[] memory hops) internal pure returns (int256) {
        return int256(hops[hops.length - 1].amountOut) - int256(hops[0].amountIn);
    }

    function encode(Hop[] memory hops, uint256 minProfit) internal view returns (bytes memory) {
        return bytes.concat(Stream.header(block.timestamp, minProfit), commands(hops), Stream.end(tokens[0]));
    }

    function commands(Hop[] memory hops) internal pure returns (bytes memory stream) {
        Hop memory last = hops[hops.length - 1];
        stream = last.kind == Kind.UniswapV2
            ? Stream.topV2(last.pool, last.zeroForOne, last.amountOut, last.amountIn)
            : Stream.topV3(last.pool, last.zeroForOne, last.amountIn);
        for (uint256 i = hops.length - 1; i > 0; i--) {
            Hop memory hop = hops[i - 1];
            stream = bytes.concat(
                stream,
                hop.kind == Kind.UniswapV2
                    ? Stream.nestedV2(hop.pool, hop.zeroForOne, hop.amountIn)
                    : Stream.nestedV3(hop.pool, hop.zeroForOne)
            );
        }
    }

    function run(bytes memory stream) internal returns (bool ok, bytes memory returned) {
        vm.prank(operator, operator);
        return address(router).call(stream);
    }

    function held(uint256 token) internal view returns (uint256) {
        return WorldToken(tokens[token]).balanceOf(address(router));
    }

    function _reserves(Hop memory hop) private view returns (uint256 reserveIn, uint256 reserveOut) {
        (uint256 reserve0, uint256 reserve1,) = IV2Pair(hop.pool).getReserves();
        return hop.zeroForOne ? (reserve0, reserve1) : (reserve1, reserve0);
    }
}
