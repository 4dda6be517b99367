"""Bundles through a relay that behaves, and through relays that do not: every nonce still has one outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from bundle_relay import BundleRelay, serve_relay
from coincurve import PrivateKey
from eth_account import Account
from eth_account.messages import encode_defunct
from router_bench import RouterBench

from engine.chain.keys import LocalSigner
from engine.chain.logs import token_delta
from engine.chain.relays import (
    RelayChannel,
    RelayDescription,
    bundle_uuid,
    identity_address,
    known_relays,
    signature_header,
)
from engine.chain.rpc import RpcNode
from engine.chain.signing import keccak256
from engine.domain.errors import ConfigError, ExecutionError, NodeError, NodeUnreachable
from engine.domain.execution import Delivery, Dispatch, Execution, Intent, Outcome, SimulatedPlan
from engine.domain.opportunity import Approved, CheckResult
from engine.execution.channels import FanOut, PoolChannel
from engine.execution.nonces import NonceLane
from engine.execution.planner import Planner, PlanTerms
from engine.execution.recovery import recover
from engine.execution.simulator import Simulator
from engine.execution.submitter import Submitter
from engine.execution.tracker import Tracker
from engine.ledger.journal import FileJournal

IDENTITY = PrivateKey(b"\x07" * 32)
CYCLE = ["v3y", "v2x"]
FLASHBOTS = known_relays()["flashbots"]


class Desk:
    """Plans on a bench, sent through `channel`."""

    def __init__(self, bench: RouterBench, node: RpcNode, signer: LocalSigner, path: Path):
        self.bench, self.node, self.signer = bench, node, signer
        self.journal = FileJournal(path)
        self.lane = NonceLane(0)
        self.heard: list[Dispatch] = []

    def use(self, channel: RelayChannel | FanOut | PoolChannel) -> None:
        self.submitter = Submitter(
            self.node,
            self.signer,
            self.journal,
            self.lane,
            31337,
            channel=channel,
            heard=lambda intent, dispatches: self.heard.extend(dispatches),
        )
        self.tracker = Tracker(
            self.node,
            self.journal,
            self.submitter,
            self.signer.address,
            self.bench.router,
            token_delta,
        )

    async def send(self) -> Intent | Execution:
        self.bench.refresh()
        head = self.bench.rpc.mine()
        opportunity = self.bench.opportunity(CYCLE, head, gas_estimate=300_000, gas_cost=1)
        approved = Approved(opportunity, (CheckResult("test", True),))
        plan = Planner(self.bench.router, PlanTerms(priority_fee_wei=10**8)).plan(approved, head)
        simulated = await Simulator(self.node, self.signer.address).simulate(plan, head)
        assert isinstance(simulated, SimulatedPlan), simulated.results[-1]
        sent = await self.submitter.submit(simulated)
        if isinstance(sent, Intent):
            self.tracker.follow(sent)
        return sent

    async def resolve(self) -> list[Execution]:
        return await self.tracker.on_block(self.bench.rpc.head())


@pytest.fixture
async def node(bench: RouterBench) -> AsyncIterator[RpcNode]:
    async with RpcNode(bench.rpc.url) as connected:
        yield connected


@pytest.fixture
async def relay(node: RpcNode) -> AsyncIterator[BundleRelay]:
    async with serve_relay(node) as serving:
        yield serving


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def desk(bench: RouterBench, node: RpcNode, signer: LocalSigner, tmp_path: Path) -> Desk:
    return Desk(bench, node, signer, tmp_path / "journal.jsonl")


def channel(relay: BundleRelay, session: aiohttp.ClientSession, **changes: object) -> RelayChannel:
    description = FLASHBOTS.model_copy(update={"url": relay.url, **changes})
    return RelayChannel("test", description, IDENTITY, session)


async def test_a_bundle_lands_in_its_block_with_the_expected_profit(
    desk: Desk, relay: BundleRelay, session: aiohttp.ClientSession
) -> None:
    desk.use(channel(relay, session))
    intent = await desk.send()
    assert isinstance(intent, Intent)
    assert intent.last_block == intent.block_number + 1
    assert await desk.node.request("txpool_status", []) == {"pending": "0x0", "queued": "0x0"}
    (built,) = await relay.build()
    assert built.raws == ["0x" + intent.transaction.raw.hex()]
    (execution,) = await desk.resolve()
    assert execution.outcome is Outcome.LANDED
    assert execution.block_number == intent.last_block
    assert execution.realised_profit == intent.expected_profit == intent.simulated_profit
    (dispatch,) = desk.heard
    assert (dispatch.delivery, dispatch.detail) == (Delivery.ACCEPTED, built.hash)
    assert built.sender == identity_address(IDENTITY)


async def test_what_is_not_included_expires_and_its_nonce_serves_the_next(
    desk: Desk, relay: BundleRelay, session: aiohttp.ClientSession
) -> None:
    desk.use(channel(relay, session))
    relay.mode = "drop"
    dropped = await desk.send()
    assert isinstance(dropped, Intent)
    assert await desk.resolve() == []
    assert await relay.build() == []
    (missed,) = await desk.resolve()
    assert (missed.outcome, missed.intent) == (Outcome.MISSED, dropped)
    relay.mode = "honest"
    second = await desk.send()
    assert isinstance(second, Intent)
    assert second.transaction.nonce == dropped.transaction.nonce == 0
    await relay.build()
    assert [(e.intent, e.outcome) for e in await desk.resolve()] == [(second, Outcome.LANDED)]
    assert desk.tracker.in_flight == desk.journal.open_intents() == []


async def test_a_bundle_included_after_its_block_is_booked_as_landed(
    desk: Desk, relay: BundleRelay, session: aiohttp.ClientSession
) -> None:
    desk.use(channel(relay, session))
    relay.mode = "delay"
    intent = await desk.send()
    assert isinstance(intent, Intent)
    assert await relay.build() == []
    (missed,) = await desk.resolve()
    assert missed.outcome is Outcome.MISSED
    (late,) = await relay.build()
    assert late.raws == ["0x" + intent.transaction.raw.hex()]
    (landed,) = await desk.resolve()
    assert (landed.intent, landed.outcome) == (intent, Outcome.LANDED)
    assert landed.realised_profit == intent.expected_profit
    assert desk.journal.open_intents() == []
    # Its nonce was given back when it expired; now it is used, by nobody else.
    assert desk.lane.next_nonce == 1
    desk.lane.observe(1)


async def test_a_leaked_bundle_and_its_successor_share_one_nonce_and_one_lands(
    desk: Desk, relay: BundleRelay, session: aiohttp.ClientSession
) -> None:
    desk.use(channel(relay, session))
    relay.mode = "leak"
    leaked = await desk.send()
    assert isinstance(leaked, Intent)
    # The pool has a copy; whether the builder's or the pool's is mined, it is one transaction.
    await relay.build()
    (landed,) = await desk.resolve()
    assert (landed.intent, landed.outcome) == (leaked, Outcome.LANDED)
    count = await desk.node.request("eth_getTransactionCount", [desk.signer.address, "latest"])
    assert int(count, 16) == 1


@pytest.mark.parametrize(
    ("mode", "delivery"),
    [
        ("refuse", Delivery.REFUSED),
        ("busy", Delivery.UNKNOWN),
        ("broken", Delivery.UNKNOWN),
        ("silent", Delivery.UNKNOWN),
        ("cut", Delivery.UNKNOWN),
        ("flood", Delivery.UNKNOWN),
        ("wrong_hash", Delivery.ACCEPTED),
    ],
)
async def test_only_a_clear_refusal_counts_as_never_sent(
    desk: Desk, relay: BundleRelay, session: aiohttp.ClientSession, mode: str, delivery: Delivery
) -> None:
    desk.use(channel(relay, session, timeout_s=0.3))
    relay.mode = mode
    sent = await desk.send()
    assert [dispatch.delivery for dispatch in desk.heard] == [delivery]
    if delivery is Delivery.REFUSED:
        assert isinstance(sent, Execution)
        assert sent.outcome is Outcome.NEVER_SENT
        assert desk.lane.next_nonce == 0
    else:
        assert isinstance(sent, Intent)
        assert desk.lane.next_nonce == 1
        assert desk.journal.open_intents() == [sent]


async def test_an_endpoint_that_keeps_failing_is_left_alone(
    relay: BundleRelay, session: aiohttp.ClientSession
) -> None:
    sender = channel(relay, session)
    relay.mode = "busy"
    for _ in range(5):
        with pytest.raises(NodeUnreachable, match="429"):
            await sender.request("eth_sendBundle", [{}])
    relay.mode = "honest"
    with pytest.raises(NodeUnreachable, match="left alone"):
        await sender.request("eth_sendBundle", [{}])
    assert relay.received == []


async def test_refusals_do_not_count_as_failures(relay: BundleRelay, session: aiohttp.ClientSession) -> None:
    sender = channel(relay, session)
    for _ in range(8):
        with pytest.raises(NodeError, match="malformed bundle"):
            await sender.request("eth_sendBundle", [{"txs": 1}])
    assert len(relay.received) == 8


async def test_several_endpoints_get_the_same_transaction_and_one_inclusion_counts(
    desk: Desk, node: RpcNode, session: aiohttp.ClientSession
) -> None:
    async with serve_relay(node) as first, serve_relay(node, signed=False) as second:
        first.mode = "refuse"
        plain = known_relays()["eth-builder"].model_copy(update={"url": second.url})
        desk.use(FanOut([channel(first, session), RelayChannel("plain", plain, None, session)]))
        intent = await desk.send()
        assert isinstance(intent, Intent)
        assert intent.last_block > 0
        deliveries = {dispatch.channel: dispatch.delivery for dispatch in desk.heard}
        assert deliveries == {"test": Delivery.REFUSED, "plain": Delivery.ACCEPTED}
        assert len(await second.build()) == 1
        (execution,) = await desk.resolve()
        assert execution.outcome is Outcome.LANDED
        assert await first.build() == []


async def test_a_fan_out_with_the_public_pool_is_not_private(
    desk: Desk, node: RpcNode, relay: BundleRelay, session: aiohttp.ClientSession
) -> None:
    desk.use(FanOut([PoolChannel(node), channel(relay, session)]))
    intent = await desk.send()
    assert isinstance(intent, Intent)
    assert intent.last_block == 0
    with pytest.raises(ExecutionError, match="does not expire"):
        desk.submitter.expire(Execution(intent, Outcome.MISSED, intent.last_block))
    with pytest.raises(ValueError, match="at least one"):
        FanOut([])


async def test_cancelling_and_replacing_by_uuid(
    desk: Desk, relay: BundleRelay, session: aiohttp.ClientSession
) -> None:
    sender = channel(relay, session)
    desk.use(sender)
    intent = await desk.send()
    assert isinstance(intent, Intent)
    await sender.send(intent.transaction, intent.last_block)
    assert len(relay.bundles) == 1
    assert await sender.cancel(intent.transaction.hash, intent.last_block)
    assert relay.bundles == []
    assert not await sender.cancel(intent.transaction.hash, intent.last_block)
    empty = channel(relay, session, cancel="empty")
    await sender.send(intent.transaction, intent.last_block)
    assert await empty.cancel(intent.transaction.hash, intent.last_block)
    assert relay.bundles == []
    assert not await channel(relay, session, cancel="").cancel(intent.transaction.hash, intent.last_block)


async def test_simulation_by_the_relay_says_what_it_pays(
    desk: Desk, relay: BundleRelay, session: aiohttp.ClientSession
) -> None:
    sender = channel(relay, session)
    desk.use(sender)
    intent = await desk.send()
    assert isinstance(intent, Intent)
    answer = await sender.simulate([intent.transaction.raw], intent.last_block, "latest")
    (result,) = answer["results"]
    assert result["txHash"] == intent.transaction.hash
    assert "error" not in result
    assert int(answer["coinbaseDiff"]) == result["gasUsed"] * intent.priority_fee_wei
    with pytest.raises(NodeError, match="cannot simulate"):
        await channel(relay, session, call="").simulate([b""], 1, "latest")


async def test_the_share_format_and_what_is_too_much(
    desk: Desk, relay: BundleRelay, session: aiohttp.ClientSession
) -> None:
    share = known_relays()["mev-share"].model_copy(update={"url": relay.url})
    desk.use(RelayChannel("share", share, IDENTITY, session))
    intent = await desk.send()
    assert isinstance(intent, Intent)
    assert relay.received[0][0] == "mev_sendBundle"
    assert len(await relay.build()) == 1
    (execution,) = await desk.resolve()
    assert execution.outcome is Outcome.LANDED
    small = channel(relay, session, max_bytes=10)
    (dispatch,) = await small.send(intent.transaction, 10)
    assert dispatch.delivery is Delivery.REFUSED
    assert "more than it takes" in dispatch.detail


@pytest.mark.parametrize(("blocks", "waits"), [(0, True), (1, False)])
async def test_after_a_crash_a_bundle_waits_for_its_last_block_and_then_is_missed(
    desk: Desk, relay: BundleRelay, session: aiohttp.ClientSession, blocks: int, waits: bool
) -> None:
    desk.use(channel(relay, session))
    relay.mode = "drop"
    intent = await desk.send()
    desk.journal.close()
    for _ in range(blocks):
        await relay.build()
    with FileJournal(desk.journal.path) as journal:
        recovered = await recover(desk.node, journal, desk.signer.address, desk.bench.router, token_delta)
        assert recovered.in_flight == ((intent,) if waits else ())
        assert [e.outcome for e in recovered.resolved] == ([] if waits else [Outcome.MISSED])
        assert recovered.doubtful == (() if waits else (intent,))
        assert recovered.lane.next_nonce == (1 if waits else 0)


def test_the_signature_header_is_what_eth_account_signs() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"eth_sendBundle","params":[]}'
    message = encode_defunct(text="0x" + keccak256(body).hex())
    expected = Account.sign_message(message, IDENTITY.secret)
    account = Account.from_key(IDENTITY.secret)
    header = signature_header(IDENTITY, body)
    assert header == f"{account.address.lower()}:0x{bytes(expected.signature).hex()}"
    assert IDENTITY.secret.hex() not in header


def test_a_bundle_has_one_uuid_of_version_4() -> None:
    from uuid import UUID

    uuid = bundle_uuid("0x" + "ff" * 32)
    assert UUID(uuid).version == 4
    assert uuid == bundle_uuid("0x" + "ff" * 32) != bundle_uuid("0x" + "fe" * 32)


def test_every_described_relay_is_usable_or_says_what_it_lacks(session: aiohttp.ClientSession) -> None:
    relays = known_relays()
    assert {"flashbots", "titan", "mev-share"} <= relays.keys()
    for name, description in relays.items():
        assert not description.uuid or description.uuid in description.fields
        if description.url:
            assert description.url.startswith("https://")
            RelayChannel(name, description, IDENTITY, session)
    with pytest.raises(ConfigError, match=r"relays\.buildernet\.url"):
        RelayChannel("buildernet", relays["buildernet"], IDENTITY, session)
    with pytest.raises(ConfigError, match="identity"):
        RelayChannel("titan", relays["titan"], None, session)
    with pytest.raises(ValueError, match="extra"):
        RelayDescription.model_validate({"url": "https://x", "urll": 1})
