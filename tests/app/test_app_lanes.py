"""Two operators in one engine: each has its router, nonces and journal, and a crash is tied up in both."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_process import AppProcess
from eth_utils import keccak
from living_world import FUNDS_WEI, UPGRADER, LivingWorld, write_keystore
from records_check import assert_books_balance, assert_exact, journal_records, ledger_rows, unresolved

from engine.app.toolchain import forge_artifact
from engine.chain.keys import signer_of_key

CHILD = Path(__file__).with_name("crash_run.py")
SECOND_KEY = keccak(text="the second lane's operator")
SECOND = signer_of_key(SECOND_KEY).address


def sister(living: LivingWorld, **changes: str) -> str:
    """A router like the recorded one but for some of its constructor's arguments, by name."""
    record = json.loads((living.deployments / "31337" / "ArbitrageRouter.json").read_text())
    names = ("operator", "vault")
    creation = record["constructor_encoded"][2:].lower()
    for name, value in changes.items():
        creation = creation.replace(record["constructor_args"][names.index(name)][2:].lower(), value[2:])
    data = "0x" + forge_artifact("ArbitrageRouter").bytecode.hex() + creation
    return str(living.send(UPGRADER, None, data)["contractAddress"]).lower()


@pytest.fixture
def lane(living: LivingWorld, tmp_path: Path) -> Callable[[str], str]:
    """The value of `keys.lanes` with the second key and a router."""
    keystore = tmp_path / "second.json"
    write_keystore(keystore, SECOND_KEY)
    living.rpc("anvil_setBalance", SECOND, hex(FUNDS_WEI))
    return lambda router: (
        f'[{{ keystore = "{keystore}", passphrase_file = "{living.passphrase_file}", router = "{router}" }}]'
    )


def sent_by(living: LivingWorld, operator: str) -> int:
    return int(living.rpc("eth_getTransactionCount", operator, "latest"), 16)


def test_trades_go_through_both_lanes_and_a_crash_is_tied_up_in_both(
    living: LivingWorld,
    tmp_path: Path,
    records: Path,
    lane: Callable[[str], str],
    settle: Callable[[Path], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = living.write_config(tmp_path, execution__together=1)
    router = sister(living, operator=SECOND)
    monkeypatch.setenv("ROUNDTRIP__KEYS__LANES", lane(router))
    before = {operator: sent_by(living, operator) for operator in (living.operator, SECOND)}
    arguments = ["run", "--config", str(config), "--mode", "live", "--yes-live", "--json"]
    with AppProcess([sys.executable, str(CHILD), "sent", "2", *arguments]) as process:
        process.wait_for_log("started")
        for _ in range(40):
            head = living.step()
            process.wait_for(lambda run, head=head: run.ended or run.is_done_with(head))
            if process.ended:
                break
        assert process.result() == -signal.SIGKILL, process.stderr[-2000:]
    settle(config)
    assert unresolved(records) == []
    assert len(list(records.glob("journal-*.jsonl"))) == 2
    rows = ledger_rows(records)
    assert {row["sender"] for row in rows} == {living.operator, SECOND}
    assert_exact(rows)
    assert_books_balance(records)
    for operator, count in before.items():
        mined = [row["nonce"] for row in rows if row["sender"] == operator and row["outcome"] == "landed"]
        assert sorted(mined) == list(range(count, sent_by(living, operator)))
    routers = {
        record["sender"]: record["record"]["plan"]["router"]
        for record in journal_records(records)
        if record["type"] == "intent"
    }
    assert routers == {living.operator: living.contract("ArbitrageRouter"), SECOND: router}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"operator": SECOND, "vault": "0x" + "5e" * 20}, "differs from"),
        ({"operator": "0x" + "5e" * 20}, "but the router obeys"),
    ],
)
def test_a_lane_that_cannot_work_is_refused_in_a_sentence(
    living: LivingWorld,
    config: Path,
    lane: Callable[[str], str],
    cli: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str],
    words: str,
) -> None:
    monkeypatch.setenv("ROUNDTRIP__KEYS__LANES", lane(sister(living, **changes)))
    ended = cli("run", "--config", config, "--mode", "live", "--yes-live", "--blocks", 1)
    assert ended.code != 0
    assert words in " ".join(ended.err.split())
