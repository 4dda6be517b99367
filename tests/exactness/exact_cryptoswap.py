"""Curve CryptoSwap of two and of three coins, whose bytecode is in no registry: the plain-integer twin stands
for it, which reproduces every recorded swap and refusal of the deployed contracts (`tests/amm`). The one
bytecode there is here, of a stored block, is in `exact_tricrypto`.

Half of the trades are drawn from anywhere, half on pools whose stored virtual price is near what it will be
after the trade, where the kernels have to tell a trade that pays from one that is refused for its loss.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
from exact_campaign import Family, Mismatch, Round
from exact_rows import quoted, word_rows

from engine.amm.layout import KIND_TRICRYPTO, KIND_TWOCRYPTO, OK, OVERFLOW, limbs_to_ints

TRADES_PER_KIND = 500
sys.path.append(str(Path(__file__).resolve().parents[1] / "amm"))  # where the twins are
_reference, _trades = import_module("cryptoswap_reference"), import_module("cryptoswap_trades")
_DRAWS = {"anywhere": _trades.random_trade, "barely paying": _trades.barely_paying_trade}
_TWO = (_reference.TWO, _reference.TWO_V21)
_THREE = (_reference.TRI,)


def quoted_trades(kind: int, trades: list) -> tuple[list[int], list[int]]:
    """The engine's statuses and amounts."""
    pools = word_rows(
        kind, [_trades.words_of(trade[0]) for trade in trades], [trade[1:3] for trade in trades]
    )
    sold = np.full(len(trades), True)
    statuses, results = quoted(pools, sold, sold, [trade[3] for trade in trades])
    return statuses.tolist(), limbs_to_ints(results)


def _round_of(kind: int, versions: tuple[int, ...]) -> Callable[[], Round]:
    def compare(seed: int) -> Counter[str]:
        rng = random.Random(seed)
        counts: Counter[str] = Counter()
        for name, draw in _DRAWS.items():
            trades = [draw(rng, versions) for _ in range(TRADES_PER_KIND)]
            statuses, results = quoted_trades(kind, trades)
            for trade, status, paid in zip(trades, statuses, results, strict=True):
                answer = paid if status == OK else None
                if answer != _trades.twin_out(trade):
                    raise Mismatch(trade, status, paid)
            codes = Counter(statuses)
            counts += Counter(
                {
                    "swaps": len(trades),
                    f"{name}, paid": codes[OK],
                    "overflow": codes[OVERFLOW],
                    "refused": len(trades) - codes[OK] - codes[OVERFLOW],
                }
            )
        return counts

    return lambda: compare


_STANDS_FOR_IT = "in no registry: the integer twin that reproduces its recorded swaps"
_KINDS = ("anywhere, paid", "barely paying, paid", "refused", "overflow")
FAMILIES = [
    Family(
        f"curve-crypto{coins}",
        title,
        _STANDS_FOR_IT,
        f"families.cryptoswap{coins}",
        target,
        _round_of(kind, versions),
        2_000,
        _KINDS,
    )
    for coins, title, kind, versions, target in (
        (2, "Curve CryptoSwap, two coins (NG v2.0.0 and v2.1)", KIND_TWOCRYPTO, _TWO, 1_000_000),
        (3, "Curve CryptoSwap, three coins (NG)", KIND_TRICRYPTO, _THREE, 1_000_000),
    )
]
