"""The joint optimum as a finder: every block's bound, and the cycles that can be carried out side by side."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.domain.events import OptimumBounded
from engine.domain.market import BlockRef, Protocol
from engine.domain.opportunity import Conversion, Opportunity, Settlement
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.disjoint import choose_disjoint
from engine.search.finder import Finder
from engine.search.joint_carry import Cost, Planned, net_value, value_of
from engine.search.joint_greedy import repeat_best
from engine.search.joint_hops import hops_of, opportunity_of
from engine.search.joint_plan import JointPlan, JointPlanner, in_order
from engine.search.joint_prune import thinned, without_the_least
from engine.search.joint_settle import settled
from engine.search.joint_solver import JointBound, JointSolver
from engine.search.strategy import Found

_PROTOCOLS = tuple(Protocol)
# How many times its gas a pool must gain, in the plans over such pools.
_STRICTNESS = (0.3, 0.6, 1.0)


@dataclass(frozen=True, slots=True)
class JointOutcome:
    """What a block held, in wei of the native coin, and what of it a plan earns.

    `bound` and its certificate are before gas; `captured` is the part of it that plan and conversions earn
    before gas. `plan` are cycles to be carried out in this order, `conversions` sell what they earned in some
    base tokens for others, after all of them (`encode_plan` takes both in one transaction). The cycles stand
    for themselves: without the conversions they earn what they say, too. `net_wei` is what all earn after
    the gas of their swaps. `settlement` is the beginning of the plan with all its profit in one base token,
    where it has cycles of several. `left_out` counts the rows that are not in the bound, by protocol.
    """

    block: BlockRef
    bound: JointBound
    captured: float
    plan: tuple[Opportunity, ...]
    net_wei: float
    elapsed_ms: float
    conversions: tuple[Conversion, ...] = ()
    settlement: Settlement | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def earned(self) -> dict[str, int]:
        """What cycles and conversions leave of each base token, base units; first the one most start from."""
        gains: Counter[str] = Counter()
        starts = Counter(one.base_token for one in self.plan)
        for one in self.plan:
            gains[one.base_token] += one.gross_profit
        for conversion in self.conversions:
            gains[conversion.token_in] -= conversion.amount_in
            gains[conversion.token_out] += conversion.amount_out
        return dict(sorted(gains.items(), key=lambda gain: -starts[gain[0]]))


class JointFinder:
    """Finds what the incremental finder finds, plans all of it together, and puts first the cycles that share
    no pool and are together worth most.

    Pools of families without a curve take part in the search, not in the bound. A base token without a price
    in the costs is worth nothing to the plan; without any price, one base unit of the first counts as one.
    """

    def __init__(
        self,
        market: Market,
        base_tokens: Sequence[str],
        max_hops: int = 3,
        max_input: Mapping[str, int] | None = None,
        together: int = 32,
    ) -> None:
        """As `Finder`; the planner's cycles may be longer than `max_hops`, and `max_input` does not bound
        them. At most `together` cycles are settled in one token."""
        self.together = together
        self.market = market
        self.base_tokens = tuple(dict.fromkeys(base_tokens))
        self.max_hops = max_hops
        self.last: JointOutcome | None = None
        self._finder = Finder(market, base_tokens, max_hops, max_input=max_input)
        self._solver: JointSolver | None = None
        self._size = (0, 0)
        self._protocols = np.zeros(0, np.int64)

    def find(
        self,
        changed_rows: NDArray[np.int32] | None,
        block: BlockRef,
        costs: GasCosts | None = None,
        limit: int | None = None,
        deadline: float | None = None,
    ) -> Found:
        """As `CycleFinder`; first come the cycles to be carried out side by side, best net profit first, then
        the others. `last` holds the block's bound and joint plan, None where the deadline came first."""
        costs = costs or GasCosts()
        found = self._finder.find(changed_rows, block, costs, None, deadline)
        self.last = None
        if deadline is not None and time.monotonic() >= deadline:
            self._solver = None
            return Found(found[:limit], partial=True, screened=found.screened)
        self.last = self._joint(changed_rows, block, costs, deadline)
        chosen = self._side_by_side(found, costs)
        taken = {one.id for one in chosen}
        ordered = [*chosen, *(one for one in found if one.id not in taken)]
        facts = (_fact(self.last),)
        return Found(
            ordered[:limit],
            partial=found.partial,
            screened=found.screened,
            facts=facts,
            sequence=self.last.plan,
            settlement=self.last.settlement,
        )

    def _joint(
        self,
        changed_rows: NDArray[np.int32] | None,
        block: BlockRef,
        costs: GasCosts,
        deadline: float | None,
    ) -> JointOutcome:
        started = time.perf_counter()
        market = self.market
        planner = JointPlanner(self._ready(changed_rows, self._values(costs)))

        def cost(path: Sequence[int]) -> float:
            units = sum(costs.gas_of(market.pools[edge >> 1].protocol) for edge in path)
            return float(costs.cost_wei(units, len(path)) - costs.cost_wei(0, 0))

        plan = planner.plan(market.arrays, cost)
        best = self._best_plan(planner, plan, (block, costs), cost, deadline)
        cycles, conversions = in_order(market.arrays, planner.solver.values, best, cost)
        planned: list[Planned] = [*cycles, *conversions]
        elapsed_ms = (time.perf_counter() - started) * 1e3
        captured = value_of(planned) / plan.bound.bound if plan.bound.bound > 0.0 else 1.0
        made = tuple(opportunity_of(market, block, cycle, costs) for cycle in cycles)
        paths = [hops_of(market, one) for one in conversions]
        sold = tuple(Conversion(hops, sum(costs.gas_of(hop.protocol) for hop in hops)) for hops in paths)
        ways = [one.edges for one in conversions]
        one_token = settled(market, planner.solver, made[: self.together], ways, costs)
        net, left_out = net_value(planned), self._left_out(planner.solver)
        return JointOutcome(block, plan.bound, captured, made, net, elapsed_ms, sold, one_token, left_out)

    def _left_out(self, solver: JointSolver) -> dict[str, int]:
        """How many rows of each protocol have no curve, most first."""
        counts = np.bincount(self._protocols[solver.left_out], minlength=len(_PROTOCOLS))
        most_first = np.argsort(-counts, kind="stable")
        return {_PROTOCOLS[n].value: int(counts[n]) for n in most_first.tolist() if counts[n]}

    def _best_plan(
        self,
        planner: JointPlanner,
        plan: JointPlan,
        terms: tuple[BlockRef, GasCosts],
        cost: Cost,
        deadline: float | None,
    ) -> list[Planned]:
        """The best of several ways to choose, each completed by repeating the best single cycle: the pruned
        optimum, the optimum over pools that gain their gas, and the repeated best cycle itself, sized
        jointly. Never worth less than the last."""
        arguments = (self.market, self.base_tokens, self.max_hops, *terms)
        if plan.bound.bound <= 0.0:
            return list(plan.cycles)
        arrays = self.market.arrays
        greedy: list[Planned] = [*repeat_best(*arguments, deadline=deadline)]
        found = [greedy, plan.planned]
        starts = [plan.planned, greedy]
        for strictness in _STRICTNESS:
            starts.append(thinned(planner, arrays, plan.bound.prices, strictness, cost))
        for start in starts:
            if deadline is not None and time.monotonic() >= deadline:
                break
            resized = planner.replan(arrays, start, cost)
            fewer = without_the_least(planner, arrays, resized, cost, deadline)
            chosen = planner.replan(arrays, fewer, cost)
            completed = [*chosen, *repeat_best(*arguments, chosen, deadline)]
            found += [completed, planner.replan(arrays, completed, cost)]
        return max(found, key=net_value)

    def _side_by_side(self, found: Sequence[Opportunity], costs: GasCosts) -> list[Opportunity]:
        """The more valuable of two sets without a shared pool: the best first, and the plan's first uses."""
        greedy = choose_disjoint(found)
        planned = choose_disjoint(self.last.plan) if self.last is not None else []
        by_pools = {frozenset(one.pools): one for one in reversed(found)}
        alone = [by_pools.get(frozenset(one.pools), one) for one in planned]
        rest = choose_disjoint(found, occupied=[pool for one in alone for pool in one.pools])
        joint = sorted((*alone, *rest), key=lambda one: self._net_wei(one, costs), reverse=True)
        return max((greedy, joint), key=lambda chosen: sum(self._net_wei(one, costs) for one in chosen))

    def _net_wei(self, one: Opportunity, costs: GasCosts) -> int:
        return costs.value_wei(one.base_token, one.net_profit) or 0

    def _values(self, costs: GasCosts) -> dict[int, float]:
        rows = self.market.token_row
        rates = costs.base_units_per_eth_wei
        values = {rows[token]: 1.0 / float(rates[token]) for token in self.base_tokens if rates.get(token)}
        return values or {rows[self.base_tokens[0]]: 1.0}

    def _ready(self, changed_rows: NDArray[np.int32] | None, values: dict[int, float]) -> JointSolver:
        market = self.market
        size = (len(market.pools), len(market.tokens))
        if self._solver is None or size != self._size or values.keys() != self._solver.values.keys():
            self._solver = JointSolver(market.arrays, *size, values)
            self._size = size
            places = {protocol: place for place, protocol in enumerate(_PROTOCOLS)}
            self._protocols = np.array([places[pool.protocol] for pool in market.pools], np.int64)
        else:
            self._solver.revalue(values)
            self._solver.read(market.arrays, changed_rows)
        return self._solver


def _fact(outcome: JointOutcome) -> OptimumBounded:
    return OptimumBounded(
        outcome.block,
        int(outcome.bound.bound),
        int(outcome.bound.reached),
        outcome.captured,
        int(outcome.net_wei),
        len(outcome.plan),
        outcome.elapsed_ms,
        outcome.left_out,
    )
