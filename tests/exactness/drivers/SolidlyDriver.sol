// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

interface IToken {
    function set(address account, uint256 balance) external;
}

interface IPool {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function sync() external;
    function getAmountOut(uint256 amountIn, address tokenIn) external view returns (uint256);
    function swap(uint256 out0, uint256 out1, address to, bytes calldata data) external;
    function getReserves() external view returns (uint256, uint256, uint256);
}

interface IFactory {
    function setCustomFee(address pool, uint256 fee) external;
}

/// @title Many swaps on one Solidly pool, each from its own reserves and fee and undone
/// @dev A case is six words: reserve0, reserve1, fee (420 for none), flags (1 sells token0, 2 exact-in), amount in,
/// amount out (ignored when exact-in: the pool is asked). An answer is five: bits, the pool's quote, reserves after
/// the swap. Bits: 1 the pool quotes; 2 it does the swap; 4 it also does one a unit better for the trader.
contract SolidlyDriver {
    uint256 private constant QUOTE_GAS = 5_000_000;
    uint256 private constant SWAP_GAS = 2_000_000;

    IFactory private immutable _factory;

    error Done(uint256 reserve0, uint256 reserve1);

    constructor(IFactory factory) {
        _factory = factory;
    }

    function run(IPool pool, uint256[6][] calldata cases) external returns (uint256[4][] memory answers) {
        answers = new uint256[4][](cases.length);
        (IToken token0, IToken token1) = (IToken(pool.token0()), IToken(pool.token1()));
        for (uint256 i = 0; i < cases.length; i++) {
            token0.set(address(pool), cases[i][0]);
            token1.set(address(pool), cases[i][1]);
            pool.sync();
            _factory.setCustomFee(address(pool), cases[i][2]);
            _one(pool, cases[i], answers[i]);
        }
    }

    function _one(IPool pool, uint256[6] calldata wanted, uint256[4] memory answer) private {
        (bool sells0, bool exactIn) = (wanted[3] & 1 != 0, wanted[3] & 2 != 0);
        (uint256 sold, uint256 bought) = (wanted[4], wanted[5]);
        if (exactIn) {
            address tokenIn = sells0 ? pool.token0() : pool.token1();
            try pool.getAmountOut{gas: QUOTE_GAS}(sold, tokenIn) returns (uint256 quoted) {
                (answer[0], answer[1], bought) = (1, quoted, quoted);
            } catch {
                return;
            }
        }
        (bool done, uint256 reserve0, uint256 reserve1) = _try(pool, wanted, sells0, sold, bought);
        if (done) (answer[0], answer[2], answer[3]) = (answer[0] | 2, reserve0, reserve1);
        if (exactIn) (done,,) = _try(pool, wanted, sells0, sold, bought + 1);
        else if (sold > 0) (done,,) = _try(pool, wanted, sells0, sold - 1, bought);
        if (done) answer[0] |= 4;
    }

    function _try(IPool pool, uint256[6] calldata wanted, bool sells0, uint256 sold, uint256 bought)
        private
        returns (bool done, uint256 reserve0, uint256 reserve1)
    {
        try this.attempt{gas: SWAP_GAS}(pool, wanted[0], wanted[1], sells0, sold, bought) {}
        catch (bytes memory reason) {
            if (reason.length == 68 && bytes4(reason) == Done.selector) {
                done = true;
                assembly ("memory-safe") {
                    reserve0 := mload(add(reason, 36))
                    reserve1 := mload(add(reason, 68))
                }
            }
        }
    }

    function attempt(IPool pool, uint256 reserve0, uint256 reserve1, bool sells0, uint256 sold, uint256 bought) external {
        if (sells0) {
            IToken(pool.token0()).set(address(pool), reserve0 + sold);
            pool.swap(0, bought, address(this), "");
        } else {
            IToken(pool.token1()).set(address(pool), reserve1 + sold);
            pool.swap(bought, 0, address(this), "");
        }
        (reserve0, reserve1,) = pool.getReserves();
        revert Done(reserve0, reserve1);
    }
}
