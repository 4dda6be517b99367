"""Curve's AddressProvider and MetaRegistry as a venue's list of pools.

The MetaRegistry gathers the lists of Curve's registries and factories, each behind a handler; the
AddressProvider names the MetaRegistry in force. Some of the factories are anybody's to deploy with, and the
hand-kept registries hold pools of any code: a pool is a venue's when the factory behind its handler is that
venue's, or when its code is the one the venue names.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.chain.calls import View
from engine.chain.creations import Sighting
from engine.chain.readers.reading import Ask, Reading
from engine.chain.sighted import draft
from engine.domain.market import ZERO_ADDRESS, Protocol, Venue

_NAMED = View.of("get_address(uint256)", "address")
# Under which number the AddressProvider keeps the MetaRegistry.
_META_REGISTRY = 7
_HANDLER_COUNT = View.of("registry_length()", "uint256")
_HANDLERS = View.of("get_registry_handlers_from_pool(address)", "address[10]")
_BEHIND = View.of("get_base_registry(address)", "address")
_CURVE = (Protocol.CURVE_STABLESWAP, Protocol.CURVE_CRYPTOSWAP)


async def registry_of(reading: Reading, venue: Venue) -> str:
    """The contract that lists a Curve venue's pools: the MetaRegistry where the venue's factory is an
    AddressProvider, else the factory. Raises NodeError when the node fails."""
    asked = draft(Sighting(venue, venue.factory))
    (named,) = await reading.values([Ask(asked, _NAMED, (_META_REGISTRY,), optional=True)])
    return venue.factory if named is None or named[0] == ZERO_ADDRESS else named[0].lower()


async def attributed(
    reading: Reading, venue: Venue, registry: str, pools: Sequence[str]
) -> list[Sighting] | None:
    """Each listed pool under the venue that made it, the others refused in `reading`; None where `registry`
    is no MetaRegistry. Raises NodeError when the node fails."""
    asked = draft(Sighting(venue, venue.factory))
    (handlers,) = await reading.values([Ask(asked, _HANDLER_COUNT, to=registry, optional=True)])
    if handlers is None:
        return None
    makers = {
        each.factory: each for each in reading.venues.values() if each.protocol in _CURVE and each.enabled
    }
    asks = [Ask(asked, _HANDLERS, (pool,), registry, optional=True) for pool in pools]
    by_pool = [_present(answer[0]) if answer else [] for answer in await reading.values(asks)]
    behind = await _behind(reading, venue, registry, {each for found in by_pool for each in found})
    sightings = []
    for pool, found in zip(pools, by_pool, strict=True):
        factories = [behind[each] for each in found if each in behind]
        maker = next((makers[each] for each in factories if each in makers), makers.get(pool))
        if maker is not None and maker != venue:
            sightings.append(Sighting(maker, pool))
        elif venue.pool_code_hash is not None:
            sightings.append(Sighting(venue, pool))
        else:
            reading.refused.setdefault(pool, f"it is of an unknown factory: {', '.join(factories) or 'none'}")
    return sightings


async def _behind(reading: Reading, venue: Venue, registry: str, handlers: set[str]) -> dict[str, str]:
    """By handler, the registry or factory that it speaks for."""
    asked, ordered = draft(Sighting(venue, venue.factory)), sorted(handlers)
    answers = await reading.values(
        [Ask(asked, _BEHIND, (each,), registry, optional=True) for each in ordered]
    )
    return {each: answer[0].lower() for each, answer in zip(ordered, answers, strict=True) if answer}


def _present(addresses: Sequence[str]) -> list[str]:
    return [each.lower() for each in addresses if each != ZERO_ADDRESS]
