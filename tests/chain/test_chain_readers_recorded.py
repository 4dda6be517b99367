"""Readers of contracts that no registry has, asked as recorded states of the real ones would answer."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from answering import answering, calldata, words
from eth_abi import encode
from local_node import LocalNode

from engine.chain.bootstrap import bootstrap
from engine.chain.creations import Sighting
from engine.chain.identify import identify
from engine.chain.readers.reading import Reading
from engine.chain.rpc import RpcNode, connect
from engine.chain.wire import header
from engine.domain.market import Protocol, Venue
from engine.domain.pool_details import (
    CamelotDetails,
    CryptoSwapVariant,
    CurveCryptoDetails,
    CurveStableDetails,
    StableSwapVariant,
)
from engine.domain.pool_state import (
    CamelotPoolState,
    CurveCryptoPoolState,
    CurveStablePoolState,
    WethPoolState,
    WstEthPoolState,
)

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).parents[2] / "../shared/data"))
GOLDEN = DATA / "golden"
pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the recorded vectors are not here")

TOKENS = ["0x" + f"{number:02x}" * 20 for number in (0x11, 0x22, 0x33)]
POOL, BASE_POOL = "0x" + "a1" * 20, "0x" + "b2" * 20


def recorded(family: str, pick: Any = lambda pool: True) -> tuple[dict[str, Any], dict[str, Any]]:
    """(parameters, state) of the first recorded pool that fits, numbers as integers."""
    pools = json.loads((GOLDEN / f"{family}.json").read_text())["pools"]
    pool = next(each for each in pools if pick(each["params"]))
    return _integers(pool["params"]), _integers(pool["cases"][0]["state"])


def _integers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _integers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_integers(each) for each in value]
    return int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value


class Asked:
    """A node on which contracts answer, and the engine's reading of one of them."""

    def __init__(self, node: LocalNode, connection: RpcNode):
        self.node, self.connection = node, connection

    def put(self, address: str, answers: dict[str, Any]) -> None:
        """`answers`: by signature, or (signature, arguments…), the words or bytes answered."""
        made = {}
        for asked, answer in answers.items():
            call = calldata(*asked) if isinstance(asked, tuple) else calldata(asked)
            made[call] = answer if isinstance(answer, bytes) else words(answer)
        self.node.rpc("anvil_setCode", address, answering(made))

    def put_tokens(self, decimals: list[int], holder: str = POOL) -> None:
        for token, digits in zip(TOKENS, decimals, strict=False):
            held = {("balanceOf(address)", holder): 2**255}
            self.put(token, {"symbol()": encode(["string"], ["T"]), "decimals()": digits} | held)

    async def read(self, protocol: Protocol, address: str = POOL) -> Any:
        """(state, refusals)."""
        self.node.mine()
        head = header(self.node.block()).ref
        venue = Venue("one", protocol, address, address, "0x" + "00" * 32)
        reading = Reading(self.connection, head, [venue])
        records = await identify(reading, [Sighting(venue, address, tuple(sorted(TOKENS[:2])))])
        boot = await bootstrap(self.connection, records, [venue], head)
        states = {state.pool.key: state for state in boot.pools}
        return states.get(address), reading.refused | boot.refused


@pytest.fixture
async def asked(local_node: LocalNode) -> AsyncIterator[Asked]:
    async with connect(local_node.http) as connection:
        yield Asked(local_node, connection)


