// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

interface IWeth {
    function balanceOf(address account) external view returns (uint256);
    function deposit() external payable;
    function withdraw(uint256 amount) external;
}

/// @title Many wraps and unwraps of the native coin, each undone
/// @dev A case is two words: amount, 1 to unwrap. An answer is three: 1 if done, what came out, the wrapped supply
/// after it.
contract WethDriver {
    uint256 private constant MOVE_GAS = 200_000;

    IWeth private immutable _weth;

    error Done(uint256 received, uint256 supply);

    constructor(IWeth weth) {
        _weth = weth;
    }

    receive() external payable {}

    function run(uint256[2][] calldata cases) external returns (uint256[3][] memory answers) {
        answers = new uint256[3][](cases.length);
        for (uint256 i = 0; i < cases.length; i++) {
            try this.attempt{gas: MOVE_GAS}(cases[i][0], cases[i][1]) {}
            catch (bytes memory reason) {
                if (reason.length == 68 && bytes4(reason) == Done.selector) {
                    (uint256 received, uint256 supply) = (0, 0);
                    assembly ("memory-safe") {
                        received := mload(add(reason, 36))
                        supply := mload(add(reason, 68))
                    }
                    answers[i] = [1, received, supply];
                }
            }
        }
    }

    function attempt(uint256 amount, uint256 unwraps) external {
        uint256 received;
        if (unwraps == 0) {
            uint256 before = _weth.balanceOf(address(this));
            _weth.deposit{value: amount}();
            received = _weth.balanceOf(address(this)) - before;
        } else {
            uint256 before = address(this).balance;
            _weth.withdraw(amount);
            received = address(this).balance - before;
        }
        revert Done(received, address(_weth).balance);
    }
}
