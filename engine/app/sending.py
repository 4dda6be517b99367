"""The channels that settings choose, and the bidder that prices what goes through them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
from coincurve import PrivateKey
from pydantic import ValidationError

from engine.app.passphrase import read_passphrase
from engine.app.settings import Settings
from engine.chain.keys import load_identity
from engine.chain.relays import RelayChannel, RelayDescription, identity_address, known_relays
from engine.chain.rpc import connect
from engine.domain.errors import ConfigError
from engine.domain.ports import Channel
from engine.execution.bids import Bidder, BidLimits, FirstPrice
from engine.execution.channels import FanOut, PoolChannel
from engine.execution.planner import Pin, PlanTerms

# Blocks that come so often pass before a transaction that was made for one of them arrives.
QUICK_BLOCKS_S = 4


def describe_relays(settings: Settings) -> dict[str, RelayDescription]:
    """The relays of `execution.relays`, each completed from the known ones. Raises ConfigError."""
    known = known_relays()
    described = {}
    for name, changes in settings.execution.relays.items():
        base = known[name].model_dump() if name in known else {}
        if not base and "url" not in changes:
            raise ConfigError(
                f"execution.relays.{name} is not a known relay ({', '.join(known)}): give its url, "
                "or correct the name"
            )
        try:
            described[name] = RelayDescription.model_validate({**base, **changes})
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in ("execution.relays", name, *problem["loc"]))
            raise ConfigError(f"{where}: {problem['msg'].lower()}") from None
    return described


@asynccontextmanager
async def open_channel(settings: Settings, operators: Sequence[str]) -> AsyncIterator[Channel | None]:
    """The channel for trades; None for the node's own pool. Raises ConfigError for settings that cannot work,
    NodeUnreachable when a private endpoint does not answer."""
    execution = settings.execution
    async with AsyncExitStack() as stack:
        if execution.submission == "public":
            yield None
        elif execution.submission == "private":
            if execution.private_rpc_url is None:
                raise ConfigError("execution.submission is private: set execution.private_rpc_url")
            node = await stack.enter_async_context(
                connect(execution.private_rpc_url, timeout_s=settings.chain.timeout_s)
            )
            yield PoolChannel(node, "private")
        else:
            described = describe_relays(settings)
            if not described:
                raise ConfigError("execution.submission is bundles: name at least one of execution.relays")
            identity = _identity(settings, operators, described)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            yield FanOut([RelayChannel(name, what, identity, session) for name, what in described.items()])


def _identity(
    settings: Settings, operators: Sequence[str], described: dict[str, RelayDescription]
) -> PrivateKey | None:
    keys = settings.keys
    if keys.identity is None or not any(what.signed for what in described.values()):
        return None
    identity = load_identity(keys.identity, read_passphrase(keys.identity_passphrase_file))
    if identity_address(identity) in operators:
        raise ConfigError("keys.identity is the operator's own key: make another with `roundtrip keys new`")
    return identity


def make_bidder(settings: Settings) -> Bidder:
    """The bidder of the settings."""
    bid = settings.bid
    limits = BidLimits(settings.execution.priority_fee_wei, bid.cap_wei, bid.keep_bps)
    return Bidder(limits, FirstPrice(bid.shares_bps) if bid.policy == "first-price" else None)


def pin_of(settings: Settings) -> Pin:
    """What streams are bound to, besides their sender."""
    execution = settings.execution
    if execution.pin != "auto":
        return Pin(execution.pin)
    if execution.submission == "bundles":
        return Pin.PARENT
    slow = settings.chain.block_interval_s > QUICK_BLOCKS_S
    return Pin.BLOCK if execution.submission == "private" and slow else Pin.DEADLINE


def plan_terms(settings: Settings) -> PlanTerms:
    """The planner's terms of the settings."""
    execution = settings.execution
    return PlanTerms(
        execution.priority_fee_wei, execution.min_profit_bps, execution.deadline_s, pin_of(settings)
    )


def highest_priority_fee_wei(settings: Settings) -> int:
    """The most a bid may offer per gas: what the risk chain must reckon with."""
    fixed = settings.execution.priority_fee_wei
    return fixed if settings.bid.policy == "fixed" else max(fixed, settings.bid.cap_wei)
