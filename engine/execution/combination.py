"""Which opportunities go out in one transaction: each saves the base gas of a transaction of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from engine.domain.opportunity import Approved, ApprovedConversion, Opportunity


@dataclass(frozen=True, slots=True)
class Combination:
    """Opportunities for one transaction, in the order they are carried out, and those that are tried one by
    one where they fail together. All are of one base token, or `conversions` sell the others' profit for the
    first one's."""

    together: tuple[Approved, ...]
    apart: tuple[Approved, ...] = ()
    conversions: tuple[ApprovedConversion, ...] = ()

    @property
    def pools(self) -> frozenset[str]:
        """Every pool that it may come to touch."""
        chains = [each.opportunity for each in (*self.together, *self.apart)]
        sold = [each.conversion for each in self.conversions]
        return frozenset(pool for chain in (*chains, *sold) for pool in chain.pools)


def alone(approved: Iterable[Approved]) -> list[Combination]:
    """One transaction for each."""
    return [Combination((each,)) for each in approved]


def side_by_side(
    approved: Sequence[Approved], most: int, riders: Sequence[Approved] = ()
) -> list[Combination]:
    """Opportunities that share no pool, best first: at most `most` of a base token in each transaction.

    `riders` fill the last one of their token, or are one together where nothing else of it is approved; they
    do not pay for a transaction alone, and are not tried so.
    """
    combinations = []
    for token in dict.fromkeys(each.opportunity.base_token for each in (*approved, *riders)):
        of_token = [each for each in approved if each.opportunity.base_token == token]
        beside = tuple(each for each in riders if each.opportunity.base_token == token)
        for start in range(0, max(len(of_token), 1), most):
            chosen = tuple(of_token[start : start + most])
            together = (*chosen, *beside)[:most] if len(chosen) < most else chosen
            combinations.append(Combination(together, chosen if len(together) > 1 else ()))
    return combinations


def room_beside(approved: Sequence[Approved], most: int) -> dict[str, int]:
    """How many more opportunities of each base token the last transaction of that token can hold."""
    counts = Counter(each.opportunity.base_token for each in approved)
    return {token: -count % most for token, count in counts.items()}


@dataclass(frozen=True, slots=True)
class Share:
    """Gas units and what they cost, base units of the base token."""

    gas: int
    cost: int


def sharing(opportunities: Sequence[Opportunity], added: Sequence[Share], base: Share) -> list[Opportunity]:
    """The opportunities of one transaction, each at the cost that it adds and its part of what the
    transaction costs in any case: in proportion to what it earns over the former, so that each has a profit
    left if all of them together have. The parts are `base` exactly."""
    earned = [each.gross_profit - own.cost for each, own in zip(opportunities, added, strict=True)]
    weights = earned if min(earned) > 0 else [1] * len(earned)
    total, until, shared = sum(weights), 0, []
    gas_before = cost_before = 0
    for each, own, weight in zip(opportunities, added, weights, strict=True):
        until += weight
        gas, cost = base.gas * until // total, base.cost * until // total
        shared.append(
            replace(
                each,
                gas_estimate=own.gas + gas - gas_before,
                gas_cost=own.cost + cost - cost_before,
            )
        )
        gas_before, cost_before = gas, cost
    return shared


def in_sequence(planned: Sequence[Approved], approved: Sequence[Approved]) -> list[Combination]:
    """Opportunities exact one after another, those of each base token in one transaction; instead of them,
    where they fail, the `approved` of that token. Empty where transactions would depend on each other."""
    groups = {
        token: tuple(each for each in planned if each.opportunity.base_token == token)
        for token in dict.fromkeys(each.opportunity.base_token for each in planned)
    }
    pools = {token: Combination(group).pools for token, group in groups.items()}
    if sum(map(len, pools.values())) != len(frozenset().union(*pools.values())):
        return []
    combinations = []
    for token, group in groups.items():
        others = frozenset().union(*(pools[other] for other in groups if other != token))
        instead = [each for each in approved if each.opportunity.base_token == token]
        combinations.append(Combination(group, _clear_of(others, instead)))
    left = [each for each in approved if each.opportunity.base_token not in groups]
    return combinations + alone(_clear_of(frozenset().union(*pools.values()), left))


def settled(
    together: Sequence[Approved],
    conversions: Sequence[ApprovedConversion],
    approved: Sequence[Approved],
    most: int,
) -> list[Combination]:
    """Opportunities of several base tokens and the conversions of their profits in one transaction; instead
    of them, where they fail, the `approved` that touch their pools; beside them those that touch none."""
    pools = Combination(tuple(together), (), tuple(conversions)).pools
    clear = _clear_of(pools, approved)
    instead = tuple(each for each in approved if each not in clear)
    return [Combination(tuple(together), instead, tuple(conversions)), *side_by_side(clear, most)]


def _clear_of(pools: frozenset[str], approved: Iterable[Approved]) -> tuple[Approved, ...]:
    return tuple(each for each in approved if pools.isdisjoint(each.opportunity.pools))
