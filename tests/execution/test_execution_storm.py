"""Everything that can happen to what was sent, in seeded disorder: chain, journal and ledger agree."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from bundle_relay import serve_relay
from coincurve import PrivateKey
from router_bench import RouterBench
from storm import ACTIONS, Storm

from engine.chain.keys import LocalSigner
from engine.chain.relays import RelayChannel, known_relays
from engine.chain.rpc import RpcNode
from engine.domain.execution import Outcome
from engine.execution.nonces import ForeignNonce
from engine.execution.recovery import recover
from engine.ledger.journal import FileJournal, read_executions

IDENTITY = PrivateKey(b"\x09" * 32)
# How a relay may behave besides as it should.
UNRULY = (
    "drop",
    "delay",
    "leak",
    "unbundle",
    "equivocate",
    "duplicate",
    "refuse",
    "busy",
    "broken",
    "wrong_hash",
    "silent",
    "cut",
    "flood",
)


def seeds(usual: int, campaign: int) -> list[Any]:
    """The first `usual` seeds, and in campaigns those up to `campaign`."""
    rest = range(usual + 1, campaign + 1)
    return [*range(1, usual + 1), *(pytest.param(n, marks=pytest.mark.campaign) for n in rest)]


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.campaign) for n in range(2, 61))])
async def test_chain_journal_and_ledger_agree_after_any_disorder(
    bench: RouterBench, signer: LocalSigner, tmp_path: Path, seed: int
) -> None:
    async with RpcNode(bench.rpc.url) as node:
        storm = Storm(bench, node, signer, tmp_path / "journal.jsonl", seed)
        await storm.trade()
        for _ in range(ACTIONS):
            await storm.act()
        assert storm.met["sent"]
        await storm.settle()
        storm.check()
        storm.journal.close()


@pytest.mark.parametrize("seed", seeds(1, 50))
async def test_a_key_that_somebody_else_uses_sends_nothing_more(
    bench: RouterBench, signer: LocalSigner, tmp_path: Path, seed: int
) -> None:
    """A stranger with the key sends, mined or waiting, below what is in flight, at it, or above a gap."""
    rng = random.Random(seed)
    async with RpcNode(bench.rpc.url) as node:
        storm = Storm(bench, node, signer, tmp_path / "journal.jsonl", seed)
        for _ in range(rng.randrange(1, 4)):
            await storm.trade()
        ahead = storm.lane.next_nonce
        gap = rng.choice((0, 0, 1, 3))
        mined = rng.random() < 0.5
        stranger = signer.sign(
            {
                "type": 2,
                "chainId": 31337,
                "nonce": ahead + gap
                if gap or not storm.tracker.in_flight
                else rng.choice((ahead, ahead - 1)),
                "to": "0x" + "77" * 20,
                "value": 1,
                "data": "0x",
                "gas": 21_000,
                "maxFeePerGas": 10**12,
                "maxPriorityFeePerGas": 10**11,
            }
        )
        await node.request("eth_sendRawTransaction", ["0x" + stranger.raw.hex()])
        if mined:
            for _ in range(3):
                await storm.mine()
        storm.journal.close()
        taken = stranger.nonce < ahead
        with FileJournal(storm.path) as journal:
            count = int(await node.request("eth_getTransactionCount", [signer.address, "latest"]), 16)
            refused: ForeignNonce | None = None
            try:
                found = await recover(node, journal, signer.address, bench.router, _no_delta)
            except ForeignNonce as error:
                refused = error
            assert refused is None or refused.chain_nonce > refused.next_nonce
            if refused is None and count > ahead:
                # Mined already: the lane begins after it, and never gives that nonce out.
                assert found.lane.next_nonce >= count
            elif not taken and not gap and not mined:
                assert refused is not None
        executions = {each.intent.id: each for each in read_executions(storm.path)}.values()
        for each in executions:
            if each.intent.transaction.nonce == stranger.nonce and count > stranger.nonce:
                assert each.outcome is not Outcome.LANDED


def _no_delta(logs: Any, token: str, holder: str) -> int:
    return 0


@pytest.mark.parametrize("seed", seeds(0, 20))
@pytest.mark.parametrize("mode", UNRULY)
async def test_a_relay_that_misbehaves_at_times(
    bench: RouterBench, signer: LocalSigner, tmp_path: Path, mode: str, seed: int
) -> None:
    await through_relay(bench, signer, tmp_path, [mode], seed)


@pytest.mark.parametrize("seed", seeds(1, 20))
async def test_a_relay_that_misbehaves_in_every_way(
    bench: RouterBench, signer: LocalSigner, tmp_path: Path, seed: int
) -> None:
    await through_relay(bench, signer, tmp_path, list(UNRULY), seed)


async def through_relay(
    bench: RouterBench, signer: LocalSigner, directory: Path, modes: list[str], seed: int
) -> None:
    """Bundles through a relay that behaves and misbehaves in turn; then it behaves, and all is in order."""
    rng = random.Random(f"{seed} {modes}")
    async with (
        RpcNode(bench.rpc.url) as node,
        serve_relay(node) as relay,
        aiohttp.ClientSession() as session,
    ):
        described = known_relays()["flashbots"].model_copy(update={"url": relay.url, "timeout_s": 0.3})

        def channel() -> RelayChannel:
            # A fresh one has no memory of failures, which would leave the relay alone for long.
            return RelayChannel("test", described, IDENTITY, session)

        storm = Storm(bench, node, signer, directory / "journal.jsonl", seed, channel())
        for _ in range(5):
            relay.mode = rng.choice(("honest", *modes, *modes))
            await storm.trade()
            if rng.random() < 0.8:
                await relay.build()
            if rng.random() < 0.3:
                storm.channel = channel()
                await storm.restart()
            await storm.tracker.on_block(bench.rpc.head())
        relay.mode = "honest"
        storm.channel = channel()
        await storm.restart()
        for _ in range(12):
            await relay.build()
            await storm.tracker.on_block(bench.rpc.head())
            if not storm.tracker.in_flight:
                break
        await storm.trade()
        await relay.build()
        await storm.tracker.on_block(bench.rpc.head())
        storm.check()
        storm.journal.close()
