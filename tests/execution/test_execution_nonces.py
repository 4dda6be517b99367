"""The nonce lane against every order of reserving, returning and mining."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.domain.errors import ExecutionError
from engine.execution.nonces import ForeignNonce, NonceLane


def test_nonces_are_consecutive_and_returned_ones_come_first():
    lane = NonceLane(7)
    assert [lane.reserve() for _ in range(4)] == [7, 8, 9, 10]
    lane.release(9)
    lane.release(8)
    assert [lane.reserve() for _ in range(3)] == [8, 9, 11]
    with pytest.raises(ExecutionError, match="never reserved"):
        lane.release(12)


def test_mined_nonces_that_were_reserved_are_ours():
    lane = NonceLane(0)
    lane.reserve()
    lane.observe(0)
    lane.observe(1)
    with pytest.raises(ForeignNonce) as caught:
        lane.observe(2)
    assert (caught.value.next_nonce, caught.value.chain_nonce) == (1, 2)
    assert lane.reserve() == 2


def test_a_returned_nonce_that_was_mined_is_foreign_and_not_given_out_again():
    lane = NonceLane(0)
    lane.reserve()
    lane.reserve()
    lane.release(0)
    with pytest.raises(ForeignNonce):
        lane.observe(1)
    assert lane.reserve() == 2


class Lanes(RuleBasedStateMachine):
    """A lane never gives out a nonce that is in use, and never leaves a gap for long."""

    def __init__(self) -> None:
        super().__init__()
        self.lane = NonceLane(0)
        self.used: set[int] = set()

    @rule()
    def reserve(self) -> None:
        nonce = self.lane.reserve()
        assert nonce not in self.used
        assert set(range(nonce)) <= self.used
        self.used.add(nonce)

    @precondition(lambda self: self.used)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        nonce = data.draw(st.sampled_from(sorted(self.used)))
        self.lane.release(nonce)
        self.used.discard(nonce)

    @invariant()
    def next_is_the_lowest_free(self) -> None:
        free = next(n for n in range(len(self.used) + 1) if n not in self.used)
        assert self.lane.next_nonce == free


TestLanes = Lanes.TestCase
