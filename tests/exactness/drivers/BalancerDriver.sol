// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

struct BatchSwapStep {
    bytes32 poolId;
    uint256 assetInIndex;
    uint256 assetOutIndex;
    uint256 amount;
    bytes userData;
}

struct FundManagement {
    address sender;
    bool fromInternalBalance;
    address recipient;
    bool toInternalBalance;
}

interface IVault {
    function queryBatchSwap(
        uint8 kind,
        BatchSwapStep[] calldata swaps,
        address[] calldata assets,
        FundManagement calldata funds
    ) external returns (int256[] memory deltas);
}

/// @title Many swaps on one Balancer V2 pool through the vault, which does and undoes each
/// @dev A case is four words: asset sold, asset bought, amount, 1 for exact-out. An answer is three: 1 if done, the
/// amount in, the amount out.
contract BalancerDriver {
    uint256 private constant SWAP_GAS = 5_000_000;

    function run(IVault vault, bytes32 poolId, address[] calldata assets, uint256[4][] calldata cases)
        external
        returns (uint256[3][] memory answers)
    {
        answers = new uint256[3][](cases.length);
        BatchSwapStep[] memory steps = new BatchSwapStep[](1);
        FundManagement memory funds = FundManagement(address(this), false, address(this), false);
        for (uint256 n = 0; n < cases.length; n++) {
            steps[0] = BatchSwapStep(poolId, cases[n][0], cases[n][1], cases[n][2], "");
            try vault.queryBatchSwap{gas: SWAP_GAS}(uint8(cases[n][3]), steps, assets, funds) returns (
                int256[] memory deltas
            ) {
                answers[n] = [1, uint256(deltas[cases[n][0]]), uint256(-deltas[cases[n][1]])];
            } catch {}
        }
    }
}
