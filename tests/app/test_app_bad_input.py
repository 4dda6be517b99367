"""Bad input to every command: one sentence that names the culprit, exit code 2, nothing on stdout."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_process import ROUNDTRIP, roundtrip

from engine.app.cli import COMMANDS
from engine.chain.keys import MIN_PASSPHRASE_CHARS
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.market.market import Market
from engine.market.snapshot import save
from engine.storage.database import open_database

TOKENS = [f"0x{n:040x}" for n in (0xA1, 0xB2, 0xC3)]
POOL = f"0x{0xD4:040x}"
STRANGER = f"0x{0xE5:040x}"
CONFIG = """
[chain]
chain_id = 31337
rpc_url = "http://127.0.0.1:9"
[market]
base_tokens = ["0x00000000000000000000000000000000000000a1"]
wrapped_native = "0x00000000000000000000000000000000000000a1"
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one good specimen of each input, and bad ones beside it."""
    monkeypatch.chdir(tmp_path)
    market = Market()
    for address in TOKENS:
        market.add_token(Token(address, "TKN", 18))
    market.start(BlockRef(7, "0x" + "01" * 32, "0x" + "00" * 32, 1))
    pool = PoolRecord(POOL, Protocol.UNISWAP_V2, "v2", (TOKENS[0], TOKENS[1]), 3_000)
    market.set_v2(market.add_pool(pool), 10**21, 10**21)
    save(market, tmp_path / "good.json")
    good = (tmp_path / "good.json").read_bytes()
    (tmp_path / "half.json.gz").write_bytes(gzip.compress(good * 50)[:200])
    (tmp_path / "list.json").write_text("[1, 2, 3]")
    (tmp_path / "binary.json").write_bytes(bytes(range(256)))
    document = json.loads(good)
    document["pools"][0].pop("reserve0", None)
    for name in list(document["pools"][0]):
        if "reserve" in name:
            del document["pools"][0][name]
    (tmp_path / "poor.json").write_text(json.dumps(document))
    (tmp_path / "good.toml").write_text(CONFIG)
    (tmp_path / "typo.toml").write_text(CONFIG.replace("rpc_url", "rpc_ulr"))
    (tmp_path / "section.toml").write_text(CONFIG + "[exection]\nlive = true\n")
    (tmp_path / "type.toml").write_text(CONFIG.replace("31337", '"many"'))
    (tmp_path / "address.toml").write_text(CONFIG.replace("00a1", "zzzz"))
    (tmp_path / "syntax.toml").write_text(CONFIG + "[chain\n")
    (tmp_path / "url.toml").write_text(CONFIG.replace("http://127.0.0.1:9", "ftp://somewhere"))
    (tmp_path / "secret.toml").write_text(
        CONFIG.replace("http://127.0.0.1:9", "ftp://user:hunter2@somewhere")
    )
    (tmp_path / "scalar.toml").write_text(
        'chain = "main"\n' + CONFIG.replace("[chain]", "[log]").split("chain_id")[0]
    )
    (tmp_path / "short").write_text("1234567\n")
    (tmp_path / "empty").write_text("")
    (tmp_path / "long").write_text("long enough to be one\n")
    (tmp_path / "nokey").write_text("this is not a key\n")
    (tmp_path / "taken.json").write_text("{}")
    (tmp_path / "no-ledger").mkdir()
    (tmp_path / "corrupt").mkdir()
    (tmp_path / "corrupt" / "ledger.sqlite").write_bytes(b"this is no database at all" * 40)
    open_database(tmp_path / "blank" / "ledger.sqlite").dispose()
    (tmp_path / "blocks" / "12").mkdir(parents=True)
    (tmp_path / "blocks" / "12" / "block.json").write_text("{}")
    (tmp_path / "report-folder").mkdir()
    return tmp_path


QUOTE = ["quote", "--snapshot", "good.json", "--pool", POOL, "--token-in", TOKENS[0]]
CASES: list[tuple[list[str], list[str]]] = [
    # The command line itself.
    (["demos"], ["demos", "demo"]),
    (["trade"], ["trade", "--help"]),
    (["demo", "--nonsense"], ["--nonsense"]),
    (["demo", "--blocks", "many"], ["--blocks"]),
    (["demo", "--blocks", "0"], ["--blocks"]),
    (["demo", "--seed", "-1"], ["--seed"]),
    (["run"], ["--config"]),
    (["run", "--config", "good.toml", "--mode", "dry"], ["--mode", "dry"]),
    (["run", "--config", "good.toml", "--blocks", "-3"], ["--blocks"]),
    (["ledger", "burn"], ["burn"]),
    (["ledger", "export", "--directory", "blank", "--format", "xml"], ["xml"]),
    (["config", "chek", "--config", "good.toml"], ["chek"]),
    # Report paths, before any work.
    (["demo", "--report", "nowhere/report.json"], ["nowhere"]),
    (["demo", "--report", "report-folder"], ["report-folder"]),
    (["demo", "--report", "/proc/report.json"], ["/proc/report.json"]),
    (["simulate", "--blocks-dir", "blocks", "--report", "nowhere/report.json"], ["nowhere"]),
    (["ledger", "export", "--directory", "blank", "--output", "nowhere/export.csv"], ["nowhere"]),
    # Snapshots.
    (["scan", "--snapshot", "missing.json"], ["missing.json"]),
    (["scan", "--snapshot", "half.json.gz"], ["half.json.gz"]),
    (["scan", "--snapshot", "list.json"], ["list.json"]),
    (["scan", "--snapshot", "binary.json"], ["binary.json"]),
    (["scan", "--snapshot", "poor.json"], ["poor.json", POOL]),
    (["scan", "--snapshot", "empty"], ["empty"]),
    (["scan", "--snapshot", "report-folder"], ["report-folder"]),
    (["scan"], ["--snapshot", "--rpc"]),
    (["scan", "--snapshot", "good.json", "--rpc", "http://127.0.0.1:9"], ["--snapshot", "--rpc"]),
    (["scan", "--snapshot", "good.json", "--base", "WETH"], ["WETH"]),
    (["scan", "--snapshot", "good.json", "--base", STRANGER], [STRANGER]),
    (["scan", "--snapshot", "good.json"], ["--base"]),
    (["scan", "--snapshot", "good.json", "--base", TOKENS[0], "--max-hops", "9"], ["--max-hops"]),
    (["scan", "--snapshot", "good.json", "--base", TOKENS[0], "--top", "0"], ["--top"]),
    (["scan", "--snapshot", "good.json", "--base", TOKENS[0], "--gas-price-gwei", "-1"], ["-1"]),
    (["scan", "--snapshot", "good.json", "--base", TOKENS[0], "--gas-price-gwei", "1e99999"], ["1e99999"]),
    (["scan", "--snapshot", "good.json", "--base", TOKENS[0], "--gas-price-gwei", "low"], ["low"]),
    (["scan", "--rpc", "http://127.0.0.1:9"], ["127.0.0.1:9"]),
    (["scan", "--rpc", "gopher://node"], ["gopher"]),
    # Quotes.
    ([*QUOTE, "--amount-in", "-5"], ["--amount-in", "-5"]),
    ([*QUOTE, "--amount-in", "1.5"], ["--amount-in", "1.5"]),
    ([*QUOTE, "--amount-in", "lots"], ["--amount-in", "lots"]),
    ([*QUOTE, "--amount-in", "0"], ["--amount-in", "0"]),
    ([*QUOTE, "--amount-in", "9" * 79], ["--amount-in"]),
    ([*QUOTE, "--amount-out", "-5"], ["--amount-out", "-5"]),
    ([*QUOTE, "--amount-out", str(10**21)], [POOL]),
    ([*QUOTE, "--amount-in", str(2**112)], [POOL]),
    ([*QUOTE], ["--amount-in", "--amount-out"]),
    ([*QUOTE, "--amount-in", "1", "--amount-out", "1"], ["--amount-in", "--amount-out"]),
    ([*QUOTE[:4], STRANGER, *QUOTE[5:], "--amount-in", "1"], [STRANGER]),
    ([*QUOTE[:6], TOKENS[2], "--amount-in", "1"], [TOKENS[2], POOL]),
    (["quote", "--snapshot", "missing.json", *QUOTE[3:], "--amount-in", "1"], ["missing.json"]),
    # Configurations.
    (["config", "check", "--config", "missing.toml"], ["missing.toml"]),
    (["config", "check", "--config", "report-folder"], ["report-folder"]),
    (["config", "check", "--config", "binary.json"], ["binary.json"]),
    (["config", "check", "--config", "typo.toml"], ["chain.rpc_ulr", "rpc_url"]),
    (["config", "check", "--config", "section.toml"], ["exection", "execution"]),
    (["config", "check", "--config", "type.toml"], ["chain.chain_id"]),
    (["config", "check", "--config", "address.toml"], ["market.base_tokens"]),
    (["config", "check", "--config", "syntax.toml"], ["syntax.toml", "TOML"]),
    (["config", "check", "--config", "url.toml"], ["chain.rpc_url", "ftp://somewhere"]),
    (["config", "show", "--config", "typo.toml"], ["chain.rpc_ulr"]),
    (["config", "check", "--config", "empty"], ["chain"]),
    (["config", "check", "--config", "scalar.toml"], ["chain"]),
    (["doctor", "--config", "typo.toml"], ["chain.rpc_ulr"]),
    (["run", "--config", "missing.toml"], ["missing.toml"]),
    (["run", "--config", "typo.toml"], ["chain.rpc_ulr"]),
    (["run", "--config", "good.toml", "--rpc", "ftp://node"], ["--rpc", "ftp://node"]),
    (["run", "--config", "good.toml"], ["127.0.0.1:9"]),
    (["run", "--config", "good.toml", "--mode", "fork"], ["127.0.0.1:9"]),
    # Ledgers.
    (["ledger", "show"], ["--config", "--directory"]),
    (["ledger", "show", "--directory", "blank", "--config", "good.toml"], ["--config", "--directory"]),
    (["ledger", "show", "--directory", "no-ledger"], ["no-ledger"]),
    (["ledger", "show", "--directory", "missing"], ["missing"]),
    (["ledger", "show", "--directory", "corrupt"], ["corrupt"]),
    (["ledger", "show", "--directory", "blank", "--limit", "0"], ["--limit"]),
    (["ledger", "export", "--directory", "no-ledger"], ["no-ledger"]),
    (["explain", "0123456789abcdef", "--directory", "blank"], ["0123456789abcdef"]),
    (["explain", "seven", "--directory", "blank"], ["seven"]),
    (["explain", "0123456789abcdef", "--directory", "no-ledger"], ["no-ledger"]),
    (["explain"], ["ID"]),
    # Keys.
    (["keys", "new", "--keystore", "taken.json", "--passphrase-file", "long"], ["taken.json"]),
    (["keys", "new", "--keystore", "k.json", "--passphrase-file", "short"], [str(MIN_PASSPHRASE_CHARS)]),
    (["keys", "new", "--keystore", "k.json", "--passphrase-file", "empty"], ["empty"]),
    (["keys", "new", "--keystore", "k.json", "--passphrase-file", "missing"], ["missing"]),
    (["keys", "new", "--keystore", "k.json"], ["--passphrase-file"]),
    (["keys", "new", "--keystore", "empty/k.json", "--passphrase-file", "long"], ["empty"]),
    (["keys", "import", "--keystore", "k.json", "--passphrase-file", "long"], ["--private-key-file"]),
    (
        [
            "keys",
            "import",
            "--keystore",
            "k.json",
            "--private-key-file",
            "nokey",
            "--passphrase-file",
            "long",
        ],
        ["64 hex"],
    ),
    (
        ["keys", "import", "--keystore", "k.json", "--private-key-file", "gone", "--passphrase-file", "long"],
        ["gone"],
    ),
    # Deployments and real blocks.
    (["deployments", "verify", "--rpc", "http://127.0.0.1:9"], ["127.0.0.1:9"]),
    (["deployments", "verify", "--rpc", "nonsense"], ["nonsense"]),
    (["deployments", "verify"], ["--rpc"]),
    (["simulate"], ["--blocks-dir", "--rpc"]),
    (["simulate", "--blocks-dir", "missing"], ["missing"]),
    (["simulate", "--blocks-dir", "no-ledger"], ["no-ledger"]),
    (["simulate", "--blocks-dir", "blocks"], ["12"]),
    (["simulate", "--blocks-dir", "blocks", "--block", "99"], ["99"]),
    (["simulate", "--blocks-dir", "blocks", "--block", "x"], ["--block"]),
    (["simulate", "--rpc", "http://127.0.0.1:9"], ["--from-block"]),
    (["simulate", "--rpc", "http://127.0.0.1:9", "--from-block", "9", "--to-block", "3"], ["9", "3"]),
    (["simulate", "--rpc", "http://127.0.0.1:9", "--from-block", "3", "--to-block", "3"], ["127.0.0.1:9"]),
    (["simulate", "--blocks-dir", "blocks", "--from-block", "3"], ["--from-block"]),
]


def assert_one_sentence(code: int, out: str, err: str, names: list[str]) -> None:
    assert (code, out) == (2, ""), err
    assert len(err.splitlines()) == 1, err
    assert "Traceback" not in err
    assert "Error(" not in err
    for name in names:
        assert name in err


@pytest.mark.parametrize(("arguments", "names"), CASES, ids=lambda part: " ".join(part)[:80])
def test_bad_input_is_one_sentence(
    desk: Path, cli: Callable[..., Any], arguments: list[str], names: list[str]
) -> None:
    ended = cli(*arguments)
    assert_one_sentence(ended.code, ended.out, ended.err, names)


JSON_CASES = [
    ["demo", "--report", "nowhere/report.json"],
    ["run", "--config", "good.toml"],
    ["scan", "--snapshot", "half.json.gz"],
    [*QUOTE, "--amount-in", "-5"],
    ["simulate", "--blocks-dir", "missing"],
    ["doctor", "--config", "typo.toml"],
    ["explain", "0123456789abcdef", "--directory", "blank"],
    ["ledger", "show", "--directory", "corrupt"],
    ["config", "check", "--config", "typo.toml"],
    ["deployments", "verify", "--rpc", "http://127.0.0.1:9"],
    ["keys", "new", "--keystore", "taken.json", "--passphrase-file", "long"],
]


@pytest.mark.parametrize("arguments", JSON_CASES, ids=lambda part: part[0])
def test_nothing_reaches_stdout_when_json_was_asked_for(
    desk: Path, cli: Callable[..., Any], arguments: list[str]
) -> None:
    ended = cli(*arguments, "--json")
    assert_one_sentence(ended.code, ended.out, ended.err, [])


@pytest.mark.parametrize(
    ("name", "value", "names"),
    [
        ("ROUNDTRIP__CHAIN__RPC_ULR", "http://x:1", ["chain.rpc_ulr", "rpc_url"]),
        ("ROUNDTRIP__CHIAN__RPC_URL", "http://x:1", ["chian", "chain"]),
        ("ROUNDTRIP__CHAIN", "1", ["ROUNDTRIP__CHAIN"]),
        ("ROUNDTRIP__SEARCH__MAX_HOPS", "7", ["search.max_hops", "7"]),
        ("ROUNDTRIP__SEARCH__MAX_HOPS", "seven", ["search.max_hops", "seven"]),
    ],
)
def test_bad_environment_overrides(
    desk: Path,
    cli: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    names: list[str],
) -> None:
    monkeypatch.setenv(name, value)
    ended = cli("config", "check", "--config", "good.toml")
    assert_one_sentence(ended.code, ended.out, ended.err, names)


def test_a_refused_url_does_not_show_its_password(desk: Path, cli: Callable[..., Any]) -> None:
    ended = cli("config", "check", "--config", "secret.toml")
    assert_one_sentence(ended.code, ended.out, ended.err, ["chain.rpc_url"])
    assert "hunter2" not in ended.err


def test_a_malformed_key_is_never_shown(desk: Path, cli: Callable[..., Any]) -> None:
    (desk / "nokey").write_text("deadbeef" * 7 + "\n")
    ended = cli(
        *(
            "keys",
            "import",
            "--keystore",
            "k.json",
            "--private-key-file",
            "nokey",
            "--passphrase-file",
            "long",
        )
    )
    assert ended.code == 2
    assert "deadbeef" not in ended.err
    assert not (desk / "k.json").exists()


def test_what_existed_before_is_left_alone(desk: Path, cli: Callable[..., Any]) -> None:
    before = {path: path.read_bytes() for path in desk.rglob("*") if path.is_file()}
    for arguments, _ in CASES:
        if arguments[0] in ("keys", "config", "ledger", "explain", "quote"):
            cli(*arguments)
    after = {path: path.read_bytes() for path in desk.rglob("*") if path.is_file()}
    assert {path: content for path, content in after.items() if path in before} == before
    assert not any(path.name == "k.json" for path in after)


def test_verify_without_manifests(living: Any, desk: Path, cli: Callable[..., Any]) -> None:
    ended = cli("deployments", "verify", "--rpc", living.anvil.http_url, "--directory", "no-ledger", "--json")
    assert_one_sentence(ended.code, ended.out, ended.err, ["no-ledger"])


def test_no_command_at_all(cli: Callable[..., Any]) -> None:
    ended = cli()
    assert (ended.code, ended.out) == (2, "")
    assert all(name in ended.err for name in COMMANDS)


def test_the_console_script_ends_the_same_way(desk: Path) -> None:
    with roundtrip("config", "check", "--config", desk / "typo.toml", "--json") as process:
        assert_one_sentence(process.result(), process.stdout, process.stderr, ["chain.rpc_ulr", "rpc_url"])


HELP = [[name] for name in COMMANDS]
HELP += [["ledger", "show"], ["ledger", "export"], ["config", "check"], ["config", "show"]]
HELP += [["deployments", "verify"], ["keys", "new"], ["keys", "import"]]


@pytest.mark.parametrize("command", HELP, ids=" ".join)
def test_every_command_explains_itself(cli: Callable[..., Any], command: list[str]) -> None:
    ended = cli(*command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert "Usage: roundtrip " + command[0] in ended.out


def test_help_and_version_of_the_console_script() -> None:
    for option, words in (("--help", "Commands:"), ("--version", "roundtrip 0.")):
        done = subprocess.run([ROUNDTRIP, option], capture_output=True, text=True, timeout=30, check=True)
        assert words in done.stdout
        assert done.stderr == ""
