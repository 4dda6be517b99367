"""Getting the compiled kernels ready before the first block needs them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import orjson

from engine.amm.kernel_cache import is_complete, note_complete
from engine.app import kernel_parts
from engine.app.finders import make_finder
from engine.app.kernel_parts import PARTS
from engine.app.settings import FinderName
from engine.chain.events import SYNC
from engine.chain.log_decoder import LogDecoder
from engine.chain.log_scanner import scan_logs
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.market.market import Market
from engine.search.workers import available_cores

Progress = Callable[[str, int, int | None], None]

# Each is an interpreter of some 300 MB, and few parts take long.
_MOST_COMPILERS = 4
_ROOT = Path(__file__).resolve().parents[2]
_Q96 = 1 << 96
_BLOCK = BlockRef(1, "0x" + "01" * 32, "0x" + "00" * 32, 1)
_CHILD = BlockRef(2, "0x" + "02" * 32, _BLOCK.hash, 2)
_SYNC_LOG = orjson.dumps(
    [
        {
            "address": f"0x{4:040x}",
            "topics": [SYNC],
            "data": f"0x{10**21:064x}{10**21:064x}",
            "blockHash": _CHILD.hash,
            "logIndex": "0x0",
            "removed": False,
        }
    ]
)


def warm_kernels(finder_name: FinderName = "incremental", progress: Progress | None = None) -> None:
    """Compile, or load from the cache, every kernel that finder uses, by searching a market of four pools.

    Where the cache does not hold them yet, they are compiled by several processes first; `progress` is told
    (what, parts done, parts in all).
    """
    source = Path(kernel_parts.__file__)
    if not is_complete(source) and available_cores() > 1:
        compile_side_by_side(progress or (lambda what, done, total: None))
    _search_four_pools(finder_name)
    note_complete(source)


def compile_side_by_side(progress: Progress) -> None:
    """Fill the kernel cache with the help of one more process per core. What one of them cannot do is left to
    whoever needs it, who will also say why."""
    names, done = iter(PARTS), itertools.count(1)

    def compile_some(_: int) -> None:
        for _name in _compile_parts(names):
            progress("compiling the kernels", next(done), len(PARTS))

    progress("compiling the kernels", 0, len(PARTS))
    processes = min(available_cores(), _MOST_COMPILERS)
    with ThreadPoolExecutor(processes) as drivers:
        list(drivers.map(compile_some, range(processes)))


def _compile_parts(names: Iterator[str]) -> Iterator[str]:
    """One process that takes part after part until there are no more; yields those it has done."""
    command = [sys.executable, "-m", kernel_parts.__name__]
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
    # Closing the pipe of one that has died is an error, too.
    with (
        suppress(OSError),
        subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=quiet, text=True, env=environment
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for name in names:
                process.stdin.write(f"{name}\n")
                process.stdin.flush()
                if process.stdout.readline().strip() != name:
                    return
                yield name
        finally:
            process.kill()


def _search_four_pools(finder_name: FinderName) -> None:
    market = Market()
    tokens = [f"0x{n:040x}" for n in (1, 2, 3)]
    for address in tokens:
        market.add_token(Token(address, "WARM", 18))
    market.start(_BLOCK)
    market.set_v2(market.add_pool(_pool(4, tokens[0], tokens[1])), 10**21, 10**21)
    market.set_v2(market.add_pool(_pool(5, tokens[0], tokens[1])), 10**21, 11 * 10**20)
    market.set_v2(market.add_pool(_pool(6, tokens[1], tokens[2])), 10**21, 12 * 10**20)
    row = market.add_pool(
        PoolRecord(f"0x{7:040x}", Protocol.UNISWAP_V3, "", (tokens[0], tokens[2]), 3_000, 60)
    )
    liquidity = 10**21
    market.set_v3(row, _Q96, liquidity, 0, [(-6_000, liquidity, liquidity), (6_000, -liquidity, liquidity)])
    finder = make_finder(finder_name, market, tokens[:1], 3)
    finder.find(None, _BLOCK)
    # The incremental search after a block is a path of its own.
    logs = scan_logs(_SYNC_LOG, _CHILD.hash)
    assert not isinstance(logs, str)
    changed = market.apply(_CHILD, LogDecoder(market.pool_row, market.pools, market.hubs).decode(logs).events)
    finder.find(changed, _CHILD)


def _pool(number: int, token0: str, token1: str) -> PoolRecord:
    return PoolRecord(f"0x{number:040x}", Protocol.UNISWAP_V2, "", (token0, token1), 3_000)
