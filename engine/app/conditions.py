"""What holds at a block besides the pools: prices, switches, the operator's balance."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Set
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from engine.app.depth import depth_of
from engine.app.lenders import LenderBook
from engine.app.sending import highest_priority_fee_wei
from engine.app.settings import GasSettings, Settings
from engine.app.simulate.chain_table import known_data_fee
from engine.chain.calls import at_block
from engine.chain.data_fees import DataFee, DataPrice, read_data_price
from engine.chain.deployments import Deployment
from engine.chain.endpoint_set import EndpointSet
from engine.chain.feeds import read_feeds
from engine.chain.registry import RegistryReader, RegistryState
from engine.chain.rpc import RpcNode
from engine.chain.wire import quantity
from engine.domain.feeds import FeedQuote
from engine.domain.market import BlockRef, Protocol, Token
from engine.domain.opportunity import TradingState
from engine.domain.ports import Node
from engine.domain.token_safety import TokenVerdict
from engine.line.stages import Conditions
from engine.market.market import Market
from engine.risk.ladder import Ladder
from engine.risk.view import RiskView
from engine.search.costs import GasCosts, default_hop_gas
from engine.search.gas_learning import GasLearner

# How long a second endpoint may take to have a block before nothing is traded on it.
WITNESS_WAIT_S = 0.5
_NO_VERDICTS: Mapping[str, TokenVerdict] = {}


@dataclass(slots=True)
class Guard:
    """The person's switch: trading halts while `halt_file` exists (`roundtrip halt` makes it). It only ever
    stops; the chain's emergency stop is read each block."""

    halt_file: Path | None = None

    @property
    def reason(self) -> str | None:
        """What was written when the engine was halted; None while it is not."""
        if self.halt_file is None or not self.halt_file.exists():
            return None
        try:
            return self.halt_file.read_text(errors="replace").strip()[:200] or "halted"
        except OSError:
            return "halted"

    def halt(self, reason: str) -> None:
        """Halt until `roundtrip resume`. Raises OSError when that cannot be written down."""
        if self.halt_file is not None and not self.halt_file.exists():
            self.halt_file.parent.mkdir(parents=True, exist_ok=True)
            self.halt_file.write_text(
                f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {reason}".strip()
            )


def halt_file(settings: Settings) -> Path:
    """The file that halts an engine with these settings."""
    return settings.storage.directory / f"halt-{settings.chain.chain_id}"


async def _nothing(block: BlockRef) -> str | None:
    return None


# What the richest of the operators holds, wei, given the node and its block parameter.
Fuel = Callable[[Node, object], Awaitable[Any]]
Rotated = Callable[[str, BlockRef], Awaitable[str | None]]


def _unit_price(token: Token, quote: FeedQuote) -> Fraction:
    """Quote units per base unit of the token."""
    return Fraction(quote.price_e18, 10**18 * 10**token.decimals)


def exchange_rates(
    tokens: Collection[Token], feeds: Mapping[str, FeedQuote], wrapped_native: str
) -> dict[str, Fraction]:
    """Base units of each token that one wei of the native coin buys, by the feeds; tokens without a usable
    feed are left out, the wrapped native token is worth exactly one."""
    by_address = {token.address: token for token in tokens}
    rates = {wrapped_native: Fraction(1)}
    native = feeds.get(wrapped_native)
    if native is None or not native.usable or wrapped_native not in by_address:
        return rates
    wei_price = _unit_price(by_address[wrapped_native], native)
    for token in tokens:
        quote = feeds.get(token.address)
        if token.address != wrapped_native and quote is not None and quote.usable:
            rates[token.address] = wei_price / _unit_price(token, quote)
    return rates


def gas_learner(settings: GasSettings) -> GasLearner:
    """Estimates that begin with the settings' figures, and with the usual ones for other families."""
    stated = {Protocol.UNISWAP_V2: settings.v2_hop, Protocol.UNISWAP_V3: settings.v3_hop}
    return GasLearner(settings.base, default_hop_gas() | stated)


def data_fee_of(settings: Settings) -> DataFee:
    """How the chain charges for a transaction's bytes."""
    stated = settings.gas.data_fee
    return known_data_fee(settings.chain.chain_id) if stated == "auto" else DataFee(stated)


