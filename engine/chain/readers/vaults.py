"""Wrappers: ERC-4626 vaults, wstETH, WETH."""

from __future__ import annotations

from collections.abc import Sequence

from engine.chain.calls import View
from engine.chain.readers.reading import Ask, Reading
from engine.domain.market import PoolRecord
from engine.domain.pool_state import Erc4626PoolState, WethPoolState, WstEthPoolState

_TOTAL_ASSETS = View.of("totalAssets()", "uint256")
_TOTAL_SUPPLY = View.of("totalSupply()", "uint256")
_TOTAL_SHARES = View.of("getTotalShares()", "uint256")
_POOLED_ETHER = View.of("getTotalPooledEther()", "uint256")
# A vault may ask the strategies and markets it lends to.
_VAULT_GAS = 5_000_000


async def read_erc4626(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """Assets and shares of vaults."""
    asks = [Ask(pool, view, gas=_VAULT_GAS) for pool in pools for view in (_TOTAL_ASSETS, _TOTAL_SUPPLY)]
    answers = await reading.values(asks)
    for pool, assets, supply in zip(pools, answers[::2], answers[1::2], strict=True):
        if assets is not None and supply is not None:
            reading.accept(Erc4626PoolState(pool, assets[0], supply[0]))


async def read_wsteth(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """stETH's shares and ether, and how much of it is wrapped."""
    asks = [
        ask
        for pool in pools
        for ask in (
            Ask(pool, _TOTAL_SHARES, to=pool.tokens[0]),
            Ask(pool, _POOLED_ETHER, to=pool.tokens[0]),
            Ask(pool, _TOTAL_SUPPLY),
        )
    ]
    answers = await reading.values(asks)
    for at, pool in enumerate(pools):
        shares, ether, wrapped = answers[3 * at : 3 * at + 3]
        if shares is not None and ether is not None and wrapped is not None:
            reading.accept(WstEthPoolState(pool, shares[0], ether[0], wrapped[0]))


async def read_weth(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """How much native coin is wrapped."""
    for pool, (supply,) in zip(pools, await reading.of_each(pools, _TOTAL_SUPPLY), strict=True):
        if supply is not None:
            reading.accept(WethPoolState(pool, supply[0]))
