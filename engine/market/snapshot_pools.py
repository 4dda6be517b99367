"""A pool of a snapshot as the reading the market takes, family by family.

What the format requires is in `snapshot.schema.json`; what it leaves optional has the default of the
family's usual contract, or follows from the tokens' decimals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from engine.amm.layout import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK
from engine.amm.v4_fees import DYNAMIC_FEE_FLAG, PIPS
from engine.domain import pool_details as details
from engine.domain import pool_state as states
from engine.domain.market import ZERO_ADDRESS, PoolRecord, Protocol
from engine.market.snapshot_fields import (
    Malformed,
    address,
    amount,
    amount_in,
    amounts,
    choice,
    flag,
    list_of,
    parameter,
    signed,
    whole,
    word,
)

_MAX_SPACING = 32767
_MAX_DECIMALS = 36
_LOG_BASE = math.log(1.0001)
_LEAST_TRADE = "1000000"
_NO_WORD = "0x" + "00" * 32
_MOST = str((1 << 256) - 1)


class Common(NamedTuple):
    """What every pool has: its address, tokens (any order the file has), their decimals, venue."""

    address: str
    protocol: Protocol
    venue: str
    tokens: tuple[str, ...]
    decimals: tuple[int, ...]

    def record(self, pool: dict, facts: details.PoolDetails | None = None, spacing: int = 0) -> PoolRecord:
        fee_pips = whole(pool, "fee_pips", 0, PIPS - 1, 0)
        return PoolRecord(self.address, self.protocol, self.venue, self.tokens, fee_pips, spacing, facts)

    @property
    def is_ascending(self) -> bool:
        return self.tokens[0] < self.tokens[1]

    def swapped(self) -> Common:
        """The two tokens the other way round."""
        return self._replace(tokens=self.tokens[::-1], decimals=self.decimals[::-1])


def read_state(pool: dict, common: Common) -> states.PoolState:
    """The reading. Raises Malformed, and MarketError where only the market sees the fault."""
    whole(pool, "fee_pips", 0, PIPS if common.protocol is Protocol.UNISWAP_V4 else PIPS - 1, 0)
    return _READERS[common.protocol](pool, common)


def _v2(pool: dict, common: Common) -> states.PoolState:
    whole(pool, "fee_pips", 0, PIPS - 1)
    reserves = list_of(pool, "reserves")
    if len(reserves) != 2:
        raise Malformed("reserves must be two amounts")
    held = [amount(value, f"reserves[{k}]", 112) for k, value in enumerate(reserves)]
    if not common.is_ascending:
        common, held = common.swapped(), held[::-1]
    return states.V2PoolState(common.record(pool), *held)


def _price(pool: dict, common: Common) -> tuple[dict[str, Any], int]:
    """The fields of a concentrated pool's state, and its tick spacing."""
    if not common.is_ascending:
        raise Malformed("tokens must be in ascending order because the price is token1 per token0")
    spacing = whole(pool, "tick_spacing", 1, _MAX_SPACING)
    price = amount_in(pool, "sqrt_price_x96", 160)
    liquidity = amount_in(pool, "liquidity", 128)
    tick = whole(pool, "tick", MIN_TICK, MAX_TICK)
    if price and not MIN_SQRT_RATIO <= price < MAX_SQRT_RATIO:
        raise Malformed("sqrt_price_x96 is outside the protocol's bounds")
    # The tick is the floor of the price's, or one less just after a swap downwards ended on a tick.
    if price and not -1.001 <= tick - 2 * (math.log(price) - 96 * math.log(2)) / _LOG_BASE <= 0.001:
        raise Malformed("tick does not agree with sqrt_price_x96")
    nets = [_tick(entry) for entry in list_of(pool, "ticks")]
    ticks: Any = nets
    gross = pool.get("ticks_gross")
    if gross is not None:
        if not isinstance(gross, list) or len(gross) != len(nets):
            raise Malformed("ticks_gross must be as long as ticks")
        ticks = [(t, n, amount(g, "ticks_gross", 128)) for (t, n), g in zip(nets, gross, strict=True)]
    fields = {"sqrt_price_x96": price, "liquidity": liquidity, "tick": tick, "ticks": tuple(ticks)}
    return fields | {"known": _known_range(pool, tick, spacing, nets)}, spacing


def _tick(entry: Any) -> tuple[int, int]:
    if not isinstance(entry, list) or len(entry) != 2 or type(entry[0]) is not int:
        raise Malformed("each of ticks must be [tick, liquidity_net]")
    return entry[0], signed(entry[1], f"liquidity_net at tick {entry[0]}")


