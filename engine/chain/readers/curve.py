"""Curve pools: StableSwap of every generation, and CryptoSwap of two and three coins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.chain.calls import View
from engine.chain.readers.reading import Ask, Reading
from engine.domain.market import PoolRecord
from engine.domain.pool_details import (
    CryptoSwapVariant,
    CurveCryptoDetails,
    CurveStableDetails,
    StableSwapVariant,
)
from engine.domain.pool_state import CurveCryptoPoolState, CurveStablePoolState

_BALANCE = View.of("balances(uint256)", "uint256")
_BALANCE_INT128 = View.of("balances(int128)", "uint256")
_BALANCE_OF = View.of("balanceOf(address)", "uint256")
_DECIMALS = View.of("decimals()", "uint8")
_STORED_RATES = View.of("stored_rates()", "uint256[]")
_VIRTUAL_PRICE = View.of("get_virtual_price()", "uint256")
_BASE_VIRTUAL_PRICE = View.of("base_virtual_price()", "uint256")
_BASE_CACHE_UPDATED = View.of("base_cache_updated()", "uint256")
_A = View.of("A()", "uint256")
_FEE = View.of("fee()", "uint256")
_ADMIN_FEE = View.of("admin_fee()", "uint256")
_OFFPEG = View.of("offpeg_fee_multiplier()", "uint256")
_RAMP = tuple(
    View.of(f"{name}()", "uint256") for name in ("initial_A", "future_A", "initial_A_time", "future_A_time")
)
# How long a metapool trusts the virtual price it has stored of its base pool.
_BASE_CACHE_S = 600
# Rates may be asked of oracles and vaults.
_RATES_GAS = 3_000_000

_GAMMA = View.of("gamma()", "uint256")
_D = View.of("D()", "uint256")
_PRICE_SCALE = View.of("price_scale()", "uint256")
_PRICE_SCALE_OF = View.of("price_scale(uint256)", "uint256")
_CRYPTO = (
    _D,
    View.of("mid_fee()", "uint256"),
    View.of("out_fee()", "uint256"),
    View.of("fee_gamma()", "uint256"),
    View.of("totalSupply()", "uint256"),
    View.of("virtual_price()", "uint256"),
    View.of("initial_A_gamma()", "uint256"),
    View.of("initial_A_gamma_time()", "uint256"),
    View.of("future_A_gamma()", "uint256"),
    View.of("future_A_gamma_time()", "uint256"),
)


async def read_curve_stable(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """Balances, rates, amplification and fees of StableSwap pools."""
    balances = await _balances(reading, pools)
    await _refuse_liars(reading, pools, balances)
    fees = await reading.of_each(pools, _FEE, _ADMIN_FEE)
    ramps = await _ramps(reading, pools)
    rates = await _rates(reading, pools)
    offpeg_fees = await reading.of_each(pools, _OFFPEG, optional=True)
    for pool, (fee, admin_fee), (offpeg,) in zip(pools, fees, offpeg_fees, strict=True):
        if fee is None or admin_fee is None or not all(pool.key in each for each in (balances, ramps, rates)):
            reading.refuse(pool, "its balances, rates or amplification cannot be read")
            continue
        multiplier = offpeg[0] if offpeg and _details(pool).variant is StableSwapVariant.NG else 0
        reading.accept(
            CurveStablePoolState(
                pool, balances[pool.key], rates[pool.key], ramps[pool.key], fee[0], admin_fee[0], multiplier
            )
        )


async def read_curve_crypto(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """Balances, D, price scale, fees, and A and gamma as of the block to trade in."""
    balances = await _balances(reading, pools)
    await _refuse_liars(reading, pools, balances)
    scales = await _price_scales(reading, pools)
    for pool, answers in zip(pools, await reading.of_each(pools, *_CRYPTO), strict=True):
        if any(answer is None for answer in answers) or pool.key not in balances or pool.key not in scales:
            continue
        values = [answer[0] for answer in answers if answer is not None]
        d, mid_fee, out_fee, fee_gamma, supply, virtual_price, *ramp = values
        a, gamma = _a_gamma(*ramp, at=reading.trade_time)
        reading.accept(
            CurveCryptoPoolState(
                pool,
                balances=balances[pool.key],
                a=a,
                gamma=gamma,
                d=d,
                price_scale=scales[pool.key],
                mid_fee=mid_fee,
                out_fee=out_fee,
                fee_gamma=fee_gamma,
                total_supply=supply,
                virtual_price=virtual_price,
                ramping=ramp[3] > reading.trade_time,
                may_lose=ramp[3] >= reading.trade_time,
            )
        )


async def _balances(reading: Reading, pools: Sequence[PoolRecord]) -> dict[str, tuple[int, ...]]:
    """Pools of before August 2020 number their coins by int128: the sUSD type, and some of 3pool's."""
    in_doubt = [pool for pool in pools if _variant(pool) is StableSwapVariant.THREE_POOL]
    old = {pool.key for pool in pools if _variant(pool) is StableSwapVariant.SUSD}
    asks = [Ask(pool, _BALANCE, (0,), optional=True) for pool in in_doubt]
    answers = await reading.values(asks)
    old |= {pool.key for pool, answer in zip(in_doubt, answers, strict=True) if answer is None}
    asks = [
        Ask(pool, _BALANCE_INT128 if pool.key in old else _BALANCE, (coin,))
        for pool in pools
        for coin in range(len(pool.tokens))
    ]
    return _by_pool(pools, await reading.values(asks))


