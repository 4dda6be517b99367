"""A live engine through each fault of nodes, chain and clock, by seed: it trades on afterwards, and at last
state is chain, journal is nonces, ledger is the sum of the balance changes, and nothing was sent twice."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_utils import keccak
from faulty_run import FaultyRun, faulty_run
from living_world import LivingWorld

from engine.domain.events import BlockFinished, OpportunityApproved, OpportunityRefused, PlanSubmitted

sys.path.insert(0, str(Path(__file__).parents[1] / "chain"))
from fault_proxy import FaultProxy, Script

BLOCKS = 6
DECISIONS = (BlockFinished, OpportunityApproved, OpportunityRefused, PlanSubmitted)
Fault = Callable[[FaultyRun, FaultProxy, random.Random], Coroutine[Any, Any, None]]


def seeds(*usual: int, campaign: int = 20) -> list[Any]:
    """The seeds of `make test`, and the rest of the first `campaign` ones. What has another, quicker test
    there has no usual seed."""
    rest = [n for n in range(1, campaign + 1) if n not in usual]
    return [*usual, *(pytest.param(n, marks=pytest.mark.campaign) for n in rest)]


@pytest.fixture
def proxy(living: LivingWorld) -> Iterator[FaultProxy]:
    with FaultProxy(living.anvil.http_url) as serving:
        yield serving


async def suffer(
    living: LivingWorld, proxy: FaultProxy, directory: Path, seed: int, fault: Fault, **options: Any
) -> None:
    """A few blocks in order, the fault, and trading again once it is over."""
    rng = random.Random(seed)
    url = proxy.ws if rng.random() < 0.7 else proxy.http
    urls = [url, living.anvil.ws_url] if options.pop("two", False) else [url]
    async with faulty_run(living, directory, urls, **options) as run:
        await run.step()
        await fault(run, proxy, rng)
        proxy.behave()
        await run.trades_again()


async def blocks_pass(run: FaultyRun, rng: random.Random, count: int = BLOCKS) -> None:
    """Blocks that nobody waits for longer than a node's answer may take."""
    for _ in range(count):
        await run.step(rng.uniform(0.05, 0.4), must=False)


async def lost(run: FaultyRun, proxy: FaultProxy, rng: random.Random) -> None:
    for _ in range(BLOCKS):
        how = rng.choice(("hang", "refuse", "cut", "nothing"))
        proxy.hanging, proxy.refusing = how == "hang", how == "refuse"
        if how in ("cut", "refuse"):
            await asyncio.to_thread(proxy.cut)
        await run.step(rng.uniform(0.05, 0.4), must=False)


async def slow(run: FaultyRun, proxy: FaultProxy, rng: random.Random) -> None:
    for _ in range(BLOCKS):
        how = rng.choice(("slow", "lag", "frozen", "nothing"))
        proxy.behave()
        if how == "slow":
            proxy.script = Script(rng.randrange(1000), delay=0.7, delay_s=rng.uniform(0.05, 0.5))
        elif how == "lag":
            proxy.lag_blocks = rng.randrange(1, 3)
        elif how == "frozen":
            await asyncio.to_thread(proxy.freeze)
        await run.step(rng.uniform(0.05, 0.4), must=False)


async def lying(run: FaultyRun, proxy: FaultProxy, rng: random.Random) -> None:
    """Some answers have a digit that is not the node's."""
    lies = random.Random(rng.randrange(1 << 30))

    def alter(method: str, params: list[Any], result: Any) -> Any:
        if method in ("eth_call", "eth_getBalance") and isinstance(result, str) and lies.random() < 0.2:
            at = lies.randrange(2, len(result)) if len(result) > 2 else 0
            return result[:at] + lies.choice("0123456789abcdef") + result[at + 1 :] if at else result
        return result

    proxy.alter = alter
    await blocks_pass(run, rng)


async def disordered(run: FaultyRun, proxy: FaultProxy, rng: random.Random) -> None:
    rates = {"drop": 0.02, "delay": 0.15, "duplicate": 0.1, "reorder": 0.08, "cut": 0.02, "removed": 0.2}
    proxy.script = Script(rng.randrange(1000), **rates, delay_s=0.1)
    await blocks_pass(run, rng, 2 * BLOCKS)


