"""A market of 100,000 pools: read from a snapshot by a fresh process, then followed block by block.

The snapshot holds V2 and V3 pools with mainnet's shares and, for a tenth, the other families. What is timed
is the process that reads it: from the file to a market that quotes, the memory it keeps, and blocks of more
than 500 touched pools, decoded from the node's JSON and applied.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from pathlib import Path
from typing import Any

import orjson

from benchmarks.measure import Result, main
from benchmarks.synthetic import Size, SyntheticMarket
from engine.amm.quote import quote_exact_in
from engine.chain.log_decoder import LogDecoder
from engine.chain.log_scanner import ScannedLogs, scan_logs
from engine.domain import pool_details as details
from engine.domain import pool_state as states
from engine.domain.market import BlockRef, PoolRecord, Protocol
from engine.market.market import Market
from engine.market.snapshot import load, save

SEED = 11
POOLS, OTHERS, TOKENS = 90_000, 10_000, 20_000
TRADES, BLOCKS, READ_AGAIN = 700, 40, 25
_WAD = 10**18
_CALLS, _REPEATS = 200, 300


def measure() -> list[Result]:
    """Make the snapshot and the blocks, then let a fresh process read them."""
    with tempfile.TemporaryDirectory() as folder:
        pools = _prepare(Path(folder))
        answer = subprocess.run(
            [sys.executable, "-m", "benchmarks.market", folder], capture_output=True, text=True, check=True
        )
        found = json.loads(answer.stdout)
    sizes = {name: found.pop(name) for name in ("snapshot_mib", "touched_pools", "pools", "rows")}
    assert sizes["pools"] == pools
    work = (
        f"{pools:,} pools of V2, V3 and others, {sizes['snapshot_mib']} MiB, read by a fresh process; "
        f"then {BLOCKS} blocks of {sizes['touched_pools']} touched pools (median), {READ_AGAIN} of them by a "
        "reading in the block; and single quotes of a V2 pool, from Python"
    )
    return [Result("market_100k", work, "s, MiB, ms, us", found, extra={"sizes": sizes})]


def _prepare(folder: Path) -> int:
    """Write the snapshot and the blocks' logs; how many pools there are."""
    made = SyntheticMarket(SEED, Size(TOKENS, POOLS, 0.3, TRADES))
    rng = random.Random(SEED)
    for n in range(OTHERS):
        tokens = rng.sample(range(TOKENS), 3)
        state = _other(n, [made.market.tokens[token].address for token in sorted(tokens)])
        made.market.set_state(made.market.add_pool(state.pool), state)
    save(made.market, folder / "market.json")
    for n in range(BLOCKS):
        _, body = made.next_block()
        (folder / f"block{n:03d}.json").write_bytes(orjson.dumps(orjson.loads(body)["result"]))
    return made.market.pool_count


