"""Balancer V2 and V3: balances at the vault, fees, rates and amplification at the pool."""

from __future__ import annotations

from collections.abc import Sequence

from engine.chain.calls import View
from engine.chain.readers.reading import Ask, Reading
from engine.domain.market import PoolRecord
from engine.domain.pool_details import (
    ZERO_ADDRESS,
    BalancerV2StableDetails,
    BalancerV2WeightedDetails,
    BalancerV3StableDetails,
    BalancerV3WeightedDetails,
)
from engine.domain.pool_state import (
    BalancerV2StablePoolState,
    BalancerV2WeightedPoolState,
    BalancerV3StablePoolState,
    BalancerV3WeightedPoolState,
)

ONE = 10**18
_V2_TOKENS = View.of("getPoolTokens(bytes32)", "address[]", "uint256[]", "uint256")
_SWAP_FEE = View.of("getSwapFeePercentage()", "uint256")
_PAUSED = View.of("getPausedState()", "bool", "uint256", "uint256")
_AMP = View.of("getAmplificationParameter()", "uint256", "bool", "uint256")
_PROVIDERS = View.of("getRateProviders()", "address[]")
_RATE_CACHE = View.of("getTokenRateCache(address)", "uint256", "uint256", "uint256", "uint256")
_RATE = View.of("getRate()", "uint256")
_DECIMALS = View.of("decimals()", "uint8")
_RATES_GAS = 3_000_000

_V3_LIVE = View.of("getCurrentLiveBalances(address)", "uint256[]")
_V3_RATES = View.of("getPoolTokenRates(address)", "uint256[]", "uint256[]")
_V3_FEE = View.of("getStaticSwapFeePercentage(address)", "uint256")
_V3_PAUSED = View.of("isPoolPaused(address)", "bool")
_V3_HOOKS = View.of("getHooksConfig(address)", "(" + ",".join(["bool"] * 10) + ",address)")
_V3_AMP = View.of("getAmplificationState()", "(uint64,uint64,uint32,uint32)", "uint256")
# Of the hooks' flags, in the struct's order: dynamic fee, before swap, after swap.
_V3_SWAP_HOOKS = (3, 4, 5)


