"""Two engines with different keys on one chain: nobody crashes, losing is cheap, every miss has a reason."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from eth_utils import keccak
from living_world import FUNDS_WEI, OPERATOR_KEY, LivingWorld

from engine.app.deploy import FeedListing, deploy
from engine.app.records import open_records
from engine.app.sender import Key
from engine.app.session import open_session
from engine.app.settings import build_settings
from engine.chain.keys import signer_of_key
from engine.domain.describe import chains_of
from engine.domain.events import BlockFinished, BlockSkipped, ExecutionResolved, Fact
from engine.domain.execution import Execution, Outcome
from engine.storage.database import open_database
from engine.storage.queries import LedgerQueries

RIVAL_KEY = keccak(text="app tests rival")


class Competitor:
    """An engine in this process with a key, a router and records of its own."""

    def __init__(self, living: LivingWorld, directory: Path, key: bytes, deployments: Path, bid_wei: int):
        self.signer = signer_of_key(key)
        self.directory = directory
        self.facts: list[Fact] = []
        self.moved = asyncio.Event()
        self.settings = build_settings(
            living.settings(
                directory,
                deployments__directory=str(deployments),
                execution__priority_fee_wei=bid_wei,
                execution__together=1,
            ),
            "test",
        )

    async def enter(self, stack: AsyncExitStack) -> None:
        """Start; everything ends with the stack."""
        settings = self.settings
        self.records = await stack.enter_async_context(
            open_records(settings.storage.directory, 31337, "live", [self.signer.address], lambda error: None)
        )
        key = Key(self.signer, self.records.journals[0])
        self.session = await stack.enter_async_context(open_session(settings, key=key, publish=self.publish))
        self.task = asyncio.create_task(self.session.follow())
        stack.push_async_callback(self.leave)

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def publish(self, fact: Fact) -> None:
        self.records.take(fact)
        self.facts.append(fact)
        self.moved.set()

    def is_done_with(self, block: int) -> bool:
        if self.task.done():
            self.task.result()
        done = (fact for fact in self.facts if isinstance(fact, BlockFinished | BlockSkipped))
        return any(fact.block.number >= block for fact in done)

    async def finished(self, block: int) -> None:
        async with asyncio.timeout(60):
            while not self.is_done_with(block):
                self.moved.clear()
                await self.moved.wait()

    def executions(self) -> list[Any]:
        """What became of its trades."""
        found = [fact.execution for fact in self.facts if isinstance(fact, ExecutionResolved)]
        return [execution for execution in found if execution.intent.kind == "trade"]


def second_deployment(living: LivingWorld, directory: Path) -> Path:
    """Our contracts once more, for the rival's key."""
    rival = signer_of_key(RIVAL_KEY).address
    living.rpc("anvil_setBalance", rival, hex(FUNDS_WEI))
    world, out = living.world, directory / "rival-deployments"
    living.rpc("evm_setAutomine", True)
    try:
        living.wait(
            deploy(
                living.anvil.http_url,
                out,
                operator=rival,
                vault=signer_of_key(keccak(text="app tests rival's vault")).address,
                venues=world.venues,
                feeds=[
                    FeedListing(f.base, f.quote, f.aggregator, f.max_staleness_s, f.min_answer, f.max_answer)
                    for f in world.feeds
                ],
                salt="0x" + keccak(text="rival").hex(),
            )
        )
    finally:
        living.rpc("evm_setAutomine", False)
    living.rpc("anvil_setNextBlockBaseFeePerGas", hex(600_000_000))
    living.rpc("evm_mine")
    return out


@pytest.mark.parametrize("blocks", [12, pytest.param(200, marks=pytest.mark.campaign)])
async def test_two_engines_compete_and_every_miss_has_a_reason(
    living: LivingWorld, tmp_path: Path, blocks: int
) -> None:
    deployments = await asyncio.to_thread(second_deployment, living, tmp_path)
    ours = Competitor(living, tmp_path / "ours", OPERATOR_KEY, living.deployments, 100_000_000)
    rival = Competitor(living, tmp_path / "rival", RIVAL_KEY, deployments, 100_000_000)
    async with AsyncExitStack() as stack:
        for each in (ours, rival):
            await each.enter(stack)
        for number in range(blocks):
            block = await asyncio.to_thread(living.step)
            # Once in a while nobody waits: what is sent then is late.
            if number % 5 != 4:
                await asyncio.gather(*(each.finished(block) for each in (ours, rival)))
        for _ in range(6):
            block = await asyncio.to_thread(living.mine)
            await asyncio.gather(*(each.finished(block) for each in (ours, rival)))
        for each in (ours, rival):
            assert each.session.sender is not None
            assert each.session.sender.in_flight() == 0
    outcomes: Counter[str] = Counter()
    shares: list[float] = []
    for each in (ours, rival):
        for execution in each.executions():
            outcomes[execution.outcome.value] += 1
            if execution.outcome in (Outcome.REVERTED, Outcome.MISSED):
                assert execution.miss is not None, execution
                outcomes[execution.miss.value] += 1
            if execution.outcome is Outcome.REVERTED:
                # It ends before it has done what landing takes.
                landing = int(execution.intent.record["plan"]["simulated_gas"])
                assert execution.gas_used < landing
                shares.append(execution.gas_used / landing)
            if execution.outcome is Outcome.LANDED:
                promised = execution.intent.expected_profit
                if touched_before(living, execution):
                    # It met another state, and the router held it to its least.
                    assert execution.realised_profit >= int(execution.intent.record["plan"]["min_profit"]) > 0
                    outcomes["on another state"] += 1
                else:
                    assert execution.realised_profit == promised
        totals = totals_of(each.directory / "records")
        told = Counter(e.miss.value for e in each.executions() if e.miss is not None)
        assert totals["misses"] == dict(told)
    print(f"\ncompetition over {blocks} blocks: {json.dumps(outcomes)}")
    if shares:
        # A run that loses costs well below one that earns.
        print(f"gas of a revert: {sum(shares) / len(shares):.2f} of a landing's")
        assert sum(shares) / len(shares) < 0.9
    assert outcomes["landed"] > 0
    assert outcomes["outbid"] > 0


def touched_before(living: LivingWorld, execution: Execution) -> bool:
    """Whether anybody else moved a pool of the trade between the state it was built on and itself."""
    pools = [hop["pool"] for chain in chains_of(execution.intent.record) for hop in chain]
    span = {"fromBlock": hex(execution.intent.block_number + 1), "toBlock": hex(execution.block_number)}
    logs = living.rpc("eth_getLogs", {**span, "address": pools})
    places = {
        log["transactionHash"]: (int(log["blockNumber"], 16), int(log["transactionIndex"], 16))
        for log in logs
    }
    return any(place < places[execution.intent.transaction.hash] for place in places.values())


def totals_of(directory: Path) -> dict[str, Any]:
    """The ledger's totals."""
    engine = open_database(directory / "ledger.sqlite", create=False)
    try:
        return LedgerQueries(engine).totals()
    finally:
        engine.dispose()