def _other(n: int, tokens: list[str]) -> states.PoolState:
    """A pool of one of the families that are neither V2 nor V3."""
    address = f"0x{(1 << 100) + n:040x}"
    pair, word = (tokens[0], tokens[1]), f"0x{n:064x}"
    if n % 5 == 0:
        curve = details.CurveStableDetails(details.StableSwapVariant.NG)
        record = PoolRecord(address, Protocol.CURVE_STABLESWAP, "curve", tuple(tokens), 0, 0, curve)
        held, rates = (10**24 + n, 10**24, 10**24), (_WAD,) * 3
        return states.CurveStablePoolState(record, held, rates, (20_000, 20_000, 0, 0), 10**6, 0, 2 * 10**10)
    if n % 5 == 1:
        solid = details.SolidlyDetails(n % 2 == 0, (18, 18))
        record = PoolRecord(address, Protocol.SOLIDLY, "velodrome", pair, 0, 0, solid)
        return states.SolidlyPoolState(record, 10**24 + n, 10**24, 30)
    if n % 5 == 2:
        weights, scaling = (_WAD // 2,) * 2, (_WAD,) * 2
        facts = details.BalancerV2WeightedDetails(word, "0x" + "ba" * 20, weights, scaling)
        record = PoolRecord(address, Protocol.BALANCER_V2_WEIGHTED, "balancer", pair, 0, 0, facts)
        return states.BalancerV2WeightedPoolState(record, (10**24 + n, 10**24), 10**15)
    if n % 5 == 3:
        record = PoolRecord(address, Protocol.ERC4626, "vaults", pair, 0, 0, details.Erc4626Details())
        return states.Erc4626PoolState(record, 10**24 + n, 10**24)
    v4 = details.UniswapV4Details(word, "0x" + "44" * 20, 500, 10)
    record = PoolRecord(v4.manager, Protocol.UNISWAP_V4, "v4", pair, 0, 10, v4)
    ticks = ((-10_000, 10**22, 10**22), (10_000, -(10**22), 10**22))
    return states.V4PoolState(record, 1 << 96, 10**22, 0, ticks, 500)


def _resident_mib() -> float:
    """Memory this process keeps in RAM, now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _read(folder: Path) -> dict[str, Any]:
    """What the fresh process does and measures."""
    path = folder / "market.json"
    started, busy = time.perf_counter(), time.process_time()
    market, report = load(path)
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    row = next(row for row, record in enumerate(market.pools) if record.protocol is Protocol.UNISWAP_V2)
    single = timeit.repeat(
        lambda: quote_exact_in(market.arrays, row, True, 10**6), number=_CALLS, repeat=_REPEATS
    )
    resident = _resident_mib()
    decoding, applying, touched = _follow(market, sorted(folder.glob("block*.json")))
    return {
        "bootstrap_s": round(seconds, 2),
        "bootstrap_processor_s": round(busy, 2),
        "resident_mib": round(resident),
        "resident_after_blocks_mib": round(_resident_mib()),
        "decode_ms": round(statistics.median(decoding), 3),
        "apply_ms": round(statistics.median(applying), 3),
        "decode_and_apply_ms": round(statistics.median(map(sum, zip(decoding, applying, strict=True))), 3),
        "one_quote_from_python_us": round(statistics.median(single) / _CALLS * 1e6, 2),
        "rewind_ms_per_block": round(_rewind_ms(market), 3),
        "snapshot_mib": round(path.stat().st_size / 2**20),
        "touched_pools": int(statistics.median(touched)),
        "pools": report.pools,
        "rows": len(market.pools),
    }


def _follow(market: Market, bodies: list[Path]) -> tuple[list[float], list[float], list[int]]:
    """(milliseconds to decode, to apply, pools touched) of each block."""
    decoder = LogDecoder(market.pool_row, market.pools, market.hubs)
    rows = [
        row for row in market.pool_row.values() if market.pools[row].protocol is Protocol.CURVE_STABLESWAP
    ]
    decoding, applying, touched = [], [], []
    for number, path in enumerate(bodies):
        body, head = path.read_bytes(), market.head
        assert head is not None
        again = rows[READ_AGAIN * number : READ_AGAIN * (number + 1)]
        read = [market.state_of(row) for row in again]
        block = BlockRef(head.number + 1, f"0x{head.number + 1:064x}", head.hash, head.timestamp + 12)
        started = time.perf_counter()
        logs = scan_logs(body, None)
        assert isinstance(logs, ScannedLogs)
        decoded = decoder.decode(logs)
        middle = time.perf_counter()
        changed = market.apply(block, decoded.events, read, again)
        ended = time.perf_counter()
        if number:  # the first block compiles, or loads what was compiled
            decoding.append((middle - started) * 1e3)
            applying.append((ended - middle) * 1e3)
            touched.append(len({int(group) for group in market.tables.group[changed]}))
    return decoding, applying, touched


def _rewind_ms(market: Market) -> float:
    """Milliseconds a block to undo half of the blocks."""
    head = market.head
    assert head is not None
    target = head.number - BLOCKS // 2
    started = time.perf_counter()
    market.rewind(f"0x{target:064x}")
    return (time.perf_counter() - started) * 1e3 / (BLOCKS // 2)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_read(Path(sys.argv[1]))))
        raise SystemExit(0)
    raise SystemExit(main(measure))
