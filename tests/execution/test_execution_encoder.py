"""The command stream: layout, round trip, refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import ExecutionError
from engine.domain.execution import Pinned
from engine.domain.market import ZERO_ADDRESS, BlockRef, Protocol
from engine.domain.opportunity import Conversion, Hop, Opportunity
from engine.domain.pool_details import (
    BalancerV2WeightedDetails,
    BalancerV3WeightedDetails,
    CryptoSwapVariant,
    CurveCryptoDetails,
    CurveStableDetails,
    PoolDetails,
    StableSwapVariant,
    UniswapV4Details,
)
from engine.execution.commands import (
    BalancerV2Swap,
    Hold,
    Kind,
    Loan,
    NativeWrap,
    Place,
    Pull,
    V2Swap,
    V3Swap,
    V4Run,
)
from engine.execution.encoder import (
    MAX_PIN,
    Settled,
    Validity,
    decode_stream,
    encode_cycles,
    encode_plan,
    encode_stream,
)
from engine.execution.lenders import Lender, lends_for

BLOCK = BlockRef(1, "0x" + "01" * 32, "0x" + "00" * 32, 1)
ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
AMOUNTS = st.integers(1, 2**112 - 1)
MANAGER, VAULT, VAULT_V3 = ("0x" + byte * 20 for byte in ("d1", "d2", "d3"))
WETH, USDC, WBTC, DAI = ("0x" + byte * 20 for byte in ("11", "22", "33", "44"))
PINNED = Pinned(WETH, MANAGER, VAULT, VAULT_V3)
POOL_ID = "0x" + "5a" * 32
LENDERS = [
    Lender(Kind.BALANCER_LOAN),
    Lender(Kind.MORPHO_LOAN, "0x" + "e1" * 20),
    Lender(Kind.AAVE_LOAN, "0x" + "e2" * 20, 5),
]


def fitting(lender: Lender, *opportunities: Opportunity) -> Lender:
    """The lender, or one that lends for every cycle: Balancer's vault does not swap while it lends."""
    return lender if all(lends_for(lender, each) for each in opportunities) else LENDERS[1]


def details(protocol: Protocol, pushed: bool) -> PoolDetails | None:
    stable = StableSwapVariant.NG if pushed else StableSwapVariant.THREE_POOL
    crypto = CryptoSwapVariant.TWOCRYPTO_20 if pushed else CryptoSwapVariant.TRICRYPTO
    weighted = BalancerV2WeightedDetails(POOL_ID, VAULT, (1, 1), (1, 1))
    weighted_v3 = BalancerV3WeightedDetails(VAULT_V3, (1, 1), (1, 1))
    return {
        Protocol.UNISWAP_V4: UniswapV4Details(POOL_ID, MANAGER, 3000, 60, "0x" + "aa" * 20),
        Protocol.CURVE_STABLESWAP: CurveStableDetails(stable),
        Protocol.CURVE_CRYPTOSWAP: CurveCryptoDetails(crypto, (1, 1)),
        Protocol.BALANCER_V2_WEIGHTED: weighted,
        Protocol.BALANCER_V2_STABLE: weighted,
        Protocol.BALANCER_V3_WEIGHTED: weighted_v3,
        Protocol.BALANCER_V3_STABLE: weighted_v3,
    }.get(protocol)


def hop(
    protocol: Protocol,
    sold: str,
    bought: str,
    *amounts: int,
    pool: str = "0x" + "bb" * 20,
    pushed: bool = False,
) -> Hop:
    return Hop(pool, protocol, "v", sold, bought, *amounts, 3000, details(protocol, pushed), 1, 2)


def cycle(tokens: list[str], pools: list[str], kinds: list[Protocol], amounts: list[int]) -> Opportunity:
    count = len(pools)
    hops = tuple(
        hop(kinds[k], tokens[k], tokens[(k + 1) % count], amounts[k], amounts[k + 1], pool=pools[k])
        for k in range(count)
    )
    return Opportunity(BLOCK, tokens[0], hops)


@st.composite
def cycles(draw: st.DrawFn) -> Opportunity:
    count = draw(st.integers(2, 5))
    tokens = draw(st.lists(ADDRESSES, min_size=count, max_size=count, unique=True))
    protocols = [protocol for protocol in Protocol if protocol is not Protocol.WETH]
    hops = []
    for k in range(count):
        least = hops[-1].amount_out if hops else draw(AMOUNTS)
        sold = draw(st.integers(max(least - 5, 1), least))
        hops.append(
            hop(
                draw(st.sampled_from(protocols)),
                tokens[k],
                tokens[(k + 1) % count],
                sold,
                draw(AMOUNTS),
                pool=draw(ADDRESSES),
                pushed=draw(st.booleans()),
            )
        )
    return Opportunity(BLOCK, tokens[0], tuple(hops))


