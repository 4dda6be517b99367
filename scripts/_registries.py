"""What the registries hold against what a listing says they should: the difference, as calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ape.contracts import ContractInstance

from engine.domain.errors import DeploymentError
from scripts._listings import VenueListing
from scripts._send import encode
from scripts._sources import FeedListing, Placed, place

_PAGE = 50


@dataclass(frozen=True, slots=True)
class RegistryCall:
    """A call that closes a part of the difference; `sign` is "+", "-" or "~" for a change."""

    sign: str
    what: str
    target: str
    data: bytes

    def __str__(self) -> str:
        return f"{self.sign} {self.what}"


def router_calls(registry: ContractInstance, router: str) -> list[RegistryCall]:
    """Make `router` the current one."""
    current = registry.router()
    if current == router:
        return []
    what = f"router {router} (now {current})"
    return [RegistryCall("~", what, registry.address, encode(registry.setRouter, router))]


def venue_calls(
    registry: ContractInstance, wanted: Sequence[VenueListing], *, prune: bool = False
) -> list[RegistryCall]:
    """Add and enable what is wanted; disable what is wanted disabled and, with `prune`, what is not listed.

    Raises DeploymentError for a venue whose facts on the chain are others: those never change.
    """
    known = {venue[0]: (number, venue) for number, venue in enumerate(_venues(registry))}
    calls = []

    def add(sign: str, what: str, data: bytes) -> None:
        calls.append(RegistryCall(sign, what, registry.address, data))

    for venue in wanted:
        number, found = known.pop(venue.name, (0, None))
        if found is None:
            add("+", f"venue {venue.name} ({venue.protocol})", encode(registry.addVenue, venue.as_tuple()))
            continue
        if not _same(found, venue):
            raise DeploymentError(
                f"venue {venue.name} is registered with other facts than the listing's: those never change,"
                " so rename it in the listing"
            )
        if venue.enabled and not found[7]:
            add("+", f"venue {venue.name} enabled", encode(registry.enableVenue, number))
        elif found[7] and not venue.enabled:
            add("-", f"venue {venue.name} disabled", encode(registry.disableVenue, number))
    if prune:
        for name, (number, found) in known.items():
            if found[7]:
                add("-", f"venue {name} disabled, as it is not listed", encode(registry.disableVenue, number))
    return calls


def feed_calls(
    registry: ContractInstance, wanted: Sequence[FeedListing], salt: str, *, prune: bool = False
) -> tuple[list[RegistryCall], list[Placed]]:
    """Set what is wanted and, with `prune`, remove what is not listed; and the source contracts it takes."""
    known = {(feed[0], feed[1]): feed for feed in _feeds(registry)}
    calls, placed = [], []
    for feed in wanted:
        sources = [place(one, salt) for one in feed.sources]
        checks = [place(one, salt) for one in feed.cross_checks]
        placed += [one for chain in (*sources, *checks) for one in chain]
        entry = (
            feed.base,
            feed.quote,
            feed.min_sources,
            feed.max_spread_bps,
            feed.max_cross_bps,
            [chain[-1].address for chain in sources],
            [chain[-1].address for chain in checks],
        )
        found = known.pop((feed.base, feed.quote), None)
        if found is None or _plain(found) != _plain(entry):
            sign = "+" if found is None else "~"
            what = f"feed {feed.base} in {feed.quote}: {len(sources)} sources, {len(checks)} cross-checks"
            calls.append(RegistryCall(sign, what, registry.address, encode(registry.setFeed, entry)))
    if prune:
        for base, quote in known:
            data = encode(registry.removeFeed, base, quote)
            calls.append(RegistryCall("-", f"feed {base} in {quote}", registry.address, data))
    return calls, placed


def registered_sources(registry: ContractInstance) -> list[str]:
    """The addresses of every source and cross-check of every feed, each once."""
    found = [one for feed in _feeds(registry) for one in (*feed[5], *feed[6])]
    return list(dict.fromkeys(str(one) for one in found))


def _venues(registry: ContractInstance) -> list[tuple]:
    count = registry.venueCount()
    return [tuple(venue) for at in range(0, count, _PAGE) for venue in registry.venues(at, _PAGE)]


def _feeds(registry: ContractInstance) -> list[tuple]:
    count = registry.feedCount()
    return [tuple(feed) for at in range(0, count, _PAGE) for feed in registry.feeds(at, _PAGE)]


def _same(found: tuple, venue: VenueListing) -> bool:
    """Whether all but the switch agree."""
    return _plain(found[:7]) == _plain(venue.as_tuple()[:7])


def _plain(values: Sequence) -> list:
    return [
        [str(one).lower() for one in value]
        if isinstance(value, list | tuple)
        else bytes(value)
        if isinstance(value, bytes)
        else str(value).lower()
        for value in values
    ]
