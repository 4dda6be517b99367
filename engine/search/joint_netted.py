"""The optimal trades in integers: every pool once, and no token short.

The floats say how much each pool trades. In integers the outermost tokens are settled first, as in
`joint_primal`: the pool that settles a token sells exactly what there is of it, or buys exactly what is owed.
So a base unit or so is lost per pool and nothing else, and what remains of the base tokens is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.amm.layout import OK, PoolArrays, ints_to_limbs, limbs_to_ints
from engine.amm.quote import QuoteRefused, quote_exact_in, quote_exact_out, quotes_nb
from engine.search.joint_dual import Flows
from engine.search.joint_solver import JointSolver

_MARGIN = 1e-9


@dataclass(frozen=True, slots=True)
class NettedPlan:
    """Swaps (directed edge, amount in, amount out), each on the pools' present state and no pool twice, and
    what they leave of each base token, base units, none negative; nothing else is left over or short but
    what `leftover` holds. `value` is that of the base tokens left."""

    swaps: tuple[tuple[int, int, int], ...]
    surplus: dict[int, int]
    leftover: dict[int, int]
    value: float


def netted_plan(pools: PoolArrays, solver: JointSolver, trading: int) -> NettedPlan:
    """The trades of the last `solve` in integers. `trading` pools trade in them. Empty where a pool refuses
    what the floats promise and a token would be short."""
    flows = solver.flows
    count = int(trading)
    edges = (2 * flows.row[:count] + solver.sells_token1(np.arange(count, dtype=np.int32))).tolist()
    sold, bought = flows.sold[:count].tolist(), flows.bought[:count].tolist()
    # A trade to the end of what is known of a pool must not pass it for a rounding's sake.
    shares = np.where(flows.weight[:count] > 0.0, 1.0, 1.0 - _MARGIN)
    paid = [int(amount) for amount in (shares * flows.paid[:count]).tolist()]
    got = _outputs(pools, edges, paid)
    balance: dict[int, int] = {}
    settling = [(int(k), int(t)) for k, t in solver.settling]
    # Where a token is left over, the pool that settles it took all it could.
    ends = {k: int(flows.paid[k] * (1.0 - _MARGIN)) for k, t in settling if _is_left(flows, k, t)}
    for k in {k for k, _ in settling}:
        paid[k] = got[k] = 0
    for k in range(count):
        balance[sold[k]] = balance.get(sold[k], 0) - paid[k]
        balance[bought[k]] = balance.get(bought[k], 0) + got[k]
    for k, token in settling:
        there = balance[token]
        row, zero_for_one = edges[k] >> 1, edges[k] & 1 == 0
        try:
            if sold[k] == token and there > 0:
                there = min(there, ends.get(k, there))
                paid[k], got[k] = there, quote_exact_in(pools, row, zero_for_one, there)
            elif bought[k] == token and there < 0:
                paid[k], got[k] = quote_exact_out(pools, row, zero_for_one, -there), -there
        except QuoteRefused:
            continue
        balance[sold[k]] -= paid[k]
        balance[bought[k]] += got[k]
    if any(amount < 0 for amount in balance.values()):
        return NettedPlan((), {}, {}, 0.0)
    swaps = tuple(
        (edge, amount_in, amount_out)
        for edge, amount_in, amount_out in zip(edges, paid, got, strict=True)
        if amount_in
    )
    surplus = {token: amount for token, amount in balance.items() if token in solver.values and amount}
    leftover = {token: amount for token, amount in balance.items() if token not in solver.values and amount}
    value = sum(amount * solver.values[token] for token, amount in surplus.items())
    return NettedPlan(swaps, surplus, leftover, value)


def _is_left(flows: Flows, k: int, token: int) -> bool:
    return bool(flows.weight[k] == 0.0 or flows.surplus[token] > _MARGIN * flows.paid[k])


def _outputs(pools: PoolArrays, edges: list[int], paid: list[int]) -> list[int]:
    """What each pool gives for what it is paid; a trade it refuses is struck from `paid`."""
    count = len(edges)
    statuses, results = np.zeros(count, np.int64), np.zeros((count, 4), np.uint64)
    quotes_nb(
        pools,
        np.array(edges, np.int32) >> 1,
        np.array([edge & 1 == 0 for edge in edges], np.bool_),
        np.ones(count, np.bool_),
        ints_to_limbs(paid),
        statuses,
        results,
    )
    got = limbs_to_ints(results)
    for k in np.flatnonzero(statuses != OK):
        paid[k] = got[k] = 0
    return got