@given(cycles(), st.integers(0, MAX_PIN), AMOUNTS, st.booleans(), st.sampled_from(LENDERS))
def test_decoding_gives_back_what_was_encoded(
    opportunity: Opportunity, deadline: int, min_profit: int, known: bool, lender: Lender
):
    pinned = replace(PINNED, wrapped_native=opportunity.base_token) if known else PINNED
    data = encode_stream(opportunity, deadline, min_profit, pinned, fitting(lender, opportunity))
    stream = decode_stream(data)
    assert (stream.deadline, stream.min_profit) == (deadline, min_profit)
    assert stream.base_token == (None if known else opportunity.base_token)
    # Commands say everything about their bytes, so writing them again must give the same.
    body = b"".join(command.encode() for command in stream.commands)
    assert body in data
    swaps = [one for one in stream.commands if not isinstance(one, Hold | Loan)]
    assert sum(len(one.hops) if isinstance(one, V4Run) else 1 for one in swaps) == len(opportunity.hops)
    guarded = set(stream.guarded)
    assert guarded <= {each.token_in for each in opportunity.hops[1:]}


@given(st.lists(cycles(), min_size=2, max_size=3), st.integers(0, MAX_PIN), AMOUNTS, st.booleans())
def test_several_cycles_in_one_stream(
    opportunities: list[Opportunity], block: int, bid: int, with_parent: bool
):
    rebased = [rebase(each) for each in opportunities]
    parent = "0x" + "c7" * 32 if with_parent else None
    lender = fitting(LENDERS[0], *rebased)
    data = encode_cycles(rebased, Validity(0, block, parent), 7, PINNED, lender, bid)
    stream = decode_stream(data)
    assert (stream.validity.block, stream.bid, stream.min_profit) == (block, bid, 7)
    assert stream.validity.parent_hash == (parent[:18] if parent else None)
    assert len(stream.cycles) == len(rebased)
    for commands, each in zip(stream.cycles, rebased, strict=True):
        alone = decode_stream(encode_stream(each, 1, 0, PINNED, lender))
        assert commands == alone.commands


def rebase(opportunity: Opportunity) -> Opportunity:
    """The same cycle from the pinned base token."""
    hops = list(opportunity.hops)
    hops[0], hops[-1] = replace(hops[0], token_in=WETH), replace(hops[-1], token_out=WETH)
    return Opportunity(BLOCK, WETH, tuple(hops))


def test_the_bytes_are_those_the_router_documents():
    pools = ["0x" + pair * 20 for pair in ("aa", "bb", "cc")]
    kinds = [Protocol.UNISWAP_V3, Protocol.UNISWAP_V2, Protocol.SOLIDLY]
    opportunity = cycle([WETH, USDC, WBTC], pools, kinds, [1, 2, 3, 4])
    body = (
        "04" + "cc" * 20 + f"{4:028x}" + f"{3:028x}"
        + "05" + "bb" * 20 + f"{2:028x}"
        + "09" + "aa" * 20
    )  # fmt: skip
    assert encode_stream(opportunity, 0x01020304, 6, PINNED).hex() == "20" + "01020304" + f"{6:028x}" + body
    named = encode_stream(opportunity, 0x01020304, 6)
    assert named.hex() == "21" + "01020304" + f"{6:028x}" + body + "00" + "11" * 20


def test_hops_that_are_paid_first_follow_the_last_that_is_not():
    hops = (
        hop(Protocol.ERC4626, WETH, USDC, 10, 20),
        hop(Protocol.UNISWAP_V3, USDC, WBTC, 20, 30),
        hop(Protocol.CURVE_STABLESWAP, WBTC, DAI, 30, 41),
        hop(Protocol.BALANCER_V2_WEIGHTED, DAI, WETH, 40, 50),
    )
    stream = decode_stream(encode_stream(Opportunity(BLOCK, WETH, hops), 1, 0, PINNED))
    first, curve, balancer, vault, hold = stream.commands
    assert first == V3Swap(hops[1].pool, True, 30, exact_out=True)
    assert isinstance(curve, Pull)
    assert (curve.place, curve.coins) == (Place.FORWARD, (1, 2))
    assert isinstance(balancer, BalancerV2Swap)
    assert (balancer.place, balancer.amount_out) == (Place.FORWARD, None)
    assert isinstance(vault, Pull)
    assert vault.place is Place.DIRECT
    assert hold == Hold()
    assert stream.guarded == (WBTC, DAI)


