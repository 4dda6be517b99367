"""Pairs of two reserves: Uniswap V2 and its forks, Camelot V2, Solidly."""

from __future__ import annotations

from collections.abc import Sequence

from engine.chain.calls import View
from engine.chain.readers.reading import Ask, Reading
from engine.domain.market import PoolRecord
from engine.domain.pool_details import SolidlyDetails, SolidlyVersion
from engine.domain.pool_state import CamelotPoolState, SolidlyPoolState, V2PoolState

_RESERVES = View.of("getReserves()", "uint112", "uint112", "uint32")
_CAMELOT_RESERVES = View.of("getReserves()", "uint112", "uint112", "uint16", "uint16")
_SOLIDLY_RESERVES = View.of("getReserves()", "uint256", "uint256", "uint256")
# Velodrome V2 and Aerodrome ask by pool, Velodrome V1 by kind.
_FEE_OF_POOL = View.of("getFee(address,bool)", "uint256")
_FEE_OF_KIND = View.of("getFee(bool)", "uint256")


async def read_v2(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """Reserves of Uniswap V2 pairs."""
    for pool, (reserves,) in zip(pools, await reading.of_each(pools, _RESERVES), strict=True):
        if reserves is not None:
            reading.accept(V2PoolState(pool, reserves[0], reserves[1]))


async def read_camelot(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """Reserves and the fee of each direction of Camelot pairs."""
    for pool, (answer,) in zip(pools, await reading.of_each(pools, _CAMELOT_RESERVES), strict=True):
        if answer is not None:
            reading.accept(CamelotPoolState(pool, *answer))


async def read_solidly(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """Reserves, and the fee the factory sets for the pool, which no event of the pool tells."""
    reserves = await reading.of_each(pools, _SOLIDLY_RESERVES)
    fees = await reading.values([_fee(reading, pool) for pool in pools])
    for pool, (answer,), fee in zip(pools, reserves, fees, strict=True):
        if answer is not None and fee is not None:
            reading.accept(SolidlyPoolState(pool, answer[0], answer[1], fee[0]))


def _fee(reading: Reading, pool: PoolRecord) -> Ask:
    assert isinstance(pool.details, SolidlyDetails)
    factory = reading.venues[pool.venue].factory
    stable = pool.details.stable
    if pool.details.version is SolidlyVersion.VELODROME_V1:
        return Ask(pool, _FEE_OF_KIND, (stable,), to=factory)
    return Ask(pool, _FEE_OF_POOL, (pool.address, stable), to=factory)
