"""Gas of every kind of cycle on published bytecode, beside the least it could take and beside peers.

The floor is 21,000, the gas inside pools and tokens that any executor must cause (approvals among it, where a
pool pulls its input), and 2,600 for each cold contract of pools, less refunds. The calls of the checks, of
balances and allowances, do not belong to it; a token's first access and the first read of the router's
balance, which without the checks would fall to the swaps, do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.gas_market import E18, GasMarket, Node
from benchmarks.gas_targets import HOP_BY_HOP, LEANEST, compare, missed, show
from benchmarks.gas_universal import UniversalRouter, expressible
from benchmarks.measure import Result
from benchmarks.tables import write_document
from engine.amm.quote import quote_exact_in, quote_exact_out
from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.domain.market import BlockRef, PoolRecord, Protocol
from engine.domain.opportunity import Hop, Opportunity
from engine.execution.encoder import decode_stream, encode_stream

# By path: the pools a cycle passes, first hop first.
PATHS = {
    "V2-V2": ("v2:01a", "v2:01b"),
    "V2-V3": ("v2:01a", "v3:01b"),
    "V3-V2": ("v3:01a", "v2:01b"),
    "V3-V3": ("v3:01a", "v3:01b"),
    "V2-V2-V2": ("v2:01a", "v2:12", "v2:02"),
    "V3-V3-V3": ("v3:01a", "v3:12", "v3:02"),
    "V3-V2-V3": ("v3:01a", "v2:12", "v3:02"),
    "V2-V3-V2": ("v2:01a", "v3:12", "v2:02"),
    "V3-V3-V2-V3": ("v3:01a", "v3:12", "v2:23", "v3:03"),
    "V4-V4": ("v4:01a", "v4:01b"),
    "V3-V4": ("v3:01a", "v4:01b"),
    "V3-Curve": ("v3:04a", "curve:04"),
    "V2-Balancer": ("v2:04a", "balancer:04"),
    "V3-Balancer3": ("v3:04a", "balancer-v3:04"),
    "Solidly-V3": ("solidly:04", "v3:04b"),
    "4626-V3": ("vault", "v3:vault-dear"),
}
PAIRS = {Protocol.UNISWAP_V2, Protocol.SOLIDLY, Protocol.CAMELOT_V2}
# Those whose swap can be told what it must give; of the others the least input is sold that gives enough.
EXACT_OUT = {
    *PAIRS, Protocol.UNISWAP_V3, Protocol.UNISWAP_V4, Protocol.SLIPSTREAM, Protocol.ALGEBRA,
    Protocol.BALANCER_V2_WEIGHTED, Protocol.BALANCER_V2_STABLE, Protocol.BALANCER_V3_WEIGHTED,
    Protocol.BALANCER_V3_STABLE,
}  # fmt: skip
OPERATOR = "0x" + "0a" * 20
AMOUNT_IN = E18
INTRINSIC = 21_000
BLOCK_TIME_S = 12
COLD_ACCOUNT, WARM_ACCESS, COLD_SLOT = 2_600, 100, 2_100
# Asked for the checks: balanceOf, allowance.
_ASKED = ("0x70a08231", "0xdd62ed3e")


def row_of(market: GasMarket, record: PoolRecord, sold: str, bought: str) -> tuple[int, bool]:
    """The pool's row for two of its tokens, and whether token0 is sold."""
    for row in market.market.rows_of(market.market.pool_row[record.key]):
        tokens = market.market.token_in(2 * row), market.market.token_in(2 * row + 1)
        if set(tokens) == {sold, bought}:
            return row, tokens[0] == sold
    raise ValueError(f"{record.key} does not trade {sold} for {bought}")


def sized(market: GasMarket, pools: Sequence[str], block: BlockRef, amount: int = AMOUNT_IN) -> Opportunity:
    """The cycle over the named pools that sells `amount`, with the amounts the router will move: forwards to
    fix the last hop, backwards from there, each hop buying what the next one owes."""
    arrays, tokens = market.market.arrays, _route(market, pools)
    places = [row_of(market, market.pools[name], *tokens[k : k + 2]) for k, name in enumerate(pools)]
    for row, down in places:
        paid = amount
        amount = quote_exact_in(arrays, row, down, amount)
    hops: list[Hop] = []
    for k in reversed(range(len(pools))):
        record, (row, down) = market.pools[pools[k]], places[k]
        if hops:
            amount = hops[-1].amount_in
        # A pair asks for the least that its invariant bears.
        if hops or record.protocol in PAIRS:
            paid = quote_exact_out(arrays, row, down, amount)
            if record.protocol not in EXACT_OUT:
                amount = quote_exact_in(arrays, row, down, paid)
        sold, bought = tokens[k : k + 2]
        coins = record.tokens.index(sold), record.tokens.index(bought)
        facts = record.key, record.protocol, record.venue, sold, bought, paid, amount, record.fee_pips
        hops.append(Hop(*facts, record.details, *coins))
    return Opportunity(block, market.tokens[0], tuple(reversed(hops)))


def _route(market: GasMarket, pools: Sequence[str]) -> list[str]:
    """The tokens of the cycle, base first and last. A pool of many coins trades the two that fit."""
    tokens = [market.tokens[0]]
    for k, name in enumerate(pools):
        following = market.pools[pools[(k + 1) % len(pools)]].tokens
        last = k == len(pools) - 1
        wanted = [market.tokens[0]] if last else [each for each in following if each != tokens[-1]]
        (*_, bought) = [each for each in wanted if each in market.pools[name].tokens and each != tokens[-1]]
        tokens.append(bought)
    return tokens