def _known_range(pool: dict, tick: int, spacing: int, ticks: list[tuple]) -> tuple[int, int] | None:
    if flag(pool, "ticks_complete", True):
        return None
    below = tick // spacing * spacing
    low = min([below, *(entry[0] for entry in ticks[:1])])
    high = max([below + spacing, *(entry[0] for entry in ticks[-1:])])
    if "known_low" in pool or "known_high" in pool:
        low = whole(pool, "known_low", MIN_TICK, MAX_TICK)
        high = whole(pool, "known_high", MIN_TICK, MAX_TICK)
    return max(low, MIN_TICK), min(high, MAX_TICK)


def _v3(pool: dict, common: Common) -> states.PoolState:
    whole(pool, "fee_pips", 0, PIPS - 1)
    price, spacing = _price(pool, common)
    return states.V3PoolState(common.record(pool, spacing=spacing), **price)


def _slipstream(pool: dict, common: Common) -> states.PoolState:
    price, spacing = _price(pool, common)
    return states.V3PoolState(common.record(pool, spacing=spacing), **price, fees=_fees(pool))


def _algebra(pool: dict, common: Common) -> states.PoolState:
    price, spacing = _price(pool, common)
    version = choice(pool, "version", details.AlgebraVersion, details.AlgebraVersion.INTEGRAL)
    record = common.record(pool, details.AlgebraDetails(version), spacing)
    return states.V3PoolState(record, **price, fees=_fees(pool))


def _fees(pool: dict) -> tuple[int, int]:
    """Pips by direction: `fees`, else twice `fee_pips`."""
    if "fees" not in pool:
        fee = whole(pool, "fee_pips", 0, PIPS - 1)
        return fee, fee
    fees = list_of(pool, "fees")
    if len(fees) != 2 or not all(type(fee) is int and 0 <= fee < PIPS for fee in fees):
        raise Malformed("fees are not two whole numbers below a million")
    return fees[0], fees[1]


def _v4(pool: dict, common: Common) -> states.PoolState:
    price, spacing = _price(pool, common)
    lp_fee = whole(pool, "fee_pips", 0, PIPS)
    key_fee = whole(pool, "key_fee", 0, DYNAMIC_FEE_FLAG, lp_fee)
    hooks = address(pool.get("hooks"), "hooks")
    pool_id = word(pool.get("pool_id"), "pool_id")
    facts = details.UniswapV4Details(pool_id, common.address, key_fee, spacing, hooks)
    protocol_fee = whole(pool, "protocol_fee", 0, (1 << 24) - 1, 0)
    record = common.record(pool | {"fee_pips": 0}, facts, spacing)
    return states.V4PoolState(record, **price, lp_fee=lp_fee, protocol_fee=protocol_fee)


def _pair_decimals(pool: dict, common: Common) -> tuple[int, int]:
    given = pool.get("decimals", list(common.decimals))
    if not isinstance(given, list) or len(given) != 2:
        raise Malformed("decimals must be two whole numbers")
    places = [parameter({"decimals": value}, "decimals", 8) for value in given]
    if max(places) > _MAX_DECIMALS:
        raise Malformed(f"decimals must be whole numbers from 0 to {_MAX_DECIMALS}")
    return places[0], places[1]


def _solidly(pool: dict, common: Common) -> states.PoolState:
    held, decimals = amounts(pool, "reserves", 2), _pair_decimals(pool, common)
    if not common.is_ascending:
        common, held, decimals = common.swapped(), held[::-1], decimals[::-1]
    denominator = whole(pool, "fee_denominator", 1, PIPS, 10_000)
    if "fee" in pool:
        fee = whole(pool, "fee", 0, denominator)
    else:
        fee = whole(pool, "fee_pips", 0, PIPS - 1)
        denominator = PIPS if fee % 100 else 10_000
        fee = fee if fee % 100 else fee // 100
    version = choice(pool, "version", details.SolidlyVersion, details.SolidlyVersion.VELODROME_V2)
    facts = details.SolidlyDetails(flag(pool, "stable"), decimals, version, denominator)
    return states.SolidlyPoolState(common.record(pool | {"fee_pips": 0}, facts), held[0], held[1], fee)


def _camelot(pool: dict, common: Common) -> states.PoolState:
    held, decimals = amounts(pool, "reserves", 2, 112), _pair_decimals(pool, common)
    fees = [fee / 10 for fee in _fees(pool)]
    if any(fee % 1 for fee in fees):
        raise Malformed("a fee is not a whole number of 1e-5")
    if not common.is_ascending:
        common, held, decimals, fees = common.swapped(), held[::-1], decimals[::-1], fees[::-1]
    facts = details.CamelotDetails(flag(pool, "stable", False), decimals)
    record = common.record(pool | {"fee_pips": 0}, facts)
    return states.CamelotPoolState(record, held[0], held[1], int(fees[0]), int(fees[1]))