def stable_answers(balances: list[int], fee: int, admin_fee: int, ramp: tuple[int, int, int, int]) -> dict:
    names = ("initial_A()", "future_A()", "initial_A_time()", "future_A_time()")
    return (
        {("balances(uint256)", at): value for at, value in enumerate(balances)}
        | {("coins(uint256)", at): TOKENS[at] for at in range(len(balances))}
        | {"fee()": fee, "admin_fee()": admin_fee, "A()": ramp[1] // 100}
        | dict(zip(names, ramp, strict=True))
    )


async def test_stableswap_ng(asked: Asked) -> None:
    params, state = recorded("curve-stableswap-ng")
    balances, rates, later = state["balances"], state["rates"], 2**40
    answers = stable_answers(balances, params["fee"], params["admin_fee"], (100, 20_000, 0, later))
    answers |= {
        "stored_rates()": encode(["uint256[]"], [rates]),
        "offpeg_fee_multiplier()": params["offpeg_fee_multiplier"],
        "D_ma_time()": 62324,
        "A_precise()": 20_000,
    }
    asked.put_tokens(params["decimals"])
    asked.put(POOL, answers)
    found, refused = await asked.read(Protocol.CURVE_STABLESWAP)
    assert refused == {}
    assert isinstance(found, CurveStablePoolState)
    assert found.pool.details == CurveStableDetails(StableSwapVariant.NG)
    assert (found.balances, found.rates) == (tuple(balances), tuple(rates))
    assert found.ramp == (100, 20_000, 0, later)
    assert (found.fee, found.admin_fee) == (params["fee"], params["admin_fee"])
    assert found.offpeg_fee_multiplier == params["offpeg_fee_multiplier"]


async def test_3pool_and_a_pool_that_claims_what_it_does_not_hold(asked: Asked) -> None:
    params, state = recorded("curve-3pool-susd", lambda params: params["type"] == "3pool")
    balances = state["balances"]
    over = (params["A"], params["A"], 1, 2)
    asked.put_tokens(params["decimals"])
    asked.put(POOL, stable_answers(balances, params["fee"], params["admin_fee"], over) | {"A()": params["A"]})
    found, refused = await asked.read(Protocol.CURVE_STABLESWAP)
    assert refused == {}
    assert found.pool.details == CurveStableDetails(StableSwapVariant.THREE_POOL)
    assert (found.balances, found.rates) == (tuple(balances), tuple(params["rates"]))
    assert found.ramp == (params["A"], params["A"], 0, 0)
    poor = {("balanceOf(address)", POOL): balances[1] - 1}
    asked.put(TOKENS[1], {"symbol()": encode(["string"], ["T"]), "decimals()": params["decimals"][1]} | poor)
    found, refused = await asked.read(Protocol.CURVE_STABLESWAP)
    assert (found, refused) == (None, {POOL: "it claims balances that it does not hold"})


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_metapool_uses_the_price_it_stored_while_that_holds(asked: Asked, fresh: bool) -> None:
    asked.node.mine()
    now = int(asked.node.block()["timestamp"], 16)
    asked.put_tokens([18, 18])
    answers = stable_answers([10**24, 2 * 10**24], 4_000_000, 5 * 10**9, (10_000, 10_000, 0, 0))
    answers |= {"A_precise()": 10_000, "base_pool()": BASE_POOL, "base_virtual_price()": 10**18 + 5}
    asked.put(POOL, answers | {"base_cache_updated()": now if fresh else now - 10_000})
    asked.put(BASE_POOL, {"get_virtual_price()": 10**18 + 9})
    found, refused = await asked.read(Protocol.CURVE_STABLESWAP)
    assert refused == {}
    assert found.pool.details == CurveStableDetails(StableSwapVariant.TEMPLATE, BASE_POOL)
    assert found.rates == (10**18, 10**18 + (5 if fresh else 9))


@pytest.mark.parametrize("family", ["curve-twocrypto-ng", "curve-tricrypto-ng"])
async def test_cryptoswap(asked: Asked, family: str) -> None:
    params, state = recorded(family)
    balances, scales = state["balances"], state["price_scale"]
    scales = scales if isinstance(scales, list) else [scales]
    packed = params["A"] << 128 | params["gamma"]
    answers: dict[Any, Any] = {("balances(uint256)", at): value for at, value in enumerate(balances)}
    answers |= {("coins(uint256)", at): TOKENS[at] for at in range(len(balances))}
    answers |= {
        "D()": state["D"],
        "mid_fee()": params["mid_fee"],
        "out_fee()": params["out_fee"],
        "fee_gamma()": params["fee_gamma"],
        "totalSupply()": 10**20,
        "virtual_price()": 10**18,
        "initial_A_gamma()": packed,
        "initial_A_gamma_time()": 0,
        "future_A_gamma()": packed,
        "future_A_gamma_time()": 0,
        "precisions()": words(*params["precisions"]),
        "version()": encode(["string"], ["v2.0.0"]),
    }
    if len(scales) == 1:
        answers["price_scale()"] = scales[0]
    else:
        answers |= {("price_scale(uint256)", at): scale for at, scale in enumerate(scales)}
    asked.put_tokens(params["decimals"])
    asked.put(POOL, answers)
    found, refused = await asked.read(Protocol.CURVE_CRYPTOSWAP)
    assert refused == {}
    variant = CryptoSwapVariant.TWOCRYPTO_20 if len(balances) == 2 else CryptoSwapVariant.TRICRYPTO
    assert found == CurveCryptoPoolState(
        found.pool,
        tuple(balances),
        params["A"],
        params["gamma"],
        state["D"],
        tuple(scales),
        params["mid_fee"],
        params["out_fee"],
        params["fee_gamma"],
        10**20,
        10**18,
    )
    assert found.pool.details == CurveCryptoDetails(variant, tuple(params["precisions"]))
    # In the middle of a ramp, A and gamma are those of the block to trade in.
    now = int(asked.node.block()["timestamp"], 16)
    answers |= {"initial_A_gamma_time()": now - 1000, "future_A_gamma_time()": now + 1000}
    asked.put(POOL, answers | {"future_A_gamma()": (2 * params["A"]) << 128 | params["gamma"]})
    ramping, refused = await asked.read(Protocol.CURVE_CRYPTOSWAP)
    assert refused == {}
    assert ramping.ramping
    assert ramping.may_lose
    assert params["A"] < ramping.a < 2 * params["A"]


async def test_what_is_of_no_known_generation_is_refused(asked: Asked) -> None:
    asked.put_tokens([18, 18])
    answers = stable_answers([1, 2], 0, 0, (100, 100, 0, 0)) | {"A_precise()": 100}
    asked.put(POOL, answers | {"offpeg_fee_multiplier()": 2 * 10**10})
    found, refused = await asked.read(Protocol.CURVE_STABLESWAP)
    assert (found, refused) == (None, {POOL: "it is a StableSwap pool of an unknown kind"})
    asked.put(POOL, answers | {"version()": encode(["string"], ["v0.9"]), "precisions()": words(1, 1)})
    found, refused = await asked.read(Protocol.CURVE_CRYPTOSWAP)
    assert (found, refused) == (None, {POOL: "it is a CryptoSwap pool of an unknown version"})


async def test_camelot(asked: Asked) -> None:
    from engine.chain.bootstrap import refresh

    asked.put_tokens([18, 6])
    answers = {"stableSwap()": 0, "precisionMultiplier0()": 10**18, "precisionMultiplier1()": 10**6}
    asked.put(POOL, answers | {"getReserves()": words(5 * 10**18, 7 * 10**6, 300, 1000)})
    asked.node.mine()
    head = header(asked.node.block()).ref
    venue = Venue("camelot", Protocol.CAMELOT_V2, POOL, POOL, "0x" + "00" * 32)
    reading = Reading(asked.connection, head, [venue])
    (record,) = await identify(reading, [Sighting(venue, POOL, (TOKENS[0], TOKENS[1]))])
    assert record.details == CamelotDetails(False, (18, 6))
    states, refused = await refresh(asked.connection, [record], [venue], head)
    assert refused == {}
    assert states[POOL] == CamelotPoolState(record, 5 * 10**18, 7 * 10**6, 300, 1000)


async def test_wrappers(asked: Asked) -> None:
    _, state = recorded("wsteth")
    shares, ether = state["total_shares"], state["total_pooled_ether"]
    asked.put_tokens([18, 18])
    symbol = {"symbol()": encode(["string"], ["T"]), "decimals()": 18}
    asked.put(TOKENS[0], symbol | {"getTotalShares()": shares, "getTotalPooledEther()": ether})
    asked.put(POOL, symbol | {"stETH()": TOKENS[0], "totalSupply()": 10**24})
    found, refused = await asked.read(Protocol.WSTETH)
    assert refused == {}
    assert found == WstEthPoolState(found.pool, shares, ether, 10**24)
    assert found.pool.tokens == (TOKENS[0], POOL)
    found, refused = await asked.read(Protocol.WETH)
    assert refused == {}
    assert found == WethPoolState(found.pool, 10**24)
    assert found.pool.tokens == ("0x" + "00" * 20, POOL)