async def _refuse_liars(
    reading: Reading, pools: Sequence[PoolRecord], balances: dict[str, tuple[int, ...]]
) -> None:
    """A pool that claims more of a coin than it holds cannot pay: what it says of itself is worth nothing."""
    asks = [Ask(pool, _BALANCE_OF, (pool.address,), to=token) for pool in pools for token in pool.tokens]
    held = _by_pool(pools, await reading.values(asks))
    for pool in reading.fit(pools):
        if pool.key in balances and any(
            have < claimed for have, claimed in zip(held[pool.key], balances[pool.key], strict=True)
        ):
            reading.refuse(pool, "it claims balances that it does not hold")


async def _ramps(reading: Reading, pools: Sequence[PoolRecord]) -> dict[str, tuple[int, int, int, int]]:
    """(initial A, future A, their times); a ramp that is over, or a pool that cannot ramp, is at rest."""
    at_rest = await reading.of_each(pools, _A)
    found = {}
    for pool, answers, (a,) in zip(
        pools, await reading.of_each(pools, *_RAMP, optional=True), at_rest, strict=True
    ):
        if a is None:
            continue
        if any(answer is None for answer in answers):
            found[pool.key] = (a[0], a[0], 0, 0)
            continue
        first, last, start, end = (answer[0] for answer in answers if answer is not None)
        over = end <= reading.block.timestamp
        found[pool.key] = (last, last, 0, 0) if over else (first, last, start, end)
    return found


async def _rates(reading: Reading, pools: Sequence[PoolRecord]) -> dict[str, tuple[int, ...]]:
    """What each pool multiplies its balances with: by decimals, by its own account of rates, and for the last
    coin of a metapool by its base pool's virtual price."""
    asks = [Ask(pool, _DECIMALS, to=token) for pool in pools for token in pool.tokens]
    decimals = _by_pool(pools, await reading.values(asks))
    stored = await _stored_rates(reading, pools)
    metapools = [pool for pool in pools if _details(pool).base_pool is not None]
    base_rates = await _base_rates(reading, metapools)
    found: dict[str, tuple[int, ...]] = {}
    for pool, rates in zip(pools, stored, strict=True):
        if pool.key not in decimals or any(each > 36 for each in decimals[pool.key]):
            continue
        computed = [10 ** (36 - each) for each in decimals[pool.key]]
        if rates is not None and len(rates) == len(computed):
            computed = list(rates)
        if pool.key in base_rates:
            computed[-1] = base_rates[pool.key]
        elif _details(pool).base_pool is not None:
            continue
        found[pool.key] = tuple(computed)
    return found


