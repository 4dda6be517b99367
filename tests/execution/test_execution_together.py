"""Several opportunities in one transaction: the line on a real node, from a block to landed, exact profit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
from router_bench import E18, RouterBench

from engine.app.sender import Sender
from engine.chain.keys import LocalSigner
from engine.chain.logs import token_delta
from engine.chain.rpc import RpcNode
from engine.domain.describe import conversions_of, cycles_of
from engine.domain.errors import ExecutionError
from engine.domain.events import ExecutionResolved, Fact, OpportunityRefused, PlanSubmitted, PlanTakenApart
from engine.domain.execution import Execution, Outcome, Pinned, SimulatedPlan
from engine.domain.ledger import NATIVE
from engine.domain.market import BlockRef, RawBlock
from engine.domain.opportunity import Approved, CheckResult, RefusalReason, TradingState
from engine.execution.encoder import UNKNOWN
from engine.execution.nonces import NonceLane
from engine.execution.planner import Planner, PlanTerms
from engine.execution.simulator import Simulator
from engine.execution.submitter import Submitter
from engine.execution.tracker import Tracker
from engine.ledger.book import entries_of
from engine.ledger.journal import FileJournal
from engine.line.stages import Conditions, Line
from engine.pipeline import Pipeline
from engine.risk.chain import RiskChain
from engine.risk.limits import RiskLimits
from engine.risk.view import RiskView
from engine.search.costs import GasCosts
from engine.search.finder import Finder
from engine.search.joint_finder import JointFinder
from engine.search.strategy import CycleFinder
from engine.storage.database import open_database
from engine.storage.queries import LedgerQueries
from engine.storage.repository import Repository

ONE = Fraction(1)


@dataclass
class Running:
    """A line over the bench's pools and what it said."""

    bench: RouterBench
    node: RpcNode
    signer: LocalSigner
    journal: FileJournal
    facts: list[Fact]
    pinned: Pinned = UNKNOWN

    def pipeline(
        self,
        finder: CycleFinder,
        together: int,
        tokens: Sequence[str] | Mapping[str, float],
        rate: Fraction = ONE,
        quarantined: Mapping[str, str] | None = None,
    ) -> Pipeline:
        bench, market = self.bench, self.bench.market
        bench.refresh()
        market.start(bench.rpc.head())
        lane = NonceLane(int(bench.rpc("eth_getTransactionCount", self.signer.address, "latest"), 16))
        submitter = Submitter(self.node, self.signer, self.journal, lane, 31337)
        tracker = Tracker(self.node, self.journal, submitter, self.signer.address, bench.router, token_delta)

        async def conditions(block: BlockRef) -> Conditions:
            view = RiskView(
                head=block,
                trading_state=TradingState.ACTIVE,
                venues={"v2": True, "v3": True},
                proven_pools=market.pool_row.keys(),
                quarantined=quarantined or {},
                operator_balance_wei=10**21,
                next_base_fee_wei=block.next_base_fee_wei(),
            )
            rates = tokens if isinstance(tokens, Mapping) else dict.fromkeys(tokens, rate)
            return Conditions(view, GasCosts(block.next_base_fee_wei() + 10**8, rates))

        async def nothing(*_: object) -> tuple[()]:
            return ()

        risk = RiskChain(RiskLimits(token_policy="any", token_verdicts="off", require_base_feed=False))
        return Pipeline(
            Line(
                market=market,
                finder=finder,
                conditions=conditions,
                admit=nothing,
                refresh=nothing,
                assess=risk.assess,
                assess_conversion=risk.assess_conversion,
                plan=Planner(
                    bench.router, PlanTerms(priority_fee_wei=10**8), clock=lambda: 0, pinned=self.pinned
                ).plan,
                simulate=Simulator(self.node, self.signer.address).simulate,
                execute=Sender(self.node, self.signer.address, lane, submitter, tracker),
                publish=self.facts.append,
                per_block=32,
                together=together,
            )
        )

    async def two_blocks(self, pipeline: Pipeline) -> list[Execution]:
        """A block that is traded on, and the one that decides."""
        await pipeline.on_block(RawBlock(self.bench.rpc.mine(), []))
        await pipeline.settle(self.bench.rpc.mine())
        return [fact.execution for fact in self.facts if isinstance(fact, ExecutionResolved)]


