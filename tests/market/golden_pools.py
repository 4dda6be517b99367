"""The recorded pools of every family, as records, readings and swaps of the market."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from engine.amm.layout import MAX_SQRT_RATIO, MIN_SQRT_RATIO
from engine.amm.v4_fees import BEFORE_SWAP, DYNAMIC_FEE_FLAG
from engine.domain import pool_details as details
from engine.domain import pool_state as states
from engine.domain.market import ZERO_ADDRESS, BlockRef, PoolRecord, Protocol, Token
from engine.market.market import Market

DATA = Path(os.environ.get("ROUNDTRIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
FILES = (
    "uniswap-v4",
    "slipstream",
    "pancake-v3",
    "algebra-v1",
    "algebra-integral",
    "solidly",
    "camelot-v2-volatile",
    "curve-3pool-susd",
    "curve-stableswap-ng",
    "curve-twocrypto-ng",
    "curve-tricrypto-ng",
    "balancer-v2",
    "balancer-v3",
    "erc4626",
    "wsteth",
)
VAULT = "0x" + "ba" * 20
MANAGER = "0x" + "44" * 20
_EXTREMES = (str(MIN_SQRT_RATIO + 1), str(MAX_SQRT_RATIO - 1))


@dataclass(frozen=True)
class Swap:
    """One recorded swap: coins by place in the pool; `moved` is the other amount, None where it reverted."""

    state: states.PoolState
    timestamp: int
    coin_in: int
    coin_out: int
    exact_in: bool
    amount: int
    moved: int | None
    reason: str


@cache
def _file(name: str) -> Any:
    path = DATA / "golden" / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def recorded_pools(name: str) -> list[tuple[str, list[Swap]]]:
    """(id, swaps) of each pool of a file; skips the test where the file is missing."""
    document = _file(name)
    if document is None:
        pytest.skip(f"no recorded data at {DATA / 'golden'}: set ROUNDTRIP_DATA")
    pools = enumerate(document["pools"])
    return [(pool["id"], list(_swaps(name, number, pool))) for number, pool in pools]


def market_of(swap: Swap) -> Market:
    """A market with the swap's pool, in its state and at its time."""
    market = Market()
    record = swap.state.pool
    for token in record.tokens:
        market.add_token(Token(token, "T", 18))
    set_moment(market, market.add_pool(record), swap)
    return market


def set_moment(market: Market, row: int, swap: Swap) -> None:
    """The pool's state and the time of the swap."""
    market.start(BlockRef(1, "0x" + "01" * 32, "0x" + "00" * 32, swap.timestamp))
    market.set_state(row, swap.state)


def row_of(market: Market, swap: Swap) -> tuple[int, bool]:
    """(row, zero_for_one) of the swap's tokens."""
    tokens = swap.state.pool.tokens
    sold, bought = tokens[swap.coin_in], tokens[swap.coin_out]
    for row in market.rows_of(0):
        if {market.token_in(2 * row), market.token_in(2 * row + 1)} == {sold, bought}:
            return row, market.token_in(2 * row) == sold
    raise AssertionError("no row of the pool has both tokens")


