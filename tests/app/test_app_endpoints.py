"""A run over two endpoints of which one stops seeing the chain."""

from __future__ import annotations

import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from app_process import roundtrip
from living_world import LivingWorld
from records_check import refusals

sys.path.insert(0, str(Path(__file__).parents[1] / "chain"))
from fault_proxy import FaultProxy

Cli = Callable[..., Any]


def test_a_block_without_a_second_witness_is_not_traded(living: LivingWorld, tmp_path: Path) -> None:
    living.mine()
    with FaultProxy(living.anvil.http_url) as second:
        urls = [living.anvil.ws_url, second.ws]
        config = living.write_config(tmp_path, chain__rpc_url=urls)
        with roundtrip("run", "--config", config, "--json") as process:
            process.wait_for_log("started")
            process.finished(living.step())
            seen = living.head()
            second.freeze()
            second.alter = lambda method, params, result: None if method == "eth_getBlockByHash" else result
            for _ in range(3):
                process.finished(living.step())
            blind = living.head()
            second.behave()
            for _ in range(3):
                process.finished(living.step())
            process.stop_with(signal.SIGINT)
            assert "Traceback" not in process.stderr
            done = {entry["block"]: entry for entry in process.events("block_finished")}
        unseen = [done[block] for block in range(seen + 1, blind + 1)]
        assert sum(entry["found"] for entry in unseen) > 0
        assert sum(entry["approved"] for entry in unseen) == 0
        assert refusals(tmp_path / "records")["head_unwitnessed"] > 0
        assert sum(entry["approved"] for block, entry in done.items() if block > blind) > 0


def test_a_large_trade_waits_for_a_second_endpoint(living: LivingWorld, tmp_path: Path, cli: Cli) -> None:
    living.mine()
    config = living.write_config(tmp_path)
    large = ", ".join(f'"{token}" = 1' for token in living.world.base_tokens)
    environment = {"ROUNDTRIP__RISK__SECOND_NODE_PROFIT": f"{{ {large} }}"}
    with roundtrip("run", "--config", config, environment=environment) as process:
        process.wait_for_log("started")
        for _ in range(3):
            process.finished(living.step())
        process.stop_with(signal.SIGINT)
        assert process.events("plan_simulated") == []
    with closing(sqlite3.connect(tmp_path / "records" / "ledger.sqlite")) as ledger:
        (refused,) = ledger.execute("select id from opportunities where reason = 'second_node'").fetchone()
    told = cli("explain", refused, "--config", config)
    assert told.code == 0, told.err
    assert "only one endpoint may be asked: name another one in chain.rpc_url" in " ".join(told.out.split())
