"""CryptoSwap pools and trades drawn wide, for comparing the kernels with the plain-integer twins."""

from __future__ import annotations

import random

import cryptoswap_reference as twin
import numpy as np
from amm_reference import Revert
from cryptoswap_reference import TRI, TWO, TWO_V21, WAD, Pool

from engine.amm.families.cryptoswap_words import CryptoSwap, pack

VERSIONS = (TWO, TWO_V21, TRI)
Trade = tuple[Pool, int, int, int]  # coin sold, coin bought, amount


def random_pool(rng: random.Random, versions: tuple[int, ...] = VERSIONS) -> Pool:
    """Any parameters in and just outside the contracts' bounds, coins of 6 to 18 decimals, balances from even
    to a millionfold apart."""
    version = rng.choice(versions)
    coins = 3 if version == TRI else 2
    any_a = int(10 ** rng.uniform(3.4, 8.5))
    a = rng.choice((400_000, 20_000_000, 1_707_629, 540_000, rng.randint(4000, 40_000_000), any_a))
    gamma = rng.choice((10**10, 145 * 10**12, 10**16, 2 * 10**16, int(10 ** rng.uniform(10, 17.3))))
    worth = int(10 ** rng.uniform(17, 33))
    decimals = [rng.choice((6, 8, 18, rng.randint(6, 18))) for _ in range(coins)]
    prices = [int(10 ** rng.uniform(12, 26)) for _ in range(coins - 1)]
    spread = rng.choice((0.01, 0.3, 3.0))
    balances = [
        max(int(worth / coins * 10 ** rng.uniform(-spread, spread)) * WAD // price // 10 ** (18 - places), 1)
        for price, places in zip([WAD, *prices], decimals, strict=True)
    ]
    mid, out = sorted((rng.randint(0, 10**9), rng.randint(0, 10**10)))
    pool = Pool(
        version, a, gamma, worth, balances, [10 ** (18 - places) for places in decimals], prices, mid, out,
        int(10 ** rng.uniform(10, 18)), rng.randint(1, 10**30), rng.choice((0, 1, WAD, 10**30)),
        rng.random() < 0.2, rng.random() < 0.3,
    )  # fmt: skip
    try:
        if rng.random() < 0.9:
            pool.d = twin.newton_d(a, gamma, pool.scaled(balances), 0, version)
    except (Revert, ZeroDivisionError):
        pool.d = worth
    if rng.random() < 0.7:
        fit_supply(rng, pool)
    return pool


def words_of(pool: Pool) -> np.ndarray:
    """The pool as the market holds it, u64 words."""
    return pack(
        CryptoSwap(
            pool.a,
            pool.gamma,
            (pool.mid_fee, pool.out_fee, pool.fee_gamma),
            pool.d,
            pool.total_supply,
            pool.virtual_price,
            tuple(pool.precisions),
            tuple(pool.price_scale),
            tuple(pool.balances),
            pool.ramping,
            pool.may_lose,
            pool.version == TWO_V21,
        )
    )


def fit_supply(rng: random.Random, pool: Pool, least: float = 17.5, most: float = 19.5) -> None:
    """As many liquidity tokens as make the virtual price 10**`least` to 10**`most`, where there is one."""
    pool.total_supply = 1
    try:
        pool.total_supply = max(pool.price_of(pool.d) // int(10 ** rng.uniform(least, most)), 1)
    except (Revert, ZeroDivisionError):
        pool.total_supply = rng.randint(1, 10**30)


def random_trade(rng: random.Random, versions: tuple[int, ...] = VERSIONS) -> Trade:
    """From nothing over dust to far more than the pool holds."""
    pool = random_pool(rng, versions)
    i, j = rng.sample(range(len(pool.balances)), 2)
    share = rng.choice((-12, -6, -3, -1, 0, 1, 3))
    amount = int(pool.balances[i] * 10 ** (share + rng.random()))
    return pool, i, j, rng.choice((amount, amount, amount, amount, 0, 1, 2**112, 2**255, 2**256 - 1))


def barely_paying_trade(rng: random.Random, versions: tuple[int, ...] = VERSIONS) -> Trade:
    """On a pool whose stored virtual price is that of its D, or near what it will be after the trade."""
    while True:
        pool, i, j, _ = random_trade(rng, versions)
        fit_supply(rng, pool)
        amount = max(int(pool.balances[i] * 10 ** rng.uniform(-14, -0.5)), 1)
        try:
            after = pool.scaled([x + amount * (k == i) for k, x in enumerate(pool.balances)])
            _, k0 = pool.get_y(after, pool.d, j)
            paid = pool.exchange(i, j, amount, False)
            held = [x + amount * (k == i) - paid * (k == j) for k, x in enumerate(pool.balances)]
            d = twin.newton_d(pool.a, pool.gamma, pool.scaled(held), k0, pool.version)
            virtual = pool.price_of(rng.choice((d, d, pool.d)))
        except (Revert, ZeroDivisionError):
            continue
        share = 10 ** rng.randrange(6, 15)
        pool.virtual_price = max(virtual + rng.randint(-virtual // share - 2, virtual // share + 2), 0)
        return pool, i, j, amount


def twin_out(trade: Trade, settled: bool = True) -> int | None:
    """What the twin pays, None where it reverts."""
    pool, i, j, amount = trade
    try:
        return pool.exchange(i, j, amount, settled)
    except Revert:
        return None
