"""Who may do what, and the entries of the registries; each read first and sent only where it differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import click
from ape.api import AccountAPI
from ape.contracts import ContractInstance
from ape.utils import ZERO_ADDRESS
from eth_utils import function_signature_to_4byte_selector as selector

from engine.domain.errors import DeploymentError
from scripts._listings import FeedListing, VenueListing

ROLES = {"curator": 1, "guardian": 2, "operator": 3, "upgrader": 4}
_ADMIN = 0

_VENUE = "(string,uint8,address,address,bytes32,bytes32,uint24,bool)"
_DEX_FUNCTIONS = {
    "curator": (f"addVenue({_VENUE})", "setVenueEnabled(uint256,bool)"),
    "guardian": ("disableVenue(uint256)", "emergencyStop()"),
    "upgrader": ("setRouter(address)", "upgradeToAndCall(address,bytes)"),
}
_FEED_FUNCTIONS = {
    "curator": ("setFeed(address,address,address,uint32,int256,int256)",),
    "guardian": ("removeFeed(address,address)",),
    "upgrader": ("upgradeToAndCall(address,bytes)",),
}


def configure(
    account: AccountAPI,
    manager: ContractInstance,
    dex_registry: ContractInstance,
    feed_registry: ContractInstance,
    router: ContractInstance,
    holders: Mapping[str, str],
    venues: Sequence[VenueListing],
    feeds: Sequence[FeedListing],
) -> None:
    """Give out the roles, then register the router, the venues and the feeds."""
    _assign(account, manager, dex_registry, feed_registry, holders)
    calls = [
        *_router_calls(dex_registry, router),
        *_venue_calls(dex_registry, venues),
        *_feed_calls(feed_registry, feeds),
    ]
    if not calls:
        return
    with _acting(account, manager, ("curator", "upgrader"), holders):
        for method, arguments in calls:
            method(*arguments, sender=account)
    click.echo(f"registries: {len(calls)} entries written")


def _send(account: AccountAPI, manager: ContractInstance, calls: list[bytes]) -> None:
    if not calls:
        return
    is_admin, _ = manager.hasRole(_ADMIN, account.address)
    if not is_admin:
        raise DeploymentError(
            f"{account.address} does not administer the AccessManager {manager.address}: pass its --account"
        )
    manager.multicall(calls, sender=account)


def _assign(
    account: AccountAPI,
    manager: ContractInstance,
    dex_registry: ContractInstance,
    feed_registry: ContractInstance,
    holders: Mapping[str, str],
) -> None:
    calls = []
    for target, functions in ((dex_registry, _DEX_FUNCTIONS), (feed_registry, _FEED_FUNCTIONS)):
        for role, signatures in functions.items():
            unset = [
                one
                for one in map(selector, signatures)
                if manager.getTargetFunctionRole(target.address, one) != ROLES[role]
            ]
            if unset:
                calls.append(manager.setTargetFunctionRole.encode_input(target.address, unset, ROLES[role]))
    for role, holder in holders.items():
        if not manager.hasRole(ROLES[role], holder)[0]:
            calls.append(manager.labelRole.encode_input(ROLES[role], role))
            calls.append(manager.grantRole.encode_input(ROLES[role], holder, 0))
    _send(account, manager, calls)
    if calls:
        click.echo("roles: " + ", ".join(f"{role} {holder}" for role, holder in holders.items()))


@contextmanager
def _acting(
    account: AccountAPI, manager: ContractInstance, roles: Sequence[str], holders: Mapping[str, str]
) -> Iterator[None]:
    """The deployer holds these roles for as long as the registries are being filled."""
    lent = [role for role in roles if not manager.hasRole(ROLES[role], account.address)[0]]
    _send(account, manager, [manager.grantRole.encode_input(ROLES[one], account.address, 0) for one in lent])
    try:
        yield
    finally:
        _send(
            account, manager, [manager.revokeRole.encode_input(ROLES[one], account.address) for one in lent]
        )


def _router_calls(registry: ContractInstance, router: ContractInstance) -> list[tuple]:
    return [] if registry.router() == router.address else [(registry.setRouter, (router.address,))]


def _venue_calls(registry: ContractInstance, venues: Sequence[VenueListing]) -> list[tuple]:
    count = registry.venueCount() if venues else 0
    known = {venue.name: venue for venue in registry.venues(0, count)} if count else {}
    calls = []
    for venue in venues:
        found = known.get(venue.name)
        if found is None:
            calls.append((registry.addVenue, (venue.as_tuple(),)))
        elif found.factory != venue.factory:
            raise DeploymentError(
                f"venue {venue.name} is registered with factory {found.factory} and not"
                f" {venue.factory}: rename it"
            )
    return calls


def _feed_calls(registry: ContractInstance, feeds: Sequence[FeedListing]) -> list[tuple]:
    known = {}
    for index in range(registry.feedCount() if feeds else 0):
        feed = registry.feedAt(index)
        known[feed.base, feed.quote] = (feed.aggregator, feed.maxStaleness, feed.minAnswer, feed.maxAnswer)
    calls = []
    for feed in feeds:
        if feed.aggregator == ZERO_ADDRESS:
            raise DeploymentError(f"the feed of {feed.base} has no aggregator: correct it")
        if known.get((feed.base, feed.quote)) != feed.as_tuple()[2:]:
            calls.append((registry.setFeed, feed.as_tuple()))
    return calls
