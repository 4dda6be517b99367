"""The plain way, to complete and to judge the joint plan by: carry out the best cycle, look again, repeat."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from engine.amm.layout import PoolArrays, ints_to_limbs
from engine.domain.market import BlockRef, PoolRecord, Token
from engine.domain.opportunity import Hop, Opportunity
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.finder import Finder
from engine.search.joint_carry import Planned, PlannedCycle
from engine.search.joint_execute import apply_cycle_nb, private_state

_MAX_CYCLES = 1_000
_FIRST_LOOK, _NEXT_LOOK = 64, 16
_ENOUGH = 1e-4


@dataclass(slots=True)
class Rehearsal:
    """A market to trade on in private: the identities are the market's own, the state a copy.

    `spent` are pools whose family's state cannot be moved here: each serves one cycle at most.
    """

    tokens: list[Token]
    pools: list[PoolRecord]
    token_row: dict[str, int]
    pool_row: dict[str, int]
    arrays: PoolArrays
    spent: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, market: Market) -> Rehearsal:
        """A rehearsal of the market as it is now."""
        arrays = private_state(market.arrays)
        return cls(market.tokens, market.pools, market.token_row, market.pool_row, arrays)

    def token_in(self, edge: int) -> str:
        """Address of the token that a directed edge sells."""
        side = self.arrays.token1 if edge & 1 else self.arrays.token0
        return self.tokens[side[edge >> 1]].address

    def edges(self, opportunity: Opportunity) -> tuple[int, ...]:
        """Its directed edges."""
        return tuple(self._edge(hop) for hop in opportunity.hops)

    def _edge(self, hop: Hop) -> int:
        row = self.pool_row[hop.pool]
        pair = tuple(sorted((self.token_row[hop.token_in], self.token_row[hop.token_out])))
        while tuple(sorted((int(self.arrays.token0[row]), int(self.arrays.token1[row])))) != pair:
            row += 1
        return 2 * row + (0 if hop.zero_for_one else 1)

    def carry_out(self, edges: Sequence[int], amounts: Sequence[int]) -> NDArray[np.int32]:
        """Move the pools of a verified cycle; returns their rows."""
        moved = np.zeros(len(edges), np.uint8)
        apply_cycle_nb(self.arrays, np.array(edges, np.int32), len(edges), ints_to_limbs(amounts), moved)
        self.spent |= {self.pools[edges[hop] >> 1].key for hop in np.flatnonzero(moved == 0).tolist()}
        return np.array(sorted(edge >> 1 for edge in edges), np.int32)


def repeat_best(
    market: Market,
    bases: Sequence[str],
    max_hops: int,
    block: BlockRef,
    costs: GasCosts,
    after: Iterable[Planned] = (),
    deadline: float | None = None,
) -> list[PlannedCycle]:
    """Cycles, best net profit first, each on the state the ones before it left, until none adds a ten
    thousandth after its hops' gas, or until `deadline` (`time.monotonic()` seconds).

    `after`: cycles carried out before the first. Base tokens without a price in `costs` count for nothing.
    """
    rehearsal = Rehearsal.of(market)
    total = 0.0
    for cycle in after:
        total += cycle.value - cycle.cost
        rehearsal.carry_out(cycle.edges, cycle.amounts)
    # In one transaction only the swaps come on top.
    marginal = replace(costs, base_gas=0)
    finder = Finder(cast(Market, rehearsal), bases, max_hops)
    known: dict[tuple[str, ...], Opportunity] = {}
    planned: list[PlannedCycle] = []
    rows: NDArray[np.int32] | None = None
    touched: set[str] = set()
    while len(planned) < _MAX_CYCLES and (deadline is None or time.monotonic() < deadline):
        limit = _FIRST_LOOK if rows is None else _NEXT_LOOK
        known = {pools: one for pools, one in known.items() if touched.isdisjoint(pools)}
        for one in finder.find(rows, block, marginal, limit):
            if rehearsal.spent.isdisjoint(one.pools):
                known[one.pools] = one
        best = max(known.values(), key=lambda one: _worth(costs, one, one.net_profit), default=None)
        net = 0.0 if best is None else _worth(costs, best, best.net_profit)
        if best is None or net <= max(total * _ENOUGH, 0.0):
            break
        total += net
        amounts = (*(hop.amount_in for hop in best.hops), best.amount_out)
        edges = rehearsal.edges(best)
        rows = rehearsal.carry_out(edges, amounts)
        touched = set(best.pools)
        gross = _worth(costs, best, best.gross_profit)
        planned.append(PlannedCycle(edges, amounts, gross, gross - net))
    return planned


def _worth(costs: GasCosts, opportunity: Opportunity, amount: int) -> float:
    """`amount` of the base token in native wei."""
    rate = costs.base_units_per_eth_wei.get(opportunity.base_token)
    return amount / float(rate) if rate else 0.0