async def read_balancer_v2_weighted(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """Vault balances and the fee; weights are part of the record."""
    fees = await _unpaused_fees(reading, pools)
    for pool, balances in (await _v2_balances(reading, pools)).items():
        record = _of(pools, pool)
        if pool in fees:
            reading.accept(BalancerV2WeightedPoolState(record, balances, fees[pool]))


async def read_balancer_v2_stable(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """Vault balances, rates as the next swap will use them, amplification and fee."""
    fees = await _unpaused_fees(reading, pools)
    balances = await _v2_balances(reading, pools)
    scaling = await _v2_scaling(reading, pools)
    for pool, (amp,) in zip(pools, await reading.of_each(pools, _AMP), strict=True):
        if amp is None or not all(pool.key in each for each in (fees, balances, scaling)):
            continue
        value, changing, _ = amp
        if changing:
            # The pool tells neither where its ramp began nor where it ends.
            reading.refuse(pool, "its amplification is changing")
            continue
        ramp = (value, value, 0, 0)
        reading.accept(
            BalancerV2StablePoolState(pool, balances[pool.key], scaling[pool.key], ramp, fees[pool.key])
        )


async def read_balancer_v3_weighted(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """Live balances and rates at the vault."""
    for pool, (live, rates, fee) in (await _v3_common(reading, pools)).items():
        reading.accept(BalancerV3WeightedPoolState(_of(pools, pool), live, rates, fee))


async def read_balancer_v3_stable(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """As weighted pools, and the amplification with its ramp."""
    common = await _v3_common(reading, pools)
    for pool, (amp,) in zip(pools, await reading.of_each(pools, _V3_AMP), strict=True):
        if amp is not None and pool.key in common:
            first, last, start, end = amp[0]
            over = end <= reading.block.timestamp
            ramp = (last, last, 0, 0) if over else (first, last, start, end)
            live, rates, fee = common[pool.key]
            reading.accept(BalancerV3StablePoolState(pool, live, rates, ramp, fee))


async def _unpaused_fees(reading: Reading, pools: Sequence[PoolRecord]) -> dict[str, int]:
    found = {}
    for pool, (fee, paused) in zip(pools, await reading.of_each(pools, _SWAP_FEE, _PAUSED), strict=True):
        if paused is not None and paused[0]:
            reading.refuse(pool, "it is paused")
        elif fee is not None:
            found[pool.key] = fee[0]
    return found


async def _v2_balances(reading: Reading, pools: Sequence[PoolRecord]) -> dict[str, tuple[int, ...]]:
    """Balances in the record's order, the pool's own token left out."""
    asks = []
    for pool in pools:
        details = pool.details
        assert isinstance(details, BalancerV2WeightedDetails | BalancerV2StableDetails)
        asks.append(Ask(pool, _V2_TOKENS, (bytes.fromhex(details.pool_id[2:]),), to=details.vault, gas=None))
    found = {}
    for pool, answer in zip(pools, await reading.values(asks), strict=True):
        if answer is None:
            continue
        tokens, balances, _ = answer
        held = [
            (token.lower(), balance)
            for token, balance in zip(tokens, balances, strict=True)
            if token.lower() != pool.address
        ]
        if tuple(token for token, _ in held) != pool.tokens:
            reading.refuse(pool, "the vault names other tokens for it")
        else:
            found[pool.key] = tuple(balance for _, balance in held)
    return found


async def _v2_scaling(reading: Reading, pools: Sequence[PoolRecord]) -> dict[str, tuple[int, ...]]:
    """1e18 * 10 ** (18 - decimals) * rate of each token. A cached rate that has expired is replaced by the
    next swap, so it is the provider's present one that counts."""
    coins = [(pool, token) for pool in pools for token in pool.tokens]
    decimals = await reading.values([Ask(pool, _DECIMALS, to=token) for pool, token in coins])
    providers = await _rate_providers(reading, pools)
    rated = [(pool, token) for pool, token in coins if providers.get((pool.key, token))]
    caches = await reading.values([Ask(pool, _RATE_CACHE, (token,)) for pool, token in rated])
    present = await reading.values(
        [Ask(pool, _RATE, to=providers[pool.key, token], gas=_RATES_GAS) for pool, token in rated]
    )
    rates: dict[tuple[str, str], int] = {}
    for (pool, token), cache, rate in zip(rated, caches, present, strict=True):
        if cache is not None and rate is not None:
            rates[pool.key, token] = rate[0] if reading.trade_time >= cache[3] else cache[0]
    found: dict[str, list[int]] = {}
    for (pool, token), answer in zip(coins, decimals, strict=True):
        if answer is None or answer[0] > 18:
            reading.refuse(pool, f"token {token} has decimals that Balancer does not take")
        else:
            unit = 10 ** (18 - answer[0])
            found.setdefault(pool.key, []).append(unit * rates.get((pool.key, token), ONE))
    return {key: tuple(values) for key, values in found.items() if key not in reading.refused}


async def _rate_providers(reading: Reading, pools: Sequence[PoolRecord]) -> dict[tuple[str, str], str]:
    """The rate provider of (pool, token) where there is one. Providers stand in the vault's order."""
    found = {}
    for pool, (answer,) in zip(pools, await reading.of_each(pools, _PROVIDERS, optional=True), strict=True):
        if answer is None:
            continue
        details = pool.details
        assert isinstance(details, BalancerV2StableDetails)
        providers = [provider.lower() for provider in answer[0]]
        if details.bpt_index is not None and len(providers) == len(pool.tokens) + 1:
            del providers[details.bpt_index]
        for token, provider in zip(pool.tokens, providers, strict=False):
            if provider != ZERO_ADDRESS:
                found[pool.key, token] = provider
    return found


async def _v3_common(
    reading: Reading, pools: Sequence[PoolRecord]
) -> dict[str, tuple[tuple[int, ...], tuple[int, ...], int]]:
    """Live balances, rates and static fee by key; pools that are paused or whose hooks take part in swaps
    are refused."""
    views = (_V3_LIVE, _V3_RATES, _V3_FEE, _V3_PAUSED, _V3_HOOKS)
    asks = []
    for pool in pools:
        details = pool.details
        assert isinstance(details, BalancerV3WeightedDetails | BalancerV3StableDetails)
        asks += [Ask(pool, view, (pool.address,), to=details.vault, gas=_RATES_GAS) for view in views]
    answers = await reading.values(asks)
    found = {}
    for at, pool in enumerate(pools):
        live, rates, fee, paused, hooks = answers[len(views) * at : len(views) * (at + 1)]
        if live is None or rates is None or fee is None or paused is None or hooks is None:
            continue
        if paused[0]:
            reading.refuse(pool, "it is paused")
        elif any(hooks[0][flag] for flag in _V3_SWAP_HOOKS):
            reading.refuse(pool, "its hook takes part in swaps")
        elif len(live[0]) != len(pool.tokens):
            reading.refuse(pool, "the vault names other tokens for it")
        else:
            found[pool.key] = tuple(live[0]), tuple(rates[1]), fee[0]
    return found


def _of(pools: Sequence[PoolRecord], key: str) -> PoolRecord:
    return next(pool for pool in pools if pool.key == key)
