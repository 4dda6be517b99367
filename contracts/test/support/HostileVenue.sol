// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @dev A venue that pulls its input, as Curve, ERC-4626, wstETH, or lends, as Morpho and Aave, and misbehaves.
contract HostileVenue {
    enum Trick {
        None,
        TakesNothing,
        TakesHalf,
        GivesNothing,
        GivesHalf,
        TakesMore,
        Reenters,
        ReturnsBomb,
        RevertsWithBomb,
        BurnsGas,
        NoCallback,
        CallbackTwice,
        ForgedData,
        OtherAmount,
        DoesNotTakeItBack
    }

    Trick public trick;
    IERC20 public tokenIn;
    IERC20 public tokenOut;
    uint256 public amountOut;
    bytes[] public attempts;
    uint256 public attemptsServed;
    uint256 public callbacksServed;

    function set(Trick trick_, IERC20 tokenIn_, IERC20 tokenOut_, uint256 amountOut_) external {
        (trick, tokenIn, tokenOut, amountOut) = (trick_, tokenIn_, tokenOut_, amountOut_);
    }

    function setAttempts(bytes[] calldata attempts_) external {
        attempts = attempts_;
    }

    function exchange(int128, int128, uint256 amount, uint256) external {
        _trade(amount, msg.sender, true);
    }

    function exchange(uint256, uint256, uint256 amount, uint256) external {
        _trade(amount, msg.sender, true);
    }

    function exchange_received(int128, int128, uint256 amount, uint256, address to)
        external
        returns (uint256)
    {
        return _trade(amount, to, false);
    }

    function exchange_received(uint256, uint256, uint256 amount, uint256, address to)
        external
        returns (uint256)
    {
        return _trade(amount, to, false);
    }

    function deposit(uint256 amount, address to) external returns (uint256) {
        return _trade(amount, to, true);
    }

    function redeem(uint256 amount, address to, address) external returns (uint256) {
        return _trade(amount, to, false);
    }

    function wrap(uint256 amount) external returns (uint256) {
        return _trade(amount, msg.sender, true);
    }

    function unwrap(uint256 amount) external returns (uint256) {
        return _trade(amount, msg.sender, false);
    }

    /// @dev Morpho's.
    function flashLoan(address token, uint256 amount, bytes calldata data) external {
        IERC20(token).transfer(msg.sender, amount);
        bytes memory given = trick == Trick.ForgedData ? _forged(data) : data;
        uint256 asked = trick == Trick.OtherAmount ? amount * 2 : amount;
        _lend(msg.sender, abi.encodeWithSelector(0x31f57072, asked, given));
        if (trick == Trick.DoesNotTakeItBack) return;
        IERC20(token).transferFrom(msg.sender, address(this), trick == Trick.TakesHalf ? asked / 2 : asked);
    }

    /// @dev Aave's, at five basis points.
    function flashLoanSimple(address receiver, address token, uint256 amount, bytes calldata data, uint16)
        external
    {
        IERC20(token).transfer(receiver, amount);
        uint256 premium = trick == Trick.OtherAmount ? amount : amount * 5 / 10_000;
        bytes memory given = trick == Trick.ForgedData ? _forged(data) : data;
        _lend(receiver, abi.encodeWithSelector(0x1b11d0ff, token, amount, premium, msg.sender, given));
        if (trick == Trick.DoesNotTakeItBack) return;
        uint256 owed = amount + premium;
        IERC20(token).transferFrom(receiver, address(this), trick == Trick.TakesHalf ? owed / 2 : owed);
    }

    function _lend(address receiver, bytes memory call) private {
        if (trick == Trick.NoCallback) return;
        _reenter();
        (bool ok, bytes memory reason) = receiver.call(call);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(reason, 32), mload(reason))
            }
        }
        if (trick == Trick.CallbackTwice) {
            (bool again,) = receiver.call(call);
            if (again) callbacksServed++;
        }
    }

    function _trade(uint256 amount, address to, bool pulls) private returns (uint256) {
        if (trick == Trick.BurnsGas) while (gasleft() > 0) {}
        if (trick == Trick.RevertsWithBomb) {
            assembly ("memory-safe") {
                revert(0, 1000000)
            }
        }
        _reenter();
        if (pulls && trick != Trick.TakesNothing) {
            uint256 taken =
                trick == Trick.TakesHalf ? amount / 2 : trick == Trick.TakesMore ? amount + 1 : amount;
            tokenIn.transferFrom(msg.sender, address(this), taken);
        }
        if (trick != Trick.GivesNothing) {
            tokenOut.transfer(to, trick == Trick.GivesHalf ? amountOut / 2 : amountOut);
        }
        if (trick == Trick.ReturnsBomb) {
            assembly ("memory-safe") {
                return(0, 1000000)
            }
        }
        return amountOut;
    }

    function _reenter() private {
        if (trick != Trick.Reenters) return;
        for (uint256 i = 0; i < attempts.length; i++) {
            (bool ok,) = msg.sender.call(attempts[i]);
            if (ok) attemptsServed++;
        }
    }

    function _forged(bytes memory data) private pure returns (bytes memory) {
        // The token stays, the commands are gone: nothing left to do but to pay back.
        bytes memory copy = new bytes(32);
        for (uint256 i = 0; i < 32; i++) {
            copy[i] = data[i];
        }
        return copy;
    }
}