def _called(record: PoolRecord) -> str:
    """Whom the router calls for a swap at the pool."""
    return getattr(record.details, "vault", record.address)


@dataclass(frozen=True, slots=True)
class Inside:
    """Gas by whose code spent it, refunds not yet taken off."""

    others: int
    check: int
    total: int


def _gas_inside(frame: dict[str, Any], router: str) -> Inside:
    """Split a callTracer frame's gas between the router, its balance checks, and everybody else."""
    calls = frame.get("calls", [])
    parts = [_gas_inside(call, router) for call in calls]
    used = int(frame["gasUsed"], 16)
    own = used - sum(part.total for part in parts)
    others, check = sum(part.others for part in parts), sum(part.check for part in parts)
    if frame["to"].lower() != router:
        asked = frame["from"].lower() == router and frame["input"].startswith(_ASKED)
        others, check = (others, check + own) if asked else (others + own, check)
    return Inside(others, check, used)


def _refund(node: Node, transaction: str, used: int) -> int:
    """What was paid back: the last instruction's gas left says what was spent before refunds."""
    lean = {"disableStorage": True, "disableStack": True}
    last = node("debug_traceTransaction", transaction, lean)["structLogs"][-1]
    limit = int(node("eth_getTransactionByHash", transaction)["gas"], 16)
    return limit - (int(last["gas"]) - int(last["gasCost"])) - used


class GasBench:
    """Sends each cycle from one and the same state, at one and the same timestamp."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.market = GasMarket(node, OPERATOR)
        node("anvil_setBalance", OPERATOR, hex(10**21))
        node("anvil_impersonateAccount", OPERATOR)
        # Afterwards no storage slot is zero that a pool in use has filled; not all in one second, because
        # price accumulators stay at zero within it.
        for path in PATHS:
            block = self.market.refresh()
            node("evm_setNextBlockTimestamp", block.timestamp + BLOCK_TIME_S)
            self.execute(path, block)
        self.universal = UniversalRouter(self.market)
        self.block = self.market.refresh()
        self.timestamp = self.block.timestamp + BLOCK_TIME_S
        self.snapshot = node("evm_snapshot")

    def execute(self, path: str, block: BlockRef) -> tuple[dict[str, Any], bytes]:
        """Land the cycle; the receipt and the calldata. Raises RuntimeError when it reverts."""
        opportunity = sized(self.market, PATHS[path], block)
        stream = encode_stream(
            opportunity, block.timestamp + 600, opportunity.gross_profit, self.market.pinned
        )
        transaction = {"from": OPERATOR, "to": self.market.router, "data": "0x" + stream.hex()}
        return self.market.transact(transaction), stream

    def measure(self, path: str) -> dict[str, Any]:
        """One row of the result."""
        self.reset()
        receipt, stream = self.execute(path, self.block)
        sent, used = receipt["transactionHash"], int(receipt["gasUsed"], 16)
        trace = self.node("debug_traceTransaction", sent, {"tracer": "callTracer"})
        refund = _refund(self.node, sent, used)
        inside = _gas_inside(trace, self.market.router)
        # Without the checks the swaps would be first to touch their tokens and the router's balances.
        checked = 1 + len(decode_stream(stream).guarded)
        shifted = checked * (COLD_ACCOUNT - WARM_ACCESS + COLD_SLOT)
        contracts = {_called(self.market.pools[name]) for name in PATHS[path]}
        floor = INTRINSIC + inside.others + shifted + COLD_ACCOUNT * len(contracts) - refund
        return {"path": path, "gas": used, "floor": floor, "calldata_bytes": len(stream), "refund": refund}

    def measure_universal(self, path: str) -> dict[str, int]:
        """Gas of the same cycle through Uniswap's router, in each form, from the same state at the same
        timestamp; empty where it cannot express it."""
        if not expressible(self.market, PATHS[path]):
            return {}
        opportunity, spent = sized(self.market, PATHS[path], self.block), {}
        for name, merged in ((LEANEST, True), (HOP_BY_HOP, False)):
            transaction = self.universal.transaction(OPERATOR, PATHS[path], opportunity, merged)
            self.reset()
            spent[name] = int(self.market.transact(transaction)["gasUsed"], 16)
        return spent

    def reset(self) -> None:
        """Back to the one state, at the one timestamp."""
        self.node("evm_revert", self.snapshot)
        self.snapshot = self.node("evm_snapshot")
        self.node("evm_setNextBlockTimestamp", self.timestamp)


def measure() -> Result:
    """Start a node, measure every path, stop the node."""
    options = AnvilOptions(timestamp=1_700_000_000, balance_eth=10**10, extra=("--steps-tracing",))
    with AnvilProcess(options) as anvil:
        bench = GasBench(Node(anvil.http_url))
        rows = [bench.measure(path) for path in PATHS]
        return compare(rows, {path: bench.measure_universal(path) for path in PATHS})


def main() -> int:
    """Measure, print, store, and update the document; the exit code is 1 if a target is missed."""
    result = measure()
    show(result)
    result.write()
    write_document()
    return 1 if missed(result) else 0


if __name__ == "__main__":
    raise SystemExit(main())
