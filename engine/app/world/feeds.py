"""Price feeds with Chainlink's interface and Chainlink's habits: a report on deviation or on a heartbeat."""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.abi import encode

from engine.app.toolchain import forge_artifact
from engine.app.world.dexes import Groundwork
from engine.app.world.outbox import DEPLOY_GAS, Outbox, Sending, calldata
from engine.app.world.tokens import TruePrices

# ISO 4217's number of the US dollar, as an address: the quote side of every feed here.
USD = "0x0000000000000000000000000000000000000348"

_DECIMALS = 8
_REPORT_GAS = 200_000


@dataclass(frozen=True, slots=True)
class PriceFeed:
    """A feed and the bounds its consumer should set.

    `base` is a token's address, `quote` the US dollar's; answers carry `decimals` decimals. It reports when
    the price has moved by `deviation_bps` or `heartbeat_s` seconds have passed; `max_staleness_s` allows for
    one late report.
    """

    symbol: str
    description: str
    base: str
    quote: str
    aggregator: str
    decimals: int
    heartbeat_s: int
    deviation_bps: int
    max_staleness_s: int
    min_answer: int
    max_answer: int


# (symbol, description, heartbeat, deviation) as on mainnet.
_FEEDS = (
    ("WETH", "ETH / USD", 3_600, 50),
    ("USDC", "USDC / USD", 82_800, 25),
    ("USDT", "USDT / USD", 86_400, 25),
    ("DAI", "DAI / USD", 3_600, 25),
    ("WBTC", "BTC / USD", 3_600, 50),
)


class Reporter:
    """Keeps the feeds true. `now` is a block's time in unix seconds."""

    def __init__(self, account: str, feeds: list[PriceFeed], prices: TruePrices, now: int):
        self._account = account
        self._feeds = feeds
        self._prices = prices
        self._last = {feed.aggregator: (_answer(prices, feed.symbol), now) for feed in feeds}

    def reports(self, now: int) -> list[Sending]:
        """The transactions due in a block at `now`."""
        due = []
        for feed in self._feeds:
            answer = _answer(self._prices, feed.symbol)
            last, reported_at = self._last[feed.aggregator]
            moved = abs(answer - last) * 10_000 >= last * feed.deviation_bps
            if moved or now - reported_at >= feed.heartbeat_s:
                self._last[feed.aggregator] = answer, now
                data = calldata("set(int256)", answer)
                due.append(
                    Sending(
                        f"report {feed.description}", self._account, feed.aggregator, data, gas=_REPORT_GAS
                    )
                )
        return due


async def deploy_feeds(
    outbox: Outbox, reporter: str, ground: Groundwork, prices: TruePrices, fee_wei: int
) -> list[PriceFeed]:
    """Deploy one aggregator per feed, owned by `reporter`, each with its first answer."""
    code = forge_artifact("WorldFeed").bytecode
    answers = [_answer(prices, symbol) for symbol, *_ in _FEEDS]
    sendings = []
    for (_, description, *_), answer in zip(_FEEDS, answers, strict=True):
        creation = code + encode(("uint8", "string", "int256"), (_DECIMALS, description, answer))
        sendings.append(Sending(f"deploy {description}", reporter, None, creation, gas=DEPLOY_GAS))
    receipts = await outbox.settle(sendings, fee_wei)
    return [
        PriceFeed(
            symbol=symbol,
            description=description,
            base=ground.token(symbol).address,
            quote=USD,
            aggregator=receipt["contractAddress"].lower(),
            decimals=_DECIMALS,
            heartbeat_s=heartbeat_s,
            deviation_bps=deviation_bps,
            max_staleness_s=heartbeat_s + 600,
            min_answer=answer // 10,
            max_answer=answer * 10,
        )
        for (symbol, description, heartbeat_s, deviation_bps), answer, receipt in zip(
            _FEEDS, answers, receipts, strict=True
        )
    ]


def _answer(prices: TruePrices, symbol: str) -> int:
    return round(prices.est_usd(symbol) * 10**_DECIMALS)
