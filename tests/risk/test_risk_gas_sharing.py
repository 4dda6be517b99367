"""The gas of one transaction is shared by what it carries out: no more, no less, and nobody pays to ride."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from test_risk_checks import OPPORTUNITY, VIEW, WETH

from engine.domain.market import Protocol
from engine.domain.opportunity import Opportunity, RefusalReason, Refused
from engine.execution.combination import Share, alone, sharing, side_by_side
from engine.line.gas_sharing import assess_riders
from engine.risk.chain import RiskChain
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView
from engine.search.costs import GasCosts

COSTS = GasCosts(10**10, {WETH: 1}, base_gas=60_000, hop_gas={Protocol.UNISWAP_V2: 50_000})
ADDED = 3 * 50_000 * 10**10
BASE = 60_000 * 10**10
ASSESS = RiskChain(RiskLimits(allowed_tokens=tuple(VIEW.allowed_tokens), max_feed_deviation_bps=10**6)).assess


def earning(profit: int, name: str) -> Opportunity:
    """The cycle in pools of its own, with that gross profit, at the cost of a transaction for itself."""
    pools = [f"0x{ord(name):02x}{place:038x}" for place in range(3)]
    hops = [replace(hop, pool=pool) for hop, pool in zip(OPPORTUNITY.hops, pools, strict=True)]
    hops[-1] = replace(hops[-1], amount_out=hops[0].amount_in + profit)
    return replace(OPPORTUNITY, hops=tuple(hops), gas_estimate=210_000, gas_cost=ADDED + BASE)


def view(*opportunities: Opportunity) -> RiskView:
    return replace(VIEW, proven_pools={pool for each in opportunities for pool in each.pools})


def riders(*opportunities: Opportunity, most: int = 4) -> tuple[list[str], list[Opportunity]]:
    """Which of them go out together, by the first digits of their pools, and at what cost."""
    seen = view(*opportunities)
    verdicts = [ASSESS(each, seen) for each in opportunities]
    approved = [each for each in verdicts if not isinstance(each, Refused)]
    short = [each for each in verdicts if isinstance(each, Refused)]
    assert {each.reason for each in short} <= {RefusalReason.NET_PROFIT_TOO_LOW}
    found = assess_riders(ASSESS, most, short, approved, seen, COSTS)
    sent = side_by_side(approved, most, found)
    assert all(one in approved for each in sent for one in each.apart), "a rider is never tried alone"
    names = ["".join(chr(int(a.opportunity.pools[0][2:4], 16)) for a in each.together) for each in sent]
    return names, [a.opportunity for each in sent for a in each.together]


def test_beside_another_it_pays_what_it_adds() -> None:
    names, chosen = riders(earning(ADDED + 2 * BASE, "a"), earning(ADDED + 1, "b"), earning(ADDED, "c"))
    assert names == ["ab"]
    assert [each.gas_cost for each in chosen] == [ADDED + BASE, ADDED]


def test_those_that_pay_for_a_transaction_only_together_share_it() -> None:
    names, chosen = riders(*(earning(ADDED + BASE * 2 // 5, name) for name in "abc"))
    assert names == ["abc"]
    assert sum(each.gas_cost for each in chosen) == 3 * ADDED + BASE
    assert sum(each.gas_estimate for each in chosen) == 3 * 150_000 + 60_000
    assert min(each.net_profit for each in chosen) > 0
    # What does not even pay for its swaps is left, and the others are asked without it.
    assert riders(*(earning(ADDED + BASE * 2 // 5, name) for name in "abc"), earning(ADDED, "d"))[0] == [
        "abc"
    ]
    assert riders(*(earning(ADDED + BASE * 2 // 5, name) for name in "ab"))[0] == []
    assert riders(*(earning(ADDED + BASE * 2 // 5, name) for name in "abc"), most=2)[0] == []


def test_a_full_transaction_takes_nobody_along() -> None:
    rich = [earning(ADDED + 2 * BASE, name) for name in "ab"]
    assert riders(*rich, earning(ADDED + 1, "c"), most=2)[0] == ["ab"]
    assert riders(*rich, earning(ADDED + 1, "c"), most=1)[0] == ["a", "b"]
    assert [each.together for each in alone([])] == []


@given(
    st.lists(st.integers(1, 10**18), min_size=1, max_size=8), st.integers(0, 10**18), st.integers(0, 10**6)
)
def test_shares_are_the_whole_and_leave_everyone_something_if_all_do(
    surplus: list[int], cost: int, gas: int
) -> None:
    opportunities = [earning(ADDED + more, chr(97 + at)) for at, more in enumerate(surplus)]
    own = [Share(150_000, ADDED)] * len(surplus)
    shared = sharing(opportunities, own, Share(gas, cost))
    assert sum(each.gas_cost - ADDED for each in shared) == cost
    assert sum(each.gas_estimate - 150_000 for each in shared) == gas
    left = [each.net_profit for each in shared]
    # Exact up to the wei that is not divided.
    assert all(each >= 0 for each in left) if sum(surplus) >= cost else min(left) <= 0
