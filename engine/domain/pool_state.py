"""What a node said about pools and tokens at one block, before it enters the market."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.domain.market import BlockRef, PoolRecord, Token


@dataclass(frozen=True, slots=True)
class V2PoolState:
    """Reserves of a V2-type pool in base units of token0 and token1 (uint112)."""

    pool: PoolRecord
    reserve0: int
    reserve1: int


@dataclass(frozen=True, slots=True)
class V3PoolState:
    """State of a V3-type pool. `sqrt_price_x96` is 0 where it was never initialised.

    `ticks`: (tick, liquidity_net, liquidity_gross) of every initialised tick of the whole range, ascending;
    only of the range `known` (lowest, highest tick), where that is given.
    """

    pool: PoolRecord
    sqrt_price_x96: int
    liquidity: int
    tick: int
    ticks: tuple[tuple[int, int, int], ...]
    known: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class TickWindow:
    """What a node with partial state holds of a V3 pool: the initialised `ticks` whose state is there,
    ascending, and the bounds `low` and `high` between which there are no others."""

    ticks: tuple[int, ...]
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class PartialState:
    """What may be read from a node that holds only part of the chain's state, and what cannot be.

    `tokens`: metadata given instead of read, by address. `windows`: by V3 pool, the ticks that are there; the
    consistency of all ticks with the liquidity in range cannot be checked for these.
    """

    tokens: Mapping[str, Token] = field(default_factory=dict)
    windows: Mapping[str, TickWindow] = field(default_factory=dict)


PoolState = V2PoolState | V3PoolState


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Everything read at `block`. `refused` maps the address of a token or pool that was left out to the
    reason; a pool with a refused token is refused too."""

    block: BlockRef
    tokens: tuple[Token, ...]
    pools: tuple[PoolState, ...]
    refused: dict[str, str] = field(default_factory=dict)
