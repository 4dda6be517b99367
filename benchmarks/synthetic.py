"""A seeded market of V2 and V3 pools, and blocks of trades on it as a node would report them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
import orjson

from engine.amm.layout import MAX_SQRT_RATIO, MIN_SQRT_RATIO, limbs_to_int
from engine.amm.quote import QuoteRefused, SwapResult, simulate_swap
from engine.amm.tick_math import tick_at_sqrt_ratio
from engine.chain.events import SYNC, V3_SWAP
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.market.market import Market

_V3_TIERS = ((100, 1), (500, 10), (3000, 60), (10_000, 200))
_HUBS = 5
_PARTY = "0x" + "00" * 12 + "5e" * 20
# Standard deviations of a pool's log price from the common one, as parts of its fee.
_CALM, _SHOCKED = 0.22, 2.0
_SHOCK_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Size:
    """How big a market to make, and how busy its blocks are: trades in pools of the market, and logs in all,
    the others being of pools that nobody follows."""

    tokens: int = 600
    pools: int = 4_000
    v3_share: float = 0.4
    trades_per_block: int = 100
    logs_per_block: int = 0


class SyntheticMarket:
    """Pools whose prices agree within their fees, as arbitrage leaves them. Each trade takes a pool to a new
    price in that band; a few take it out of the band, and the next block brings it back. Token 0 is the base
    token."""

    def __init__(self, seed: int, size: Size) -> None:
        self._rng = random.Random(seed)
        self.size = size
        self.market = Market()
        self.head = BlockRef(1, _hash(1), _hash(0), 1_700_000_000, 10**9)
        self.units = [10.0 ** self._rng.choice([6, 8, 18, 18, 18]) for _ in range(size.tokens)]
        for n in range(size.tokens):
            self.market.add_token(Token(_token(n), f"T{n}", 18))
        self._busy: list[int] = []
        self._shocked: set[int] = set()
        for n in range(size.pools):
            self._add_pool(n)
        self.market.start(self.head)

    @property
    def base(self) -> str:
        return _token(0)

    def _add_pool(self, n: int) -> None:
        rng = self._rng
        # Most pools trade against one of a few hubs, as on mainnet.
        hub = min(int(rng.expovariate(0.7)), _HUBS - 1)
        other = rng.randrange(_HUBS, self.size.tokens) if rng.random() < 0.85 else rng.randrange(_HUBS)
        if hub == other:
            other = _HUBS + rng.randrange(self.size.tokens - _HUBS)
        first, second = sorted((hub, other))
        tokens = (_token(first), _token(second))
        depth = 10.0 ** rng.uniform(1, 4)
        is_v3 = rng.random() < self.size.v3_share
        fee, spacing = rng.choice(_V3_TIERS) if is_v3 else (3000, 0)
        price = self._price(first, second) * math.exp(rng.gauss(0, _CALM * fee * 1e-6))
        if is_v3:
            record = PoolRecord(_pool(n), Protocol.UNISWAP_V3, "v3", tokens, fee, spacing)
            self._fill_v3(self.market.add_pool(record), price, spacing, depth * self.units[second])
        else:
            record = PoolRecord(_pool(n), Protocol.UNISWAP_V2, "v2", tokens, fee)
            reserve0 = int(depth * self.units[first])
            self.market.set_v2(self.market.add_pool(record), reserve0, int(reserve0 * price))
        self._busy += [n] * int(1 + 20 * rng.paretovariate(1.2))

    def _price(self, first: int, second: int) -> float:
        """Base units of the second token for one of the first: every token is worth the same when whole."""
        return self.units[second] / self.units[first]

    def _fill_v3(self, row: int, price: float, spacing: int, size: float) -> None:
        rng = self._rng
        sqrt_price = int(math.sqrt(price) * 2**96)
        tick = tick_at_sqrt_ratio(sqrt_price)
        nets: dict[int, int] = {}
        gross: dict[int, int] = {}
        liquidity = 0
        for width in (2, 6, 20, 100, 400):
            lower = (tick // spacing - rng.randint(1, width)) * spacing
            upper = lower + (width + rng.randint(1, width)) * spacing
            amount = max(int(size / math.sqrt(price) / width**0.5), 1_000)
            for bound, net in ((lower, amount), (upper, -amount)):
                nets[bound] = nets.get(bound, 0) + net
                gross[bound] = gross.get(bound, 0) + amount
            if lower <= tick < upper:
                liquidity += amount
        ticks = [(bound, nets[bound], gross[bound]) for bound in sorted(nets)]
        self.market.set_v3(row, sqrt_price, liquidity, tick, ticks)

    def next_block(self) -> tuple[BlockRef, bytes]:
        """The child of the head and its logs as a node's JSON; the market itself is left as it is."""
        number = self.head.number + 1
        self.head = BlockRef(number, _hash(number), self.head.hash, self.head.timestamp + 12, 10**9)
        restored, self._shocked = self._shocked, set()
        rows = restored | {self._rng.choice(self._busy) for _ in range(self.size.trades_per_block)}
        logs = [log for row in sorted(rows) for log in [self._trade(row, row in restored)] if log is not None]
        logs += [self._foreign() for _ in range(self.size.logs_per_block - len(logs))]
        self._rng.shuffle(logs)
        for index, log in enumerate(logs):
            log |= {
                "blockNumber": hex(number),
                "blockHash": self.head.hash,
                "transactionHash": _hash(index),
                "transactionIndex": hex(index // 2),
                "logIndex": hex(index),
                "removed": False,
            }
        return self.head, orjson.dumps({"jsonrpc": "2.0", "id": 1, "result": logs})

    def _trade(self, row: int, restore: bool) -> dict | None:
        arrays, rng = self.market.arrays, self._rng
        record = self.market.pools[row]
        spread = _CALM * record.fee_pips * 1e-6
        if not restore and rng.random() < _SHOCK_SHARE:
            spread *= _SHOCKED / _CALM
            self._shocked.add(row)
        price = self._price(int(arrays.token0[row]), int(arrays.token1[row])) * math.exp(rng.gauss(0, spread))
        if record.protocol is Protocol.UNISWAP_V2:
            held0, held1 = (limbs_to_int(side) for side in arrays.reserves[row])
            invariant = float(held0) * float(held1)
            words = [int(math.sqrt(invariant / price)), int(math.sqrt(invariant * price))]
            return {"address": record.address, "topics": [SYNC], "data": _data(words)}
        moved = self._move_v3(row, int(math.sqrt(price) * 2**96))
        if moved is None:
            return None
        words = [moved.amount_in, -moved.amount_out, moved.sqrt_price_x96, moved.liquidity, moved.tick]
        return {"address": record.address, "topics": [V3_SWAP, _PARTY, _PARTY], "data": _data(words)}

    def _foreign(self) -> dict:
        """A trade in a pool outside the market."""
        rng = self._rng
        stranger = f"0x{rng.getrandbits(160):040x}"
        if rng.random() < 0.5:
            return {"address": stranger, "topics": [SYNC], "data": _data([rng.getrandbits(90) for _ in "01"])}
        words = [rng.getrandbits(80), -rng.getrandbits(80), 1 << 96, rng.getrandbits(90), 0]
        return {"address": stranger, "topics": [V3_SWAP, _PARTY, _PARTY], "data": _data(words)}

    def _move_v3(self, row: int, target: int) -> SwapResult | None:
        """A swap that stops at the target price, if the pool's known liquidity reaches there."""
        arrays = self.market.arrays
        price = limbs_to_int(arrays.sqrt_price[row])
        limit = min(max(target, MIN_SQRT_RATIO + 1), MAX_SQRT_RATIO - 1)
        if limit == price:
            return None
        try:
            return simulate_swap(arrays, row, limit < price, 1 << 160, sqrt_price_limit_x96=limit)
        except QuoteRefused:
            return None


def _data(words: list[int]) -> str:
    return "0x" + b"".join(word.to_bytes(32, "big", signed=word < 0) for word in words).hex()


def _hash(number: int) -> str:
    return f"0x{number:064x}"


def _token(number: int) -> str:
    return f"0x{number + 1:040x}"


def _pool(number: int) -> str:
    return f"0x{2**64 + number:040x}"


def count_pools(market: Market) -> dict[str, int]:
    """Pools by protocol."""
    kinds = np.array([record.protocol is Protocol.UNISWAP_V3 for record in market.pools])
    return {"uniswap-v2": int((~kinds).sum()), "uniswap-v3": int(kinds.sum())}
