"""The registry is upgraded and rolled back, and the router replaced, under a running engine, by the scripts a
person would use."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from app_process import AppProcess, roundtrip
from living_world import CURATOR, GUARDIAN, LivingWorld
from living_world import UPGRADER as UPGRADER_ADDRESS
from records_check import assert_exact, ledger_rows, refusals
from test_app_session import data

from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.app.world.world import node_options
from engine.chain.deployments import IMPLEMENTATION_SLOT

UPGRADER = "dev:2"


@pytest.fixture(params=["node", pytest.param("fork", marks=pytest.mark.campaign)])
def drilled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LivingWorld]:
    """The world that these tests share; in campaigns also one on a fork of another running chain."""
    if request.param == "node":
        yield request.getfixturevalue("living")
        return
    with AnvilProcess(AnvilOptions(timestamp=node_options().timestamp)) as upstream:
        options = replace(node_options(), fork_url=upstream.http_url)
        world = LivingWorld(tmp_path_factory.mktemp("forked"), options)
        yield world
        world.close()


class Drill:
    """Runs scripts while blocks with trades go on, each mined once the engine is done with the last."""

    def __init__(self, living: LivingWorld, process: AppProcess, ape: Any):
        self.living, self.process, self.ape = living, process, ape

    def script(self, name: str, *words: str) -> str:
        """What a script printed; it must end well."""
        said: list[Any] = []
        given = ["--network", self.living.anvil.http_url, "--out", str(self.living.deployments), *words]
        thread = threading.Thread(target=lambda: said.append(self.ape(name, *given)))
        thread.start()
        while thread.is_alive():
            self.step()
            # Scripts share the machine with the engine, the world and its node.
            thread.join(0.3)
        thread.join()
        assert said[0].code == 0, said[0].err + said[0].out
        return said[0].out

    def step(self) -> int:
        """A block with trades, taken by the engine."""
        number = self.living.step()
        self.process.finished(number)
        return number

    def announce(self, to: str, operation: str) -> None:
        """Announced and sent by the upgrader. What the engine sends lands in the next block, for it is done
        with each before another is mined."""
        self.living.announce_and_send(UPGRADER_ADDRESS, to, operation, self.taken)
        self.taken()

    def taken(self) -> None:
        """The engine is done with the newest block."""
        self.process.finished(self.living.head())

    def implementation(self) -> str:
        """What the DexRegistry's proxy runs."""
        registry = self.living.contract("DexRegistry")
        return "0x" + self.living.rpc("eth_getStorageAt", registry, IMPLEMENTATION_SLOT, "latest")[-40:]

    def manifest(self) -> dict[str, Any]:
        """The DexRegistry's record."""
        return json.loads((self.living.deployments / "31337" / "DexRegistry.json").read_text())

    def submitted_since(self, block: int) -> int:
        """How many trades the engine sent on that block and those after it."""
        return sum(e["submitted"] for e in self.process.events("block_finished") if e["block"] >= block)

    def trade(self) -> None:
        """Blocks until the engine has sent a trade again."""
        first = self.living.head() + 1
        # People's trades leave nothing worth its gas for ten blocks in a row now and then.
        for _ in range(40):
            self.step()
            if self.submitted_since(first):
                return
        raise AssertionError(f"the engine sends nothing:\n{self.process.stderr[-4000:]}")


def test_upgrade_and_rollback_under_a_running_engine(drilled: LivingWorld, ape: Any, tmp_path: Path) -> None:
    living = drilled
    living.mine()
    config, router = living.write_config(tmp_path), living.contract("ArbitrageRouter")
    with roundtrip("run", "--config", config, "--mode", "live", "--yes-live", "--json") as process:
        process.wait_for_log("started")
        drill = Drill(living, process, ape)
        first, before = drill.step(), drill.implementation()
        drill.trade()

        words = ("DexRegistry", "--build", "DexRegistryNext", "--account", UPGRADER)
        assert "announced: ~ DexRegistry implementation" in drill.script("upgrade", *words)
        assert drill.implementation() == before
        assert "done: ~ DexRegistry implementation" in drill.script("upgrade", *words)
        upgraded = drill.implementation()
        assert upgraded != before
        assert drill.manifest()["implementation"] == upgraded
        drill.trade()

        assert "announced" in drill.script("rollback", "DexRegistry", "--account", UPGRADER)
        assert drill.implementation() == upgraded
        assert "done" in drill.script("rollback", "DexRegistry", "--account", UPGRADER)
        assert drill.implementation() == before
        assert drill.manifest()["implementation"] == before
        assert [one["implementation"] for one in drill.manifest()["history"]] == [before, upgraded]
        drill.trade()
        last = drill.step()
        assert_nothing_was_missed(process, first, last)
        changes = [(e["from"], e["to"]) for e in process.events("implementation_changed")]
        assert changes == [(before, upgraded), (upgraded, before)]
        assert not process.events("implementation_distrusted")
        assert "trading_halted" not in refusals(tmp_path / "records")

        assert_an_unrecorded_implementation_halts(drill, before)
        process.stop_with(signal.SIGINT)
    assert {each["to"] for each in living.operator_transactions(first)} == {router}


