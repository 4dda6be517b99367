"""The joint plan on published bytecode: all of it in one transaction, with exactly the profit planned."""

from __future__ import annotations

import numpy as np
from router_bench import RouterBench

from engine.domain.execution import Pinned
from engine.execution.encoder import Settled, Validity, decode_stream, encode_cycles, encode_plan
from engine.search.costs import GasCosts
from engine.search.finder import Finder
from engine.search.joint_finder import JointFinder


def test_a_joint_plan_lands_in_one_transaction_with_the_profit_planned(bench: RouterBench) -> None:
    bench.refresh()
    market = bench.market
    head = bench.rpc.head()
    market.start(head)
    costs = GasCosts(gas_price_wei=head.base_fee_wei, base_units_per_eth_wei={bench.base: 1})
    finder = JointFinder(market, [bench.base])
    finder.find(None, head, costs)
    outcome = finder.last
    assert outcome is not None
    assert outcome.bound.gap <= 1e-6
    plan = outcome.plan
    assert len(plan) > 1
    pools = [pool for one in plan for pool in one.pools]
    assert len(set(pools)) < len(pools), "the cycles share pools, else they show nothing"
    profit = sum(one.gross_profit for one in plan)
    assert 0.99 * outcome.bound.bound < profit <= outcome.bound.bound
    best = Finder(market, [bench.base], 3).find(None, head, costs, 1)[0]
    assert profit > best.gross_profit
    before = bench.balance(bench.base, bench.router)
    stream = encode_cycles(plan, Validity(head.timestamp + 3_600), profit)
    bench.rpc("anvil_impersonateAccount", bench.operator)
    receipt = bench.transact({"from": bench.operator, "to": bench.router, "data": "0x" + stream.hex()})
    assert receipt["status"] == "0x1"
    assert bench.balance(bench.base, bench.router) - before == profit
    # Nothing is left: the pools stand where the plan brought them.
    bench.refresh()
    rows = np.arange(len(market.pools), dtype=np.int32)
    finder.find(rows, head, costs)
    assert finder.last is not None
    assert finder.last.bound.bound < 0.01 * outcome.bound.bound


def test_what_is_earned_in_another_base_token_is_sold_on_in_the_same_transaction(bench: RouterBench) -> None:
    bench.v2("v2ab", bench.a, bench.b, 5_000, 9_000)
    bench.refresh()
    market = bench.market
    head = bench.rpc.head()
    market.start(head)
    # The first is worth less than pools pay for it, so that the optimum keeps none of it.
    rates = {bench.base: 1, bench.a: 2.3}
    costs = GasCosts(gas_price_wei=head.base_fee_wei, base_units_per_eth_wei=rates)
    finder = JointFinder(market, [bench.base, bench.a])
    finder.find(None, head, costs)
    outcome = finder.last
    assert outcome is not None
    assert outcome.conversions
    assert {one.base_token for one in outcome.plan} == {bench.base, bench.a}
    assert 0.995 < outcome.captured <= 1.0
    profit = outcome.earned[bench.base]
    assert profit > sum(one.gross_profit for one in outcome.plan if one.base_token == bench.base)
    plan = Settled(outcome.plan, bench.base, outcome.conversions)
    router, pinned = bench.deploy_router(bench.base), Pinned(bench.base)
    stream = encode_plan(plan, Validity(head.timestamp + 3_600), profit, pinned)
    assert bench.a in decode_stream(stream).guarded
    bench.rpc("anvil_impersonateAccount", bench.operator)
    receipt = bench.transact({"from": bench.operator, "to": router, "data": "0x" + stream.hex()})
    assert receipt["status"] == "0x1"
    for token in (bench.base, bench.a, bench.b):
        assert bench.balance(token, router) == outcome.earned.get(token, 0)
