"""Landed atomic arbitrages: cycles of swaps in one transaction that gave up nothing and gained something."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.app.simulate.swaps import SUPPORTED, Swap

MAX_CYCLE = 8
# A transaction may hold hundreds of swaps; this bounds the search for cycles among them.
_MAX_EXPANSIONS = 50_000


@dataclass(frozen=True, slots=True)
class LandedArbitrage:
    """A cycle a searcher landed. `cycle` starts and ends at `base_token`; `profit` is the searcher's gain of
    it before gas, base units, and `net` the gain of every token of the cycle (none is negative)."""

    tx: str
    tx_index: int
    cycle: tuple[Swap, ...]
    base_token: str
    profit: int
    net: dict[str, int]

    @property
    def pools(self) -> tuple[str, ...]:
        return tuple(swap.pool for swap in self.cycle)

    @property
    def supported(self) -> bool:
        """Whether every pool is of a family the router trades."""
        return all(swap.protocol in SUPPORTED for swap in self.cycle)


def arbitrages_of(
    tx: str, tx_index: int, swaps: Sequence[Swap], base_tokens: Sequence[str]
) -> list[LandedArbitrage]:
    """The arbitrages among one transaction's swaps, none sharing a swap, the best first.

    A cycle's swaps chain token to token through distinct pools and distinct tokens, each paying out at least
    what the next took, and some token gains. The base is the first of `base_tokens` that gains, else the
    token that gains first along the cycle. Where cycles share a swap, the one with the larger gain of the
    preferred base stays.
    """
    found = [_landed(tx, tx_index, cycle, base_tokens) for cycle in _cycles(swaps)]
    preference = {token: rank for rank, token in enumerate(base_tokens)}
    found.sort(
        key=lambda one: (
            preference.get(one.base_token, len(base_tokens)),
            -one.profit,
            one.cycle[0].log_index,
        )
    )
    taken: set[int] = set()
    kept = []
    for one in found:
        places = {swap.log_index for swap in one.cycle}
        if taken.isdisjoint(places):
            taken |= places
            kept.append(one)
    return kept


def _landed(tx: str, tx_index: int, cycle: tuple[Swap, ...], base_tokens: Sequence[str]) -> LandedArbitrage:
    net: dict[str, int] = {}
    for swap in cycle:
        net[swap.token_in] = net.get(swap.token_in, 0) - swap.amount_in
        net[swap.token_out] = net.get(swap.token_out, 0) + swap.amount_out
    gains = {token: amount for token, amount in net.items() if amount > 0}
    base = next((token for token in base_tokens if token in gains), None) or next(iter(gains))
    start = next(at for at, swap in enumerate(cycle) if swap.token_in == base)
    return LandedArbitrage(tx, tx_index, cycle[start:] + cycle[:start], base, gains[base], net)


def _cycles(swaps: Sequence[Swap]) -> Iterable[tuple[Swap, ...]]:
    """Every closed chain of swaps, once, starting at its earliest swap."""
    by_token_in: dict[str, list[Swap]] = {}
    for swap in swaps:
        by_token_in.setdefault(swap.token_in, []).append(swap)
    expansions = 0
    for first in swaps:
        stack: list[tuple[Swap, ...]] = [(first,)]
        while stack and expansions < _MAX_EXPANSIONS:
            expansions += 1
            chain = stack.pop()
            last = chain[-1]
            if last.token_out == first.token_in:
                gain = sum(swap.amount_out - after.amount_in for swap, after in _joints(chain))
                if last.amount_out >= first.amount_in and gain > 0:
                    yield chain
                continue
            if len(chain) < MAX_CYCLE:
                stack.extend(
                    (*chain, after)
                    for after in by_token_in.get(last.token_out, ())
                    if after.log_index > first.log_index
                    and last.amount_out >= after.amount_in
                    and all(after.pool != swap.pool and after.token_out != swap.token_out for swap in chain)
                )


def _joints(chain: tuple[Swap, ...]) -> Iterable[tuple[Swap, Swap]]:
    return zip(chain, chain[1:] + chain[:1], strict=True)
