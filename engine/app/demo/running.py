"""Composes the demo: world, deployment by Ape, session, seeded blocks, report."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from eth_utils import keccak

from engine.app.conditions import exchange_rates
from engine.app.demo.report import Tally
from engine.app.deploy import FeedListing, deploy
from engine.app.lifecycle import wait_cancelled
from engine.app.records import open_records
from engine.app.sender import Key
from engine.app.session import Session, open_session
from engine.app.settings import Settings, build_settings
from engine.app.world.demo_driver import run_blocks
from engine.app.world.node import AnvilProcess
from engine.app.world.world import World, node_options
from engine.chain.feeds import read_feeds
from engine.chain.keys import LocalSigner, signer_of_key
from engine.domain.events import BlockFinished, BlockSkipped, Fact
from engine.domain.execution import Pinned
from engine.domain.market import BlockRef

_OPERATOR_FUNDS_WEI = 10 * 10**18
# Above everybody else's bid, so that the engine's transaction comes first in its block.
_PRIORITY_FEE_WEI = 100_000_000

Say = Callable[[str], None]
Watch = Callable[[Fact], None]


@dataclass(frozen=True, slots=True)
class DemoRun:
    """What to run: so many blocks of the world that `seed` gives, with records in `directory`."""

    blocks: int
    seed: int
    directory: Path


class _Gate:
    """Lets the driver wait until the line is done with a block."""

    def __init__(self, start: int):
        self._done = start
        self._moved = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, fact: Fact) -> None:
        if isinstance(fact, BlockFinished | BlockSkipped):
            task = asyncio.get_running_loop().create_task(self._advance(fact.block.number))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _advance(self, number: int) -> None:
        async with self._moved:
            self._done = max(self._done, number)
            self._moved.notify_all()

    async def wait(self, number: int) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._done >= number)


def _account(seed: int, role: str) -> LocalSigner:
    """A play-money key that the seed determines."""
    return signer_of_key(keccak(text=f"roundtrip demo {role} {seed}"))


def _settings(run: DemoRun, world: World, anvil: AnvilProcess) -> Settings:
    return build_settings(
        {
            "chain": {
                "chain_id": anvil.options.chain_id,
                "rpc_url": anvil.ws_url,
                # It is our own node.
                "requests_per_second": 1_000_000,
            },
            "deployments": {"directory": run.directory / "deployments"},
            "market": {"base_tokens": world.base_tokens, "wrapped_native": world.wrapped_native},
            "risk": {"allowed_tokens": world.allowed_tokens},
            # A transaction for each cycle, so that the report can hold every one to what it promised.
            "execution": {"live": True, "priority_fee_wei": _PRIORITY_FEE_WEI, "together": 1},
            "storage": {"directory": run.directory},
        },
        "demo",
    )


async def run_demo(run: DemoRun, say: Say, watch: Watch) -> dict[str, Any]:
    """Run the demo and return its report. Everything started is stopped at the end, however it comes.

    `say` hears each phase, `watch` every fact of the line.
    """
    shutil.rmtree(run.directory, ignore_errors=True)
    run.directory.mkdir(parents=True)
    say("starting a local node")
    with AnvilProcess(node_options()) as anvil:
        say("deploying tokens, pools and feeds from published bytecode")
        world = await World.create(anvil, run.seed)
        try:
            return await _trade(run, world, anvil, say, watch)
        finally:
            await world.close()


async def _trade(run: DemoRun, world: World, anvil: AnvilProcess, say: Say, watch: Watch) -> dict[str, Any]:
    operator, vault = _account(run.seed, "operator"), _account(run.seed, "vault")
    say(f"{len(world.pools)} pools of {len(world.tokens)} tokens are up; deploying our contracts with Ape")
    await world.node.request("anvil_setBalance", [operator.address, hex(_OPERATOR_FUNDS_WEI)])
    settings = _settings(run, world, anvil)
    await deploy(
        anvil.http_url,
        settings.deployments.directory,
        operator=operator.address,
        vault=vault.address,
        pinned=Pinned(world.wrapped_native),
        venues=world.venues,
        feeds=[
            FeedListing(f.base, f.quote, f.aggregator, f.max_staleness_s, f.min_answer, f.max_answer)
            for f in world.feeds
        ],
    )
    head = await world.open_market()
    say("preparing the compiled kernels")
    from engine.app.kernels import warm_kernels

    await asyncio.to_thread(warm_kernels)
    tally, gate = Tally(), _Gate(head.number)
    chain_id = settings.chain.chain_id
    errors: list[Exception] = []
    async with open_records(
        settings.storage.directory, chain_id, "demo", [operator.address], errors.append
    ) as records:
        listeners = (records.take, tally.take, gate.take, watch)

        def publish(fact: Fact) -> None:
            for listener in listeners:
                listener(fact)

        key = Key(operator, records.journals[0])
        say("reading the market from the node")
        async with open_session(settings, key=key, publish=publish) as session:
            await _run_blocks(run, world, session, gate)
            records.repository.put_tokens(chain_id, session.market.tokens)
            records.reconcile()
            rates = await _rates(world, session, settings)
            return tally.as_report(
                {
                    "chain_id": chain_id,
                    "seed": run.seed,
                    "pools": session.market.pool_count,
                    "tokens": len(session.market.tokens),
                    "contracts": _contracts(session, operator.address, vault.address),
                    "base_tokens": [
                        {"address": token.address, "symbol": token.symbol, "decimals": token.decimals}
                        for token in session.market.tokens
                        if token.address in world.base_tokens
                    ],
                    "wei_per_base_unit": {token: 1 / rate for token, rate in rates.items()},
                }
            )


async def _run_blocks(run: DemoRun, world: World, session: Session, gate: _Gate) -> None:
    """Traders and engine take turns; then one more block settles what was sent last."""
    follow = asyncio.create_task(session.follow(run.blocks))

    async def drive() -> BlockRef:
        await run_blocks(world, run.blocks, gate.wait)
        await gate.wait(world.head.number)
        return await world.mine()

    driving = asyncio.create_task(drive())
    try:
        done, _ = await asyncio.wait({follow, driving}, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
        last = driving.result()
    finally:
        await wait_cancelled(driving)
        await wait_cancelled(follow)
    assert session.pipeline is not None
    await session.pipeline.settle(last)


async def _rates(world: World, session: Session, settings: Settings) -> dict[str, Fraction]:
    feeds = await read_feeds(
        session.node, session.deployment.price_feed_registry, world.base_tokens, world.head.hash
    )
    return exchange_rates(session.market.tokens, feeds, settings.market.wrapped_native)


def _contracts(session: Session, operator: str, vault: str) -> dict[str, str]:
    deployment = session.deployment
    return {
        "AccessManager": deployment.access_manager,
        "ArbitrageRouter": deployment.router,
        "DexRegistry": deployment.dex_registry,
        "PriceFeedRegistry": deployment.price_feed_registry,
        "operator": operator,
        "vault": vault,
    }
