"""What the line decides on: the state after a block's outcomes, however quickly the node answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from engine.domain.execution import Execution, Intent, SimulatedPlan
from engine.domain.market import BlockRef, PoolRecord, Protocol, RawBlock, Token
from engine.domain.opportunity import Approved, CheckResult, Opportunity, RefusalReason, Refused, TradingState
from engine.line.stages import Conditions, Line
from engine.market.market import Market
from engine.pipeline import Pipeline
from engine.risk.view import RiskView
from engine.search.costs import GasCosts
from engine.search.finder import Finder

WETH, DAI = f"0x{1:040x}", f"0x{2:040x}"
POOLS = (f"0x{11:040x}", f"0x{12:040x}")
START = BlockRef(1, "0x" + "01" * 32, "0x" + "00" * 32, 1)
NEXT = BlockRef(2, "0x" + "02" * 32, START.hash, 2)


class Outcomes:
    """A sender whose trade on the first pool lands in the block, once the chain was asked; on the second one
    another still waits."""

    def __init__(self) -> None:
        self._pools = set(POOLS)

    @property
    def in_flight_pools(self) -> frozenset[str]:
        return frozenset(self._pools)

    async def submit(self, simulated: SimulatedPlan) -> Intent | Execution:
        raise AssertionError("nothing is approved")

    async def on_block(self, block: BlockRef) -> list[Execution]:
        await asyncio.sleep(0.02)
        self._pools.discard(POOLS[0])
        return []


def market() -> Market:
    made = Market()
    for address in (WETH, DAI):
        made.add_token(Token(address, "TKN", 18))
    made.start(START)
    for pool, reserve in zip(POOLS, (10**21, 11 * 10**20), strict=True):
        record = PoolRecord(pool, Protocol.UNISWAP_V2, "v2", (WETH, DAI), 3_000)
        made.set_v2(made.add_pool(record), 10**21, reserve)
    return made


@pytest.mark.parametrize("delay_s", [0.0, 0.05])
async def test_what_landed_in_a_block_is_no_longer_in_flight(delay_s: float) -> None:
    sender, pools, seen = Outcomes(), market(), []

    async def conditions(block: BlockRef) -> Conditions:
        await asyncio.sleep(delay_s)
        view = RiskView(
            head=block,
            trading_state=TradingState.ACTIVE,
            venues={"v2": True},
            proven_pools=pools.pool_row.keys(),
            quarantined={},
            allowed_tokens=frozenset((WETH, DAI)),
            decimals={},
            feeds={},
            in_flight_pools=frozenset(),
            operator_balance_wei=0,
            next_base_fee_wei=0,
            priority_fee_wei=0,
        )
        return Conditions(view, GasCosts())

    def assess(opportunity: Opportunity, view: RiskView) -> Approved | Refused:
        seen.append(view.in_flight_pools)
        return Refused(opportunity, (CheckResult("test", False, RefusalReason.TOO_OLD),))

    async def admit(raw: RawBlock) -> Sequence[int]:
        return ()

    async def never(*_: object) -> None:
        raise AssertionError("nothing is approved")

    line = Line(
        market=pools,
        finder=Finder(pools, [WETH]),
        conditions=conditions,
        admit=admit,
        refresh=never,  # type: ignore[arg-type]
        assess=assess,
        plan=lambda approved, block, also: pytest.fail("nothing is approved"),
        simulate=never,  # type: ignore[arg-type]
        execute=sender,
        publish=lambda fact: None,
        per_block=8,
    )
    finished = await Pipeline(line).on_block(RawBlock(NEXT, []))
    assert finished is not None
    assert finished.found == len(seen) > 0
    assert set(seen) == {frozenset(POOLS[1:])}