async def throttled(run: FaultyRun, proxy: FaultProxy, rng: random.Random) -> None:
    for _ in range(BLOCKS):
        proxy.script = Script(rng.randrange(1000), status=rng.choice((0.3, 0.7, 1.0)), statuses=(429,))
        proxy.retry_after = rng.choice((None, "0", "0.2", "1", "soon", "-3"))
        await run.step(rng.uniform(0.05, 0.4), must=False)


async def malformed(run: FaultyRun, proxy: FaultProxy, rng: random.Random) -> None:
    """Answers that are no JSON, another's, cut short, or whose hex is none."""
    twist = random.Random(rng.randrange(1 << 30))

    def alter(method: str, params: list[Any], result: Any) -> Any:
        if twist.random() > 0.1 or method == "eth_chainId":
            return result
        strange: tuple[Any, ...] = (None, [], {}, "0x", "0xzz", "-0x1", 7, 1e400, True, "0x" + "f" * 80)
        if isinstance(result, dict) and result and twist.random() < 0.6:
            return result | {twist.choice(list(result)): twist.choice(strange)}
        return twist.choice(strange)

    proxy.alter = alter
    proxy.script = Script(rng.randrange(1000), corrupt=0.1)
    await blocks_pass(run, rng)


async def halted(run: FaultyRun, proxy: FaultProxy, rng: random.Random) -> None:
    """No block for a while, then one that is hours younger; nothing is decided in between."""
    assert run.session.sender is not None
    for _ in range(2):
        done, sent = len(run.facts), run.submitted()
        await asyncio.sleep(rng.uniform(0.05, 0.5))
        assert run.submitted() == sent
        assert not [fact for fact in run.facts[done:] if isinstance(fact, DECISIONS)]
        head = await run.rpc("eth_getBlockByNumber", "latest", False)
        later = int(head["timestamp"], 16) + rng.choice((60, 900, 3_600, 4 * 3_600))
        await run.rpc("evm_setNextBlockTimestamp", later)
        await run.step()


async def skewed(run: FaultyRun, proxy: FaultProxy, rng: random.Random) -> None:
    """This machine's clock jumps by years while blocks come at intervals of their own."""
    real, skew = time.time, [0.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + skew[0])
        sent = run.submitted()
        for _ in range(BLOCKS):
            skew[0] = rng.choice((-1, 1)) * rng.choice((1, 30, 3_600, 10**6, 3 * 10**8))
            head = await run.rpc("eth_getBlockByNumber", "latest", False)
            later = int(head["timestamp"], 16) + rng.choice((1, 2, 12, 24))
            await run.rpc("evm_setNextBlockTimestamp", later)
            await run.step()
        assert run.submitted() > sent


async def strange_types(run: FaultyRun, proxy: FaultProxy, rng: random.Random) -> None:
    """Blocks hold transactions of other types, and the node tells of types and fields nobody knows yet."""
    unknown = random.Random(rng.randrange(1 << 30))

    def alter(method: str, params: list[Any], result: Any) -> Any:
        if method in ("eth_getBlockByNumber", "eth_getBlockByHash") and isinstance(result, dict):
            whole = {"type": "0x6a", "hash": "0x" + "5a" * 32, "isSystemTx": True, "sourceHash": "0x00"}
            listed = result["transactions"]
            named = [whole if isinstance(each, dict) else each for each in listed]
            return result | {"transactions": named, "blockAccessListHash": "0x" + "11" * 32}
        if method == "eth_getBlockReceipts" and isinstance(result, list):
            return [_renamed(each, unknown) for each in result]
        if method == "eth_getTransactionReceipt" and isinstance(result, dict):
            return _renamed(result, unknown)
        return result

    proxy.alter = alter
    stranger = Account.from_key(keccak(text=f"stranger {rng.random()}"))
    await run.rpc("anvil_setBalance", stranger.address, hex(10**20))
    sent = run.submitted()
    for number in range(BLOCKS):
        await run.rpc("eth_sendRawTransaction", _other_type(stranger, number, number % 3))
        await run.step()
    assert run.submitted() > sent


