"""Tokens are tried on a real node before they are traded: no trick passes, no honest token is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from eth_abi import encode
from local_node import LocalNode
from trick_dex import TRICKS, TrickDex

from engine.app.simulate.acting import latest
from engine.app.token_watch import TokenWatch
from engine.app.toolchain import forge_artifact, npm_artifact
from engine.chain.rpc import RpcNode, connect
from engine.chain.token_code import EMPTY_CODE_HASH, clone_of, read_codes, token_code
from engine.chain.token_judge import JudgeTerms, TokenJudge
from engine.chain.token_probe import TokenProber, probe_code
from engine.domain.events import BlockFinished, Fact, TokenJudged
from engine.domain.market import PoolRecord, Protocol, Token
from engine.domain.token_safety import TokenFault, TokenVerdict
from engine.market.market import Market

ROUTER = "0x" + "77" * 20
FAULTS = {
    "blocks sales": TokenFault.SELL_FAILS,
    "taxes sales": TokenFault.TAKES_FEE,
    "taxes purchases": TokenFault.TAKES_FEE,
    "taxes everything": TokenFault.TAKES_FEE,
    "taxes sender on top": TokenFault.TAKES_FEE,
    "blocks buyer": TokenFault.TRANSFER_FAILS,
    "sells for chosen only": TokenFault.SELL_FAILS,
    "limits amounts": TokenFault.LIMITED,
    "limits holdings": TokenFault.LIMITED,
    "sells without coinbase only": TokenFault.CONDITIONAL,
    "sells without gas price only": TokenFault.CONDITIONAL,
    "sells without base fee only": TokenFault.CONDITIONAL,
    "blocks origin": TokenFault.CONDITIONAL,
    "sells for one origin only": TokenFault.CONDITIONAL,
    "blocks odd seconds": TokenFault.CONDITIONAL,
    "blocks even blocks": TokenFault.CONDITIONAL,
    "closes later": TokenFault.CONDITIONAL,
    "blocks after transfers": TokenFault.TRANSFER_FAILS,
    "blocks within block": TokenFault.TRANSFER_FAILS,
    "paused": TokenFault.PAUSED,
    "returns false": TokenFault.SELL_FAILS,
    "moves nothing": TokenFault.TAKES_FEE,
    "grows with time": TokenFault.TAKES_FEE,
    "spends all gas": TokenFault.SELL_FAILS,
    "answers bomb": TokenFault.SELL_FAILS,
    "blocks approval": TokenFault.APPROVAL_FAILS,
    "mints on transfer": TokenFault.SUPPLY_MOVES,
    "sells with much gas only": TokenFault.CONDITIONAL,
    "destroys on sale": TokenFault.TAKES_FEE,
}


@pytest.fixture(scope="module")
def dex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrickDex]:
    node = LocalNode(tmp_path_factory.mktemp("tricks"))
    node.start()
    try:
        yield TrickDex(node, node.rpc("eth_accounts")[3].lower())
    finally:
        node.stop()


@pytest_asyncio.fixture
async def node(dex: TrickDex) -> AsyncIterator[RpcNode]:
    async with connect(dex.node.http) as connected:
        yield connected


async def judged(node: Any, token: str, pools: Sequence[PoolRecord], operator: str) -> TokenVerdict:
    head = await latest(node)
    code = (await read_codes(node, [token], head.hash))[token]
    return await TokenJudge(node, TokenProber(node, ROUTER), JudgeTerms(operator)).judge(
        token, code, pools, head
    )


def test_every_trick_of_the_contract_is_tried() -> None:
    assert set(FAULTS) == set(TRICKS) - {"none"}
    assert len(FAULTS) >= 15


@pytest.mark.parametrize("trick", FAULTS)
async def test_a_trick_is_found_out(dex: TrickDex, node: RpcNode, trick: str) -> None:
    token, pools = dex.trick_token(trick)
    # By a V2 pair's flash swap and by a V3 pool's flash loan alone.
    for held_by in (pools, pools[1:]):
        verdict = await judged(node, token, held_by, dex.victim)
        assert verdict.fault is FAULTS[trick], verdict.detail
        assert verdict.detail
        assert verdict.expires_at == verdict.judged_at + 3_600


async def test_honest_tokens_pass(dex: TrickDex, node: RpcNode) -> None:
    silent = dex.deploy(
        forge_artifact("WorldTokenNoReturn").bytecode
        + encode(["string", "string", "uint8"], ["Silent", "SIL", 6])
    ).lower()
    spared, spared_pools = dex.trick_token("none")
    tried = {silent: dex.furnish(silent), spared: spared_pools}
    honest = dex.tokens[0].lower()
    tried[honest] = tried[silent]
    for token, pools in tried.items():
        verdict = await judged(node, token, pools, dex.victim)
        assert verdict.is_safe, verdict
        assert verdict.expires_at == verdict.judged_at + 21_600
        assert verdict.code.code_hash != EMPTY_CODE_HASH


async def test_wrapped_ether_passes_in_a_pool_that_cannot_lend(dex: TrickDex, node: RpcNode) -> None:
    weth = dex.deploy(npm_artifact("@uniswap/v2-periphery", "build/WETH9.json", "WETH9").bytecode).lower()
    holder = dex.tokens[1]
    dex.node.rpc("anvil_setBalance", holder, hex(10**20))
    dex.node.rpc("anvil_impersonateAccount", holder)
    dex.node.rpc(
        "eth_sendTransaction",
        {"from": holder, "to": weth, "data": "0xd0e30db0", "value": hex(10**19), "gas": hex(100_000)},
    )
    dex.node.mine()
    pool = PoolRecord(holder.lower(), Protocol.CURVE_STABLESWAP, "curve", (weth, dex.tokens[0].lower()), 0)
    verdict = await judged(node, weth, [pool], dex.victim)
    assert verdict.is_safe, verdict


async def test_what_nobody_holds_or_is_no_contract_is_not_traded(dex: TrickDex, node: RpcNode) -> None:
    token, pools = dex.trick_token("none")
    empty = PoolRecord("0x" + "31" * 20, Protocol.UNISWAP_V2, "v2", pools[0].tokens, 3000)
    assert (await judged(node, token, [empty], dex.victim)).fault is TokenFault.NO_SOURCE
    assert (await judged(node, "0x" + "32" * 20, pools, dex.victim)).fault is TokenFault.NO_CODE


class Deaf:
    """The same node, whose answers do not depend on some of what it is asked."""

    def __init__(self, node: RpcNode, parameters: int):
        self._node = node
        self._parameters = parameters

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        return await self._node.request(method, self._heard(method, params))

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        return await self._node.batch([(method, self._heard(method, params)) for method, params in calls])

    def _heard(self, method: str, params: Sequence[Any]) -> list[Any]:
        return list(params)[: self._parameters] if method == "eth_call" else list(params)


@pytest.mark.parametrize("parameters", [2, 3])
async def test_a_node_that_ignores_the_circumstances_proves_nothing(
    dex: TrickDex, node: RpcNode, parameters: int
) -> None:
    token, pools = dex.trick_token("none")
    verdict = await judged(Deaf(node, parameters), token, pools, dex.victim)
    assert verdict.fault is TokenFault.UNPROVEN


async def test_a_proxy_that_points_elsewhere_is_other_code(dex: TrickDex, node: RpcNode) -> None:
    token, pools = dex.trick_token("none", proxied=True)
    verdict = await judged(node, token, pools, dex.victim)
    assert verdict.is_safe
    assert verdict.code.implementation
    assert {"proxy", "pausable", "fee"} <= set(verdict.code.features)
    other = dex.deploy(
        forge_artifact("TrickToken").bytecode + encode(["uint8", "address"], [0, dex.victim])
    ).lower()
    dex.send(token, "point(address)", other)
    head = await latest(node)
    code = (await read_codes(node, [token], head.hash))[token]
    assert code.implementation == other
    assert code.code_hash == verdict.code.code_hash
    # The same code at another address still is another contract.
    assert code.implementation_hash == verdict.code.implementation_hash
    assert code.fingerprint != verdict.code.fingerprint


async def test_a_fee_that_is_switched_on_is_found_when_judged_again(dex: TrickDex, node: RpcNode) -> None:
    token, pools = dex.trick_token("none")
    assert (await judged(node, token, pools, dex.victim)).is_safe
    dex.send(token, "setFee(uint256)", 30)
    again = await judged(node, token, pools, dex.victim)
    assert again.fault is TokenFault.TAKES_FEE


async def test_a_token_that_passed_before_is_soon_tried_again(dex: TrickDex, node: RpcNode) -> None:
    """One trial on a node that says wrong must not keep a good token out for an hour; a token that went bad
    stays out ever longer."""
    token, pools = dex.trick_token("none")
    judge = TokenJudge(node, TokenProber(node, ROUTER), JudgeTerms(dex.victim))
    facts: list[Fact] = []
    watch, market = TokenWatch(node, judge, facts.append), Market()
    for address in pools[0].tokens:
        market.add_token(Token(address, "T", 18))
    for pool in pools:
        market.add_pool(pool)
    await watch.start(market, await latest(node), 60)
    assert watch.verdicts[token].is_safe

    def fails_for(blocks: int) -> None:
        verdict = watch.verdicts[token]
        assert verdict.fault is TokenFault.TAKES_FEE
        assert verdict.expires_at == verdict.judged_at + 12 * blocks

    async def tried_at(timestamp: int) -> None:
        dex.node.rpc("evm_setNextBlockTimestamp", timestamp)
        dex.node.mine()
        watch.take(BlockFinished(await latest(node), 0, 0, 0, 0, 1.0))
        assert watch._running is not None
        await watch._running

    dex.send(token, "setFee(uint256)", 30)
    await tried_at(watch.verdicts[token].expires_at)
    fails_for(2)
    for blocks in (8, 32, 128, 300, 300):
        await tried_at(watch.verdicts[token].expires_at - 1)
        await tried_at(watch.verdicts[token].expires_at)
        fails_for(blocks)
    dex.send(token, "setFee(uint256)", 0)
    await tried_at(watch.verdicts[token].expires_at)
    assert watch.verdicts[token].is_safe
    assert len([fact for fact in facts if isinstance(fact, TokenJudged) and fact.verdict.token == token]) == 8
    dex.send(token, "setFee(uint256)", 30)
    await tried_at(watch.verdicts[token].expires_at)
    fails_for(2)
    await watch.close()


def test_refused_features_are_refused_whatever_the_token_does() -> None:
    shares = bytes.fromhex("63f5eb42dc")
    assert token_code(shares, "", {}).features == ("rebasing",)
    target = "0x" + "12" * 20
    behind = token_code(b"", target, {target: shares})
    assert behind.features == ("rebasing", "proxy")
    assert behind.implementation == target


def test_a_minimal_proxy_names_its_contract() -> None:
    target = "12" * 20
    code = bytes.fromhex("363d3d373d3d3d363d73" + target + "5af43d82803e903d91602b57fd5bf3")
    assert clone_of(code) == "0x" + target
    assert clone_of(code[:-1]) == ""


def test_the_probe_is_what_the_compiler_makes_of_its_source() -> None:
    assert probe_code() == "0x" + forge_artifact("TokenProbe").runtime.hex()
