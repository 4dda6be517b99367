// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

interface IToken {
    function balanceOf(address account) external view returns (uint256);
}

interface IPool {
    function coins(int128 i) external view returns (address);
    function balances(int128 i) external view returns (uint256);
    function get_dy(int128 i, int128 j, uint256 dx) external view returns (uint256);
    function exchange(int128 i, int128 j, uint256 dx, uint256 minDy) external;
}

/// @title Many swaps on one Curve pool of 2020, each undone
/// @dev A case is three words: coin sold, coin bought, amount. An answer is five: bits, the amount paid, get_dy, the
/// pool's balance of the coin sold and of the coin bought after it. Bits: 1 the swap is done; 2 get_dy answers.
contract CurveDriver {
    uint256 private constant VIEW_GAS = 20_000_000;

    error Done(uint256 paid, uint256 balanceIn, uint256 balanceOut);

    function run(IPool pool, uint256[3][] calldata cases) external returns (uint256[5][] memory answers) {
        answers = new uint256[5][](cases.length);
        for (uint256 n = 0; n < cases.length; n++) {
            (int128 i, int128 j) = (int128(int256(cases[n][0])), int128(int256(cases[n][1])));
            try pool.get_dy{gas: VIEW_GAS}(i, j, cases[n][2]) returns (uint256 dy) {
                (answers[n][0], answers[n][2]) = (2, dy);
            } catch {}
            try this.attempt{gas: VIEW_GAS}(pool, i, j, cases[n][2]) {}
            catch (bytes memory reason) {
                if (reason.length == 100 && bytes4(reason) == Done.selector) {
                    answers[n][0] |= 1;
                    (uint256 paid, uint256 balanceIn, uint256 balanceOut) = (0, 0, 0);
                    assembly ("memory-safe") {
                        paid := mload(add(reason, 36))
                        balanceIn := mload(add(reason, 68))
                        balanceOut := mload(add(reason, 100))
                    }
                    (answers[n][1], answers[n][3], answers[n][4]) = (paid, balanceIn, balanceOut);
                }
            }
        }
    }

    function attempt(IPool pool, int128 i, int128 j, uint256 dx) external {
        IToken bought = IToken(pool.coins(j));
        uint256 before = bought.balanceOf(address(this));
        pool.exchange(i, j, dx, 0);
        revert Done(bought.balanceOf(address(this)) - before, pool.balances(i), pool.balances(j));
    }
}
