"""Double entry and the bringing level of a ledger."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from ledger_values import BASE, execution, intent

from engine.domain.execution import Execution, Outcome
from engine.domain.ledger import NATIVE
from engine.ledger.book import balances, entries_of, is_mismatch
from engine.ledger.reconcile import Reconciled, reconcile

EXECUTIONS = st.builds(
    lambda number, kind, outcome, realised, gas, price: execution(
        intent(number, kind=kind),
        outcome,
        realised_profit=realised,
        gas_used=gas,
        effective_gas_price_wei=price,
    ),
    st.integers(1, 50),
    st.sampled_from(["trade", "cancel"]),
    st.sampled_from(list(Outcome)),
    st.integers(-(2**200), 2**200),
    st.integers(0, 10**8),
    st.integers(0, 2**100),
)


@given(st.lists(EXECUTIONS))
def test_entries_sum_to_zero_per_execution_and_token(executions: list[Execution]):
    for each in executions:
        sums: dict[str, int] = defaultdict(int)
        for entry in entries_of(each):
            assert entry.execution_id == each.intent.id
            sums[entry.token] += entry.amount
        assert set(sums.values()) <= {0}


def test_a_landed_trade_earns_and_pays_gas():
    each = execution(intent(1, profit=77))
    assert balances(entries_of(each)) == {
        ("router", BASE): 77,
        ("income:arbitrage", BASE): -77,
        ("expense:gas", NATIVE): 150_000 * 10**10,
        ("operator", NATIVE): -150_000 * 10**10,
    }


def test_a_revert_only_pays_gas_and_what_never_landed_moves_nothing():
    assert {entry.token for entry in entries_of(execution(intent(1), Outcome.REVERTED))} == {NATIVE}
    for outcome in (Outcome.MISSED, Outcome.REPLACED, Outcome.NEVER_SENT):
        assert entries_of(execution(intent(1), outcome)) == ()


def test_mismatch_is_any_difference_of_a_landed_trade():
    assert not is_mismatch(execution(intent(1)))
    assert is_mismatch(execution(intent(1), realised_profit=99))
    assert is_mismatch(execution(intent(1), realised_profit=101))
    assert not is_mismatch(execution(intent(1), Outcome.REVERTED))
    assert not is_mismatch(execution(intent(1, kind="cancel")))


class Kept:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, Execution] = {}

    def holds(self, execution: Execution, entries: object) -> bool | None:
        row = self.rows.get(execution.intent.id)
        return None if row is None else row == execution

    def put_execution(self, execution: Execution, entries: object) -> None:
        self.rows[execution.intent.id] = execution


@given(st.lists(EXECUTIONS), st.data())
def test_reconciling_holds_the_last_outcomes(executions: list[Execution], data: st.DataObject):
    ledger = Kept()
    some = data.draw(st.lists(st.sampled_from(executions))) if executions else []
    for each in some:
        ledger.put_execution(each, ())
    first = reconcile(executions, ledger)
    last = {each.intent.id: each for each in executions}
    assert {key: (row.outcome, row.realised_profit) for key, row in ledger.rows.items()} == {
        key: (each.outcome, each.realised_profit) for key, each in last.items()
    }
    assert first.level + first.added + first.corrected == len(last)
    assert reconcile(executions, ledger) == Reconciled(len(last), 0, 0)
