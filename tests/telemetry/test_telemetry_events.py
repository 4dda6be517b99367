"""Every fact is logged and counted; secrets are not."""

from __future__ import annotations

import io
import json

import pytest

from engine.bus.bus import Bus
from engine.domain.events import (
    BlockApplied,
    BlockFinished,
    ExecutionResolved,
    Fact,
    OpportunityApproved,
    OpportunityRefused,
    OptimumBounded,
    PlanSimulated,
    PlanSubmitted,
    PoolDiverged,
    PoolQuarantined,
)
from engine.domain.execution import Execution, Intent, Outcome, Plan, SignedTransaction, SimulatedPlan
from engine.domain.market import BlockRef, Protocol
from engine.domain.opportunity import Approved, CheckResult, Hop, Opportunity, RefusalReason, Refused
from engine.telemetry.alerts import alert_of
from engine.telemetry.logs import make_logger
from engine.telemetry.redact import MASK, Redactor
from engine.telemetry.telemetry import Telemetry, percentile

BASE, OTHER = "0x" + "11" * 20, "0x" + "22" * 20
BLOCK = BlockRef(7, "0x" + "07" * 32, "0x" + "06" * 32, 1_700_000_000)
HOPS = (
    Hop("0x" + "aa" * 20, Protocol.UNISWAP_V2, "v", BASE, OTHER, 10, 5, 3000),
    Hop("0x" + "bb" * 20, Protocol.UNISWAP_V2, "v", OTHER, BASE, 5, 10 + 2**90, 3000),
)
FOUND = Opportunity(BLOCK, BASE, HOPS)
PASSED = Approved(FOUND, (CheckResult("age", True),))
STOPPED = Refused(FOUND, (CheckResult("age", False, RefusalReason.TOO_OLD, {"age_blocks": "3"}),))
PLAN = Plan(PASSED, "0x" + "99" * 20, b"", 1, 2, 3, 4, 5)
SIMULATED = SimulatedPlan(PLAN, BLOCK, FOUND.gross_profit, 6, PASSED.results)


def intent(kind: str = "trade") -> Intent:
    signed = SignedTransaction("0x" + "ee" * 20, 4, "0x" + "0d" * 32, b"raw")
    profit = FOUND.gross_profit
    return Intent("id", kind, 1, 7, BASE, profit, profit, 2, 4, 5, signed, {})


def facts() -> list[Fact]:
    landed = Execution(intent(), Outcome.LANDED, 8, "0x", FOUND.gross_profit, 100, 10)
    wrong = Execution(intent(), Outcome.LANDED, 8, "0x", FOUND.gross_profit - 1, 100, 10)
    return [
        BlockApplied(BLOCK, 3),
        BlockApplied(BLOCK, 3, reorg_depth=2),
        PoolQuarantined(BLOCK, "0x" + "aa" * 20, "diverged"),
        OpportunityRefused(STOPPED),
        OpportunityApproved(PASSED),
        PlanSimulated(SIMULATED),
        PlanSubmitted(intent(), 12.5),
        ExecutionResolved(landed),
        ExecutionResolved(wrong),
        ExecutionResolved(Execution(intent(), Outcome.MISSED)),
        ExecutionResolved(Execution(intent("cancel"), Outcome.LANDED)),
        BlockFinished(BLOCK, 5, 1, 1, 1, 20.0),
        OptimumBounded(BLOCK, 10**18, 10**18 - 1, 0.99, 9 * 10**17, 12, 8.5),
    ]


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_fact_is_one_json_line_and_counted():
    stream = io.StringIO()
    telemetry = Telemetry(make_logger("debug", "json", stream))
    for fact in facts():
        telemetry.handle(fact)
    logged = lines(stream)
    assert len(logged) == len(facts())
    assert all({"event", "level", "timestamp"} <= set(line) for line in logged)
    assert telemetry.counts == {
        "block_applied": 2,
        "blocks_unwound": 2,
        "pool_quarantined": 1,
        "refused": 1,
        "approved": 1,
        "simulated": 1,
        "submitted": 1,
        "landed": 2,
        "missed": 1,
        "miss_unexplained": 1,
        "cancel_landed": 1,
        "mismatches": 1,
        "block_finished": 1,
        "opportunities_found": 5,
        "optimum_bounded": 1,
    }
    assert telemetry.refused_by_reason == {"too_old": 1}
    assert telemetry.expected_profit_wei[BASE] - telemetry.realised_profit_wei[BASE] == 1
    assert telemetry.latency_ms()["block_to_submit"] == {"p50": 12.5, "p99": 12.5}
    by_level = [(line["event"], line["level"]) for line in logged]
    assert ("execution_resolved", "error") in by_level
    assert ("pool_quarantined", "warning") in by_level
    (submitted,) = [line for line in logged if line["event"] == "plan_submitted"]
    assert submitted["expected_profit"] == str(2**90)


