"""A run over two endpoints of which one stops seeing the chain."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from app_process import roundtrip
from living_world import LivingWorld
from records_check import refusals

sys.path.insert(0, str(Path(__file__).parents[1] / "chain"))
from fault_proxy import FaultProxy


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
