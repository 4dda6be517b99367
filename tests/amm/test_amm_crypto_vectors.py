"""Authors' vectors of the crypto invariant of three coins, recomputed: newton_y and the fee's reduction."""

from __future__ import annotations

import os
from pathlib import Path

import cryptoswap_reference as reference
import numpy as np
import pytest
from numba import njit

from engine.amm.cryptoswap3 import _newton_y, fee_nb
from engine.amm.cryptoswap_math import FEES, STATE_ROWS
from engine.amm.layout import ints_to_limbs, limbs_to_int
from engine.amm.quote import store_u256_nb
from engine.amm.wide import make_u256
from engine.amm.wide_digits import get_limb, set_limb, stack_limbs

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
WAD = 10**18
# The line of newton_y gives the balances alone. With these three, and the first balance the wanted one, it
# comes out to the unit.
A, GAMMA, D = 27 * 10**7, 10**14, 400 * WAD


@njit(nogil=True, cache=True, error_model="numpy")
def _solve(rows, a, gamma, fees, what, out):
    """newton_y of (larger, smaller, D) if `what` is 0, the fee of three balances otherwise."""
    fault = stack_limbs(1)
    set_limb(fault, 0, np.uint64(0))
    x0 = make_u256(rows[0, 0], rows[0, 1], rows[0, 2], rows[0, 3])
    x1 = make_u256(rows[1, 0], rows[1, 1], rows[1, 2], rows[1, 3])
    x2 = make_u256(rows[2, 0], rows[2, 1], rows[2, 2], rows[2, 3])
    if what == 0:
        value, accepted = _newton_y(a, gamma, x0, x1, x2, fault)
    else:
        value, accepted = fee_nb(fees, (x0, x1, x2), fault), True
    store_u256_nb(value, out)
    return accepted and get_limb(fault, 0) == 0


def solve(rows: list[int], what: int, fee_gamma: int = 0) -> int:
    # With fees of one and nothing the fee is the reduction itself.
    fees, out = np.zeros((STATE_ROWS, 4), np.uint64), np.zeros(4, np.uint64)
    fees[FEES, 0], fees[FEES, 2] = WAD, fee_gamma
    assert _solve(ints_to_limbs(rows), np.uint64(A), np.uint64(GAMMA), fees, what, out)
    return limbs_to_int(out)


def test_vectors_of_the_crypto_invariant():
    path = DATA / "vectors/oracle_curve_snapshot.txt"
    if not path.is_file():
        pytest.skip(f"no recorded data at {path}: set ROUNDTRIP_DATA")
    seen = []
    for line in path.read_text().splitlines():
        question, answer = line.split(" = ")
        function, *rest = question.split()
        if function not in ("newton_y", "reduction"):
            continue
        balances = [int(x) for x in question[question.index("[") + 1 : question.index("]")].split(",")]
        if function == "newton_y":
            others = sorted(balances[1:], reverse=True)
            assert reference.newton_y(A, GAMMA, others, D) == int(answer)
            assert solve([*others, D], 0) == int(answer)
        else:
            fee_gamma, coins = (int(word) for word in rest if "[" not in word)
            assert coins == 3
            assert solve(balances, 1, fee_gamma) == int(answer)
        seen.append(function)
    assert sorted(seen) == ["newton_y", "reduction", "reduction"]