class ConditionsReader:
    """Asks the node, in one go per block, for everything the risk view and the gas terms need."""

    def __init__(
        self,
        node: RpcNode | EndpointSet,
        settings: Settings,
        market: Market,
        deployment: Deployment,
        operator: str,
        guard: Guard,
        priced: Collection[str],
        in_flight_pools: Callable[[], Set[str]] = frozenset,
        halted: Collection[str] = (),
        distrusted: Callable[[BlockRef], Awaitable[str | None]] = _nothing,
        rotated: Rotated | None = None,
        gas: GasLearner | None = None,
        lenders: LenderBook | None = None,
        verdicts: Mapping[str, TokenVerdict] = _NO_VERDICTS,
        ladder: Ladder | None = None,
        fuel: Fuel | None = None,
    ):
        self._ladder = ladder or Ladder(settings.breakers)
        self._lenders = lenders
        self._verdicts = verdicts
        self._gas = gas or gas_learner(settings.gas)
        self._node = node
        self._settings = settings
        self._market = market
        self._deployment = deployment
        self._fuel = fuel or self._operators_balance
        self._operator = operator
        self._guard = guard
        self._data_fee = data_fee_of(settings)
        self._registry = RegistryReader(node, deployment.dex_registry)
        self._priced = sorted(priced)
        self._in_flight_pools = in_flight_pools
        self._halted = halted
        self._distrusted = distrusted
        self._rotated = rotated or self._other_router
        self.venues_enabled: frozenset[str] = frozenset()
        self._depth = depth_of(market)
        self._allowed = frozenset(settings.risk.allowed_tokens) | frozenset(settings.market.base_tokens)

    async def read(self, block: BlockRef) -> Conditions:
        """Conditions at `block`. Raises NodeError when the node fails."""
        feeds, registry, balance, latest, witnessed, distrusted, data, _ = await asyncio.gather(
            read_feeds(self._node, self._deployment.price_feed_registry, self._priced, block.hash),
            self._registry.at(block),
            self._fuel(self._node, at_block(block.hash)),
            # While catching up the block is not the head, and what is found on it is too old to send.
            self._node.latest(),
            self._node.witnessed(block, WITNESS_WAIT_S),
            self._distrusted(block),
            read_data_price(self._node, self._data_fee, block),
            self._lent(block),
        )
        self.venues_enabled = frozenset(venue.name for venue in registry.venues if venue.enabled)
        rotated = await self._rotated(registry.router, block)
        stopped = "the DexRegistry's emergency stop is on" if registry.stopped else None
        state = self._ladder.at(block, self._guard.reason, stopped or rotated or distrusted)
        view = self._view(block, latest.ref, witnessed, state, feeds, registry, balance)
        view = replace(view, data_base_wei=data.base_wei, data_hop_wei=data.hop_wei)
        return Conditions(view, self._costs(block, feeds, data))

    async def _operators_balance(self, node: Node, where: object) -> Any:
        return quantity(await node.request("eth_getBalance", [self._operator, where]), "balance")

    async def _lent(self, block: BlockRef) -> None:
        if self._lenders:
            await self._lenders.refresh(block)

    async def _other_router(self, named: str, block: BlockRef) -> str | None:
        recorded = self._deployment.router
        return None if named == recorded else f"the DexRegistry names {named} and not {recorded}"

    def _view(
        self,
        block: BlockRef,
        head: BlockRef,
        witnessed: bool,
        state: TradingState,
        feeds: dict[str, FeedQuote],
        registry: RegistryState,
        balance_wei: int,
    ) -> RiskView:
        market = self._market
        return RiskView(
            head=head,
            head_witnessed=witnessed,
            trading_state=state,
            venues={
                venue.name: venue.enabled
                and venue.name not in self._halted
                and venue.name not in self._ladder.breakers.closed
                for venue in registry.venues
            },
            # Only pools whose CREATE2 address and code were proved are ever read into the market.
            proven_pools=market.pool_row.keys(),
            quarantined=self._untouchable(registry.barred),
            allowed_tokens=self._allowed,
            # What is found out meanwhile counts from the next block on.
            token_verdicts=dict(self._verdicts),
            decimals={token.address: token.decimals for token in market.tokens},
            feeds=feeds,
            in_flight_pools=self._in_flight_pools(),
            operator_balance_wei=balance_wei,
            next_base_fee_wei=block.next_base_fee_wei(),
            priority_fee_wei=highest_priority_fee_wei(self._settings),
            depth=self._depth,
        )

    def _untouchable(self, barred: Set[str]) -> dict[str, str]:
        """Pools that must not be touched, with the reason: quarantined or resting here, or barred in the
        registry, as themselves or for one of their tokens."""
        market = self._market
        found = {market.pools[row].key: why for row, why in market.quarantined.items()}
        found |= self._ladder.breakers.resting
        if barred:
            for pool in market.pools:
                if pool.address in barred or not barred.isdisjoint(pool.tokens):
                    found[pool.key] = "barred in the DexRegistry"
        return found

    def _costs(self, block: BlockRef, feeds: dict[str, FeedQuote], data: DataPrice) -> GasCosts:
        gas = self._settings.gas
        native = self._settings.market.wrapped_native
        return GasCosts(
            gas_price_wei=block.next_base_fee_wei() + self._settings.execution.priority_fee_wei,
            base_units_per_eth_wei=exchange_rates(self._market.tokens, feeds, native),
            base_gas=gas.base,
            hop_gas=self._gas.hop_gas,
            data_base_wei=data.base_wei,
            data_hop_wei=data.hop_wei,
        )
