"""Pools of the other families for the quote benchmark: one of each kind, the state compiled, plain, and where
the bytecode is published, in a contract."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks import quote_bytecode
from benchmarks.twins import twin
from engine.amm import layout
from engine.amm.families import balancer_stable, balancer_weighted, stableswap
from engine.amm.families.table import make_ready
from engine.amm.layout import PoolArrays, allocate
from engine.amm.stable_invariant import STABLE_NG, STABLE_SUSD, STABLE_THREE_POOL

_E18 = 10**18
_NOW = 1_700_000_000


class FamilyPool(NamedTuple):
    """A pool in row 0, its twin's answer to an amount of coin 0 sold for coin 1, and amounts to ask for."""

    name: str
    work: str
    pools: PoolArrays
    plain: Callable[[int], int]
    amounts: list[int]
    bytecode: quote_bytecode.Ask | None = None


def _row(kind: int, words: np.ndarray) -> PoolArrays:
    make_ready(kind)
    pools = allocate(1, 1, len(words))
    pools.kind[0], pools.word_count[0], pools.clock[0] = kind, len(words), _NOW
    pools.coin1[0] = 1
    pools.words[:] = words
    return pools


def _curve(name: str, work: str, kind: int, generation: str, state: stableswap.StableSwap) -> FamilyPool:
    reference = twin("amm", "stableswap_reference")
    plain = reference.StablePool(
        getattr(reference, generation),
        state.balances,
        state.rates,
        state.ramp,
        state.fee,
        state.admin_fee,
        state.offpeg_multiplier,
    )
    pools = _row(layout.KIND_CURVE_STABLE, stableswap.pack(state))
    return FamilyPool(
        name, work, pools, lambda dx: plain.exchange(0, 1, dx, _NOW)[0], _amounts(10**18, 10**24)
    )


def _amounts(low: int, high: int, count: int = 4_000) -> list[int]:
    rng = random.Random(low)
    return [rng.randrange(low, high) for _ in range(count)]


def _susd() -> FamilyPool:
    """Curve's pool of four coins: what `exchange` pays; `get_dy`, which the contract is asked, may say a unit
    of the coin's less."""
    amp, fee = 256, 4_000_000
    balances = (12 * 10**24, 11 * 10**12, 9 * 10**12, 14 * 10**24)
    rates = tuple(10 ** (36 - decimals) for decimals in (18, 6, 6, 18))
    state = stableswap.StableSwap(STABLE_SUSD, fee, 0, (amp, amp, 0, 0), 0, balances, rates)
    pool = _curve("quote_curve_susd", "a Curve pool of four coins, sUSD type", STABLE_SUSD, "SUSD", state)
    if quote_bytecode.is_there():
        pool = pool._replace(bytecode=quote_bytecode.curve_susd(list(balances), amp, fee))
    return pool


def _crypto(name: str, work: str, kind: int, pool: Any) -> FamilyPool:
    """A CryptoSwap pool in the twin's form, its virtual price that of its balances; its coin 0 is USD."""
    reference = twin("amm", "cryptoswap_reference")
    pool.d = reference.newton_d(pool.a, pool.gamma, pool.scaled(pool.balances), 0, pool.version)
    pool.virtual_price = pool.price_of(pool.d)
    sold = pool.balances[0]
    amounts = _amounts(sold // 10**5, sold // 50)
    words = twin("amm", "cryptoswap_trades").words_of(pool)
    return FamilyPool(name, work, _row(kind, words), lambda dx: pool.exchange(0, 1, dx), amounts)


def _crypto_pools() -> list[FamilyPool]:
    """Of two coins and of three, neither ramping."""
    reference = twin("amm", "cryptoswap_reference")
    units = (26 * 10**6, 45 * 10**6, 23 * 10**13, 5 * 10**22, 0)
    two = reference.Pool(
        reference.TWO, 400_000, 145 * 10**12, 0, [3 * 10**12, 10**21], [10**12, 1], [3 * 10**21], *units
    )
    three = reference.Pool(
        reference.TRI, 1_707_629, 11_809_167_828_997, 0, [3 * 10**12, 5 * 10**9, 10**21], [10**12, 10**10, 1],
        [6 * 10**22, 3 * 10**21], 3 * 10**6, *units[1:],
    )  # fmt: skip
    return [
        _crypto("quote_twocrypto", "a Curve twocrypto-NG pool", layout.KIND_TWOCRYPTO, two),
        _crypto("quote_tricrypto", "a Curve tricrypto-NG pool", layout.KIND_TRICRYPTO, three),
    ]


def families() -> list[FamilyPool]:
    """3pool, StableSwap-NG, sUSD, twocrypto and tricrypto of Curve; a weighted and a stable pool of Balancer
    V2."""
    three = stableswap.StableSwap(
        STABLE_THREE_POOL, 10**6, 5 * 10**9, (2000, 2000, 0, 0), 0,
        (60 * 10**24, 70 * 10**12, 50 * 10**12), (_E18, 10**30, 10**30),
    )  # fmt: skip
    new = stableswap.StableSwap(
        STABLE_NG, 10**6, 5 * 10**9, (20_000, 20_000, 0, 0), 2 * 10**10,
        (60 * 10**24, 70 * 10**12), (_E18, 10**30),
    )  # fmt: skip
    reference = twin("amm", "balancer_reference")
    weighted = balancer_weighted.WeightedV2(
        2, 3 * 10**15, (4000 * _E18, 90 * _E18), (_E18, _E18), (8 * 10**17, 2 * 10**17)
    )
    stable = balancer_stable.StableV2(
        2, 10**14, (200_000, 200_000, 0, 0), (6 * 10**24, 7 * 10**12, 5 * 10**12), (_E18, 10**30, 10**30)
    )

    def plain_weighted(amount: int) -> int:
        balances, scaling, weights = list(weighted.balances), list(weighted.scaling), list(weighted.weights)
        return reference.v2_weighted(2, True, amount, 0, 1, balances, scaling, weights, weighted.fee)

    def plain_stable(amount: int) -> int:
        balances, scaling = list(stable.balances), list(stable.scaling)
        return reference.v2_stable(2, True, amount, 0, 1, balances, scaling, stable.ramp[1], stable.fee)

    asked = None, None
    if quote_bytecode.is_there():
        asked = (
            quote_bytecode.balancer_weighted(list(weighted.balances), list(weighted.weights), weighted.fee),
            quote_bytecode.balancer_stable(list(stable.balances), [18, 6, 6], 200, stable.fee),
        )
    return [
        _curve("quote_curve_3pool", "a Curve 3pool", STABLE_THREE_POOL, "THREE_POOL", three),
        _curve("quote_curve_ng", "a Curve StableSwap-NG pool of two coins", STABLE_NG, "NG", new),
        _susd(),
        *_crypto_pools(),
        FamilyPool(
            "quote_balancer_weighted",
            "a Balancer V2 80/20 pool",
            _row(layout.KIND_BALANCER_V2_WEIGHTED, balancer_weighted.pack_v2(weighted)),
            plain_weighted,
            _amounts(10**15, 10**20),
            asked[0],
        ),
        FamilyPool(
            "quote_balancer_stable",
            "a Balancer V2 stable pool of three tokens",
            _row(layout.KIND_BALANCER_V2_STABLE, balancer_stable.pack_v2(stable)),
            plain_stable,
            _amounts(10**18, 10**23),
            asked[1],
        ),
    ]
