// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

interface IERC20 {
    function transfer(address to, uint256 amount) external returns (bool);
}

struct PoolKey {
    address currency0;
    address currency1;
    uint24 fee;
    int24 tickSpacing;
    address hooks;
}

struct SwapParams {
    bool zeroForOne;
    int256 amountSpecified;
    uint160 sqrtPriceLimitX96;
}

struct LiquidityParams {
    int24 tickLower;
    int24 tickUpper;
    int256 liquidityDelta;
    bytes32 salt;
}

interface IManager {
    function unlock(bytes calldata data) external returns (bytes memory);
    function swap(PoolKey calldata key, SwapParams calldata params, bytes calldata hookData)
        external
        returns (int256 delta);
    function modifyLiquidity(PoolKey calldata key, LiquidityParams calldata params, bytes calldata hookData)
        external
        returns (int256 delta, int256 fees);
    function sync(address currency) external;
    function settle() external payable returns (uint256);
    function take(address currency, address to, uint256 amount) external;
    function extsload(bytes32 slot) external view returns (bytes32);
}

/// @title Many swaps on one Uniswap V4 pool, each undone
/// @dev Cases and answers as ConcentratedDriver's; the signs of the amounts are V4's.
contract ManagerDriver {
    uint256 private constant SWAP_GAS = 100_000_000;
    uint256 private constant POOLS_SLOT = 6;
    uint256 private constant LIQUIDITY_OFFSET = 3;

    IManager private immutable _manager;
    PoolKey private _key;

    error Done(uint256[5] outcome);

    constructor(IManager manager) {
        _manager = manager;
    }

    function use(PoolKey calldata key) external {
        _key = key;
    }

    function run(uint256[3][] calldata cases) external returns (uint256[6][] memory) {
        return abi.decode(_manager.unlock(abi.encode(uint256(0), abi.encode(cases))), (uint256[6][]));
    }

    function swap(uint256[3] calldata wanted) external {
        _manager.unlock(abi.encode(uint256(1), abi.encode(wanted)));
    }

    function modify(int24 lower, int24 upper, int256 liquidity) external {
        _manager.unlock(abi.encode(uint256(2), abi.encode(LiquidityParams(lower, upper, liquidity, 0))));
    }

    function unlockCallback(bytes calldata data) external returns (bytes memory) {
        (uint256 what, bytes memory rest) = abi.decode(data, (uint256, bytes));
        if (what == 0) return abi.encode(_runAll(abi.decode(rest, (uint256[3][]))));
        int256 delta;
        if (what == 1) delta = _swap(abi.decode(rest, (uint256[3])));
        else (delta,) = _manager.modifyLiquidity(_key, abi.decode(rest, (LiquidityParams)), "");
        _clear(_key.currency0, int128(delta >> 128));
        _clear(_key.currency1, int128(delta));
        return "";
    }

    function _runAll(uint256[3][] memory cases) private returns (uint256[6][] memory answers) {
        answers = new uint256[6][](cases.length);
        for (uint256 i = 0; i < cases.length; i++) {
            try this.attempt{gas: SWAP_GAS}(cases[i]) {}
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

    function attempt(uint256[3] calldata wanted) external {
        int256 delta = _swap(wanted);
        (uint256 price, uint256 tick, uint256 liquidity) = state();
        revert Done([uint256(int256(int128(delta >> 128))), uint256(int256(int128(delta))), price, liquidity, tick]);
    }

    /// @dev V4 takes a negative amount for exact-in.
    function _swap(uint256[3] memory wanted) private returns (int256) {
        return _manager.swap(_key, SwapParams(wanted[2] & 1 != 0, -int256(wanted[0]), uint160(wanted[1])), "");
    }

    function state() public view returns (uint256 price, uint256 tick, uint256 liquidity) {
        bytes32 slot = keccak256(abi.encode(keccak256(abi.encode(_key)), POOLS_SLOT));
        uint256 word = uint256(_manager.extsload(slot));
        price = uint160(word);
        tick = uint256(int256(int24(uint24(word >> 160))));
        liquidity = uint256(_manager.extsload(bytes32(uint256(slot) + LIQUIDITY_OFFSET)));
    }

    function _clear(address currency, int128 delta) private {
        if (delta < 0) {
            _manager.sync(currency);
            IERC20(currency).transfer(address(_manager), uint256(-int256(delta)));
            _manager.settle();
        } else if (delta > 0) {
            _manager.take(currency, address(this), uint128(delta));
        }
    }
}
