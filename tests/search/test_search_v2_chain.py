"""The quick solver of V2 chains against plain integers: every hop, every optimum."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from search_reference import UINT112, Pool, best_profit, profit, to_market

from engine.amm.layout import limbs_to_ints
from engine.search.codes import FOUND, NOTHING, UNSETTLED
from engine.search.v2_chain import solve_chains_nb

_FEES = st.sampled_from([0, 1, 100, 500, 2500, 3000, 10_000, 500_000, 999_999])
_RESERVE = st.one_of(
    st.integers(1, 40),
    st.integers(0, 107).flatmap(lambda bits: st.integers(1 << bits, (2 << bits) - 1)),
    st.sampled_from([UINT112, UINT112 - 1, 1 << 107, (1 << 107) - 1, 10**18, 10**6]),
).map(lambda value: min(value, UINT112))
_CHAIN = st.lists(st.tuples(_RESERVE, _RESERVE, _FEES), min_size=2, max_size=4)


def solve(chain: list[tuple[int, int, int]]) -> tuple[int, list[tuple[int, int]], list[Pool]]:
    """(code, input and output of each hop, the pools) of a ring of pools with these reserves in and out."""
    hops = len(chain)
    pools, edges = [], np.full((1, 4), -1, np.int32)
    for k, (sold, bought, fee) in enumerate(chain):
        last = k == hops - 1
        tokens = (0, k) if last else (k, k + 1)
        pools.append(Pool(tokens, fee, (bought, sold) if last else (sold, bought)))
        edges[0, k] = 2 * k + last
    market = to_market(pools, hops)
    amounts, codes = np.zeros((1, 4, 2, 2), np.uint64), np.zeros(1, np.uint8)
    caps = np.full((hops, 2), ~np.uint64(0))
    solve_chains_nb(market.arrays, edges, np.arange(1), caps, 0, 1, amounts, codes)
    flat = limbs_to_ints(amounts.reshape(-1, 2))
    return int(codes[0]), [(flat[2 * k], flat[2 * k + 1]) for k in range(hops)], pools


@settings(max_examples=1500, deadline=None)
@given(_CHAIN)
def test_no_chain_is_solved_worse_than_the_polished_closed_form(chain: list[tuple[int, int, int]]) -> None:
    code, moved, pools = solve(chain)
    cycle = tuple((k, int(k == len(chain) - 1)) for k in range(len(chain)))
    best = best_profit(pools, cycle)
    if code == UNSETTLED:
        # Only what is too large for the quick arithmetic, or too steep for its window.
        return
    if code == NOTHING:
        assert best == 0
        return
    assert code == FOUND
    sold, bought = moved[0][0], moved[-1][1]
    assert bought - sold >= max(best, 1)
    for (n, side), (amount_in, amount_out) in zip(cycle, moved, strict=True):
        assert pools[n].sell(side, amount_in) >= amount_out
        assert amount_in == 1 or pools[n].sell_or_nothing(side, amount_in - 1) < amount_out
    assert all(before[1] == after[0] for before, after in itertools.pairwise(moved))
    forward = profit(pools, cycle, sold)
    assert forward is not None
    assert forward >= bought - sold


def test_ordinary_chains_are_settled_quickly() -> None:
    """What real pools hold is within the bounds of the quick arithmetic."""
    for depth in (10**9, 10**18, 10**24, 10**30):
        code, _, _ = solve([(depth, 2 * depth, 3000), (depth, depth, 3000), (depth, depth, 500)])
        assert code == FOUND