@pytest.mark.parametrize(
    ("cause", "by_node", "event", "level"),
    [
        ("raced node", True, "raced_node", "info"),
        ("lying node", True, "lying_node", "warning"),
        ("drift", False, "pool_diverged", "warning"),
    ],
)
def test_what_a_node_got_wrong_is_not_called_a_divergence_of_the_pool(cause, by_node, event, level):
    stream = io.StringIO()
    telemetry = Telemetry(make_logger("debug", "json", stream))
    fact = PoolDiverged(BLOCK, "0x" + "aa" * 20, "v2", cause, ("reserve0",), by_node)
    telemetry.handle(fact)
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["cause"]) == (event, level, cause)
    assert telemetry.counts == {event: 1}
    told = alert_of(fact)
    assert (told is None) == (cause == "raced node")
    assert told is None or ("diverged" in told.title) == (not by_node)


async def test_telemetry_listens_to_the_bus():
    bus = Bus()
    telemetry = Telemetry(make_logger("info", "json", io.StringIO()))
    subscription = bus.subscribe(*{type(fact) for fact in facts()}, capacity=100)
    for fact in facts():
        bus.publish(fact)
    bus.close()
    await telemetry.listen(subscription)
    assert telemetry.counts["landed"] == 2


def test_levels_and_console_style():
    stream = io.StringIO()
    logger = make_logger("warning", "console", stream)
    logger.info("quiet")
    logger.warning("loud", number=2**80)
    assert "quiet" not in stream.getvalue()
    assert f"number={2**80}" in stream.getvalue().replace("'", "")


def test_secrets_are_masked_wherever_they_stand():
    key, passphrase = bytes(range(32)), "correct horse battery"
    redactor = Redactor()
    redactor.add(key)
    redactor.add(passphrase)
    for style in ("json", "console"):
        stream = io.StringIO()
        logger = make_logger("debug", style, stream, redactor)
        try:
            raise ValueError(f"bad key 0x{key.hex().upper()} under {passphrase}")
        except ValueError as error:
            logger.error(
                f"failed with {passphrase}",
                error=error,
                nested={"private_key": "abcd", "list": [key, f"0x{key.hex()}"]},
                password="hunter2",
                url="https://user:pw@node.example/v3/0123456789abcdef0123456789abcdef?x=1",
                exc_info=True,
            )
        text = stream.getvalue()
        assert "failed with" in text
        assert "node.example/v3/" in text
        for secret in (key.hex(), passphrase, "abcd", "hunter2", "user:pw", "0123456789abcdef0123456789"):
            assert secret.lower() not in text.lower(), secret
        assert MASK in text


def test_hashes_and_addresses_are_no_secrets():
    redactor = Redactor()
    event = {"event": "x", "transaction": "0x" + "ab" * 32, "token": BASE}
    assert redactor(None, "info", dict(event)) == event


@pytest.mark.parametrize(
    ("values", "part", "expected"),
    [
        ([], 0.5, None),
        ([3.0], 0.99, 3.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
    ],
)
def test_percentile(values: list[float], part: float, expected: float | None):
    assert percentile(values, part) == expected