def _ints(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _swaps(name: str, number: int, pool: dict) -> Iterator[Swap]:
    for case in pool["cases"]:
        limit = case.get("sqrt_price_limit")
        if limit and limit not in _EXTREMES:
            continue
        if case["amount_specified"] == "0" or case.get("method") == "plus_one":
            continue  # nothing to quote, or more asked of a Camelot pair than its router would
        exact_in = case["kind"] == "exact_in"
        moved = case["amount_out"] if exact_in else case["amount_in"]
        amount, specified = case["amount_in"] if exact_in else case["amount_out"], case["amount_specified"]
        if not case["reverted"] and amount != specified and name not in ("curve-stableswap-ng", "wsteth"):
            continue  # a partial fill
        yield Swap(
            _state(name, number, pool, case),
            int(case["block_timestamp"]),
            int(case["token_in"]),
            int(case["token_out"]),
            exact_in,
            int(case.get("pool_received") or specified),
            None if case["reverted"] else int(moved),
            str(case.get("revert_reason") or ""),
        )


def _state(name: str, number: int, pool: dict, case: dict) -> states.PoolState:
    make = _MAKERS[name]
    count = int(pool["params"].get("n_coins") or pool["params"].get("n_tokens") or 2)
    # Coins of many-token pools are deliberately not in the order of their addresses.
    ascending = [f"0x{0x1000 * (number + 1) + n:040x}" for n in range(count)]
    tokens = (
        tuple(reversed(ascending))
        if name.startswith(("curve", "balancer", "erc", "wst"))
        else tuple(ascending)
    )
    address = f"0x{0xAA0000 + number:040x}"
    return make(address, tokens, pool["params"], case["state"], case)


def _concentrated(
    protocol: Protocol, facts: details.PoolDetails | None, address: str, tokens: Any, params: dict, raw: dict
) -> PoolRecord:
    fee = int(params.get("fee", 0))
    return PoolRecord(address, protocol, "", tokens, fee, int(raw["tick_spacing"]), facts)


def _price(raw: dict) -> dict[str, Any]:
    ticks = tuple((int(tick), int(net), abs(int(net)) or 1) for tick, net in raw["ticks"])
    price, liquidity = int(raw["sqrt_price"]), int(raw["liquidity"])
    return {"sqrt_price_x96": price, "liquidity": liquidity, "tick": int(raw["tick"]), "ticks": ticks}


def _v4(address: str, tokens: Any, params: dict, raw: dict, case: dict) -> states.PoolState:
    key_fee, spacing = int(params["key_fee"]), int(raw["tick_spacing"])
    hooks = ZERO_ADDRESS if key_fee < DYNAMIC_FEE_FLAG else f"0x{BEFORE_SWAP:040x}"
    facts = details.UniswapV4Details(f"0x{int(address, 16):064x}", MANAGER, key_fee, spacing, hooks)
    record = PoolRecord(MANAGER, Protocol.UNISWAP_V4, "", tokens, 0, spacing, facts)
    lp_fee = int(raw.get("hook_fee", raw["lp_fee"]))
    return states.V4PoolState(record, **_price(raw), lp_fee=lp_fee, protocol_fee=int(raw["protocol_fee"]))


def _v3(protocol: Protocol, facts: details.PoolDetails | None) -> Any:
    def make(address: str, tokens: Any, params: dict, raw: dict, case: dict) -> states.PoolState:
        fee = int(case.get("fee_charged", raw["fee"]))
        record = _concentrated(protocol, facts, address, tokens, params, raw)
        return states.V3PoolState(record, **_price(raw), fees=(fee, fee))

    return make


def _solidly(address: str, tokens: Any, params: dict, raw: dict, case: dict) -> states.PoolState:
    versions = {"velo1": "velodrome-v1", "velo2": "velodrome-v2", "aerodrome": "aerodrome"}
    decimals = _ints(params["decimals"])
    facts = details.SolidlyDetails(
        params["stable"], (decimals[0], decimals[1]), details.SolidlyVersion(versions[params["variant"]])
    )
    record = PoolRecord(address, Protocol.SOLIDLY, "", tokens, 0, 0, facts)
    reserves = _ints(raw["reserves"])
    return states.SolidlyPoolState(record, *reserves, int(raw["fee"]))


def _camelot(address: str, tokens: Any, params: dict, raw: dict, case: dict) -> states.PoolState:
    decimals = _ints(params["decimals"])
    facts = details.CamelotDetails(False, (decimals[0], decimals[1]))
    record = PoolRecord(address, Protocol.CAMELOT_V2, "", tokens, 0, 0, facts)
    return states.CamelotPoolState(record, *_ints(raw["reserves"]), *_ints(raw["fee_percent"]))


def _stableswap(address: str, tokens: Any, params: dict, raw: dict, case: dict) -> states.PoolState:
    variant = details.StableSwapVariant(params.get("type", "ng").lower().replace("susd4", "susd"))
    record = PoolRecord(
        address, Protocol.CURVE_STABLESWAP, "", tokens, 0, 0, details.CurveStableDetails(variant)
    )
    amp = params["A"]
    ramp = (
        int(raw.get("initial_A", amp)),
        int(raw.get("future_A", amp)),
        int(raw.get("initial_A_time", 0)),
        int(raw.get("future_A_time", 0)),
    )
    return states.CurveStablePoolState(
        record,
        _ints(raw["balances"]),
        _ints(raw.get("rates") or params["rates"]),
        ramp,
        int(raw["fee"]),
        int(params["admin_fee"]),
        int(raw.get("offpeg_fee_multiplier", 0)),
    )


def _cryptoswap(address: str, tokens: Any, params: dict, raw: dict, case: dict) -> states.PoolState:
    variants = {"v2.0.0": "twocrypto-2.0", "v2.1": "twocrypto-2.1"}
    variant = details.CryptoSwapVariant(variants.get(params["version"], "tricrypto"))
    facts = details.CurveCryptoDetails(variant, _ints(params["precisions"]))
    record = PoolRecord(address, Protocol.CURVE_CRYPTOSWAP, "", tokens, 0, 0, facts)
    scale = raw["price_scale"]
    ends, now = int(raw["future_A_gamma_time"]), int(case["block_timestamp"])
    return states.CurveCryptoPoolState(
        record,
        _ints(raw["balances"]),
        int(raw["A"]),
        int(raw["gamma"]),
        int(raw["D"]),
        _ints(scale if isinstance(scale, list) else [scale]),
        int(raw["mid_fee"]),
        int(raw["out_fee"]),
        int(raw["fee_gamma"]),
        total_supply=int(raw["totalSupply"]),
        virtual_price=int(raw["virtual_price"]),
        ramping=ends > now,
        may_lose=ends > now or (ends == now and params["version"] != "v2.1"),
    )


def _balancer_v2(address: str, tokens: Any, params: dict, raw: dict, case: dict) -> states.PoolState:
    balances, fee = _ints(raw["balances"]), int(raw["swap_fee"])
    pool_id, version = f"0x{int(address, 16):064x}", int(params["math_version"])
    scaling = [10 ** (36 - decimals) for decimals in _ints(params["decimals"])]
    if params["type"] == "weighted":
        weights = _ints(params["weights"])
        facts = details.BalancerV2WeightedDetails(pool_id, VAULT, weights, tuple(scaling), version)
        record = PoolRecord(address, Protocol.BALANCER_V2_WEIGHTED, "", tokens, 0, 0, facts)
        return states.BalancerV2WeightedPoolState(record, balances, fee)
    if raw.get("rates_in_force"):
        rates = _ints(raw["rates_in_force"])
        scaling = [unit * rate // 10**18 for unit, rate in zip(scaling, rates, strict=True)]
    stable = details.BalancerV2StableDetails(pool_id, VAULT, version)
    record = PoolRecord(address, Protocol.BALANCER_V2_STABLE, "", tokens, 0, 0, stable)
    amp = int(raw["amp"])
    return states.BalancerV2StablePoolState(record, balances, tuple(scaling), (amp, amp, 0, 0), fee)


def _balancer_v3(address: str, tokens: Any, params: dict, raw: dict, case: dict) -> states.PoolState:
    live, rates = _ints(raw["balances_live_scaled18"]), _ints(raw["rates"])
    factors, fee = _ints(raw["decimal_scaling_factors"]), int(raw["swap_fee"])
    if params["type"] == "weighted":
        facts = details.BalancerV3WeightedDetails(VAULT, _ints(params["weights"]), factors)
        record = PoolRecord(address, Protocol.BALANCER_V3_WEIGHTED, "", tokens, 0, 0, facts)
        return states.BalancerV3WeightedPoolState(record, live, rates, fee)
    stable = details.BalancerV3StableDetails(VAULT, factors, imbalance_limit=10_000)
    record = PoolRecord(address, Protocol.BALANCER_V3_STABLE, "", tokens, 0, 0, stable)
    amp = int(raw["amp"])
    return states.BalancerV3StablePoolState(record, live, rates, (amp, amp, 0, 0), fee)


def _erc4626(address: str, tokens: Any, params: dict, raw: dict, case: dict) -> states.PoolState:
    is_bare = params["kind"] == "solmate"
    facts = details.Erc4626Details(
        0 if is_bare else 10 ** int(params["decimals_offset"]), 0 if is_bare else 1
    )
    record = PoolRecord(address, Protocol.ERC4626, "", tokens, 0, 0, facts)
    return states.Erc4626PoolState(record, int(raw["total_assets"]), int(raw["total_supply"]))


def _wsteth(address: str, tokens: Any, params: dict, raw: dict, case: dict) -> states.PoolState:
    record = PoolRecord(address, Protocol.WSTETH, "", tokens, 0, 0)
    names = ("total_shares", "total_pooled_ether", "wsteth_supply")
    return states.WstEthPoolState(record, *(int(raw[name]) for name in names))


_MAKERS: dict[str, Any] = {
    "uniswap-v4": _v4,
    "slipstream": _v3(Protocol.SLIPSTREAM, None),
    "pancake-v3": _v3(Protocol.UNISWAP_V3, None),
    "algebra-v1": _v3(Protocol.ALGEBRA, details.AlgebraDetails(details.AlgebraVersion.V1)),
    "algebra-integral": _v3(Protocol.ALGEBRA, details.AlgebraDetails()),
    "solidly": _solidly,
    "camelot-v2-volatile": _camelot,
    "curve-3pool-susd": _stableswap,
    "curve-stableswap-ng": _stableswap,
    "curve-twocrypto-ng": _cryptoswap,
    "curve-tricrypto-ng": _cryptoswap,
    "balancer-v2": _balancer_v2,
    "balancer-v3": _balancer_v3,
    "erc4626": _erc4626,
    "wsteth": _wsteth,
}
