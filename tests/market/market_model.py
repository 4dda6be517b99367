"""A plain-integer model of pool state under events, and random blocks for it to be compared on."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from engine.amm.layout import (
    EVENT_V2_SYNC,
    EVENT_V3_BURN,
    EVENT_V3_INITIALIZE,
    EVENT_V3_MINT,
    EVENT_V3_SWAP,
    MAX_SQRT_RATIO,
    MIN_SQRT_RATIO,
    StateEvents,
    allocate_events,
    int_to_limbs,
    limbs_to_int,
    limbs_to_signed,
)
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.market.market import Market

UINT112 = (1 << 112) - 1
SPACING = 10


def address(number: int) -> str:
    return f"0x{number:040x}"


def block_hash(number: int, fork: int = 0) -> str:
    return f"0x{number:032x}{fork:032x}"


def child(parent: BlockRef, fork: int = 0) -> BlockRef:
    return BlockRef(
        parent.number + 1, block_hash(parent.number + 1, fork), parent.hash, parent.timestamp + 12
    )


GENESIS = BlockRef(100, block_hash(100), block_hash(99), 1_000)


@dataclass
class V2Model:
    reserves: tuple[int, int]

    def copy(self) -> V2Model:
        return V2Model(self.reserves)


@dataclass
class V3Model:
    """`ticks` maps a tick to [net, gross]; `positions` is what has been minted and not burnt."""

    sqrt_price: int = 0
    liquidity: int = 0
    tick: int = 0
    ticks: dict[int, list[int]] = field(default_factory=dict)
    positions: dict[tuple[int, int], int] = field(default_factory=dict)

    def copy(self) -> V3Model:
        ticks = {tick: list(entry) for tick, entry in self.ticks.items()}
        return V3Model(self.sqrt_price, self.liquidity, self.tick, ticks, dict(self.positions))

    def change(self, lower: int, upper: int, delta: int) -> None:
        self.positions[lower, upper] = self.positions.get((lower, upper), 0) + delta
        if not self.positions[lower, upper]:
            del self.positions[lower, upper]
        if lower <= self.tick < upper:
            self.liquidity += delta
        for tick, sign in ((lower, 1), (upper, -1)):
            entry = self.ticks.setdefault(tick, [0, 0])
            entry[0] += sign * delta
            entry[1] += delta
            if entry[1] == 0:
                del self.ticks[tick]

    def active(self) -> int:
        return sum(size for (low, high), size in self.positions.items() if low <= self.tick < high)


Model = V2Model | V3Model
Event = tuple[int, int, int, int, int, int]  # kind, pool, a, b, tick_lower, tick_upper


def make_market(v2: int, v3: int, max_undo: int = 64) -> tuple[Market, list[Model]]:
    """A started market of that many pools, and its model."""
    market = Market(max_undo)
    for n in range(1, 4):
        market.add_token(Token(address(n), f"T{n}", 18))
    models: list[Model] = []
    for n in range(v2 + v3):
        tokens = (address(1), address(2 + n % 2))
        if n < v2:
            row = market.add_pool(PoolRecord(address(1000 + n), Protocol.UNISWAP_V2, "v2", tokens, 3000))
            market.set_v2(row, 10**18 + n, 10**20)
            models.append(V2Model((10**18 + n, 10**20)))
        else:
            record = PoolRecord(address(1000 + n), Protocol.UNISWAP_V3, "v3", tokens, 500, SPACING)
            market.set_v3(market.add_pool(record), 1 << 96, 0, 0, [])
            models.append(V3Model(sqrt_price=1 << 96))
    market.start(GENESIS)
    return market, models


def random_events(rng: random.Random, models: list[Model], count: int) -> list[Event]:
    """Events an honest chain could emit, applied to `models` as they are drawn."""
    events = []
    for _ in range(count):
        pool = rng.randrange(len(models))
        model = models[pool]
        if isinstance(model, V2Model):
            model.reserves = (rng.randint(0, UINT112), rng.randint(0, UINT112 >> rng.randint(0, 100)))
            events.append((EVENT_V2_SYNC, pool, *model.reserves, 0, 0))
        else:
            events.append(_random_v3_event(rng, pool, model))
    return events


def _random_v3_event(rng: random.Random, pool: int, model: V3Model) -> Event:
    kind = rng.choice([EVENT_V3_SWAP, EVENT_V3_MINT, EVENT_V3_MINT, EVENT_V3_BURN, EVENT_V3_INITIALIZE])
    if kind == EVENT_V3_BURN and model.positions:
        lower, upper = rng.choice(sorted(model.positions))
        held = model.positions[lower, upper]
        amount = held if rng.random() < 0.5 else rng.randint(0, held)
        if amount:
            model.change(lower, upper, -amount)
        return kind, pool, amount, 0, lower, upper
    if kind in (EVENT_V3_SWAP, EVENT_V3_INITIALIZE):
        model.sqrt_price = rng.randint(MIN_SQRT_RATIO, MAX_SQRT_RATIO - 1)
        model.tick = rng.randint(-60, 60)
        model.liquidity = model.active()
        if kind == EVENT_V3_INITIALIZE:
            # A second Initialize cannot happen on a chain; a swap says the same and the liquidity too.
            kind = EVENT_V3_SWAP
        return kind, pool, model.sqrt_price, model.liquidity, model.tick, 0
    lower = rng.randint(-6, 5) * SPACING
    upper = rng.randint(lower // SPACING + 1, 6) * SPACING
    amount = rng.randint(1, 1 << rng.randint(1, 100))
    model.change(lower, upper, amount)
    return EVENT_V3_MINT, pool, amount, 0, lower, upper


def to_arrays(events: list[Event]) -> StateEvents:
    arrays = allocate_events(len(events))
    for n, (kind, pool, a, b, lower, upper) in enumerate(events):
        arrays.kind[n], arrays.pool[n] = kind, pool
        arrays.a[n], arrays.b[n] = int_to_limbs(a), int_to_limbs(b)
        arrays.tick_lower[n], arrays.tick_upper[n] = lower, upper
    return arrays


def state_of(market: Market, row: int) -> tuple:
    """Everything a quote or a later event depends on, as plain values."""
    tables = market.tables
    ticks, net, gross = tables.read_ticks(row)
    slices = [
        (int(t), limbs_to_signed(n), limbs_to_int(g)) for t, n, g in zip(ticks, net, gross, strict=True)
    ]
    return (
        tuple(limbs_to_int(side) for side in tables.reserves[row]),
        limbs_to_int(tables.sqrt_price[row]),
        limbs_to_int(tables.liquidity[row]),
        int(tables.tick[row]),
        slices,
        int(tables.kind[row]),
        int(tables.stale[row]),
    )


def states_of(market: Market) -> list[tuple]:
    return [state_of(market, row) for row in range(len(market.pools))]


def model_states(models: list[Model]) -> list[tuple]:
    states = []
    for model in models:
        if isinstance(model, V2Model):
            states.append((model.reserves, 0, 0, 0, [], 1, 0))
        else:
            slices = [(tick, net, gross) for tick, (net, gross) in sorted(model.ticks.items())]
            states.append(((0, 0), model.sqrt_price, model.liquidity, model.tick, slices, 2, 0))
    return states
