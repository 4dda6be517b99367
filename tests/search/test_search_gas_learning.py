"""Gas per hop follows receipts, within bounds."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.events import BlockSkipped, ExecutionResolved
from engine.domain.execution import Execution, Intent, Outcome, SignedTransaction
from engine.domain.market import BlockRef, Protocol
from engine.search.costs import UNKNOWN_HOP_GAS, default_hop_gas
from engine.search.gas_learning import REACH, GasLearner

V2, V3, CURVE = Protocol.UNISWAP_V2, Protocol.UNISWAP_V3, Protocol.CURVE_STABLESWAP
BASE = 60_000


def landed(protocols: list[Protocol], gas: int, outcome: Outcome = Outcome.LANDED, kind: str = "trade"):
    signed = SignedTransaction("0x" + "dd" * 20, 0, "0x" + "ee" * 32, b"")
    record: dict[str, Any] = {"opportunity": {"cycle": [{"protocol": each.value} for each in protocols]}}
    intent = Intent("1", kind, 1, 7, "0x" + "11" * 20, 1, 1, 0, 1, 1, signed, record)
    return ExecutionResolved(Execution(intent, outcome, 8, "0x01", 1, gas, 1))


def test_it_finds_what_each_family_really_uses() -> None:
    rng = random.Random(1)
    truth = {V2: 52_000, V3: 101_000, CURVE: 150_000}
    learner = GasLearner(BASE, default_hop_gas())
    for _ in range(2_000):
        protocols = rng.choices(list(truth), k=rng.randint(2, 4))
        gas = BASE + sum(truth[each] for each in protocols) + rng.randint(-4_000, 4_000)
        learner.take(landed(protocols, gas))
    for protocol, gas in truth.items():
        assert learner.hop_gas[protocol] == pytest.approx(gas, rel=0.03)
    assert learner.hop_gas[Protocol.WETH] == default_hop_gas()[Protocol.WETH]


@given(
    st.lists(st.tuples(st.lists(st.sampled_from(Protocol), min_size=1, max_size=6), st.integers(0, 10**9)))
)
def test_no_receipt_leads_out_of_bounds(receipts: list[tuple[list[Protocol], int]]) -> None:
    learner = GasLearner(BASE, {V2: 65_000})
    for protocols, gas in receipts:
        learner.learn(protocols, gas)
    for protocol, gas in learner.hop_gas.items():
        first = 65_000 if protocol is V2 else UNKNOWN_HOP_GAS
        assert first / REACH - 1 <= gas <= first * REACH + 1


@pytest.mark.parametrize(
    "fact",
    [
        landed([V2, V3], 10**6, Outcome.REVERTED),
        landed([V2, V3], 10**6, Outcome.MISSED),
        landed([V2, V3], 10**6, kind="cancel"),
        landed([], 10**6),
        BlockSkipped(BlockRef(1, "0x01", "0x00", 1), "the node failed"),
    ],
)
def test_only_trades_that_landed_teach(fact: Any) -> None:
    learner = GasLearner(BASE, default_hop_gas())
    before = learner.hop_gas
    learner.take(fact)
    assert learner.hop_gas == before
