"""Tokens that are not what they seem are not traded, by a bot of its own against a real node."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from app_process import AppProcess, roundtrip
from eth_abi import encode
from living_world import LivingWorld, to_toml
from records_check import journal_records, ledger_rows, refusals

from engine.app.toolchain import forge_artifact
from engine.app.world.outbox import calldata

MAKER = "0x" + "f8" * 20
RICHES = 10**26
# The number of each in `TrickToken.sol`. What calls that nobody pays for do not show comes first.
TRICKS = {
    "sells without coinbase only": 10,
    "sells without gas price only": 11,
    "closes later": 17,
    "taxes everything": 4,
    "limits amounts": 8,
}
HONEST = 0
Cli = Callable[..., Any]


def data(signature: str, *arguments: Any) -> str:
    return "0x" + calldata(signature, *arguments).hex()


def creation(trick: int, victim: str) -> str:
    code = forge_artifact("TrickToken").bytecode
    return "0x" + (code + encode(["uint8", "address"], [trick, victim])).hex()


def world_token() -> str:
    code = forge_artifact("WorldToken").bytecode
    return "0x" + (code + encode(["string", "string", "uint8"], ["Other", "OTH", 18])).hex()


class Maker:
    """Makes tokens with pools at prices that promise a profit."""

    def __init__(self, living: LivingWorld):
        self.living = living
        self.weth = living.world.wrapped_native
        self.dai = next(each.address for each in living.world.tokens if each.symbol == "DAI")
        self.factory = next(v.factory for v in living.world.venues if v.name == "uniswap-v2")
        living.rpc("anvil_setBalance", MAKER, hex(RICHES))
        living.send(MAKER, self.weth, data("deposit()"), 10_000 * 10**18)
        living.send(MAKER, self.dai, data("mint(address,uint256)", MAKER, RICHES))

    def token(self, trick: int, behind: str | None = None) -> str:
        """A token that plays `trick`, worth a tenth more ether in one pool than its dollars buy elsewhere;
        with the code of the contract `behind` a proxy, if named."""
        code = creation(trick, self.living.operator)
        if behind is not None:
            call = bytes.fromhex(data("initialize(uint8,address)", trick, MAKER)[2:])
            proxy = forge_artifact("TrickProxy", "TrickToken").bytecode
            code = "0x" + (proxy + encode(["address", "bytes"], [behind, call])).hex()
        token = self.living.send(MAKER, None, code)["contractAddress"].lower()
        self.living.send(MAKER, token, data("mint(address,uint256)", MAKER, 10**25))
        for other, amount in ((self.weth, 110 * 10**18), (self.dai, 400_000 * 10**18)):
            receipt = self.living.send(MAKER, self.factory, data("createPair(address,address)", token, other))
            pool = "0x" + receipt["logs"][0]["data"][26:66]
            self.living.send(MAKER, token, data("setMarket(address)", pool))
            self.living.send(MAKER, token, data("transfer(address,uint256)", pool, 10**23))
            self.living.send(MAKER, other, data("transfer(address,uint256)", pool, amount))
            self.living.send(MAKER, pool, data("mint(address)", MAKER))
        return token


@pytest.fixture(scope="module")
def made(shared_world: LivingWorld) -> dict[str, str]:
    """Addresses of the tokens by trick, and of an honest one."""
    shared_world.mine()
    maker = Maker(shared_world)
    return {name: maker.token(trick) for name, trick in {"honest": HONEST, **TRICKS}.items()}


@pytest.fixture
def service() -> Iterator[list[str]]:
    """The address of a service that takes alerts, and after it the titles of those it took."""
    told: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["title"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.append(f"json://127.0.0.1:{server.server_address[1]}/a-secret-that-nobody-else-may-know")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield told
    server.shutdown()
    server.server_close()


def configured(living: LivingWorld, directory: Path, tokens: list[str], **changes: Any) -> Path:
    # What an earlier run left waiting lands now, and is none of this one's business.
    living.mine()
    sections = living.settings(directory, **changes)
    sections["risk"]["allowed_tokens"] = [*living.world.allowed_tokens, *tokens]
    path = directory / "roundtrip.toml"
    path.write_text(to_toml(sections))
    return path


def live(config: Path) -> AppProcess:
    return roundtrip("run", "--config", config, "--mode", "live", "--yes-live", "--json")


def traded(records: Path) -> set[str]:
    return {
        hop["token_in"]
        for record in journal_records(records)
        if record["type"] == "intent" and record["kind"] == "trade"
        for hop in record["record"]["opportunity"]["cycle"]
    }


def test_without_verdicts_a_trick_is_fallen_for_once(
    living: LivingWorld, made: dict[str, str], tmp_path: Path, cli: Cli, service: list[str]
) -> None:
    """What the verdicts protect from: the simulation passes, the transaction reverts, at our cost. Then the
    breaker halts, the health says so, somebody is told, and only a person takes it back."""
    bad, records, services = made["sells without gas price only"], tmp_path / "records", tmp_path / "services"
    services.write_text(service[0] + "\n")
    services.chmod(0o600)
    config = configured(
        living,
        tmp_path,
        [bad],
        risk__token_verdicts="off",
        breakers__reverts=1,
        alerts__services_file=str(services),
    )
    assert cli("health", "--config", config).code == 1
    with live(config) as process:
        process.wait_for_log("started")
        process.finished(living.step())
        for _ in range(8):
            process.finished(living.step())
            if process.events("trading_state_changed", state="halted"):
                break
        sent = len(journal_records(records))
        process.finished(living.step())
        document = json.loads(cli("health", "--config", config, "--json").out)
        for _ in range(50):
            # It is written every second, whatever the line does.
            if document["state"] == "halted":
                break
            time.sleep(0.1)
            document = json.loads(cli("health", "--config", config, "--json").out)
        assert document["state"] == "halted"
        assert any("reverts" in cause for cause in document["causes"])
        assert not document["healthy"]
        assert document["last_block_age_s"] < 60
        assert any(endpoint["leads"] for endpoint in document["endpoints"].values())
        late = [r for r in journal_records(records)[sent:] if r["type"] == "intent" and r["kind"] == "trade"]
        assert late == []
        assert cli("resume", "--config", config).code == 0
        process.finished(living.step())
        assert process.wait_for_log("trading_state_changed", state="active")
        process.stop_with(2)
        assert "Traceback" not in process.stderr
    assert bad in traded(records)
    assert any(row["outcome"] == "reverted" for row in ledger_rows(records))
    assert "trading is halted" in service
    assert service[0] not in process.stderr


def test_no_trick_is_traded_and_the_honest_token_is(
    living: LivingWorld, made: dict[str, str], tmp_path: Path, cli: Cli
) -> None:
    records = tmp_path / "records"
    config = configured(living, tmp_path, list(made.values()))
    with live(config) as process:
        process.wait_for_log("started")
        for _ in range(4):
            process.finished(living.step())
        process.stop_with(2)
        assert "Traceback" not in process.stderr
    tokens = traded(records)
    assert made["honest"] in tokens
    assert [trick for trick in TRICKS if made[trick] in tokens] == []
    assert refusals(records)["token_unsafe"] > 0
    listed = json.loads(cli("tokens", "--directory", records, "--json").out)["tokens"]
    safe = {entry["token"]: entry["safe"] for entry in listed}
    assert {name: safe[token] for name, token in made.items()} == {
        "honest": True,
        **dict.fromkeys(TRICKS, False),
    }
    assert all(safe[token] for token in living.world.allowed_tokens)
    table = cli("tokens", "--config", config)
    assert table.code == 0
    assert "conditional" in table.out


def test_a_proxy_that_is_pointed_elsewhere_loses_its_verdict(living: LivingWorld, tmp_path: Path) -> None:
    living.mine()
    maker, records = Maker(living), tmp_path / "records"
    behind = living.send(MAKER, None, creation(HONEST, MAKER))["contractAddress"].lower()
    token = maker.token(HONEST, behind)
    config = configured(living, tmp_path, [token])
    with live(config) as process:
        process.wait_for_log("started")
        process.finished(living.step())
        process.finished(living.step())
        assert process.events("token_judged", token=token) == []
        other = living.send(MAKER, None, world_token())["contractAddress"]
        living.send(MAKER, token, data("point(address)", other))
        pointed = living.head()
        for _ in range(3):
            process.finished(living.step())
        assert process.wait_for_log("token_judged", token=token)["verdict"] != "good"
        process.finished(living.step())
        process.stop_with(2)
    assert token in traded(records)
    late = [
        hop["token_in"]
        for record in journal_records(records)
        if record["type"] == "intent" and record["kind"] == "trade" and record["block_number"] >= pointed + 3
        for hop in record["record"]["opportunity"]["cycle"]
    ]
    assert token not in late
