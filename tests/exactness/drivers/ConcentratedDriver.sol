// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

interface IERC20 {
    function transfer(address to, uint256 amount) external returns (bool);
}

interface IPool {
    function liquidity() external view returns (uint128);
    function swap(address to, bool zeroForOne, int256 specified, uint160 limit, bytes calldata data)
        external
        returns (int256 amount0, int256 amount1);
    function mint(address owner, int24 lower, int24 upper, uint128 amount, bytes calldata data)
        external
        returns (uint256, uint256);
    function burn(int24 lower, int24 upper, uint128 amount) external returns (uint256, uint256);
}

interface IAlgebraPool {
    function mint(address leftovers, address owner, int24 lower, int24 upper, uint128 amount, bytes calldata data)
        external
        returns (uint256, uint256, uint128);
    function burn(int24 lower, int24 upper, uint128 amount, bytes calldata data) external returns (uint256, uint256);
}

/// @title Many swaps on one concentrated-liquidity pool, each undone
/// @dev A case is three words: amount specified (negative for exact-out), price limit, 1 to sell token0. An answer
/// is six: 1 if done, amount0, amount1, and the price, liquidity and tick after it.
contract ConcentratedDriver {
    uint256 private constant SWAP_GAS = 100_000_000;

    IERC20 private immutable _token0;
    IERC20 private immutable _token1;
    bytes4 private immutable _stateGetter;
    uint256 private immutable _kind; // 0 as Uniswap V3, 1 Algebra V2, 2 Algebra Integral

    error Done(uint256[5] outcome);

    constructor(IERC20 token0, IERC20 token1, bytes4 stateGetter, uint256 kind) {
        _token0 = token0;
        _token1 = token1;
        _stateGetter = stateGetter;
        _kind = kind;
    }

    function run(address pool, uint256[3][] calldata cases) external returns (uint256[6][] memory answers) {
        answers = new uint256[6][](cases.length);
        for (uint256 i = 0; i < cases.length; i++) {
            try this.attempt{gas: SWAP_GAS}(pool, cases[i]) {}
            catch (bytes memory reason) {
                if (reason.length == 164 && bytes4(reason) == Done.selector) {
                    answers[i][0] = 1;
                    for (uint256 k = 0; k < 5; k++) {
                        uint256 word;
                        assembly ("memory-safe") {
                            word := mload(add(add(reason, 36), mul(k, 32)))
                        }
                        answers[i][k + 1] = word;
                    }
                }
            }
        }
    }

    function attempt(address pool, uint256[3] calldata wanted) external {
        revert Done(swap(pool, wanted));
    }

    function swap(address pool, uint256[3] calldata wanted) public returns (uint256[5] memory outcome) {
        (int256 amount0, int256 amount1) =
            IPool(pool).swap(address(this), wanted[2] & 1 != 0, int256(wanted[0]), uint160(wanted[1]), "");
        (uint256 price, uint256 tick) = state(pool);
        return [uint256(amount0), uint256(amount1), price, IPool(pool).liquidity(), tick];
    }

    function state(address pool) public view returns (uint256 price, uint256 tick) {
        (, bytes memory words) = pool.staticcall(abi.encodeWithSelector(_stateGetter));
        return abi.decode(words, (uint256, uint256));
    }

    function mint(address pool, int24 lower, int24 upper, uint128 amount) external {
        if (_kind == 0) IPool(pool).mint(address(this), lower, upper, amount, "");
        else IAlgebraPool(pool).mint(address(this), address(this), lower, upper, amount, "");
    }

    function burn(address pool, int24 lower, int24 upper, uint128 amount) external {
        if (_kind == 2) IAlgebraPool(pool).burn(lower, upper, amount, "");
        else IPool(pool).burn(lower, upper, amount);
    }

    function uniswapV3MintCallback(uint256 owed0, uint256 owed1, bytes calldata) external {
        _pay(owed0, owed1);
    }

    function pancakeV3MintCallback(uint256 owed0, uint256 owed1, bytes calldata) external {
        _pay(owed0, owed1);
    }

    function algebraMintCallback(uint256 owed0, uint256 owed1, bytes calldata) external {
        _pay(owed0, owed1);
    }

    function uniswapV3SwapCallback(int256 delta0, int256 delta1, bytes calldata) external {
        _pay(_owed(delta0), _owed(delta1));
    }

    function pancakeV3SwapCallback(int256 delta0, int256 delta1, bytes calldata) external {
        _pay(_owed(delta0), _owed(delta1));
    }

    function algebraSwapCallback(int256 delta0, int256 delta1, bytes calldata) external {
        _pay(_owed(delta0), _owed(delta1));
    }

    function _owed(int256 delta) private pure returns (uint256) {
        return delta > 0 ? uint256(delta) : 0;
    }

    function _pay(uint256 owed0, uint256 owed1) private {
        if (owed0 > 0) _token0.transfer(msg.sender, owed0);
        if (owed1 > 0) _token1.transfer(msg.sender, owed1);
    }
}