async def _stored_rates(reading: Reading, pools: Sequence[PoolRecord]) -> list[tuple[int, ...] | None]:
    """The pools' own rates, where they keep any: a list in NG pools, a fixed array in factory pools."""

    async def ask(view: Callable[[PoolRecord], View]) -> list[tuple[Any, ...] | None]:
        asks = [Ask(pool, view(pool), optional=True, gas=_RATES_GAS) for pool in pools]
        return await reading.values(asks)

    lists = await ask(lambda pool: _STORED_RATES)
    arrays = await ask(lambda pool: View.of("stored_rates()", f"uint256[{len(pool.tokens)}]"))
    return [
        tuple(listed[0]) if listed is not None else tuple(fixed[0]) if fixed is not None else None
        for listed, fixed in zip(lists, arrays, strict=True)
    ]


async def _base_rates(reading: Reading, pools: Sequence[PoolRecord]) -> dict[str, int]:
    now = await reading.values([Ask(pool, _VIRTUAL_PRICE, to=_details(pool).base_pool) for pool in pools])
    cached = await reading.of_each(pools, _BASE_VIRTUAL_PRICE, _BASE_CACHE_UPDATED, optional=True)
    found = {}
    for pool, price, (stored, updated) in zip(pools, now, cached, strict=True):
        if price is not None:
            holds = updated is not None and reading.trade_time <= updated[0] + _BASE_CACHE_S
            found[pool.key] = stored[0] if stored is not None and holds else price[0]
    return found


async def _price_scales(reading: Reading, pools: Sequence[PoolRecord]) -> dict[str, tuple[int, ...]]:
    asks = []
    for pool in pools:
        if _crypto(pool).variant is CryptoSwapVariant.TRICRYPTO:
            asks += [Ask(pool, _PRICE_SCALE_OF, (coin,)) for coin in range(len(pool.tokens) - 1)]
        else:
            asks.append(Ask(pool, _PRICE_SCALE))
    found: dict[str, list[int]] = {}
    for ask, answer in zip(asks, await reading.values(asks), strict=True):
        if answer is not None:
            found.setdefault(ask.pool.key, []).append(answer[0])
    return {pool.key: tuple(found[pool.key]) for pool in reading.fit(pools) if pool.key in found}


def _a_gamma(initial: int, initial_time: int, future: int, future_time: int, *, at: int) -> tuple[int, int]:
    """A and gamma of a ramp at a time (CryptoSwap `_A_gamma`: each packed as A << 128 | gamma)."""
    a1, gamma1 = future >> 128, future & (1 << 128) - 1
    if at >= future_time:
        return a1, gamma1
    a0, gamma0 = initial >> 128, initial & (1 << 128) - 1
    whole, past = future_time - initial_time, max(at - initial_time, 0)
    left = whole - past
    return (a0 * left + a1 * past) // whole, (gamma0 * left + gamma1 * past) // whole


def _by_pool(
    pools: Sequence[PoolRecord], answers: Sequence[tuple[Any, ...] | None]
) -> dict[str, tuple[int, ...]]:
    """One answer per coin, gathered by pool; pools with a missing answer are left out."""
    found, at = {}, 0
    for pool in pools:
        part = answers[at : at + len(pool.tokens)]
        at += len(pool.tokens)
        if all(answer is not None for answer in part):
            found[pool.key] = tuple(answer[0] for answer in part if answer is not None)
    return found


def _details(pool: PoolRecord) -> CurveStableDetails:
    assert isinstance(pool.details, CurveStableDetails)
    return pool.details


def _crypto(pool: PoolRecord) -> CurveCryptoDetails:
    assert isinstance(pool.details, CurveCryptoDetails)
    return pool.details


def _variant(pool: PoolRecord) -> StableSwapVariant | None:
    return pool.details.variant if isinstance(pool.details, CurveStableDetails) else None
