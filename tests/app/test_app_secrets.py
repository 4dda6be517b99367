"""Neither the key nor the passphrase is in anything the engine prints or writes."""

from __future__ import annotations

import gzip
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from app_process import AppProcess, roundtrip
from living_world import OPERATOR_KEY, PASSPHRASE, LivingWorld
from records_check import every_byte, ledger_rows

KEY = OPERATOR_KEY.hex()
BREAKING = Path(__file__).with_name("breaking_run.py")
URL_SECRET = "kdJ29sKq0Lm4Nx7Pz1Rt5Vw8"


def forms() -> list[bytes]:
    """How the secrets could be written."""
    numbers = [KEY, KEY.upper(), str(int(KEY, 16))]
    return [text.encode() for text in [*numbers, PASSPHRASE, URL_SECRET]] + [OPERATOR_KEY]


def assert_free_of_secrets(*parts: str | bytes) -> None:
    whole = b"\n".join(part.encode() if isinstance(part, str) else part for part in parts)
    assert whole
    for secret in forms():
        assert secret not in whole
        assert secret[2:-2] not in whole


def test_nothing_that_is_written_holds_a_secret(
    living: LivingWorld, cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_file, keystore = tmp_path / "key", tmp_path / "made" / "operator.json"
    key_file.write_text("0x" + KEY + "\n")
    passphrase = ["--passphrase-file", living.passphrase_file]
    imported = cli(
        "keys", "import", "--keystore", keystore, "--private-key-file", key_file, *passphrase, "--json"
    )
    assert (imported.code, living.operator in imported.out) == (0, True), imported.err
    assert keystore.stat().st_mode & 0o077 == 0
    made = cli("keys", "new", "--keystore", tmp_path / "made" / "new.json", *passphrase)
    assert made.code == 0
    url = living.anvil.ws_url.replace("ws://", f"ws://{URL_SECRET}:{URL_SECRET}@") + f"/?apikey={URL_SECRET}"
    config = living.write_config(
        tmp_path, keys__keystore=str(keystore), log__level="debug", chain__rpc_url=url
    )
    command = ["run", "--config", config, "--mode", "live", "--yes-live", "--blocks", 6]
    with roundtrip(*command) as process:
        follow(living, process, 6)
    shown = cli("config", "show", "--config", config)
    shown_json = cli("config", "show", "--config", config, "--json")
    doctor = cli("doctor", "--config", config)
    assert (shown.code, shown_json.code, doctor.code) == (0, 0, 0)
    ledger = cli("ledger", "show", "--config", config, "--json")
    exported = tmp_path / "export.json"
    assert cli("ledger", "export", "--config", config, "--format", "json", "--output", exported).code == 0
    rows = ledger_rows(tmp_path / "records")
    assert rows
    explained = cli("explain", rows[0]["opportunity_id"], "--config", config)
    assert explained.code == 0
    assert str(keystore) in shown.out
    outputs = [part for each in (imported, made, shown, shown_json, doctor) for part in (each.out, each.err)]
    outputs += [ledger.out, explained.out, process.stdout, process.stderr]
    assert_free_of_secrets(*outputs, every_byte(tmp_path / "records", tmp_path / "made", exported))
    # A failure names the node, too.
    monkeypatch.setenv(
        "ROUNDTRIP__CHAIN__RPC_URL", url.replace(url.split("@")[1], f"127.0.0.1:9/{URL_SECRET}")
    )
    for failing in (command, ["doctor", "--config", config], ["scan", "--rpc", url.replace("ws:", "wss:")]):
        ended = cli(*failing)
        assert ended.code != 0
        assert_free_of_secrets(ended.out, ended.err)


def follow(living: LivingWorld, process: AppProcess, blocks: int) -> None:
    """Trade until the run ends by itself."""
    process.wait_for(lambda run: '"event":"started"' in run.stderr)
    for number in range(blocks):
        living.step(lambda head, first=number == 0: None if first else process.finished(head))
    assert process.result() == 0, process.stderr[-2000:]


def test_a_keystore_holds_the_key_encrypted_only(
    living: LivingWorld, cli: Callable[..., Any], tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text(PASSPHRASE + "!\n")
    config = living.write_config(tmp_path, keys__passphrase_file=str(wrong))
    ended = cli("run", "--config", config, "--mode", "live", "--yes-live")
    assert ended.code == 2
    assert_free_of_secrets(ended.out, ended.err)


def test_a_run_that_breaks_and_one_that_is_killed_leave_no_secret(
    living: LivingWorld, cli: Callable[..., Any], tmp_path: Path
) -> None:
    """The traceback, what is on disk while it runs and after `kill -9` (journal, database, health page, pool
    cache), alerts to a service that answers and to one that does not, a recording, and its replay."""
    services = tmp_path / "services"
    with closing(Listener()) as heard:
        dead = f"json://127.0.0.1:9/{URL_SECRET}"
        services.write_text(f"json://127.0.0.1:{heard.port}/{URL_SECRET}\n{dead}\n")
        services.chmod(0o600)
        url = living.anvil.ws_url + f"/?apikey={URL_SECRET}"
        config = living.write_config(
            tmp_path, log__level="debug", chain__rpc_url=url, alerts__services_file=str(services)
        )
        told: list[str | bytes] = []
        command = ["run", "--config", str(config), "--mode", "live", "--yes-live"]
        with roundtrip(*command) as killed:
            killed.wait_for_log("started")
            for _ in range(2):
                killed.finished(living.step())
            assert cli("halt", "--config", config, "--reason", "a drill").code == 0
            killed.finished(living.step())
            killed.wait_for(lambda run: heard.bodies and list((tmp_path / "records").glob("health-*.json")))
            told.append(every_byte(tmp_path / "records"))
            health = cli("health", "--config", config, "--json")
            told += [health.out, health.err]
        told += [killed.stdout, killed.stderr, *heard.bodies]
        assert cli("resume", "--config", config).code == 0
        with AppProcess([sys.executable, str(BREAKING), *command]) as broken:
            broken.wait_for_log("started")
            for _ in range(20):
                head = living.step()
                broken.wait_for(lambda run, head=head: run.ended or run.is_done_with(head))
                if broken.ended:
                    break
            assert broken.result() == 1
        assert "Traceback" in broken.stderr
        assert "RuntimeError: unexpected at sent" in broken.stderr
        told += [broken.stdout, broken.stderr, *heard.bodies]
    recording = tmp_path / "recording.jsonl.gz"
    with living.trading(0.2):
        recorded = cli("record", "--config", config, "--output", recording, "--blocks", 2)
    assert recorded.code == 0, recorded.err
    replayed = cli("replay", "--recording", recording, "--json")
    assert replayed.code == 0, replayed.err
    told += [recorded.out, recorded.err, replayed.out, replayed.err, gzip.decompress(recording.read_bytes())]
    assert_free_of_secrets(*told, every_byte(tmp_path / "records"))


class Listener:
    """Takes what alert services are sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