def _renamed(receipt: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A receipt of a type to come, with fields of its own."""
    return receipt | {"type": hex(rng.randrange(5, 0x80)), "depositNonce": "0x1", "l1FeeScalar": "0.5"}


def _other_type(account: Any, nonce: int, kind: int) -> str:
    """Signed bytes of a legacy, an access-list or a set-code transaction."""
    made: dict[str, Any] = {"chainId": 31337, "to": account.address, "value": 1, "gas": 200_000}
    if kind == 0:
        made |= {"nonce": nonce, "gasPrice": 10**10}
    elif kind == 1:
        listed = [{"address": account.address, "storageKeys": ["0x" + "00" * 32]}]
        made |= {"nonce": nonce, "gasPrice": 10**10, "accessList": listed, "type": 1}
    else:
        delegate = Account.from_key(keccak(text=f"delegate {nonce}"))
        granted = delegate.sign_authorization({"chainId": 31337, "address": "0x" + "12" * 20, "nonce": 0})
        fees = {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1}
        made |= {"nonce": nonce, "authorizationList": [granted], "type": 4, **fees}
    return "0x" + bytes(account.sign_transaction(made).raw_transaction).hex()


async def dear(run: FaultyRun, proxy: FaultProxy, rng: random.Random) -> None:
    """The base fee leaps beyond what anything in the pool pays, and falls again: what was sent is stuck."""
    for _ in range(3):
        head = await asyncio.to_thread(run.living.trade)
        await run.until(lambda head=head: run.is_done_with(head))
        for _ in range(rng.randrange(1, 5)):
            await run.block_at(rng.choice((10**10, 10**11, 10**13)))
        await run.block_at(600_000_000)


@pytest.mark.parametrize("seed", seeds())
async def test_a_node_that_is_lost_again_and_again(
    living: LivingWorld, proxy: FaultProxy, tmp_path: Path, seed: int
) -> None:
    await suffer(living, proxy, tmp_path, seed, lost)


@pytest.mark.parametrize("seed", seeds())
async def test_a_node_that_is_slow_late_or_frozen(
    living: LivingWorld, proxy: FaultProxy, tmp_path: Path, seed: int
) -> None:
    await suffer(living, proxy, tmp_path, seed, slow)


@pytest.mark.parametrize("seed", seeds())
async def test_a_node_that_lies(living: LivingWorld, proxy: FaultProxy, tmp_path: Path, seed: int) -> None:
    await suffer(living, proxy, tmp_path, seed, lying, two=seed % 2 == 0)


@pytest.mark.parametrize("seed", seeds())
async def test_messages_that_are_lost_doubled_and_disordered(
    living: LivingWorld, proxy: FaultProxy, tmp_path: Path, seed: int
) -> None:
    await suffer(living, proxy, tmp_path, seed, disordered)


@pytest.mark.parametrize("seed", seeds())
async def test_a_storm_of_429(living: LivingWorld, proxy: FaultProxy, tmp_path: Path, seed: int) -> None:
    await suffer(living, proxy, tmp_path, seed, throttled)


@pytest.mark.parametrize("seed", seeds())
async def test_malformed_answers(living: LivingWorld, proxy: FaultProxy, tmp_path: Path, seed: int) -> None:
    await suffer(living, proxy, tmp_path, seed, malformed)


@pytest.mark.parametrize("seed", seeds(1))
async def test_a_chain_that_halts(living: LivingWorld, proxy: FaultProxy, tmp_path: Path, seed: int) -> None:
    await suffer(living, proxy, tmp_path, seed, halted)


@pytest.mark.parametrize("seed", seeds(1))
async def test_clocks_that_disagree(
    living: LivingWorld, proxy: FaultProxy, tmp_path: Path, seed: int
) -> None:
    await suffer(living, proxy, tmp_path, seed, skewed)


@pytest.mark.parametrize("seed", seeds(1))
async def test_transactions_of_unknown_types(
    living: LivingWorld, proxy: FaultProxy, tmp_path: Path, seed: int
) -> None:
    await suffer(living, proxy, tmp_path, seed, strange_types)


@pytest.mark.parametrize("seed", seeds())
async def test_a_base_fee_that_leaps(
    living: LivingWorld, proxy: FaultProxy, tmp_path: Path, seed: int
) -> None:
    await suffer(living, proxy, tmp_path, seed, dear)