def test_a_v4_run_is_one_command_and_an_inner_one_finds_it_unlocked():
    hops = (
        hop(Protocol.UNISWAP_V4, WETH, USDC, 1, 2),
        hop(Protocol.UNISWAP_V3, USDC, WBTC, 2, 3),
        hop(Protocol.UNISWAP_V4, WBTC, DAI, 3, 4),
        hop(Protocol.UNISWAP_V4, DAI, WETH, 4, 5),
    )
    stream = decode_stream(encode_stream(Opportunity(BLOCK, WETH, hops), 1, 0, PINNED))
    outer, _, inner = stream.commands
    assert isinstance(outer, V4Run)
    assert isinstance(inner, V4Run)
    assert (len(outer.hops), outer.unlocked, outer.by_router, outer.amount) == (2, False, True, 4)
    assert (len(inner.hops), inner.unlocked, inner.by_router, inner.amount) == (1, True, False, None)
    assert [each.token_in for each in (*outer.hops, *inner.hops)] == [DAI, WBTC, None]
    assert stream.guarded == (WBTC,)


def test_the_native_coin_is_unwrapped_for_a_v4_pool():
    hops = (
        hop(Protocol.WETH, WETH, ZERO_ADDRESS, 5, 5, pool=WETH),
        hop(Protocol.UNISWAP_V4, ZERO_ADDRESS, USDC, 5, 7),
        hop(Protocol.UNISWAP_V2, USDC, WETH, 7, 9),
    )
    stream = decode_stream(encode_stream(Opportunity(BLOCK, WETH, hops), 1, 0, PINNED))
    assert stream.commands[2:] == (NativeWrap(Place.DIRECT, 5, unwrap=True), Hold())
    back = tuple(replace(each, token_in=each.token_out, token_out=each.token_in) for each in reversed(hops))
    stream = decode_stream(encode_stream(Opportunity(BLOCK, WETH, exact(back)), 1, 0, PINNED))
    run, wrap, pair = stream.commands
    assert isinstance(run, V4Run)
    assert run.exact_out
    assert wrap == NativeWrap(Place.FORWARD, 5, unwrap=False)
    assert isinstance(pair, V2Swap)
    assert stream.guarded == (ZERO_ADDRESS,)


def exact(hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
    return tuple(replace(each, amount_in=5, amount_out=5) for each in hops)


def test_output_beyond_what_is_owed_does_not_reach_a_lock():
    over = hop(Protocol.ERC4626, WETH, USDC, 1, 3)
    for place, owed in ((Place.RELAY, 2), (Place.DIRECT, 3)):
        hops = (over, hop(Protocol.UNISWAP_V4, USDC, WETH, owed, 9))
        vault = decode_stream(encode_stream(Opportunity(BLOCK, WETH, hops), 1, 0, PINNED)).commands[1]
        assert isinstance(vault, Pull)
        assert vault.place is place


@pytest.mark.parametrize("lender", LENDERS, ids=lambda lender: lender.kind.name)
def test_a_cycle_in_which_no_pool_pays_first_is_borrowed_for(lender: Lender):
    hops = (
        hop(Protocol.CURVE_STABLESWAP, WETH, USDC, 10, 20),
        hop(Protocol.ERC4626, USDC, WETH, 20, 30),
    )
    opportunity = Opportunity(BLOCK, WETH, hops)
    commands = decode_stream(encode_stream(opportunity, 1, 0, PINNED, lender)).commands
    assert commands[0] == Loan(lender.kind, 10, lender.address)
    # Who pulls its money back must not be paid as well.
    assert isinstance(commands[-1], Hold) == (lender.kind is not Kind.BALANCER_LOAN)
    with pytest.raises(ExecutionError, match="no lender"):
        encode_stream(opportunity, 1, 0, PINNED)


def test_contracts_the_router_does_not_know_are_refused():
    for protocol in (Protocol.UNISWAP_V4, Protocol.BALANCER_V2_STABLE, Protocol.BALANCER_V3_STABLE):
        hops = (hop(protocol, WETH, USDC, 1, 2), hop(Protocol.UNISWAP_V3, USDC, WETH, 2, 3))
        with pytest.raises(ExecutionError, match="not what the router knows"):
            encode_stream(Opportunity(BLOCK, WETH, hops), 1, 0, Pinned(WETH))
    keyless = replace(hops[0], protocol=Protocol.UNISWAP_V4, details=None)
    with pytest.raises(ExecutionError, match="pool key"):
        encode_stream(Opportunity(BLOCK, WETH, (keyless, hops[1])), 1, 0, PINNED)
    with pytest.raises(ExecutionError, match="bid"):
        encode_cycles([Opportunity(BLOCK, WETH, hops)], Validity(1), 0, Pinned(), bid=1)


@given(cycles(), st.data())
def test_a_cut_stream_is_refused_or_shorter_by_whole_commands(opportunity: Opportunity, data: st.DataObject):
    pinned = replace(PINNED, wrapped_native=opportunity.base_token)
    encoded = encode_stream(opportunity, 1, 1, pinned, fitting(LENDERS[0], opportunity))
    cut = encoded[: data.draw(st.integers(0, len(encoded) - 1))]
    try:
        stream = decode_stream(cut)
    except ExecutionError:
        return
    whole = decode_stream(encoded)
    assert stream.commands == whole.commands[: len(stream.commands)]
    assert len(stream.commands) < len(whole.commands)


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda tail: b"\x20" + tail)))
def test_any_bytes_decode_or_are_refused(data: bytes):
    try:
        stream = decode_stream(data)
    except ExecutionError:
        return
    assert data[0] >> 4 == 2
    assert stream.cycles


