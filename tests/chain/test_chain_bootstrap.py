"""Discovery and bootstrap of real pools, and of pools and tokens made to mislead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak
from local_dex import LocalDex

from engine.chain.bootstrap import bootstrap
from engine.chain.discovery import discover
from engine.chain.metadata import read_tokens
from engine.chain.readers.concentrated import words_of_spacing as tick_words
from engine.chain.rpc import RpcNode
from engine.chain.tick_lens import decode_lens
from engine.chain.wire import header
from engine.domain.errors import NodeError
from engine.domain.market import BlockRef, PoolRecord
from engine.domain.pool_state import V2PoolState, V3PoolState

ZEROS_1MB = "one megabyte"


def contract(symbol: Any, decimals: Any) -> str:
    """Runtime code that answers symbol() and decimals(): bytes are returned, None reverts, an int loops."""
    code = bytearray.fromhex("5f3560e01c")  # selector
    parts = [(keccak(text="symbol()")[:4], symbol), (keccak(text="decimals()")[:4], decimals)]
    at = len(code) + 11 * len(parts) + 3
    bodies = b""
    for selector, answer in parts:
        code += b"\x80\x63" + selector + b"\x14\x61" + (at + len(bodies)).to_bytes(2, "big") + b"\x57"
        bodies += _body(answer, at + len(bodies))
    return "0x" + (code + bytes.fromhex("5f5ffd") + bodies).hex()


def _body(answer: Any, at: int) -> bytes:
    if answer is None:
        return bytes.fromhex("5b5f5ffd")
    if answer == "loop":
        return b"\x5b\x61" + at.to_bytes(2, "big") + b"\x56"
    if answer == ZEROS_1MB:
        # A string of a million bytes.
        return bytes.fromhex("5b60205f52620f4240602052620f42805ff3")
    size, source = len(answer).to_bytes(2, "big"), (at + 15).to_bytes(2, "big")
    return b"\x5b\x61" + size + b"\x61" + source + b"\x5f\x39\x61" + size + b"\x5f\xf3" + b"\x00" + answer


def string(value: bytes) -> bytes:
    return encode(["bytes"], [value])


def number(value: int) -> bytes:
    return value.to_bytes(32, "big")


HOSTILE = {
    "megabyte": (ZEROS_1MB, number(18), "symbol() fails"),
    "megabyte of decimals": (string(b"X"), ZEROS_1MB, "decimals() fails"),
    "endless": ("loop", number(18), "symbol() fails"),
    "reverting symbol": (None, number(18), "symbol() fails"),
    "reverting decimals": (string(b"X"), None, "decimals() fails"),
    "decimals 255": (string(b"X"), number(255), "decimals() returns 255, more than 36"),
    "decimals 37": (string(b"X"), number(37), "decimals() returns 37, more than 36"),
    "huge decimals": (string(b"X"), number(2**256 - 1), "decimals() returns a huge number"),
    "no decimals": (string(b"X"), b"", "decimals() returns nothing"),
    "short decimals": (string(b"X"), b"\x12", "decimals() returns 1 bytes"),
    "not utf-8": (string(b"\xff\xfe\xfd"), number(18), "not UTF-8"),
    "bytes32 not utf-8": (b"\xc3" * 32, number(18), "not UTF-8"),
    "empty": (string(b""), number(18), "its symbol is empty"),
    "all zero": (bytes(32), number(18), "its symbol is empty"),
    "control characters": (string(b"\x1b[2JUSDC"), number(18), "not printable"),
    "long": (string(b"A" * 33), number(18), "longer than 32 characters"),
    "very long": (string(b"A" * 5000), number(18), "its symbol has 5000 bytes"),
    "lying length": (number(32) + number(2**255) + b"AAAA", number(18), "neither string nor bytes32"),
    "lying offset": (number(2**256 - 1) + number(4) + b"AAAA", number(18), "neither string nor bytes32"),
}
FINE = {
    "bytes32": (b"MKR".ljust(32, b"\0"), number(18), ("MKR", 18)),
    "string": (string(b"USDC"), number(6), ("USDC", 6)),
    "no decimals at all": (string(b"NFTX"), number(0), ("NFTX", 0)),
    "unicode": (string("₮".encode()), number(36), ("₮", 36)),
}


async def test_token_metadata_hostile_and_fine(local_node: Any) -> None:
    addresses = {name: f"0x{n:040x}" for n, name in enumerate([*HOSTILE, *FINE], 0xAB00)}
    for name, (symbol, decimals, _) in {**HOSTILE, **FINE}.items():
        local_node.rpc("anvil_setCode", addresses[name], contract(symbol, decimals))
    no_code = "0x" + "cd" * 20
    local_node.mine()
    async with RpcNode(local_node.http) as node:
        block = header(local_node.block()).ref
        tokens, refused = await read_tokens(node, [*addresses.values(), no_code], block.hash)
    for name, (_, _, reason) in HOSTILE.items():
        assert reason in refused[addresses[name]], name
        assert len(refused[addresses[name]]) < 200
    assert "returns nothing" in refused[no_code]
    assert len(refused) == len(HOSTILE) + 1
    assert [(token.symbol, token.decimals) for token in tokens] == [want for _, _, want in FINE.values()]


async def test_discovery_finds_every_pool_and_bootstrap_equals_direct_reads(local_dex: LocalDex) -> None:
    dex = local_dex
    uninitialised = dex.create_v3(dex.venues[1], dex.tokens[0], dex.tokens[2], 10_000, None)
    dex.swap_v3(dex.pools[0], True, 10**21)
    dex.burn(dex.pools[2], *dex.ranges[dex.pools[2]][2], 10**22)
    block = header(dex.node.block()).ref
    then = hex(block.number)
    expected = {
        pool: (dex.slot0(pool, then), dex.liquidity(pool, then), dex.ticks(pool, then)) for pool in dex.pools
    }
    reserves = dex.reserves(then)
    # What happens after the block must not show.
    dex.swap_v2(True, 10**21)
    dex.swap_v3(dex.pools[0], False, 10**22)
    dex.mint(dex.pools[1], -1000, 1000, 10**20)
    seen: list[tuple[str, int, int]] = []
    async with RpcNode(dex.node.ws) as node:
        found = await discover(node, dex.venues, 0, block)
        result = await bootstrap(
            node, found.pools, dex.venues, block, progress=lambda *report: seen.append(report)
        )
    assert [pool.address for pool in found.pools] == [dex.pair, *dex.pools, uninitialised]
    assert result.refused == {}
    assert result.block == block
    assert [state.pool for state in result.pools] == found.pools
    pair, *rest = result.pools
    assert isinstance(pair, V2PoolState)
    assert (pair.reserve0, pair.reserve1) == reserves
    for state in rest[:-1]:
        assert isinstance(state, V3PoolState)
        slot0 = (state.sqrt_price_x96, state.tick)
        assert (slot0, state.liquidity, state.ticks) == expected[state.pool.address]
    assert len(expected[dex.pools[2]][2]) == 4
    assert isinstance(rest[-1], V3PoolState)
    assert (rest[-1].sqrt_price_x96, rest[-1].ticks) == (0, ())
    assert {(token.symbol, token.decimals) for token in result.tokens} == {("T0", 18), ("T1", 6), ("T2", 8)}
    assert ("pools", 5, 5) in seen
    words = len(tick_words(60)) + len(tick_words(1)) + len(tick_words(50))
    assert ("tick words", words, words) in seen


def test_tick_words_cover_exactly_the_usable_ticks() -> None:
    assert tick_words(1) == range(-3466, 3466)
    assert tick_words(60) == range(-58, 58)
    for spacing in (1, 10, 50, 60, 200, 16383):
        usable = [tick for tick in range(-887272, 887273) if tick % spacing == 0]
        words = {(tick // spacing) >> 8 for tick in (usable[0], usable[-1])}
        assert {tick_words(spacing)[0], tick_words(spacing)[-1]} == words


async def test_pools_that_are_not_what_they_say_are_refused(local_dex: LocalDex) -> None:
    dex = local_dex
    v2, v3, _ = dex.venues
    a, b, c = dex.tokens
    block = header(dex.node.block()).ref
    honest = [PoolRecord(dex.pair, v2.protocol, "v2", (a, b), 3000)]
    fee = PoolRecord(dex.pools[0], v3.protocol, "v3", (a, b), 500, 10)
    swapped = PoolRecord(dex.pair, v2.protocol, "v2", (b, a), 3000)
    elsewhere = PoolRecord("0x" + "77" * 20, v2.protocol, "v2", (a, c), 3000)
    foreign = PoolRecord(dex.pools[2], v3.protocol, "pancake-fork", (a, c), 2500, 50)
    cheap = PoolRecord(dex.pools[1], v2.protocol, "v2", (b, c), 1)
    async with RpcNode(dex.node.http) as node:
        for bad in (fee, elsewhere, cheap):
            result = await bootstrap(node, [*honest, bad], dex.venues, block)
            assert [state.pool for state in result.pools] == honest
            assert "it is not where" in result.refused[bad.address]
        result = await bootstrap(node, [swapped], dex.venues, block)
        assert "it is not where" in result.refused[dex.pair]
        result = await bootstrap(node, [foreign], dex.venues, block)
        assert result.refused == {foreign.address: "its venue is unknown"}
        code = bytes.fromhex(dex.node.rpc("eth_getCode", dex.pair, "latest")[2:])
        right = replace(v2, pool_code_hash="0x" + keccak(code).hex())
        wrong = replace(v2, pool_code_hash="0x" + "00" * 31 + "01")
        assert (await bootstrap(node, honest, [right], block)).refused == {}
        assert "its code is not that of" in (await bootstrap(node, honest, [wrong], block)).refused[dex.pair]


async def test_a_pool_of_a_hostile_token_is_refused_and_the_others_stay(local_dex: LocalDex) -> None:
    dex = local_dex
    v2 = dex.venues[0]
    token = "0x" + "0d" * 20
    dex.node.rpc("anvil_setCode", token, contract(ZEROS_1MB, number(18)))
    dex.send(v2.factory, "createPair(address,address)", token, dex.tokens[0])
    block = header(dex.node.block()).ref
    async with RpcNode(dex.node.http) as node:
        found = await discover(node, dex.venues, 0, block)
        result = await bootstrap(node, found.pools, dex.venues, block)
    pair = found.pools[-1].address
    assert set(result.refused) == {token, pair}
    assert result.refused[pair] == result.refused[token] == f"token {token}: symbol() fails"
    assert [state.pool.address for state in result.pools] == [dex.pair, *dex.pools]
    assert token not in {known.address for known in result.tokens}


async def test_pools_whose_state_lies_are_refused(local_dex: LocalDex) -> None:
    dex = local_dex
    # Storage of UniswapV3Pool: slot 4 is the liquidity in range.
    dex.node.rpc("anvil_setStorageAt", dex.pools[0], "0x4", "0x" + number(12345).hex())
    # No code behind a genuine address, and code that reverts.
    dex.node.rpc("anvil_setCode", dex.pools[1], "0x")
    dex.node.rpc("anvil_setCode", dex.pools[2], "0x5f5ffd")
    dex.node.rpc("anvil_setCode", dex.pair, "0x6020" + "5ff3")
    dex.node.mine()
    block = header(dex.node.block()).ref
    async with RpcNode(dex.node.ipc) as node:
        found = await discover(node, dex.venues, 0, block)
        result = await bootstrap(node, found.pools, dex.venues, block)
    assert result.pools == ()
    assert result.tokens == ()
    assert result.refused[dex.pools[0]] == "its liquidity is not what its ticks say"
    assert result.refused[dex.pools[1]] == "there is no code at its address"
    assert result.refused[dex.pools[2]] == "slot0() fails"
    assert "getReserves(): a contract answered 32 bytes" in result.refused[dex.pair]


async def test_a_block_that_left_the_chain_cannot_be_read(local_dex: LocalDex) -> None:
    dex = local_dex
    block = header(dex.node.block()).ref
    gone = replace(block, hash="0x" + "be" * 32)
    async with RpcNode(dex.node.http) as node:
        pools = (await discover(node, dex.venues, 0, block)).pools
        with pytest.raises(NodeError):
            await bootstrap(node, pools, dex.venues, gone)
        with pytest.raises(NodeError, match="left the chain"):
            await discover(node, dex.venues, 0, gone)


class CappedNode(RpcNode):
    """A real node that, as providers do, refuses eth_getLogs over more than `cap` blocks."""

    def __init__(self, url: str, cap: int):
        super().__init__(url)
        self.cap = cap
        self.widths: list[int] = []

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        if method == "eth_getLogs":
            width = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
            if width > self.cap:
                raise NodeError("query returned more than 10000 results", code=-32005)
            self.widths.append(width)
        return await super().request(method, params)


@pytest.mark.parametrize("cap", [1, 7, 10**9])
async def test_discovery_stays_under_the_providers_cap(local_dex: LocalDex, cap: int) -> None:
    block: BlockRef = header(local_dex.node.block()).ref
    async with CappedNode(local_dex.node.http, cap) as node:
        found = await discover(node, local_dex.venues, 0, block)
        assert [pool.address for pool in found.pools] == [local_dex.pair, *local_dex.pools]
        assert sum(node.widths) == block.number + 1
        assert max(node.widths) <= cap
    async with CappedNode(local_dex.node.http, 0) as node:
        with pytest.raises(NodeError, match="more than 10000"):
            await discover(node, local_dex.venues, 0, block)


async def test_discovery_of_chosen_tokens_only(local_dex: LocalDex) -> None:
    dex = local_dex
    block = header(dex.node.block()).ref
    async with RpcNode(dex.node.http) as node:
        found = await discover(node, dex.venues, 0, block, tokens=[dex.tokens[0], dex.tokens[2]])
        assert [pool.address for pool in found.pools] == [dex.pools[2]]
        assert (await discover(node, dex.venues, block.number + 1, block)).pools == []
        assert (await discover(node, [], 0, block)).pools == []


class CountingNode(RpcNode):
    """A real node and the number of calls it was asked in batches."""

    calls = 0

    async def batch(self, calls: Any) -> list[Any]:
        self.calls += len(calls)
        return await super().batch(calls)


class LenslessNode(CountingNode):
    """A real node that runs no creation code in eth_call, as some chains do not."""

    async def batch(self, calls: Any) -> list[Any]:
        answers = await CountingNode.batch(self, calls)
        return [
            NodeError("creation is not supported")
            if method == "eth_call" and "to" not in params[0]
            else answer
            for (method, params), answer in zip(calls, answers, strict=True)
        ]


async def test_bitmaps_read_word_by_word_are_the_same(local_dex: LocalDex) -> None:
    dex = local_dex
    edge = 887272
    for lower, upper in ((-edge, -edge + 1), (edge - 1, edge), (-1, 0), (-256, 255), (-257, 256)):
        dex.mint(dex.pools[1], lower, upper, 10**6)
    block = header(dex.node.block()).ref
    async with CountingNode(dex.node.ws) as node, LenslessNode(dex.node.ws) as lensless:
        pools = (await discover(node, dex.venues, 0, block)).pools
        by_lens = await bootstrap(node, pools, dex.venues, block)
        one_by_one = await bootstrap(lensless, pools, dex.venues, block)
    assert by_lens == one_by_one
    assert node.calls < 100 < 7_000 < lensless.calls
    state = next(state for state in by_lens.pools if state.pool.address == dex.pools[1])
    assert isinstance(state, V3PoolState)
    assert state.ticks == dex.ticks(dex.pools[1])
    assert {tick for tick, _, _ in state.ticks} >= {-edge, edge, -1, 0, 255, 256, -256, -257}


@pytest.mark.parametrize(
    "answer",
    [
        "0x",
        "0x01",
        "0x00ff",
        "0x00" + "0005" + "11" * 31,
        "0x00" + ("0005" + "11" * 32) * 2,
        "0x000009" + "11" * 32,
    ],
)
def test_a_lens_answer_that_cannot_be_is_refused(answer: str) -> None:
    assert decode_lens("0x00" + "fffe" + "00" * 31 + "80" + "0005" + "11" * 32, range(-3, 9)) == [
        (-2, 128),
        (5, int("11" * 32, 16)),
    ]
    with pytest.raises(NodeError, match="malformed"):
        decode_lens(answer, range(-3, 9))
