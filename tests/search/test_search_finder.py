"""The finder's behaviour beside its arithmetic: increments, quarantine, ranking, hostile states."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
from search_reference import (
    BLOCK,
    Pool,
    QuickV3Pool,
    all_cycles,
    best_profit,
    check_execution,
    from_market,
    random_pools,
    to_market,
    token_address,
)

from engine.amm.layout import EVENT_V2_SYNC, MAX_SQRT_RATIO, MIN_SQRT_RATIO, allocate_events, int_to_limbs
from engine.domain.errors import MarketError
from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.domain.opportunity import Opportunity
from engine.market.market import Market
from engine.search.costs import GasCosts
from engine.search.disjoint import choose_disjoint
from engine.search.finder import Finder
from engine.search.valuation import est_base_units_per_wei

UINT112 = (1 << 112) - 1


def child(parent: BlockRef) -> BlockRef:
    number = parent.number + 1
    return BlockRef(number, f"0x{number:064x}", parent.hash, parent.timestamp + 12)


def by_cycle(found: list[Opportunity]) -> dict[tuple[str, ...], int]:
    return {(o.base_token, *o.pools): o.gross_profit for o in found}


@pytest.mark.parametrize("max_hops", [2, 3, 4])
def test_incremental_search_equals_a_full_one_on_the_changed_pools(max_hops: int) -> None:
    rng = random.Random(max_hops)
    pools = random_pools(rng, 8, 40, 0.0, 0.01)
    market = to_market(pools, 8)
    finder = Finder(market, [token_address(0), token_address(3)], max_hops)
    finder.find(None, BLOCK)
    for _ in range(15):
        changed = sorted(rng.sample(range(len(pools)), 3))
        events = allocate_events(3)
        for n, row in enumerate(changed):
            events.kind[n], events.pool[n] = EVENT_V2_SYNC, row
            old = pools[row].reserves
            assert old is not None
            events.a[n] = int_to_limbs(min(UINT112, int(old[0] * rng.uniform(0.9, 1.1)) + 1))
            events.b[n] = int_to_limbs(old[1])
        block = child(market.head)
        rows = market.apply(block, events)
        assert rows.tolist() == changed
        increment = by_cycle(finder.find(rows, block))
        full = by_cycle(Finder(market, finder.base_tokens, max_hops).find(None, block))
        touched = {market.pools[row].address for row in changed}
        assert increment == {cycle: gain for cycle, gain in full.items() if touched & set(cycle[1:])}


def test_a_quarantined_pool_is_in_no_opportunity() -> None:
    pools = random_pools(random.Random(4), 5, 16, 0.3, 0.05)
    market = to_market(pools, 5)
    finder = Finder(market, [token_address(0)], 3)
    found = finder.find(None, BLOCK)
    hidden = found[0].pools[0]
    market.quarantine(market.pool_row[hidden], "test")
    again = finder.find(None, BLOCK)
    assert by_cycle(again) == {c: g for c, g in by_cycle(found).items() if hidden not in c}
    market.release(market.pool_row[hidden])
    assert finder.find(None, BLOCK) == found


def test_pools_added_later_are_found_without_a_rebuild() -> None:
    """Into a pair that exists, as a new pair of known tokens, and with a token nobody knew."""
    pools = random_pools(random.Random(9), 5, 8, 0.0, 0.05)
    market = to_market(pools, 5)
    bases = [token_address(0), token_address(3)]
    finder = Finder(market, bases, 4)
    finder.find(None, BLOCK)
    rng = random.Random(10)
    for n in range(30):
        if n % 5 == 4:
            market.add_token(Token(token_address(len(market.tokens)), "NEW", 18))
        first, second = sorted(rng.sample(range(len(market.tokens)), 2))
        tokens = (token_address(first), token_address(second))
        row = market.add_pool(PoolRecord(token_address(900 + n), Protocol.UNISWAP_V2, "", tokens, 3000))
        market.set_v2(row, int(10**21 * rng.uniform(0.5, 2)), 10**21)
        increment = by_cycle(finder.find(np.array([row], np.int32), BLOCK))
        fresh = Finder(market, bases, 4)
        full = by_cycle(fresh.find(None, BLOCK))
        assert finder.candidates_count == fresh.candidates_count
        assert increment == {cycle: gain for cycle, gain in full.items() if token_address(900 + n) in cycle}
        assert by_cycle(finder.find(None, BLOCK)) == full


def test_a_cycle_through_two_base_tokens_is_reported_once_from_the_better() -> None:
    pools = [Pool((0, 1), 3000, (10**21, 10**21)), Pool((0, 1), 3000, (10**21, 2 * 10**21))]
    market = to_market(pools, 2)
    finder = Finder(market, [token_address(0), token_address(1)], 2)
    assert finder.candidates_count == 4
    for dear in (0, 1):
        rates = {token_address(dear): Fraction(1), token_address(1 - dear): Fraction(1000)}
        found = finder.find(None, BLOCK, GasCosts(base_units_per_eth_wei=rates))
        assert [o.base_token for o in found] == [token_address(dear)]


def test_ranking_is_by_net_profit_in_the_native_coin() -> None:
    pools = random_pools(random.Random(21), 6, 30, 0.4, 0.02)
    market = to_market(pools, 6)
    rates = {token_address(0): Fraction(1), token_address(1): 2.5e-3}
    costs = GasCosts(gas_price_wei=3 * 10**9, base_units_per_eth_wei=rates)
    bases = [token_address(k) for k in (0, 1, 2)]
    found = Finder(market, bases, 3).find(None, BLOCK, costs)
    assert len({o.base_token for o in found}) > 1
    values = [costs.value_wei(o.base_token, o.net_profit) for o in found]
    priced = [value for value in values if value is not None]
    assert priced == sorted(priced, reverse=True)
    assert values[: len(priced)] == priced
    for o in found:
        gas = 60_000 + sum(65_000 if hop.protocol is Protocol.UNISWAP_V2 else 95_000 for hop in o.hops)
        assert o.gas_estimate == gas
        rate = Fraction(rates.get(o.base_token, 0))
        assert o.gas_cost - 1 < gas * costs.gas_price_wei * rate <= o.gas_cost
        assert o.net_profit == o.gross_profit - o.gas_cost
    assert Finder(market, bases, 3).find(None, BLOCK, costs, limit=4) == found[:4]
    floor = found[0].gross_profit
    rich = Finder(market, bases, 3, min_profit=floor).find(None, BLOCK, costs)
    assert all(o.gross_profit >= floor for o in rich)


def test_disjoint_choice_shares_no_pool() -> None:
    found = Finder(to_market(random_pools(random.Random(5), 6, 30, 0.2, 0.05), 6), [token_address(0)]).find(
        None, BLOCK
    )
    chosen = choose_disjoint(found)
    used = [pool for o in chosen for pool in o.pools]
    assert chosen[0] == found[0]
    assert len(used) == len(set(used))
    for o in found:
        assert o in chosen or set(o.pools) & set(used)
    assert choose_disjoint(found, limit=1) == found[:1]
    assert all(found[0].pools[0] not in o.pools for o in choose_disjoint(found, occupied=[found[0].pools[0]]))


def test_wrong_arguments_are_refused() -> None:
    market = to_market([Pool((0, 1), 3000, (5, 5))], 2)
    for hops in (1, 5):
        with pytest.raises(MarketError):
            Finder(market, [token_address(0)], hops)
    with pytest.raises(MarketError):
        Finder(market, [token_address(7)], 3)
    assert Finder(market, [], 3).find(None, BLOCK) == []
    assert Finder(market, [token_address(0)], 4).candidates_count == 0
    assert Finder(Market(), [], 3).find(None, BLOCK) == []


HOSTILE_V2 = [0, 1, 2, 3, 10**6, 10**18, UINT112 - 1, UINT112]


@pytest.mark.parametrize("seed", range(6))
def test_extreme_reserves(seed: int) -> None:
    """Zero, one-sided, dust and full pools: nothing overflows, and brute force finds no more."""
    rng = random.Random(seed)
    pools = []
    for _ in range(24):
        first, second = sorted(rng.sample(range(4), 2))
        fee = rng.choice([0, 1, 3000, 999_999])
        pools.append(Pool((first, second), fee, (rng.choice(HOSTILE_V2), rng.choice(HOSTILE_V2))))
    market = to_market(pools, 4)
    found = {
        check_execution(pools, market, o): o.gross_profit
        for o in Finder(market, [token_address(0)], 3).find(None, BLOCK)
    }
    for cycle in all_cycles(pools, 0, 3):
        assert found.get(cycle, 0) >= best_profit(pools, cycle), cycle


def test_extreme_v3_states() -> None:
    states = [
        QuickV3Pool(MIN_SQRT_RATIO, -887272, 0, 3000, 60),
        QuickV3Pool(MIN_SQRT_RATIO, -887272, (1 << 128) - 1, 3000, 60),
        QuickV3Pool(MAX_SQRT_RATIO - 1, 887271, 10**20, 100, 1),
        QuickV3Pool(MAX_SQRT_RATIO - 1, 887271, 0, 100, 1, {887270: 10**20}),
        QuickV3Pool(1 << 96, 0, 1, 500, 10, {-10: 1, 10: -1}),
        QuickV3Pool(1 << 96, 0, 0, 500, 10, {60: 10**18, 120: -(10**18)}),
        QuickV3Pool(3 << 96, 21974, (1 << 128) - 1, 0, 1, {21970: (1 << 126), 21980: -(1 << 126)}),
        QuickV3Pool(1 << 96, 0, 10**18, 999_999, 200),
    ]
    pools = [Pool((0, 1), state.fee_pips, v3=state) for state in states]
    pools += [Pool((0, 1), 3000, (10**20, 10**20)), Pool((0, 1), 3000, (1, UINT112))]
    market = to_market(pools, 2)
    found = {
        check_execution(pools, market, o): o.gross_profit
        for o in Finder(market, [token_address(0)], 2).find(None, BLOCK)
    }
    assert found


def test_an_uninitialised_pool_is_in_no_opportunity() -> None:
    market = to_market([Pool((0, 1), 3000, (10**20, 10**20))], 2)
    tokens = (token_address(0), token_address(1))
    for n, protocol in ((5, Protocol.UNISWAP_V2), (6, Protocol.UNISWAP_V3)):
        spacing = 10 if protocol is Protocol.UNISWAP_V3 else 0
        market.add_pool(PoolRecord(token_address(n), protocol, "", tokens, 500, spacing))
    assert Finder(market, [token_address(0)], 2).find(None, BLOCK) == []


def test_quotes_stay_inside_the_known_ticks() -> None:
    """A pool known only around its price is used up to there and not beyond."""
    wide = QuickV3Pool(1 << 96, 0, 10**18, 500, 10, {-887270: 10**18, 887270: -(10**18)})
    cheap = Pool((0, 1), 3000, (10**24, 3 * 10**24))
    market = to_market([Pool((0, 1), 500, v3=wide), cheap], 2)
    free = Finder(market, [token_address(0)], 2).find(None, BLOCK)[0]
    ticks = [(-10, 10**18), (10, -(10**18))]
    market.set_v3(0, 1 << 96, 10**18, 0, ticks, known_low=-10, known_high=10)
    tight = Finder(market, [token_address(0)], 2).find(None, BLOCK)[0]
    assert 0 < tight.gross_profit < free.gross_profit
    pools = from_market(to_market([Pool((0, 1), 500, v3=wide), cheap], 2))
    check_execution(pools, market, tight)
    # Nearly all of the range's liquidity is bought: the sizing went to the edge.
    assert tight.hops[-1].amount_in > 10**18 * 0.0005 * 0.99


def test_hundreds_of_parallel_pools() -> None:
    rng = random.Random(6)
    pools = [Pool((0, 1), 3000, (10**21, int(10**21 * rng.uniform(0.99, 1.01)))) for _ in range(300)]
    market = to_market(pools, 2)
    finder = Finder(market, [token_address(0)], 4)
    assert finder.candidates_count == 300 * 299
    for o in finder.find(None, BLOCK, limit=20):
        check_execution(pools, market, o)


def test_valuation_takes_the_deepest_pool() -> None:
    market = Market()
    for k in range(3):
        market.add_token(Token(token_address(k), f"T{k}", 18))
    rows = {}
    for n, (tokens, reserves) in enumerate(
        [((0, 1), (10**20, 2 * 10**11)), ((0, 1), (10**18, 5 * 10**9)), ((1, 2), (10**9, 10**9))]
    ):
        names = (token_address(tokens[0]), token_address(tokens[1]))
        rows[n] = market.add_pool(PoolRecord(token_address(50 + n), Protocol.UNISWAP_V2, "", names, 3000))
        market.set_v2(rows[n], *reserves)
    rates = est_base_units_per_wei(market, token_address(0), [token_address(k) for k in range(3)])
    assert rates == {token_address(0): 1.0, token_address(1): 2e-9}
