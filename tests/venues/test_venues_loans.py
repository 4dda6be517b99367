"""Flash loans of published lenders: which is chosen, what it costs to the wei, and that nobody else can take
one for us."""

from __future__ import annotations

import pytest
from venue_bench import Bench

from benchmarks.gas import sized
from benchmarks.gas_lenders import AAVE, AAVE_PREMIUM_BPS, add_aave, add_morpho
from benchmarks.gas_market import E18, calldata
from engine.app.lenders import LenderBook
from engine.app.settings import LenderSettings
from engine.app.toolchain import project_root
from engine.chain.rpc import connect
from engine.domain.errors import ConfigError
from engine.domain.opportunity import Approved, CheckResult, Opportunity, Refused, TradingState
from engine.execution.commands import Kind
from engine.execution.encoder import decode_stream, encode_stream
from engine.execution.lenders import LOAN_GAS, Lender, cheapest_lender
from engine.execution.planner import Planner, PlanTerms
from engine.risk.chain import RiskChain
from engine.risk.checks import amounts
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView

pytestmark = pytest.mark.skipif(
    not (project_root() / ".build" / "published" / AAVE).is_dir(),
    reason="the published packages were not fetched: run `make setup`",
)
BORROWED = ("curve:04", "curve-dear:04")
THROUGH_BALANCER = ("balancer:04", "curve-dear:04")
STRANGER = "0x" + "5a" * 20


@pytest.fixture(scope="module")
def lenders(world: Bench) -> dict[Kind, Lender]:
    morpho, aave = add_morpho(world.market, 50 * E18), add_aave(world.market, 50 * E18)
    world.lenders = {morpho, aave}
    world.keep()
    return {
        Kind.BALANCER_LOAN: Lender(Kind.BALANCER_LOAN),
        Kind.MORPHO_LOAN: Lender(Kind.MORPHO_LOAN, morpho),
        Kind.AAVE_LOAN: Lender(Kind.AAVE_LOAN, aave, AAVE_PREMIUM_BPS),
    }


def opportunity_of(bench: Bench, pools: tuple[str, ...] = BORROWED) -> Opportunity:
    opportunity = sized(bench.market, pools, bench.block)
    assert opportunity.gross_profit > 0
    return opportunity


def settings(lenders: dict[Kind, Lender]) -> list[LenderSettings]:
    names = {Kind.MORPHO_LOAN: "morpho", Kind.AAVE_LOAN: "aave"}
    return [LenderSettings(kind=name, address=lenders[kind].address) for kind, name in names.items()]


@pytest.mark.parametrize("kind", LOAN_GAS, ids=lambda kind: kind.name)
def test_every_lender_lends_and_is_paid_back_to_the_wei(bench: Bench, lenders: dict, kind: Kind):
    lender, opportunity = lenders[kind], opportunity_of(bench)
    fee = lender.fee(opportunity.amount_in)
    assert (fee > 0) == (kind is Kind.AAVE_LOAN)
    deadline, least = bench.block.timestamp + 600, opportunity.gross_profit - fee
    stream = encode_stream(opportunity, deadline, least, bench.market.pinned, lender)
    bench.run([opportunity], stream, fee)
    bench.reset()
    with pytest.raises(RuntimeError, match="reverted"):
        bench.send(encode_stream(opportunity, deadline, least + 1, bench.market.pinned, lender))


async def test_fees_and_holdings_are_read_and_the_cheapest_is_planned(bench: Bench, lenders: dict):
    """Balancer is free and nearest; over its own pools Morpho; what cannot lend enough is passed over."""
    market, base = bench.market, bench.market.tokens[0]
    async with connect(bench.node.url) as node:
        book = LenderBook(node, settings(lenders), market.pinned, [base])
        await book.open()
        await book.refresh(bench.block)
        assert [lender.kind for lender in book] == list(LOAN_GAS)
        assert [lender.fee_bps for lender in book] == [0, 0, AAVE_PREMIUM_BPS]
        assert [lender.holds[base] for lender in book[1:]] == [50 * E18] * 2
        planner = Planner(market.router, PlanTerms(0), lambda: 0, market.pinned, book)
        for pools, drained, chosen in (
            (BORROWED, (), Kind.BALANCER_LOAN),
            (THROUGH_BALANCER, (), Kind.MORPHO_LOAN),
            (THROUGH_BALANCER, (lenders[Kind.MORPHO_LOAN].address,), Kind.AAVE_LOAN),
        ):
            block = bench.reset()
            for holder in drained:
                bench.drain(holder, base, E18 // 2)
                block = bench.block = market.refresh()
            await book.refresh(block)
            found = planner.finance(opportunity_of(bench, pools))
            lender = cheapest_lender(book, found)
            assert lender is not None
            assert lender.kind is chosen
            assert found.loan_fee == lender.fee(found.amount_in)
            plan = planner.plan(Approved(found, (CheckResult("test", True),)), block)
            assert decode_stream(plan.calldata).commands[0].kind is chosen
            assert plan.expected_profit == found.gross_profit - found.loan_fee
            bench.run([found], plan.calldata, found.loan_fee)
        wrong = LenderBook(node, [LenderSettings(kind="aave", address=market.router)], market.pinned, [base])
        with pytest.raises(ConfigError, match="FLASHLOAN_PREMIUM_TOTAL"):
            await wrong.open()


def test_the_risk_chain_sees_the_fee(bench: Bench, lenders: dict):
    """A profit that the loan's fee eats is refused, with the fee among the numbers."""
    dear = [lenders[Kind.AAVE_LOAN]]
    planner = Planner(bench.market.router, PlanTerms(0), lambda: 0, lenders=dear)
    found = planner.finance(opportunity_of(bench))
    view = RiskView(bench.block, TradingState.ACTIVE, {}, frozenset())
    least = {found.base_token: found.gross_profit}
    verdict = RiskChain(RiskLimits(min_net_profit=least), [amounts.net_profit]).assess(found, view)
    assert isinstance(verdict, Refused)
    numbers = verdict.results[-1].numbers
    assert numbers["loan_fee"] == str(found.loan_fee) != "0"
    assert numbers["net_profit"] == str(found.gross_profit - found.loan_fee)


def test_a_loan_that_a_stranger_takes_for_us_is_refused(bench: Bench, lenders: dict):
    """Aave lends to whomever the caller names, Balancer too; Morpho calls back its own caller only."""
    node, base = bench.node, bench.market.tokens[0]
    node("anvil_setBalance", STRANGER, hex(10**20))
    node("anvil_impersonateAccount", STRANGER)
    router = bench.market.router
    simple = "flashLoanSimple(address,address,uint256,bytes,uint16)"
    vault = "flashLoan(address,address[],uint256[],bytes)"
    for to, data in (
        (lenders[Kind.AAVE_LOAN].address, calldata(simple, router, base, E18, bytes(64), 0)),
        (bench.market.pinned.balancer_vault, calldata(vault, router, [base], [E18], bytes(64))),
    ):
        with pytest.raises(RuntimeError, match="reverted"):
            bench.market.transact({"from": STRANGER, "to": to, "data": "0x" + data.hex()})
    for selector in ("31f57072", "1b11d0ff", "f04f2707"):
        with pytest.raises(RuntimeError, match="reverted"):
            bench.market.transact({"from": STRANGER, "to": router, "data": "0x" + selector + "00" * 256})
