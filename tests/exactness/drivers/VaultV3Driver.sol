// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

struct VaultSwapParams {
    uint8 kind;
    address pool;
    address tokenIn;
    address tokenOut;
    uint256 amountGivenRaw;
    uint256 limitRaw;
    bytes userData;
}

interface IVault {
    function unlock(bytes calldata data) external returns (bytes memory);
    function swap(VaultSwapParams calldata params)
        external
        returns (uint256 amountCalculated, uint256 amountIn, uint256 amountOut);
}

/// @title Many swaps on one Balancer V3 pool, each undone
/// @dev A case is four words: token sold, token bought, amount, 1 for exact-out. An answer is three: 1 if done, the
/// amount in, the amount out.
contract VaultV3Driver {
    uint256 private constant SWAP_GAS = 10_000_000;

    IVault private immutable _vault;

    error Done(uint256 amountIn, uint256 amountOut);

    constructor(IVault vault) {
        _vault = vault;
    }

    function run(address pool, address[] calldata tokens, uint256[4][] calldata cases)
        external
        returns (uint256[3][] memory)
    {
        bytes memory made = _vault.unlock(abi.encodeCall(this.unlocked, (pool, tokens, cases)));
        return abi.decode(made, (uint256[3][]));
    }

    function unlocked(address pool, address[] calldata tokens, uint256[4][] calldata cases)
        external
        returns (uint256[3][] memory answers)
    {
        answers = new uint256[3][](cases.length);
        for (uint256 n = 0; n < cases.length; n++) {
            (address sold, address bought) = (tokens[cases[n][0]], tokens[cases[n][1]]);
            try this.attempt{gas: SWAP_GAS}(pool, sold, bought, cases[n][2], cases[n][3]) {}
            catch (bytes memory reason) {
                if (reason.length == 68 && bytes4(reason) == Done.selector) {
                    (uint256 amountIn, uint256 amountOut) = (0, 0);
                    assembly ("memory-safe") {
                        amountIn := mload(add(reason, 36))
                        amountOut := mload(add(reason, 68))
                    }
                    answers[n] = [1, amountIn, amountOut];
                }
            }
        }
    }

    function attempt(address pool, address sold, address bought, uint256 amount, uint256 kind) external {
        uint256 limit = kind == 0 ? 0 : type(uint256).max;
        (, uint256 amountIn, uint256 amountOut) =
            _vault.swap(VaultSwapParams(uint8(kind), pool, sold, bought, amount, limit, ""));
        revert Done(amountIn, amountOut);
    }
}
