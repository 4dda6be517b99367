"""A recording replays to the same decisions, to the byte, with no node in sight."""

from __future__ import annotations

import gzip
import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from app_process import roundtrip
from eth_utils import keccak
from living_world import OPERATOR_KEY, PASSPHRASE, UPGRADER, LivingWorld

from engine.app.recording.codec import plain, rich
from engine.app.toolchain import forge_artifact
from engine.app.world.outbox import calldata
from engine.domain.opportunity import CheckResult, RefusalReason

BLOCKS = 5
Cli = Callable[..., Any]
Recorded = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def recording(
    shared_world: LivingWorld, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A recorded paper run over blocks with trades, and what `record` said of it."""
    living, directory = shared_world, tmp_path_factory.mktemp("recording")
    living.mine()
    config, path = living.write_config(directory), directory / "run.jsonl.gz"
    with roundtrip("record", "--config", config, "--output", path, "--blocks", BLOCKS, "--json") as process:
        process.wait_for_log("started")
        for _ in range(BLOCKS - 1):
            process.finished(living.step())
        living.step()
        assert process.result() == 0, process.stderr
        return path, json.loads(process.stdout)


def test_two_replays_decide_the_same_and_as_it_was_recorded(
    recording: Recorded, tmp_path: Path, cli: Cli
) -> None:
    path, said = recording
    texts = []
    for name in "ab":
        written = tmp_path / name
        ended = cli("replay", "--recording", path, "--check", "--decisions", written, "--json")
        assert ended.code == 0, ended.err
        document = json.loads(ended.out)
        assert document["repeated"] is True
        assert document["as_recorded"] is True
        assert document["digest"] == document["recorded_digest"] == said["digest"]
        assert document["blocks"] == said["blocks"] == BLOCKS
        texts.append(written.read_bytes())
    assert texts[0] == texts[1]
    kinds = [json.loads(line)["is"] for line in texts[0].splitlines()]
    assert kinds.count("finished") == BLOCKS
    assert kinds.count("simulated") > 0
    assert "the same" in cli("replay", "--recording", path, "--check").out


@pytest.fixture
def rotated(shared_world: LivingWorld) -> Iterator[Callable[[], str]]:
    """Names another router that the manifest announces, and at the end the recorded one again."""
    living, registry = shared_world, shared_world.contract("DexRegistry")
    manifest = living.deployments / "31337" / "ArbitrageRouter.json"
    before = manifest.read_text()
    record = json.loads(before)
    creation = record["constructor_encoded"][2:].replace(record["constructor_args"][1][2:], "5e" * 20)
    data = forge_artifact("ArbitrageRouter").bytecode.hex() + creation
    new = living.send(UPGRADER, None, "0x" + data)["contractAddress"].lower()
    code = bytes.fromhex(living.rpc("eth_getCode", new, "latest")[2:])
    announced = {"address": new, "code_hash": "0x" + keccak(code).hex()}
    manifest.write_text(json.dumps({**record, "next": announced}))

    def name(router: str) -> str:
        living.announce_and_send(UPGRADER, registry, "0x" + calldata("setRouter(address)", router).hex())
        return router

    yield lambda: name(new)
    manifest.write_text(before)
    name(record["address"])


def test_a_rotation_is_recorded_replayed_and_started_from(
    shared_world: LivingWorld, rotated: Callable[[], str], tmp_path: Path, cli: Cli
) -> None:
    living, old, path = shared_world, shared_world.contract("ArbitrageRouter"), tmp_path / "rotation.gz"
    config, said = living.write_config(tmp_path), tmp_path / "decisions"
    with roundtrip("record", "--config", config, "--output", path, "--json") as process:
        process.wait_for_log("started")

        def simulated() -> None:
            """Blocks until a plan was simulated again."""
            first = living.head() + 1
            for _ in range(40):
                process.finished(living.step())
                if any(event["block"] >= first for event in process.events("plan_simulated")):
                    return
            raise AssertionError("nothing is found")

        simulated()
        new = rotated()
        simulated()
        assert [(e["from"], e["to"]) for e in process.events("router_changed")] == [(old, new)]
        process.stop_with(signal.SIGINT)
    ended = cli("replay", "--recording", path, "--check", "--decisions", said, "--json")
    assert (ended.code, json.loads(ended.out)["as_recorded"]) == (0, True), ended.out + ended.err
    assert list(dict.fromkeys(re.findall(r'"router": ?"(0x\w+)"', said.read_text()))) == [old, new]
    with living.quiet_blocks():
        again = cli("run", "--config", config, "--blocks", 1)
    assert again.code == 0, again.err
    assert new in cli("doctor", "--config", config).out
    manifest = living.deployments / "31337" / "ArbitrageRouter.json"
    record = json.loads(manifest.read_text())
    del record["next"]
    manifest.write_text(json.dumps(record))
    refused = cli("run", "--config", config, "--blocks", 1)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert f"names the router {new}, which no manifest names: bring {manifest}" in refused.err


def changed(path: Path, to: Path, change: Any) -> Path:
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    change(lines)
    to.write_bytes(gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines)))
    return to


def test_other_inputs_are_other_decisions(recording: Recorded, tmp_path: Path, cli: Cli) -> None:
    path, _ = recording

    def poorer(lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if "conditions" in line:
                line["conditions"]["view"]["operator_balance_wei"] = 0

    other = changed(path, tmp_path / "poorer.gz", poorer)
    ended = cli("replay", "--recording", other, "--check", "--json")
    assert ended.code == 1
    document = json.loads(ended.out)
    assert (document["repeated"], document["as_recorded"]) == (True, False)


def test_a_recording_that_was_cut_off_replays_as_far_as_it_goes(
    recording: Recorded, tmp_path: Path, cli: Cli
) -> None:
    path, _ = recording
    cut = changed(path, tmp_path / "cut.gz", lambda lines: lines.__delitem__(slice(-2, None)))
    document = json.loads(cli("replay", "--recording", cut, "--check", "--json").out)
    assert document["blocks"] == BLOCKS - 1
    assert (document["repeated"], document["as_recorded"]) == (True, None)
    torn = tmp_path / "torn.gz"
    torn.write_bytes(path.read_bytes()[:-200])
    assert cli("replay", "--recording", torn).code in (0, 2)


@pytest.mark.parametrize("content", [b"", b"nonsense", gzip.compress(b"{}\n"), gzip.compress(b"[1]\nx")])
def test_what_is_no_recording_is_refused_in_a_sentence(tmp_path: Path, cli: Cli, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    ended = cli("replay", "--recording", path)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert cli("replay", "--recording", tmp_path / "missing").code == 2


def test_an_existing_file_is_not_written_over(
    recording: Recorded, shared_world: LivingWorld, tmp_path: Path, cli: Cli
) -> None:
    path, _ = recording
    before = path.read_bytes()
    ended = cli("record", "--config", shared_world.write_config(tmp_path), "--output", path)
    assert ended.code == 2
    assert path.read_bytes() == before


def test_a_recording_holds_no_secret(recording: Recorded, shared_world: LivingWorld) -> None:
    text = gzip.decompress(recording[0].read_bytes()).decode()
    for secret in (OPERATOR_KEY.hex(), PASSPHRASE, str(shared_world.keystore), shared_world.anvil.ws_url):
        assert secret not in text


def test_only_known_names_are_made_into_values() -> None:
    assert rich(plain({"a": (1, b"\x01", None)})) == {"a": (1, b"\x01", None)}
    result = CheckResult(
        "pace", False, RefusalReason.SIMULATION_REVERTED, {"pools": ("a", "b"), "least": 0.5}
    )
    assert rich(json.loads(json.dumps(plain([result])))) == (result._replace(compared=result.numbers),)
    for nonsense in ({"@": "Popen", "args": "true"}, {"=": "Kind", "value": "x"}, {"/": [1, 0]}, {"x": "zz"}):
        with pytest.raises(ValueError, match=r"."):
            rich(nonsense)
    with pytest.raises(ValueError, match="cannot be recorded"):
        plain(object())
