// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

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

interface IManager {
    function initialize(PoolKey memory key, uint160 sqrtPriceX96) external returns (int24);
    function swap(PoolKey memory key, SwapParams memory params, bytes calldata data) external returns (int256);
    function take(address currency, address to, uint256 amount) external;
    function sync(address currency) external;
    function settle() external payable returns (uint256);
    function unlock(bytes calldata data) external returns (bytes memory);
}

/// @dev A V4 hook that may do anything a hook can: it is asked before and after each swap and may change both amounts.
contract HostileHook {
    enum Trick {
        None,
        RaisesFee,
        TakesOfOutput,
        TakesOfInput,
        TakesAllOfInput,
        AsksForMoreInput,
        MovesThePrice,
        Reenters,
        SyncsAnother,
        SettlesForItself,
        Unlocks,
        TakesAndOwes,
        Reverts,
        RevertsWithBomb,
        ReturnsBomb,
        BurnsGas
    }

    uint256 private constant DYNAMIC_FEE = 0x800000;
    uint24 private constant OVERRIDE = 0x400000;

    IManager public manager;
    Trick public trick;
    address public router;
    bytes[] public attempts;
    uint256 public attemptsServed;
    uint256 public asked;

    function set(IManager manager_, address router_, Trick trick_) external {
        (manager, router, trick) = (manager_, router_, trick_);
        (attemptsServed, asked) = (0, 0);
    }

    function setAttempts(bytes[] calldata attempts_) external {
        attempts = attempts_;
    }

    function beforeSwap(address, PoolKey calldata key, SwapParams calldata params, bytes calldata)
        external
        returns (bytes4, int256, uint24)
    {
        asked++;
        _mischief(key, params);
        int256 specified;
        if (trick == Trick.TakesOfInput || trick == Trick.TakesAllOfInput) {
            // Of what the swap names: a hundredth, or everything.
            uint256 named = _magnitude(params.amountSpecified);
            uint256 taken = trick == Trick.TakesOfInput ? named / 100 : named;
            bool sells = params.amountSpecified < 0;
            address currency = sells == params.zeroForOne ? key.currency0 : key.currency1;
            if (sells || taken != named) manager.take(currency, address(this), taken);
            specified = int256(taken) << 128;
        }
        uint24 fee = trick == Trick.RaisesFee && key.fee == DYNAMIC_FEE ? OVERRIDE | 400_000 : 0;
        return (this.beforeSwap.selector, specified, fee);
    }

    function afterSwap(
        address,
        PoolKey calldata key,
        SwapParams calldata params,
        int256 delta,
        bytes calldata
    ) external returns (bytes4, int128) {
        bool sells = params.amountSpecified < 0;
        bool other0 = sells != params.zeroForOne;
        address currency = other0 ? key.currency0 : key.currency1;
        int256 moved = other0 ? delta >> 128 : int256(int128(delta));
        if (trick == Trick.TakesOfOutput && sells || trick == Trick.AsksForMoreInput && !sells) {
            uint256 taken = _magnitude(moved) / 2;
            manager.take(currency, address(this), taken);
            return (this.afterSwap.selector, int128(int256(taken)));
        }
        if (trick == Trick.TakesAndOwes) manager.take(currency, address(this), 1);
        return (this.afterSwap.selector, 0);
    }

    function _mischief(PoolKey calldata key, SwapParams calldata params) private {
        if (trick == Trick.MovesThePrice) {
            SwapParams memory ahead = params;
            ahead.amountSpecified = -100e18;
            int256 delta = manager.swap(key, ahead, "");
            (address sold, address bought) = (key.currency1, key.currency0);
            (int256 paid, int256 got) = (int256(int128(delta)), delta >> 128);
            if (params.zeroForOne) (sold, bought, paid, got) = (bought, sold, got, paid);
            manager.sync(sold);
            IERC20(sold).transfer(address(manager), uint256(-paid));
            manager.settle();
            manager.take(bought, address(this), uint256(got));
        } else if (trick == Trick.Reenters) {
            for (uint256 i = 0; i < attempts.length; i++) {
                (bool ok,) = router.call(attempts[i]);
                if (ok) attemptsServed++;
            }
        } else if (trick == Trick.SyncsAnother) {
            manager.sync(key.currency0);
        } else if (trick == Trick.SettlesForItself) {
            manager.settle();
        } else if (trick == Trick.Unlocks) {
            manager.unlock("");
        } else if (trick == Trick.Reverts) {
            revert("no");
        } else if (trick == Trick.RevertsWithBomb) {
            assembly {
                revert(0, 1000000)
            }
        } else if (trick == Trick.ReturnsBomb) {
            assembly {
                return(0, 1000000)
            }
        } else if (trick == Trick.BurnsGas) {
            while (true) asked++;
        }
    }

    function _magnitude(int256 amount) private pure returns (uint256) {
        return uint256(amount < 0 ? -amount : amount);
    }
}
