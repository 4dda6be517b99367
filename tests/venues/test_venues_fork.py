"""A fork of a chain whose table names V4's manager and Balancer's vaults: the router pins what is there, and
cycles over them are executed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from venue_bench import Bench, Node

from benchmarks.gas import sized
from engine.app.deploy import present
from engine.app.forking import Universe, deploy_on_fork
from engine.app.simulate.chain_table import load_chain_table
from engine.app.world.node import AnvilOptions, AnvilProcess
from engine.chain.deployments import check, read_manifests
from engine.chain.routers import read_router
from engine.chain.rpc import connect
from engine.domain.execution import Pinned
from engine.domain.opportunity import Approved, CheckResult
from engine.execution.planner import Planner, PlanTerms

CHAIN_ID = 31337
CYCLES = (
    ("v4:01a", "v4:01b"),
    ("v3:04a", "v4:04"),
    ("v2:04a", "balancer:04"),
    ("v3:04a", "balancer-v3:04"),
    ("curve:04", "curve-dear:04"),
)


def table_of(bench: Bench, folder: Path) -> Path:
    """A chain's table as they are in `deployments/chains`, of a venue without an init code hash."""
    pinned = bench.market.pinned
    lines = [f"chain_id = {CHAIN_ID}"]
    lines += [f'{name} = "{getattr(pinned, name)}"' for name in Pinned.__dataclass_fields__]
    lines += [f'base_tokens = [{{ address = "{pinned.wrapped_native}", symbol = "WETH", decimals = 18 }}]']
    lines += ["[[venues]]", 'name = "Uniswap V4"', 'protocol = "uniswap-v4"']
    lines += [f'factory = "{pinned.pool_manager}"']
    path = folder / "chain.toml"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def fork(world: Bench) -> Iterator[AnvilProcess]:
    world.reset()
    options = AnvilOptions(chain_id=CHAIN_ID, fork_url=world.node.url)
    with AnvilProcess(options) as anvil:
        yield anvil


@pytest.mark.timeout(120)
async def test_v4_and_balancer_cycles_are_executed_on_a_fork(
    world: Bench, fork: AnvilProcess, tmp_path: Path
):
    market = world.market
    table = load_chain_table(CHAIN_ID, table_of(world, tmp_path))
    assert table.pinned == market.pinned
    universe = Universe(table.venues, (), table.pinned)
    native = str(table.pinned.wrapped_native)
    operator = await deploy_on_fork(fork, universe, tmp_path, native)
    async with connect(fork.http_url) as node:
        deployment = await check(node, read_manifests(tmp_path, CHAIN_ID))
        pinned = (await read_router(node, deployment.router)).pinned
        assert pinned == table.pinned
        # What is not on the chain yet is not pinned.
        assert await present(node, replace(pinned, pool_manager="0x" + "77" * 20)) == replace(
            pinned, pool_manager=None
        )
    market.node.url, market.router = fork.http_url, deployment.router
    local = Node(fork.http_url)
    local("anvil_impersonateAccount", operator.address)
    planner = Planner(deployment.router, PlanTerms(0), lambda: 0, pinned)
    for pools in CYCLES:
        opportunity = sized(market, pools, market.refresh())
        assert opportunity.gross_profit > 0, pools
        plan = planner.plan(Approved(opportunity, (CheckResult("test", True),)), opportunity.block)
        held = world.held(native)
        world.send(plan.calldata, operator.address)
        assert world.held(native) - held == opportunity.gross_profit, pools