def _ramp(pool: dict, key: str, resting: int) -> tuple[int, int, int, int]:
    """A ramp given whole, else a value at rest."""
    if key not in pool:
        return resting, resting, 0, 0
    values = list_of(pool, key)
    if len(values) != 4:
        raise Malformed(f"{key} is not two values and two times")
    start, end, since, until = (amount(value, key, 63) for value in values)
    return start, end, since, until


def _curve_stable(pool: dict, common: Common) -> states.PoolState:
    count = len(common.tokens)
    precision = parameter(pool, "a_precision", 14, "1")
    if precision == 0:
        raise Malformed("a_precision is zero")
    ramp = _ramp(pool, "ramp", parameter(pool, "a", 63) * precision)
    multiplier = parameter(pool, "offpeg_fee_multiplier", 256, "0")
    usual = details.StableSwapVariant.THREE_POOL if precision == 1 else details.StableSwapVariant.TEMPLATE
    if "offpeg_fee_multiplier" in pool:
        usual = details.StableSwapVariant.NG
    variant = choice(pool, "variant", details.StableSwapVariant, usual)
    base = address(pool["base_pool"], "base_pool") if "base_pool" in pool else None
    standard = [str(10 ** (36 - decimals)) for decimals in common.decimals]
    return states.CurveStablePoolState(
        common.record(pool, details.CurveStableDetails(variant, base)),
        amounts(pool, "balances", count),
        amounts(pool, "rates", count, 256, standard),
        ramp,
        parameter(pool, "fee", 64),
        parameter(pool, "admin_fee", 64, "0"),
        multiplier,
    )


def _curve_crypto(pool: dict, common: Common) -> states.PoolState:
    count = len(common.tokens)
    usual = details.CryptoSwapVariant.TRICRYPTO if count == 3 else details.CryptoSwapVariant.TWOCRYPTO_20
    variant = choice(pool, "variant", details.CryptoSwapVariant, usual)
    if (variant is details.CryptoSwapVariant.TRICRYPTO) != (count == 3):
        raise Malformed(f"a {variant.value} pool does not have {count} tokens")
    if any(decimals > 18 for decimals in common.decimals) and "precisions" not in pool:
        raise Malformed("a token has more than 18 decimals")
    standard = [str(10 ** (18 - min(decimals, 18))) for decimals in common.decimals]
    scale, fees = pool.get("price_scale"), pool.get("fees")
    if not isinstance(fees, dict):
        raise Malformed("fees is not an object of mid_fee, out_fee and fee_gamma")
    scales = {"price_scale": scale if isinstance(scale, list) else [scale]}
    facts = details.CurveCryptoDetails(variant, amounts(pool, "precisions", count, 64, standard))
    return states.CurveCryptoPoolState(
        common.record(pool, facts),
        amounts(pool, "balances", count),
        parameter(pool, "a", 64),
        parameter(pool, "gamma", 64),
        amount_in(pool, "d"),
        amounts(scales, "price_scale", count - 1),
        parameter(fees, "mid_fee", 64),
        parameter(fees, "out_fee", 64),
        parameter(fees, "fee_gamma", 64),
        total_supply=amount_in(pool, "total_supply", 256, "0"),
        virtual_price=amount_in(pool, "virtual_price", 256, "0"),
        ramping=flag(pool, "ramping", False),
        may_lose=flag(pool, "may_lose", False),
    )


def _vault(pool: dict) -> tuple[str, str]:
    pool_id = word(pool.get("pool_id", _NO_WORD), "pool_id")
    return pool_id, address(pool.get("vault", ZERO_ADDRESS), "vault")


def _scaling(common: Common) -> list[str]:
    """1e18 * 10 ** (18 - decimals) of each token."""
    return [str(10 ** (36 - decimals)) for decimals in common.decimals]


def _factors(common: Common) -> list[str]:
    return [str(10 ** max(18 - decimals, 0)) for decimals in common.decimals]


def _balancer_v2_weighted(pool: dict, common: Common) -> states.PoolState:
    count = len(common.tokens)
    facts = details.BalancerV2WeightedDetails(
        *_vault(pool),
        amounts(pool, "weights", count, 64),
        amounts(pool, "scaling_factors", count, 128, _scaling(common)),
        whole(pool, "version", 1, 2, 2),
    )
    balances, fee = amounts(pool, "balances", count, 112), parameter(pool, "swap_fee", 64)
    return states.BalancerV2WeightedPoolState(common.record(pool, facts), balances, fee)


