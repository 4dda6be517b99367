"""Which opportunities go out in one transaction: each saves the base gas of a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.domain.opportunity import Approved


@dataclass(frozen=True, slots=True)
class Combination:
    """Opportunities of one base token for one transaction, in the order they are carried out, and those that
    are tried one by one where they fail together."""

    together: tuple[Approved, ...]
    apart: tuple[Approved, ...] = ()

    @property
    def pools(self) -> frozenset[str]:
        """Every pool that it may come to touch."""
        return frozenset(pool for each in (*self.together, *self.apart) for pool in each.opportunity.pools)


def alone(approved: Iterable[Approved]) -> list[Combination]:
    """One transaction for each."""
    return [Combination((each,)) for each in approved]


def side_by_side(approved: Sequence[Approved], most: int) -> list[Combination]:
    """Opportunities that share no pool, best first: at most `most` of a base token in each transaction."""
    combinations = []
    for token in dict.fromkeys(each.opportunity.base_token for each in approved):
        of_token = [each for each in approved if each.opportunity.base_token == token]
        for start in range(0, len(of_token), most):
            chosen = tuple(of_token[start : start + most])
            combinations.append(Combination(chosen, chosen if len(chosen) > 1 else ()))
    return combinations


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


def _clear_of(pools: frozenset[str], approved: Iterable[Approved]) -> tuple[Approved, ...]:
    return tuple(each for each in approved if pools.isdisjoint(each.opportunity.pools))
