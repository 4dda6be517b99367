// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @dev A pool of both types that does with the caller what it was told to.
contract HostilePool {
    enum Trick {
        None,
        NoCallback,
        CallbackTwice,
        ForgedData,
        TruncatedData,
        ExtendedData,
        OtherLayout,
        UnknownSelector,
        OffsetData,
        Overcharge,
        ChargeNothing,
        NegativeAmounts,
        OtherCaller,
        Reenter,
        KeepOutput
    }

    Trick public trick;
    bytes public forged;
    address public accomplice;
    IERC20 public output;
    uint256 public amountOut;
    int256 public owed;
    bool public secondRefused;

    function set(Trick trick_, IERC20 output_, uint256 amountOut_, int256 owed_) external {
        (trick, output, amountOut, owed) = (trick_, output_, amountOut_, owed_);
    }

    function forge(bytes calldata data, address accomplice_) external {
        (forged, accomplice) = (data, accomplice_);
    }

    /// @dev V3's swap.
    function swap(address recipient, bool, int256, uint160, bytes calldata data)
        external
        returns (int256, int256)
    {
        _deliver(recipient);
        _callBack(0xfa461e33, owed, -int256(amountOut), data, false);
        return (0, 0);
    }

    /// @dev V2's swap.
    function swap(uint256, uint256, address to, bytes calldata data) external {
        _deliver(to);
        if (data.length > 0) _callBack(0x10d1e85c, 0, int256(amountOut), data, true);
    }

    function _deliver(address to) private {
        if (trick != Trick.KeepOutput && amountOut > 0) output.transfer(to, amountOut);
    }

    function _callBack(bytes4 selector, int256 first, int256 second, bytes memory data, bool v2) private {
        if (trick == Trick.NoCallback) return;
        if (trick == Trick.ForgedData) data = forged;
        if (trick == Trick.TruncatedData) data = _resized(data, data.length - 1);
        if (trick == Trick.ExtendedData) data = _resized(data, data.length + 1);
        if (trick == Trick.UnknownSelector) selector = bytes4(0x12345678);
        if (trick == Trick.Overcharge) first = first * 2;
        if (trick == Trick.ChargeNothing) (first, second) = (int256(0), int256(0));
        if (trick == Trick.NegativeAmounts) (first, second) = (type(int256).min, int256(-1));
        if (trick == Trick.OtherLayout) (selector, v2) = (v2 ? bytes4(0xfa461e33) : bytes4(0x10d1e85c), !v2);
        bytes memory call = v2
            ? abi.encodeWithSelector(selector, msg.sender, uint256(first), uint256(second), data)
            : abi.encodeWithSelector(selector, first, second, data);
        if (trick == Trick.OffsetData) {
            call = abi.encodePacked(selector, first, second, uint256(128), uint256(0), data.length, data);
        }
        if (trick == Trick.OtherCaller) {
            HostilePool(accomplice).relay(msg.sender, call);
            return;
        }
        if (trick == Trick.Reenter) {
            (bool entered,) = msg.sender.call(forged);
            require(!entered, "entered");
        }
        _must(msg.sender, call);
        if (trick == Trick.CallbackTwice) {
            (bool again,) = msg.sender.call(call);
            secondRefused = !again;
        }
    }

    function relay(address router, bytes calldata call) external {
        _must(router, call);
    }

    function _must(address target, bytes memory call) private {
        (bool ok, bytes memory reason) = target.call(call);
        if (ok) return;
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }

    function _resized(bytes memory data, uint256 size) private pure returns (bytes memory copy) {
        copy = new bytes(size);
        for (uint256 i = 0; i < size && i < data.length; i++) {
            copy[i] = data[i];
        }
    }
}