@pytest.fixture
async def running(bench: RouterBench, signer: LocalSigner, tmp_path: Path) -> AsyncIterator[Running]:
    async with RpcNode(bench.rpc.url) as node:
        with FileJournal(tmp_path / "journal.jsonl") as journal:
            yield Running(bench, node, signer, journal, [])


def assert_exact(running: Running, executions: Sequence[Execution], before: dict[str, int]) -> None:
    """Each landed with what was predicted, and the router holds that more of each token."""
    gained = dict.fromkeys(before, 0)
    for execution in executions:
        intent = execution.intent
        assert execution.outcome is Outcome.LANDED
        assert intent.expected_profit == intent.simulated_profit == execution.realised_profit > 0
        gained[intent.base_token] += execution.realised_profit
    bench = running.bench
    assert {token: bench.balance(token, bench.router) - held for token, held in before.items()} == gained


def held(running: Running, tokens: Iterable[str]) -> dict[str, int]:
    return {token: running.bench.balance(token, running.bench.router) for token in tokens}


async def test_opportunities_side_by_side_land_in_one_transaction_for_each_base_token(
    running: Running, tmp_path: Path
) -> None:
    bench = running.bench
    tokens = [bench.base, bench.a]
    # Something for the second base token, too: pools it trades in alone.
    bench.send(bench.callee, "swap(address,address,bool,int256,uint160)", bench.pools["v3ab"].address,
               bench.owner, True, 200 * E18, 0)  # fmt: skip
    pipeline = running.pipeline(Finder(bench.market, tokens, 3), 4, tokens)
    before = held(running, tokens)
    executions = await running.two_blocks(pipeline)
    assert_exact(running, executions, before)
    sent = [fact.intent for fact in running.facts if isinstance(fact, PlanSubmitted)]
    assert len(sent) == len({intent.base_token for intent in sent})
    cycles = [cycle for intent in sent for cycle in cycles_of(intent.record)]
    assert len(cycles) > len(sent)
    pools = [hop["pool"] for cycle in cycles for hop in cycle]
    assert len(pools) == len(set(pools)), "they share no pool"
    # The ledger knows every opportunity of the transaction, with its own checks.
    engine = open_database(tmp_path / "ledger.sqlite")
    repository, queries = Repository(engine), LedgerQueries(engine)
    run = repository.start_run("live", 31337, "test")
    simulated = [fact.simulated for fact in running.facts if hasattr(fact, "simulated")]
    plans = [each for each in simulated if isinstance(each, SimulatedPlan)]
    repository.put_verdicts(run, plans)
    for execution in executions:
        repository.put_execution(execution, entries_of(execution))
    for plan in plans:
        for each in plan.plan.together:
            found = queries.explain(each.opportunity.id)
            assert found is not None
            assert found["opportunity"]["id"] == each.opportunity.id
            assert found["verdict"] == "simulated"
            assert [check["check"] for check in found["checks"]][-2:] == ["feed_deviation", "simulation"]
            assert found["execution"]["outcome"] == "landed"
    engine.dispose()


async def test_one_transaction_saves_the_gas_of_the_others(bench: RouterBench, signer: LocalSigner) -> None:
    head = bench.rpc.mine()
    chosen = [
        Approved(
            bench.opportunity(names, head, gas_estimate=300_000, gas_cost=1), (CheckResult("test", True),)
        )
        for names in (["v2y", "v2x"], ["v3y", "v3x"], ["v3b", "v2b"])
        if bench.opportunity(names, head).gross_profit > 0
    ]
    planner = Planner(bench.router, PlanTerms(1), clock=lambda: 0)
    async with RpcNode(bench.rpc.url) as node:
        simulator = Simulator(node, signer.address)
        apart = [await simulator.simulate(planner.plan(each, head), head) for each in chosen]
        together = await simulator.simulate(planner.plan(chosen[0], head, chosen[1:]), head)
    assert isinstance(together, SimulatedPlan)
    assert len(chosen) > 1
    gas = [each.gas_used for each in apart if isinstance(each, SimulatedPlan)]
    assert len(gas) == len(chosen)
    assert sum(gas) - together.gas_used >= 21_000 * (len(chosen) - 1)
    assert together.simulated_profit == sum(each.opportunity.gross_profit for each in chosen)