def _balancer_v2_stable(pool: dict, common: Common) -> states.PoolState:
    count = len(common.tokens)
    bpt_index = whole(pool, "bpt_index", 0, count) if "bpt_index" in pool else None
    facts = details.BalancerV2StableDetails(*_vault(pool), whole(pool, "version", 1, 2, 2), bpt_index)
    return states.BalancerV2StablePoolState(
        common.record(pool, facts),
        amounts(pool, "balances", count, 112),
        amounts(pool, "scaling_factors", count, 128, _scaling(common)),
        _ramp(pool, "amp_ramp", parameter(pool, "amp", 63)),
        parameter(pool, "swap_fee", 64),
    )


def _rates(pool: dict, count: int) -> tuple[int, ...]:
    return amounts(pool, "rates", count, 128, [str(10**18)] * count)


def _balancer_v3_weighted(pool: dict, common: Common) -> states.PoolState:
    count = len(common.tokens)
    floors = amounts(pool, "minimum_balances", count, 128) if "minimum_balances" in pool else ()
    facts = details.BalancerV3WeightedDetails(
        _vault(pool)[1],
        amounts(pool, "weights", count, 64),
        amounts(pool, "decimal_factors", count, 64, _factors(common)),
        amount_in(pool, "minimum_trade", 64, _LEAST_TRADE),
        floors,
    )
    live, fee = amounts(pool, "live_balances", count, 128), parameter(pool, "swap_fee", 64)
    return states.BalancerV3WeightedPoolState(common.record(pool, facts), live, _rates(pool, count), fee)


def _balancer_v3_stable(pool: dict, common: Common) -> states.PoolState:
    count = len(common.tokens)
    facts = details.BalancerV3StableDetails(
        _vault(pool)[1],
        amounts(pool, "decimal_factors", count, 64, _factors(common)),
        amount_in(pool, "minimum_trade", 64, _LEAST_TRADE),
        whole(pool, "imbalance_limit", 0, 1 << 62, 0),
    )
    return states.BalancerV3StablePoolState(
        common.record(pool, facts),
        amounts(pool, "live_balances", count, 128),
        _rates(pool, count),
        _ramp(pool, "amp_ramp", parameter(pool, "amp", 63)),
        parameter(pool, "swap_fee", 64),
    )


def _wrapper_last(common: Common) -> Common:
    """The tokens as (wrapped, wrapper): a wrapper is its own token."""
    return common.swapped() if common.tokens[0] == common.address else common


def _erc4626(pool: dict, common: Common) -> states.PoolState:
    common = _wrapper_last(common)
    offset = max(common.decimals[1] - common.decimals[0], 0)
    facts = details.Erc4626Details(
        amount_in(pool, "virtual_shares", 256, str(10**offset)), amount_in(pool, "virtual_assets", 256, "1")
    )
    total_assets, supply = amount_in(pool, "total_assets"), amount_in(pool, "total_supply")
    return states.Erc4626PoolState(common.record(pool, facts), total_assets, supply)


def _wsteth(pool: dict, common: Common) -> states.PoolState:
    shares, ether = amount_in(pool, "total_shares"), amount_in(pool, "total_pooled_ether")
    wrapped = amount_in(pool, "wrapped_supply", 256, str(shares))
    return states.WstEthPoolState(_wrapper_last(common).record(pool), shares, ether, wrapped)


def _weth(pool: dict, common: Common) -> states.PoolState:
    return states.WethPoolState(_wrapper_last(common).record(pool), amount_in(pool, "supply", 256, _MOST))


_READERS: dict[Protocol, Callable[[dict, Common], states.PoolState]] = {
    Protocol.UNISWAP_V2: _v2,
    Protocol.UNISWAP_V3: _v3,
    Protocol.UNISWAP_V4: _v4,
    Protocol.SLIPSTREAM: _slipstream,
    Protocol.ALGEBRA: _algebra,
    Protocol.SOLIDLY: _solidly,
    Protocol.CAMELOT_V2: _camelot,
    Protocol.CURVE_STABLESWAP: _curve_stable,
    Protocol.CURVE_CRYPTOSWAP: _curve_crypto,
    Protocol.BALANCER_V2_WEIGHTED: _balancer_v2_weighted,
    Protocol.BALANCER_V2_STABLE: _balancer_v2_stable,
    Protocol.BALANCER_V3_WEIGHTED: _balancer_v3_weighted,
    Protocol.BALANCER_V3_STABLE: _balancer_v3_stable,
    Protocol.ERC4626: _erc4626,
    Protocol.WSTETH: _wsteth,
    Protocol.WETH: _weth,
}
