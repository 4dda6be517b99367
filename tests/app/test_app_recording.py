"""A recording replays to the same decisions, to the byte, with no node in sight."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_process import roundtrip
from living_world import OPERATOR_KEY, PASSPHRASE, LivingWorld

from engine.app.recording.codec import plain, rich

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
    for nonsense in ({"@": "Popen", "args": "true"}, {"=": "Kind", "value": "x"}, {"/": [1, 0]}, {"x": "zz"}):
        with pytest.raises(ValueError, match=r"."):
            rich(nonsense)
    with pytest.raises(ValueError, match="cannot be recorded"):
        plain(object())
