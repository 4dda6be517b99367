"""The line's own work on a block: the node's bytes in, the best opportunity's signed bytes out."""

from __future__ import annotations

import gc
import time
from typing import Any

import numpy as np

from benchmarks.measure import Result, main
from benchmarks.synthetic import Size, SyntheticMarket, count_pools
from engine.amm.quote import quote_exact_in
from engine.chain.json_text import read_message
from engine.chain.keys import signer_of_key
from engine.chain.log_decoder import LogDecoder
from engine.chain.log_scanner import ScannedLogs, scan_logs
from engine.domain.feeds import FeedQuote, FeedStatus
from engine.domain.market import BlockRef
from engine.domain.opportunity import Approved, Opportunity, TradingState
from engine.execution.planner import Planner, PlanTerms
from engine.market.market import Market
from engine.risk.chain import RiskChain
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView
from engine.search.costs import GasCosts
from engine.search.finder import Finder

SEED = 9
WARM_UP, BLOCKS = 20, 300
MAX_HOPS = 3
LIMIT = 10
POOLS, LOGS, TRADES = 10_000, 500, 50
GAS_PRICE_WEI = 10**9
ROUTER = "0x" + "aa" * 20
STAGES = ("scan", "decode", "apply", "find", "assess", "plan", "sign")
DECIDING = ("assess", "plan", "sign")


class Stopwatch:
    """Milliseconds of each stage of one block."""

    def __init__(self) -> None:
        self.laps: list[float] = []
        self._since = time.perf_counter()

    def lap(self) -> None:
        now = time.perf_counter()
        self.laps.append((now - self._since) * 1e3)
        self._since = now


class Desk:
    """What stands behind the finder: risk chain, planner, signer."""

    def __init__(self, market: Market, base: str):
        self._market, self._base = market, base
        self._chain = RiskChain(RiskLimits(token_policy="any", token_verdicts="off"))
        self._planner = Planner(ROUTER, PlanTerms(priority_fee_wei=10**8), clock=lambda: 0)
        self._signer = signer_of_key("11" * 32)
        self._venues = {record.venue: True for record in market.pools}
        self._decimals = {token.address: token.decimals for token in market.tokens}
        self._nonce = 0

    def view(self, block: BlockRef) -> RiskView:
        """Conditions at a block, which the node is asked for beside the line."""
        return RiskView(
            head=block,
            trading_state=TradingState.ACTIVE,
            venues=self._venues,
            proven_pools=self._market.pool_row.keys(),
            decimals=self._decimals,
            feeds={self._base: FeedQuote(10**18, block.timestamp, FeedStatus.OK)},
            operator_balance_wei=10**20,
            next_base_fee_wei=GAS_PRICE_WEI,
            priority_fee_wei=10**8,
        )

    def decide(self, found: list[Opportunity], view: RiskView, watch: Stopwatch) -> bytes:
        """The signed transaction of the best opportunity that the risk chain lets pass."""
        verdicts = (self._chain.assess(opportunity, view) for opportunity in found)
        approved = next((verdict for verdict in verdicts if isinstance(verdict, Approved)), None)
        watch.lap()
        plan = self._planner.plan(approved, view.head) if approved else None
        watch.lap()
        raw = b""
        if plan:
            self._nonce += 1
            fields = {
                "type": 2,
                "chainId": 1,
                "nonce": self._nonce,
                "to": plan.router,
                "value": 0,
                "data": "0x" + plan.calldata.hex(),
                "gas": plan.gas_limit,
                "maxFeePerGas": plan.max_fee_wei,
                "maxPriorityFeePerGas": plan.priority_fee_wei,
            }
            raw = self._signer.sign(fields).raw
        watch.lap()
        return raw


def _check(market: Market, found: list[Opportunity]) -> None:
    """The quotes along each cycle are those of the applied state. Raises AssertionError."""
    for opportunity in found:
        last = opportunity.hops[-1]
        row = market.pool_row[last.pool]
        assert quote_exact_in(market.arrays, row, last.zero_for_one, last.amount_in) == last.amount_out
        assert opportunity.gross_profit > 0


def run_blocks() -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Milliseconds f64[BLOCKS, stages], which blocks ended with a signature, and what was worked on."""
    size = Size(tokens=1_500, pools=POOLS, v3_share=0.5, trades_per_block=TRADES, logs_per_block=LOGS)
    world = SyntheticMarket(SEED, size)
    market = world.market
    finder = Finder(market, [world.base], MAX_HOPS)
    costs = GasCosts(gas_price_wei=GAS_PRICE_WEI, base_units_per_eth_wei={world.base: 1})
    at_rest = finder.find(None, world.head, costs)
    decoder = LogDecoder(market.pool_row, market.pools, market.hubs)
    desk = Desk(market, world.base)
    rows, signed, changes, found_total = [], [], 0, 0
    gc.collect()
    gc.freeze()
    for n in range(WARM_UP + BLOCKS):
        block, body = world.next_block()
        view = desk.view(block)
        gc.collect()
        gc.disable()
        watch = Stopwatch()
        logs = scan_logs(read_message(body)["result"].text, block.hash)
        watch.lap()
        assert isinstance(logs, ScannedLogs)
        decoded = decoder.decode(logs)
        watch.lap()
        changed = market.apply(block, decoded.events)
        watch.lap()
        found = finder.find(changed, block, costs, LIMIT)
        watch.lap()
        raw = desk.decide(found, view, watch)
        gc.enable()
        _check(market, found)
        assert not decoded.hostile
        assert len(decoded.events.kind) + decoded.unknown == LOGS
        if n >= WARM_UP:
            rows.append(watch.laps)
            signed.append(bool(raw))
            changes, found_total = changes + len(changed), found_total + len(found)
    gc.unfreeze()
    facts = {
        "pools": count_pools(market),
        "profitable_cycles_at_rest": len(at_rest),
        "blocks": BLOCKS,
        "logs_per_block": LOGS,
        "changed_pools_per_block": changes / BLOCKS,
        "blocks_signed": sum(signed),
        "opportunities": found_total,
    }
    return np.array(rows), np.array(signed), facts


def _percentiles(times: np.ndarray) -> dict[str, float]:
    return {name: round(float(np.percentile(times, q)), 3) for name, q in (("p50", 50), ("p99", 99))}


def measure() -> list[Result]:
    """Percentiles of the whole and of each stage; of the deciding half over the blocks that were signed."""
    times, signed, facts = run_blocks()
    pools = sum(facts["pools"].values())
    setting = (
        f"{pools:,} pools ({facts['pools']['uniswap-v3']:,} of them V3), {LOGS} logs a block of which "
        f"{facts['changed_pools_per_block']:.0f} change a pool that is followed, cycles up to {MAX_HOPS} hops"
    )
    stages = {stage: _percentiles(times[:, k]) for k, stage in enumerate(STAGES)}
    deciding = times[signed][:, [STAGES.index(stage) for stage in DECIDING]].sum(axis=1)
    return [
        Result(
            "line",
            f"the bytes of a block's logs to the signed bytes of its best opportunity: {setting}",
            "ms",
            _percentiles(times.sum(axis=1)),
            extra={"stages": stages, **facts},
        ),
        Result(
            "decide",
            "a ranked list of opportunities through the risk chain to a plan and its signed bytes",
            "ms",
            _percentiles(deciding),
            extra={
                "stages": {stage: stages[stage] for stage in DECIDING},
                "blocks": BLOCKS,
                "blocks_signed": int(signed.sum()),
            },
        ),
    ]


if __name__ == "__main__":
    raise SystemExit(main(measure))
