"""The documents name what is really there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from engine.app.cli import COMMANDS, run_cli
from engine.app.settings import build_settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_to_a_file(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text())
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_in_backticks_exists(document: Path) -> None:
    roots = "engine|contracts|scripts|deployments|tests|benchmarks|docs|tools"
    paths = re.findall(rf"`((?:{roots})/[\w./-]*\w)`", document.read_text())
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert missing == []


def test_every_room_of_the_architecture_is_a_package_and_every_package_a_room() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    rooms = set(re.findall(r"^\| .*?`engine/(\w+)`", text, re.M)) | {"app"}
    packages = {path.parent.name for path in (ROOT / "engine").glob("*/__init__.py")}
    assert rooms == packages


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme_and_has_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.search(rf"`(?:roundtrip )?{command}\b", (ROOT / "README.md").read_text())
    assert run_cli([command, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


def test_the_example_configuration_is_valid_and_shows_every_default() -> None:
    path = ROOT / "docs/example.toml"
    shown = load_settings(path, {}).model_dump()
    required = {
        "chain": shown["chain"],
        "market": shown["market"],
        "risk": {"allowed_tokens": shown["risk"]["allowed_tokens"]},
    }
    assert build_settings(required, "defaults").model_dump() == shown
    written = {section: set(values) for section, values in tomllib.loads(path.read_text()).items()}
    limits = {"max_depth_bps", "max_volume_per_hour", "max_venue_trades_per_hour", "max_loss_wei_per_hour"}
    optional = {
        "market": {"pools_file"},
        "risk": {"trade_caps", "min_net_profit", "pegs", "second_node_amount", "second_node_profit"} | limits,
        "keys": {"keystore", "passphrase_file", "identity", "identity_passphrase_file", "lanes"},
        "execution": {"private_rpc_url", "relays", "lenders"},
        "breakers": {"loss_wei"},
        "alerts": {"services_file", "quiet_hours"},
    }
    for section, values in shown.items():
        assert set(values) - written.get(section, set()) <= optional.get(section, set()), section


@pytest.mark.parametrize(
    ("page", "letter", "at_least"), [("threat-model", "", 31), ("threat-model-governance", "G", 25)]
)
def test_every_threat_has_a_defence_and_tests_that_are_there(page: str, letter: str, at_least: int) -> None:
    text = (ROOT / f"docs/{page}.md").read_text()
    rows = [row.split("|")[1:-1] for row in re.findall(rf"^\| {letter}\d+ .*$", text, re.M)]
    assert [row[0].strip() for row in rows] == [f"{letter}{number + 1}" for number in range(len(rows))]
    assert len(rows) >= at_least
    for number, attack, defence, proof in rows:
        named = re.findall(r"`([\w./]+)::(\w+)`", proof)
        assert all((attack.strip(), defence.strip(), named)), number
        for path, function in named:
            source = (ROOT / path).read_text()
            assert re.search(rf"\b(?:def|function) {function}\b", source), f"{path} has no {function}"
