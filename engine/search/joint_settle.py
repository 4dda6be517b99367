"""A plan's cycles of several base tokens, settled in one: what they earn in others is sold to the unit.

Only a transaction that leaves nothing else behind has its profit in one token. For all that is earned in
another, the way that brings most is taken: along a conversion of the joint plan, or through a single pool.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from engine.amm.layout import ints_to_limbs, limbs_to_ints
from engine.amm.quote import QuoteRefused, quote_exact_in
from engine.domain.opportunity import Conversion, Opportunity, Settlement
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.joint_carry import PlannedConversion
from engine.search.joint_execute import sell_along_nb
from engine.search.joint_greedy import Rehearsal
from engine.search.joint_hops import hops_of
from engine.search.joint_solver import JointSolver

# A way between two tokens, as directed edges.
Path = tuple[int, ...]


def settled(
    market: Market,
    solver: JointSolver,
    plan: Sequence[Opportunity],
    paths: Iterable[Path],
    costs: GasCosts,
) -> Settlement | None:
    """The cycles of `plan` in an order in which they stay exact, all profit in the base token in which it is
    worth most after gas. None where all are of one token, or some profit cannot be sold whole.

    `paths` are ways between base tokens; single pools, of those that `solver` has curves of, are looked at
    besides.
    """
    bases = list(dict.fromkeys(one.base_token for one in plan))
    ways = list(paths)
    tried = [_settled_in(base, market, solver, plan, ways, costs) for base in bases] if len(bases) > 1 else []
    found = [each for each in tried if each is not None]
    return max(found, key=lambda each: _net_wei(each, costs), default=None)


def _settled_in(
    base: str,
    market: Market,
    solver: JointSolver,
    plan: Sequence[Opportunity],
    paths: Sequence[Path],
    costs: GasCosts,
) -> Settlement | None:
    ordered = _led_by(base, plan)
    if ordered is None:
        return None
    rehearsal = Rehearsal.of(market)
    for one in ordered:
        rehearsal.carry_out(rehearsal.edges(one), (*(hop.amount_in for hop in one.hops), one.amount_out))
    conversions = []
    for token in dict.fromkeys(one.base_token for one in ordered if one.base_token != base):
        earned = sum(one.gross_profit for one in ordered if one.base_token == token)
        ways = dict.fromkeys((*paths, *_single_pools(market, solver, token, base)))
        ends = [way for way in ways if _ends(market, way) == (token, base)]
        tried = [(way, _sold_whole(rehearsal, way, earned)) for way in ends]
        sold = [PlannedConversion(way, amounts, 0.0, 0.0) for way, amounts in tried if amounts is not None]
        if not sold:
            return None
        best = max(sold, key=lambda one: one.amounts[-1])
        rehearsal.carry_out(best.edges, best.amounts)
        conversions.append(_priced(market, best, [one for one in ordered if one.base_token == token], costs))
    return Settlement(tuple(ordered), tuple(conversions))


def _led_by(base: str, plan: Sequence[Opportunity]) -> list[Opportunity] | None:
    """The plan with a cycle of that base token first, which shares no pool with those it overtakes."""
    before: set[str] = set()
    for place, one in enumerate(plan):
        if one.base_token == base and before.isdisjoint(one.pools):
            return [one, *plan[:place], *plan[place + 1 :]]
        before.update(one.pools)
    return None


def _ends(market: Market, way: Path) -> tuple[str, str]:
    return market.token_in(way[0]), market.token_in(way[-1] ^ 1)


def _single_pools(market: Market, solver: JointSolver, token: str, base: str) -> list[Path]:
    curves = solver.curves
    sold, bought = market.token_row[token], market.token_row[base]
    first, second = min(sold, bought), max(sold, bought)
    rows = np.flatnonzero(
        ((curves.token0 == first) & (curves.token1 == second))
        | ((curves.token0 == second) & (curves.token1 == first))
    )
    usable = [int(row) for row in rows if curves.usable[row] and int(row) not in market.quarantined]
    return [(2 * row + int(market.token_in(2 * row) != token),) for row in usable]


def _sold_whole(rehearsal: Rehearsal, way: Path, amount: int) -> tuple[int, ...] | None:
    """What each hop moves when all of `amount` is sold; None where a pool does not take it, was moved in a
    way that is not known here, or the amounts cannot come out to the unit."""
    keys = [rehearsal.pools[edge >> 1].key for edge in way]
    if amount <= 0 or not rehearsal.spent.isdisjoint(keys):
        return None
    if len(way) == 1:
        try:
            got = quote_exact_in(rehearsal.arrays, way[0] >> 1, way[0] & 1 == 0, amount)
        except QuoteRefused:
            return None
        return (amount, got) if got > 0 else None
    amounts = np.zeros((len(way) + 1, 4), np.uint64)
    edges = np.array(way, np.int32)
    if not sell_along_nb(rehearsal.arrays, edges, 0, ints_to_limbs([amount]), amounts):
        return None
    moved = tuple(limbs_to_ints(amounts))
    return moved if moved[0] == amount else None


def _priced(
    market: Market, sold: PlannedConversion, earning: Sequence[Opportunity], costs: GasCosts
) -> Conversion:
    hops = hops_of(market, sold)
    gas = costs.swap_gas(hop.protocol for hop in hops)
    swaps = [hop.protocol for one in earning for hop in one.hops]
    added = costs.cost_added(hops[-1].token_out, gas + costs.swap_gas(swaps), len(hops) + len(swaps))
    return Conversion(hops, gas, added)


def _net_wei(settlement: Settlement, costs: GasCosts) -> int:
    base = settlement.base_token
    own = [one for one in settlement.opportunities if one.base_token == base]
    earned = sum(one.gross_profit for one in own)
    spent = sum(
        costs.cost_added(base, costs.swap_gas(hop.protocol for hop in one.hops), len(one.hops)) for one in own
    )
    brought = sum(one.amount_out - one.gas_cost for one in settlement.conversions)
    return costs.value_wei(base, earned - spent + brought) or 0
