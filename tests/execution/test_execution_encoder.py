"""The command stream: layout, round trip, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import ExecutionError
from engine.domain.market import BlockRef, Protocol
from engine.domain.opportunity import Hop, Opportunity
from engine.execution.encoder import MAX_DEADLINE, Command, decode_stream, encode_stream

BLOCK = BlockRef(1, "0x" + "01" * 32, "0x" + "00" * 32, 1)
ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
AMOUNTS = st.integers(0, 2**128 - 1)


def cycle(tokens: list[str], pools: list[str], kinds: list[Protocol], amounts: list[int]) -> Opportunity:
    count = len(pools)
    hops = tuple(
        Hop(
            pools[k],
            kinds[k],
            "v",
            tokens[k],
            tokens[(k + 1) % count],
            amounts[k],
            amounts[k + 1],
            3000,
        )
        for k in range(count)
    )
    return Opportunity(BLOCK, tokens[0], hops)


@st.composite
def cycles(draw: st.DrawFn) -> Opportunity:
    count = draw(st.integers(2, 4))
    tokens = draw(st.lists(ADDRESSES, min_size=count, max_size=count, unique=True))
    pools = draw(st.lists(ADDRESSES, min_size=count, max_size=count, unique=True))
    kinds = draw(st.lists(st.sampled_from(list(Protocol)), min_size=count, max_size=count))
    return cycle(tokens, pools, kinds, draw(st.lists(AMOUNTS, min_size=count + 1, max_size=count + 1)))


@given(cycles(), st.integers(0, MAX_DEADLINE), AMOUNTS)
def test_decoding_gives_back_what_was_encoded(opportunity: Opportunity, deadline: int, min_profit: int):
    stream = decode_stream(encode_stream(opportunity, deadline, min_profit))
    assert (stream.deadline, stream.min_profit) == (deadline, min_profit)
    assert stream.base_token == opportunity.base_token
    expected = []
    for position, hop in enumerate(reversed(opportunity.hops)):
        v2 = hop.protocol is Protocol.UNISWAP_V2
        expected.append(
            Command(
                hop.protocol,
                hop.pool,
                hop.zero_for_one,
                hop.amount_in if v2 or position == 0 else None,
                hop.amount_out if v2 and position == 0 else None,
            )
        )
    assert list(stream.commands) == expected


def test_the_bytes_are_those_the_router_documents():
    weth, usdc, wbtc = "0x" + "11" * 20, "0x" + "22" * 20, "0x" + "33" * 20
    pools = ["0x" + pair * 20 for pair in ("aa", "bb", "cc")]
    kinds = [Protocol.UNISWAP_V3, Protocol.UNISWAP_V2, Protocol.UNISWAP_V2]
    data = encode_stream(cycle([weth, usdc, wbtc], pools, kinds, [1, 2, 3, 4]), 0x0102030405, 6)
    assert data.hex() == (
        "01" + "0102030405" + f"{6:032x}" + "11" * 20
        + "02" + "cc" * 20 + f"{4:032x}" + f"{3:032x}"
        + "03" + "bb" * 20 + f"{2:032x}"
        + "05" + "aa" * 20
    )  # fmt: skip


@given(cycles(), st.data())
def test_a_cut_stream_is_refused_or_shorter_by_whole_commands(opportunity: Opportunity, data: st.DataObject):
    encoded = encode_stream(opportunity, 1, 1)
    cut = encoded[: data.draw(st.integers(0, len(encoded) - 1))]
    try:
        stream = decode_stream(cut)
    except ExecutionError:
        return
    whole = decode_stream(encoded)
    assert stream.commands == whole.commands[: len(stream.commands)]
    assert len(stream.commands) < len(whole.commands)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data: bytes):
    try:
        stream = decode_stream(data)
    except ExecutionError:
        return
    assert data[0] == 1
    assert stream.commands


@pytest.mark.parametrize(
    ("deadline", "min_profit", "amount", "match"),
    [
        (-1, 0, 1, "deadline"),
        (MAX_DEADLINE + 1, 0, 1, "deadline"),
        (1, -1, 1, "minimum profit"),
        (1, 2**128, 1, "minimum profit"),
        (1, 0, 2**128, "amount in"),
        (1, 0, -1, "amount in"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(deadline: int, min_profit: int, amount: int, match: str):
    tokens, pools = ["0x" + "11" * 20, "0x" + "22" * 20], ["0x" + "aa" * 20, "0x" + "bb" * 20]
    opportunity = cycle(tokens, pools, [Protocol.UNISWAP_V2, Protocol.UNISWAP_V3], [5, amount, 7])
    with pytest.raises(ExecutionError, match=match):
        encode_stream(opportunity, deadline, min_profit)


def test_what_is_no_cycle_is_refused():
    tokens, pools = ["0x" + "11" * 20, "0x" + "22" * 20], ["0x" + "aa" * 20, "0x" + "bb" * 20]
    good = cycle(tokens, pools, [Protocol.UNISWAP_V2] * 2, [1, 2, 3])
    first, last = good.hops
    gap = Hop(last.pool, last.protocol, "v", last.token_in, last.token_out, 1, 3, 3000)
    astray = Hop(last.pool, last.protocol, "v", last.token_in, "0x" + "33" * 20, 2, 3, 3000)
    for base, hops in (
        (tokens[0], (first,)),
        (tokens[1], (first, last)),
        (tokens[0], (first, gap)),
        (tokens[0], (first, astray)),
    ):
        with pytest.raises(ExecutionError):
            encode_stream(Opportunity(BLOCK, base, hops), 1, 0)