@pytest.mark.parametrize(
    ("deadline", "min_profit", "amount", "match"),
    [
        (-1, 0, 1, "deadline"),
        (MAX_PIN + 1, 0, 1, "deadline"),
        (1, -1, 1, "minimum profit"),
        (1, 2**112, 1, "minimum profit"),
        (1, 0, 2**112, "amount in"),
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
    gap = replace(last, amount_in=3)
    astray = replace(last, token_out="0x" + "33" * 20)
    for base, hops in (
        (tokens[0], (first,)),
        (tokens[1], (first, last)),
        (tokens[0], (first, gap)),
        (tokens[0], (first, astray)),
    ):
        with pytest.raises(ExecutionError):
            encode_stream(Opportunity(BLOCK, base, hops), 1, 0)
    with pytest.raises(ExecutionError):
        encode_cycles([], Validity(1), 0)
    with pytest.raises(ExecutionError):
        encode_cycles([good, replace(good, base_token=tokens[1])], Validity(1), 0)


def test_a_plan_of_several_base_tokens_is_guarded_and_ends_with_the_one_that_is_looked_at() -> None:
    pools = ["0x" + pair * 20 for pair in ("aa", "bb", "cc", "dd", "ee")]
    kinds = [Protocol.UNISWAP_V2, Protocol.UNISWAP_V3]
    main = cycle([USDC, WBTC], pools[:2], kinds, [10, 11, 12])
    other = cycle([WETH, WBTC], pools[2:4], kinds, [20, 21, 25])
    sold = Conversion((hop(Protocol.UNISWAP_V2, WETH, USDC, 5, 6, pool=pools[4]),))
    validity = Validity(7)
    explicit = decode_stream(encode_plan(Settled([main, other], USDC, [sold]), validity, 8, PINNED))
    assert explicit.base_token == USDC
    assert explicit.guarded == (WETH,)
    shapes = [[getattr(one, "pool", None) for one in commands] for commands in explicit.cycles]
    assert shapes == [[pools[3], pools[2]], [pools[4]], [pools[1], pools[0]]]
    pinned = decode_stream(encode_plan(Settled([main, other], WETH, [sold]), validity, 8, PINNED))
    assert pinned.base_token is None
    assert pinned.guarded == (USDC,)
    assert len(pinned.cycles) == 3
    # The only cycle through the base token shares a pool with what comes after it.
    shared = Conversion((hop(Protocol.UNISWAP_V2, WETH, USDC, 5, 6, pool=pools[0]),))
    for plan in (Settled([main, other], USDC, [shared]), Settled([], USDC), Settled([other], USDC, [sold])):
        with pytest.raises(ExecutionError):
            encode_plan(plan, validity, 8, PINNED)
    for hops in ((), (*sold.hops, *sold.hops)):
        with pytest.raises(ExecutionError):
            encode_plan(Settled([main], WETH, [Conversion(hops)]), validity, 8, PINNED)