async def test_a_sequence_that_shares_pools_lands_where_it_is_worth_more(running: Running) -> None:
    bench = running.bench
    finder = JointFinder(bench.market, [bench.base])
    pipeline = running.pipeline(finder, 8, [bench.base])
    before = held(running, [bench.base])
    executions = await running.two_blocks(pipeline)
    assert_exact(running, executions, before)
    (execution,) = executions
    pools = [hop["pool"] for cycle in cycles_of(execution.intent.record) for hop in cycle]
    assert len(set(pools)) < len(pools), "the cycles share pools"


def settling(running: Running) -> tuple[JointFinder, dict[str, float]]:
    """Pools in which cycles of two base tokens share pools, a finder of them, and the tokens' rates: the
    second is worth less than pools pay for it, so that its profits are best sold."""
    bench = running.bench
    bench.v2("v2ab", bench.a, bench.b, 5_000, 9_000)
    bench.router, running.pinned = bench.deploy_router(bench.base), Pinned(bench.base)
    tokens = {bench.base: 1, bench.a: 2.3}
    return JointFinder(bench.market, [*tokens], together=8), tokens


async def test_profits_of_two_base_tokens_land_in_one_to_the_wei(running: Running, tmp_path: Path) -> None:
    finder, tokens = settling(running)
    pipeline = running.pipeline(finder, 8, tokens)
    before = held(running, tokens)
    executions = await running.two_blocks(pipeline)
    (execution,) = [each for each in executions if conversions_of(each.intent.record)]
    record = execution.intent.record
    (conversion,) = conversions_of(record)
    cycles = cycles_of(record)
    assert {cycle[0]["token_in"] for cycle in cycles} == {*tokens}
    # What the cycles of one token earn is what is sold, and only the other is left, as much as was booked.
    sold = conversion[0]["token_in"]
    profits = [int(cycle[-1]["amount_out"]) - int(cycle[0]["amount_in"]) for cycle in cycles]
    earned = sum(
        profit for cycle, profit in zip(cycles, profits, strict=True) if cycle[0]["token_in"] == sold
    )
    assert earned == int(conversion[0]["amount_in"]) > 0
    assert execution.intent.base_token == conversion[-1]["token_out"]
    assert_exact(running, executions, before)
    checks = {check["check"] for check in record["conversions"][0]["checks"]}
    assert {"venue", "quarantine", "provenance", "trade_cap", "feed_deviation", "worth_its_gas"} <= checks
    assert {"bought_tokens", "bought_token_verdicts", "bought_base_feed", "bought_pegs"} <= checks
    assert not {"net_profit", "model_error"} & checks
    # Whoever asks about one of the opportunities is told what became of the profit.
    engine = open_database(tmp_path / "ledger.sqlite")
    repository = Repository(engine)
    repository.start_run("live", 31337, "test")
    repository.put_execution(execution, entries_of(execution))
    told = LedgerQueries(engine).explain(record["opportunity"]["id"])
    assert told is not None
    assert told["conversions"] == [each["conversion"] for each in record["conversions"]]
    assert {entry["token"] for entry in told["entries"]} == {execution.intent.base_token, NATIVE}
    engine.dispose()


async def test_a_conversion_that_may_not_be_is_not_sent(running: Running) -> None:
    finder, tokens = settling(running)
    bench = running.bench
    bench.refresh()
    bench.market.start(bench.rpc.head())
    finder.find(None, bench.rpc.head(), GasCosts(10**9, tokens))
    assert finder.last is not None
    assert finder.last.settlement is not None
    first, *also = [Approved(one, ()) for one in finder.last.settlement.opportunities]
    with pytest.raises(ExecutionError, match="leaves"):
        Planner(bench.router, PlanTerms(1)).plan(first, bench.rpc.head(), also)
    pools = {pool: "test" for one in finder.last.settlement.conversions for pool in one.pools}
    pipeline = running.pipeline(finder, 8, tokens, quarantined=pools)
    before = held(running, tokens)
    executions = await running.two_blocks(pipeline)
    assert_exact(running, executions, before)
    assert not any(conversions_of(each.intent.record) for each in executions)


