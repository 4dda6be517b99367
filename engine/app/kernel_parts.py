"""The kernels of a search and of a block, in parts that can be compiled side by side.

`python -m engine.app.kernel_parts` reads the names of parts, one a line, compiles each into the kernel
cache and says its name when it is done. A kernel that several parts call is found in the cache by whoever
comes second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import orjson

from engine.amm.layout import allocate_events
from engine.amm.tick_window import new_tick_tables
from engine.chain.log_decoder import LogDecoder
from engine.chain.log_scanner import scan_logs
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.pairs import PairIndex
from engine.search.ranking import Ranking
from engine.search.screen import Screen
from engine.search.selection import Selection
from engine.search.solve import Solved, Solver
from engine.search.trade import make_trades_ready
from engine.search.verify import verify_cycles_nb
from engine.search.windows import Windows

_BLOCK = BlockRef(1, "0x" + "01" * 32, "0x" + "00" * 32, 1)
_CHILD = BlockRef(2, "0x" + "02" * 32, _BLOCK.hash, 2)

# Kernels are compiled when they are first called, if only on nothing.
_NONE = np.zeros(0, np.int64)
_CAPS = np.zeros((1, 2), np.uint64)


def _market() -> Market:
    market = Market()
    market.start(_BLOCK)
    return market


def _nothing() -> Solved:
    return Solved.unsolved(np.zeros((0, 4), np.int32))


def _solver() -> Solver:
    return Solver(_market().arrays, _CAPS, Windows())


def _blocks() -> None:
    _market().apply(_CHILD, allocate_events(0))


def _logs() -> None:
    market = _market()
    tokens = f"0x{1:040x}", f"0x{2:040x}"
    for address in tokens:
        market.add_token(Token(address, "PART", 18))
    market.add_pool(PoolRecord(f"0x{3:040x}", Protocol.UNISWAP_V2, "", tokens, 3_000))
    logs = scan_logs(orjson.dumps([]), _CHILD.hash)
    assert not isinstance(logs, str)
    LogDecoder(market.pool_row, market.pools, market.hubs).decode(logs)


def _windows() -> None:
    Windows().show(_market().arrays, _nothing().cycles, _NONE)


def _verify() -> None:
    nothing = _nothing()
    verify_cycles_nb(
        _market().arrays,
        new_tick_tables(1, 1),
        nothing.cycles,
        _NONE,
        np.zeros((0, 3)),
        _CAPS,
        0,
        0,
        nothing.amounts,
        nothing.codes,
    )


def _index() -> None:
    market, base = _market(), np.zeros(1, np.int32)
    index = PairIndex(market.arrays, 0, 1, base)
    index.update(market.arrays, np.zeros(0, np.int32))
    index.est_ceilings(market.arrays, _nothing().cycles)
    candidates = Screen(index, base, 3, 16).candidates(np.zeros(0, np.int32), market.arrays.group)
    ranking = Ranking(market, np.zeros(0, np.uint8), GasCosts())
    Selection(ranking, candidates, _solver(), _nothing(), 1).first(1, np.zeros(0))


# The longest first, so that the last ones end together.
PARTS: dict[str, Callable[[], object]] = {
    "sizes": lambda: _solver().size(_nothing(), _NONE),
    "trades": make_trades_ready,
    "windows": _windows,
    "blocks": _blocks,
    "verification": _verify,
    "index": _index,
    "logs": _logs,
    "chains": lambda: _solver().solve_quick(_nothing(), _NONE),
    "estimates": lambda: _solver().est_size(_nothing(), _NONE),
}


def main() -> None:
    """Until the input ends."""
    for line in sys.stdin:
        PARTS[line.strip()]()
        print(line.strip(), flush=True)


if __name__ == "__main__":
    main()