def assert_nothing_was_missed(process: AppProcess, first: int, last: int) -> None:
    """Every block from first to last was taken through the line, in order."""
    finished = [e["block"] for e in process.events("block_finished") if first <= e["block"] <= last]
    assert finished == list(range(first, last + 1))
    assert not process.events("block_skipped")


def assert_an_unrecorded_implementation_halts(drill: Drill, trusted: str) -> None:
    """Nothing is sent while the proxy runs what no manifest names, and trading goes on when it is back."""
    living, process = drill.living, drill.process
    proxy, strange = living.contract("DexRegistry"), "0x" + "5a" * 20
    # The same code, at an address that nobody recorded.
    living.rpc("anvil_setCode", strange, living.rpc("eth_getCode", trusted, "latest"))
    living.rpc("anvil_setStorageAt", proxy, IMPLEMENTATION_SLOT, "0x" + strange[2:].rjust(64, "0"))
    halted = drill.step()
    for _ in range(3):
        drill.step()
    found = [e for e in process.events("block_finished") if e["block"] >= halted]
    assert sum(e["found"] for e in found) > 0
    assert sum(e["submitted"] for e in found) == 0
    why = process.events("implementation_distrusted")[0]["reason"]
    assert f"runs {strange}, which no manifest names" in why
    living.rpc("anvil_setStorageAt", proxy, IMPLEMENTATION_SLOT, "0x" + trusted[2:].rjust(64, "0"))
    drill.trade()


def test_another_router_under_a_running_engine(living: LivingWorld, ape: Any, tmp_path: Path) -> None:
    living.mine()
    config, old = living.write_config(tmp_path), living.contract("ArbitrageRouter")
    with roundtrip("run", "--config", config, "--mode", "live", "--yes-live", "--json") as process:
        process.wait_for_log("started")
        drill = Drill(living, process, ape)
        first = drill.step()
        drill.trade()
        words = ("--vault", f"0x{first:040x}", "--account", UPGRADER)
        assert "announced: ~ router" in drill.script("rotate_router", *words)
        assert living.contract("ArbitrageRouter") == old
        drill.trade()
        assert "done: ~ router" in drill.script("rotate_router", *words)
        new = living.contract("ArbitrageRouter")
        assert new != old
        drill.trade()
        last = drill.step()
        assert_nothing_was_missed(process, first, last)
        assert [(e["from"], e["to"]) for e in process.events("router_changed")] == [(old, new)]

        # One of which nobody recorded anything, though its code is the same.
        strange = f"0x{last:040x}"
        living.rpc("anvil_setCode", strange, living.rpc("eth_getCode", new, "latest"))
        registry = living.contract("DexRegistry")
        drill.announce(registry, data("setRouter(address)", strange))
        halted = living.head()
        for _ in range(3):
            drill.step()
        assert drill.submitted_since(halted) == 0
        why = process.events("router_distrusted", router=strange)[0]["reason"]
        assert "no manifest names" in why
        drill.announce(registry, data("setRouter(address)", new))
        drill.trade()
        process.stop_with(signal.SIGINT)
    # Whatever went to the old one did so before anything went to the new one.
    taken = [each["to"] for each in living.operator_transactions(first)]
    turn = taken.index(new)
    assert (set(taken[:turn]), set(taken[turn:])) == ({old}, {new})
    # What was earned is booked, through whichever router.
    assert_exact(ledger_rows(tmp_path / "records"))


def test_halt_and_resume_switch_a_running_engine(
    living: LivingWorld, config: Path, records: Path, cli: Callable[..., Any]
) -> None:
    with roundtrip("run", "--config", config, "--mode", "live", "--yes-live", "--json") as process:
        process.wait_for_log("started")
        drill = Drill(living, process, None)
        drill.trade()
        assert cli("halt", "--config", config, "--reason", "drill").code == 0
        halted = drill.step()
        for _ in range(3):
            drill.step()
        assert drill.submitted_since(halted) == 0
        assert cli("resume", "--config", config).code == 0
        drill.trade()
        process.stop_with(signal.SIGINT)
    assert refusals(records)["trading_halted"] > 0


def test_a_venue_that_is_enabled_is_read_and_traded(living: LivingWorld, config: Path) -> None:
    registry = living.contract("DexRegistry")
    number = [venue.name for venue in living.world.venues].index("uniswap-v3")
    living.send(GUARDIAN, registry, data("disableVenue(uint256)", number))
    try:
        with roundtrip("run", "--config", config, "--json") as process:
            fewer = process.wait_for_log("started")["pools"]
            living.announce_and_send(CURATOR, registry, data("enableVenue(uint256)", number))
            living.step()
            assert "venue was enabled" in process.wait_for_log("resync")["reason"]
            assert process.wait_for_log("resynchronised")["pools"] > fewer
            process.finished(living.step())
            process.stop_with(signal.SIGINT)
    except BaseException:
        living.announce_and_send(CURATOR, registry, data("enableVenue(uint256)", number))
        raise