async def test_what_does_not_hold_together_is_sent_one_by_one(running: Running) -> None:
    bench = running.bench
    pipeline = running.pipeline(Finder(bench.market, [bench.base], 2), 4, [bench.base])
    # A trade the market is not told of: every cycle through that pool fails, and with it the whole plan.
    pool = bench.pools["v3x"].address
    bench.send(bench.callee, "swap(address,address,bool,int256,uint160)", pool, bench.owner, True,
               2 * 10**20, 0)  # fmt: skip
    assert bench.market.head is not None
    bench.market.start(bench.rpc.head())
    before = held(running, [bench.base])
    executions = await running.two_blocks(pipeline)
    (apart,) = [fact for fact in running.facts if isinstance(fact, PlanTakenApart)]
    assert len(apart.opportunities) == len(executions) + 1 > 2
    assert_exact(running, executions, before)
    reasons = (RefusalReason.SIMULATION_REVERTED, RefusalReason.SIMULATION_MISMATCH)
    refused = [fact.refused for fact in running.facts if isinstance(fact, OpportunityRefused)]
    failed = [each for each in refused if each.reason in reasons]
    assert {pool in each.opportunity.pools for each in failed} == {True}
    assert all(len(cycles_of(each.intent.record)) == 1 for each in executions)


def test_approved_is_what_a_plan_is_made_of(bench: RouterBench) -> None:
    head = bench.rpc.mine()
    names = (["v2y", "v2x"], ["v3y", "v3x"])
    first, second = (
        Approved(bench.opportunity(each, head, gas_estimate=9, gas_cost=9), ()) for each in names
    )
    plan = Planner(bench.router, PlanTerms(1)).plan(first, head, [second])
    assert plan.together == (first, second)
    assert plan.expected_profit == first.opportunity.gross_profit + second.opportunity.gross_profit
    assert plan.min_profit == plan.expected_profit
    assert plan.pools == {*first.opportunity.pools, *second.opportunity.pools}


@pytest.mark.parametrize("together", [1, 4])
async def test_what_pays_for_no_transaction_of_its_own_rides_in_anothers(
    running: Running, together: int
) -> None:
    bench = running.bench
    finder = Finder(bench.market, [bench.base], 2)
    bench.refresh()
    head = bench.rpc.head()
    first, *rest = finder.find(None, head, GasCosts(), 32, None)
    costs = GasCosts(1, {bench.base: 1})
    swaps = {each: costs.swap_gas(hop.protocol for hop in each.hops) for each in (first, *rest)}
    pays = {each: Fraction(each.gross_profit, costs.base_gas + swaps[each]) for each in swaps}
    second = next(e for e in rest if not set(e.pools) & set(first.pools) and pays[e] < pays[first])
    # So dear that the second earns what its swaps cost, and not what a transaction does.
    per_gas = (pays[second] + min(pays[first], Fraction(second.gross_profit, swaps[second]))) / 2
    assert swaps[second] * per_gas < second.gross_profit < (costs.base_gas + swaps[second]) * per_gas
    assert (costs.base_gas + swaps[first]) * per_gas < first.gross_profit
    # Nothing else may go.
    others = bench.market.pool_row.keys() - {*first.pools, *second.pools}
    gas_price = bench.rpc.mine().next_base_fee_wei() + 10**8
    pipeline = running.pipeline(
        finder, together, [bench.base], per_gas / gas_price, dict.fromkeys(others, "left out")
    )
    before = held(running, [bench.base])
    executions = await running.two_blocks(pipeline)
    assert_exact(running, executions, before)
    (execution,) = executions
    cycles = cycles_of(execution.intent.record)
    assert [len(cycle) for cycle in cycles] == [2] * min(together, 2)
    refused = [fact.refused for fact in running.facts if isinstance(fact, OpportunityRefused)]
    assert any(each.opportunity.pools == second.pools for each in refused) == (together == 1)
