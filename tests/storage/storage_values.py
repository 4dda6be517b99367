"""Verdicts and executions to store."""

from __future__ import annotations

from engine.domain.describe import describe_opportunity, describe_results
from engine.domain.execution import Execution, Intent, Outcome, Plan, SignedTransaction, SimulatedPlan
from engine.domain.market import BlockRef, Protocol
from engine.domain.opportunity import Approved, CheckResult, Hop, Opportunity, RefusalReason, Refused

BASE, OTHER = "0x" + "11" * 20, "0x" + "22" * 20
POOLS = ("0x" + "aa" * 20, "0x" + "bb" * 20)


def opportunity(block: int = 1, amount_in: int = 10**18, profit: int = 2**200) -> Opportunity:
    ref = BlockRef(block, f"0x{block:064x}", "0x" + "00" * 32, 1_700_000_000)
    hops = (
        Hop(POOLS[0], Protocol.UNISWAP_V2, "v2", BASE, OTHER, amount_in, 7, 3000),
        Hop(POOLS[1], Protocol.UNISWAP_V3, "v3", OTHER, BASE, 7, amount_in + profit, 500),
    )
    return Opportunity(ref, BASE, hops, gas_estimate=200_000, gas_cost=10**15)


def approved(of: Opportunity) -> Approved:
    return Approved(of, (CheckResult("age", True, None, {"age_blocks": "0"}),))


def refused(of: Opportunity) -> Refused:
    last = CheckResult("tokens", False, RefusalReason.TOKEN_NOT_ALLOWED, {"unlisted": OTHER})
    return Refused(of, (*approved(of).results, last))


def simulated(of: Opportunity) -> SimulatedPlan:
    plan = Plan(approved(of), "0x" + "99" * 20, b"\x01\x02", of.gross_profit, 1_700_000_036, 300_000, 30, 2)
    proof = CheckResult("simulation", True, None, {"gas_used": "150000"})
    return SimulatedPlan(plan, of.block, of.gross_profit, 150_000, (*approved(of).results, proof))


def execution(of: Opportunity, outcome: Outcome, nonce: int, realised: int | None = None) -> Execution:
    plan = simulated(of)
    landed = outcome is Outcome.LANDED
    intent = Intent(
        id=f"{nonce:016x}",
        kind="trade",
        chain_id=1,
        block_number=of.block.number,
        base_token=BASE,
        expected_profit=of.gross_profit,
        simulated_profit=of.gross_profit,
        deadline=1_700_000_036,
        max_fee_wei=30,
        priority_fee_wei=2,
        transaction=SignedTransaction("0x" + "ee" * 20, nonce, f"0x{nonce:064x}", b"\x02\x03"),
        record={
            "opportunity": describe_opportunity(of),
            "checks": describe_results(plan.results),
            "plan": {"router": plan.plan.router},
        },
    )
    return Execution(
        intent,
        outcome,
        block_number=of.block.number + 1 if landed else 0,
        block_hash="0x" + "0b" * 32 if landed else "",
        realised_profit=(of.gross_profit if realised is None else realised) if landed else 0,
        gas_used=150_000 if landed else 0,
        effective_gas_price_wei=10**10 if landed else 0,
    )
