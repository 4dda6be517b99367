"""Gas of every kind of cycle on published bytecode, beside the least it could take and beside peers.

The floor is 21,000, the gas inside pools and tokens that any executor must cause, and 2,600 for each cold
pool, less refunds. The profit check's own calls do not belong to it; the base token's first access and the
first read of the router's balance, which without the check would fall to the swaps, do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.gas_market import E18, GasMarket, Node
from benchmarks.measure import Result
from benchmarks.tables import write_document
from engine.amm.quote import quote_exact_in, quote_exact_out
from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.domain.market import BlockRef, Protocol
from engine.domain.opportunity import Hop, Opportunity
from engine.execution.encoder import encode_stream

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
}
# (floor, gas of degenbot's cmd_executor, of Uniswap's UniversalRouter 2.1), as published for the same kinds
# of cycle over the same bytecode; the floor is the publisher's, since tokens and states were not ours.
PUBLISHED: dict[str, tuple[int, int, int | None]] = {
    "V2-V2": (127_514, 136_503, None),
    "V2-V3": (137_126, 146_177, 188_060),
    "V3-V2": (137_342, 148_048, None),
    "V3-V3": (146_939, 157_701, 196_032),
    "V2-V2-V2": (176_535, 187_617, 246_063),
    "V3-V3-V3": (206_958, 219_741, 268_594),
    "V3-V2-V3": (195_955, 208_697, 261_422),
    "V2-V3-V2": (187_531, 198_663, 253_225),
    "V3-V3-V2-V3": (253_450, 268_220, 329_435),
}
OPERATOR = "0x" + "0a" * 20
AMOUNT_IN = E18
INTRINSIC = 21_000
BLOCK_TIME_S = 12
COLD_ACCOUNT, WARM_ACCESS, COLD_SLOT = 2_600, 100, 2_100
_BALANCE_OF = "0x70a08231"


def sized(market: GasMarket, path: str, block: BlockRef) -> Opportunity:
    """The cycle that sells one base token, with the amounts the router will move."""
    hops: list[Hop] = []
    arrays, token, amount = market.market.arrays, market.tokens[0], AMOUNT_IN
    forward = []
    for name in PATHS[path]:
        record = market.pools[name]
        down = record.tokens[0] == token
        row = market.market.pool_row[record.address]
        out = quote_exact_in(arrays, row, down, amount)
        forward.append((record, row, down, amount, out))
        token, amount = record.tokens[down], out
    owed: int | None = None
    for record, row, down, amount_in, amount_out in reversed(forward):
        if owed is not None or record.protocol is Protocol.UNISWAP_V2:
            amount_out = amount_out if owed is None else owed
            amount_in = quote_exact_out(arrays, row, down, amount_out)
        sold, bought = record.tokens if down else record.tokens[::-1]
        hops.append(
            Hop(
                record.address,
                record.protocol,
                record.venue,
                sold,
                bought,
                amount_in,
                amount_out,
                record.fee_pips,
            )
        )
        owed = amount_in
    return Opportunity(block, market.tokens[0], tuple(reversed(hops)))


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
        asked = frame["from"].lower() == router and frame["input"].startswith(_BALANCE_OF)
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
        self.block = self.market.refresh()
        self.timestamp = self.block.timestamp + BLOCK_TIME_S
        self.snapshot = node("evm_snapshot")

    def execute(self, path: str, block: BlockRef) -> tuple[dict[str, Any], bytes]:
        """Land the cycle; the receipt and the calldata. Raises RuntimeError when it reverts."""
        opportunity = sized(self.market, path, block)
        stream = encode_stream(
            opportunity, block.timestamp + 600, opportunity.gross_profit, self.market.pinned
        )
        transaction = {"from": OPERATOR, "to": self.market.router, "data": "0x" + stream.hex()}
        return self.market.transact(transaction), stream

    def measure(self, path: str) -> dict[str, Any]:
        """One row of the result."""
        self.node("evm_revert", self.snapshot)
        self.snapshot = self.node("evm_snapshot")
        self.node("evm_setNextBlockTimestamp", self.timestamp)
        receipt, stream = self.execute(path, self.block)
        sent, used = receipt["transactionHash"], int(receipt["gasUsed"], 16)
        trace = self.node("debug_traceTransaction", sent, {"tracer": "callTracer"})
        refund = _refund(self.node, sent, used)
        inside = _gas_inside(trace, self.market.router)
        # Without the check the swaps would be first to touch the base token and the router's balance.
        shifted = COLD_ACCOUNT - WARM_ACCESS + COLD_SLOT
        floor = INTRINSIC + inside.others + shifted + COLD_ACCOUNT * len(PATHS[path]) - refund
        return {"path": path, "gas": used, "floor": floor, "calldata_bytes": len(stream), "refund": refund}


def compare(rows: list[dict[str, Any]]) -> Result:
    """The rows beside what was published; each peer against its own publisher's floor."""
    peers: dict[str, Any] = {}
    ratio: dict[str, Any] = {}
    for row in rows:
        path = row["path"]
        floor, degenbot, universal = PUBLISHED[path]
        own = row["gas"] / row["floor"]
        peers[path] = {
            "source": "published",
            "floor": floor,
            "degenbot cmd_executor": degenbot,
            "UniversalRouter 2.1": universal,
        }
        ratio[path] = {
            "ours over floor": round(own, 4),
            "degenbot over its floor": round(degenbot / floor, 4),
            "UniversalRouter over its floor": round(universal / floor, 4) if universal else None,
        }
    work = "one landed cycle of one whole base token, on warm pools, at one timestamp"
    return Result("gas", work, "gas", rows, peers, ratio, timed=False)


def show(result: Result) -> None:
    """Print the rows and ratios."""
    table = Table(title=f"gas: {result.work}", title_justify="left")
    for column in ("path", "gas", "floor", "bytes", "over floor", "degenbot*", "UniversalRouter*"):
        table.add_column(column, justify="left" if column == "path" else "right")
    for row in result.ours:
        own, degenbot, universal = (
            f"{value - 1:+.1%}" if value else "" for value in result.ratio[row["path"]].values()
        )
        numbers = (f"{row[key]:,}" for key in ("gas", "floor", "calldata_bytes"))
        table.add_row(row["path"], *numbers, own, degenbot, universal)
    console = Console(width=120)
    console.print(table)
    console.print("* published, over their publisher's floor")


def measure() -> Result:
    """Start a node, measure every path, stop the node."""
    options = AnvilOptions(timestamp=1_700_000_000, balance_eth=10**10, extra=("--steps-tracing",))
    with AnvilProcess(options) as anvil:
        bench = GasBench(Node(anvil.http_url))
        return compare([bench.measure(path) for path in PATHS])


def main() -> int:
    """Measure, print, store, and update the document."""
    result = measure()
    show(result)
    result.write()
    write_document()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
