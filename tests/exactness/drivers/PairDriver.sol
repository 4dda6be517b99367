// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

interface IToken {
    function set(address account, uint256 balance) external;
}

interface IPair {
    function sync() external;
    function swap(uint256 out0, uint256 out1, address to, bytes calldata data) external;
    function getReserves() external view returns (uint112, uint112, uint32);
}

interface IRouter {
    function getAmountOut(uint256 amountIn, uint256 reserveIn, uint256 reserveOut) external pure returns (uint256);
    function getAmountIn(uint256 amountOut, uint256 reserveIn, uint256 reserveOut) external pure returns (uint256);
}

/// @title Many swaps on one V2 pair, each from its own reserves and undone
/// @dev A case is four words: reserve0, reserve1, amount, flags (1 sells token0, 2 exact-in). An answer is four:
/// status bits, the router's quote, and the reserves the quoted swap leaves. Bits: 1 the router quotes; 2 the
/// pair does the quoted swap; 4 it also does one a unit better for the trader.
contract PairDriver {
    // Old compilers revert into the invalid opcode, which eats whatever gas it is given.
    uint256 private constant QUOTE_GAS = 100_000;
    uint256 private constant SWAP_GAS = 2_000_000;

    IPair private immutable _pair;
    IToken private immutable _token0;
    IToken private immutable _token1;
    IRouter private immutable _router;

    error Done(uint256 reserve0, uint256 reserve1);

    constructor(IPair pair, IToken token0, IToken token1, IRouter router) {
        _pair = pair;
        _token0 = token0;
        _token1 = token1;
        _router = router;
    }

    function run(uint256[4][] calldata cases) external returns (uint256[4][] memory answers) {
        answers = new uint256[4][](cases.length);
        for (uint256 i = 0; i < cases.length; i++) {
            _token0.set(address(_pair), cases[i][0]);
            _token1.set(address(_pair), cases[i][1]);
            _pair.sync();
            _one(cases[i], answers[i]);
        }
    }

    function _one(uint256[4] calldata wanted, uint256[4] memory answer) private {
        (uint256 amount, bool sells0, bool exactIn) = (wanted[2], wanted[3] & 1 != 0, wanted[3] & 2 != 0);
        (uint256 given, uint256 held) = sells0 ? (wanted[0], wanted[1]) : (wanted[1], wanted[0]);
        try this.quote{gas: QUOTE_GAS}(exactIn, amount, given, held) returns (uint256 quoted) {
            answer[0] = 1;
            answer[1] = quoted;
        } catch {
            return;
        }
        (uint256 sold, uint256 bought) = exactIn ? (amount, answer[1]) : (answer[1], amount);
        (bool done, uint256 reserve0, uint256 reserve1) = _try(wanted, sells0, sold, bought);
        if (done) (answer[0], answer[2], answer[3]) = (3, reserve0, reserve1);
        if (exactIn) (done,,) = _try(wanted, sells0, sold, bought + 1);
        else (done,,) = _try(wanted, sells0, sold - 1, bought);
        if (done) answer[0] |= 4;
    }

    function quote(bool exactIn, uint256 amount, uint256 given, uint256 held) external view returns (uint256) {
        return exactIn ? _router.getAmountOut(amount, given, held) : _router.getAmountIn(amount, given, held);
    }

    function _try(uint256[4] calldata wanted, bool sells0, uint256 sold, uint256 bought)
        private
        returns (bool done, uint256 reserve0, uint256 reserve1)
    {
        try this.attempt{gas: SWAP_GAS}(wanted[0], wanted[1], sells0, sold, bought) {}
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

    function attempt(uint256 reserve0, uint256 reserve1, bool sells0, uint256 sold, uint256 bought) external {
        if (sells0) {
            _token0.set(address(_pair), reserve0 + sold);
            _pair.swap(0, bought, address(this), "");
        } else {
            _token1.set(address(_pair), reserve1 + sold);
            _pair.swap(bought, 0, address(this), "");
        }
        (reserve0, reserve1,) = _pair.getReserves();
        revert Done(reserve0, reserve1);
    }
}
