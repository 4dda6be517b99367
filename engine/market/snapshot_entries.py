"""A pool's state as an entry of a snapshot: what `snapshot_pools.read_state` reads back to the same state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

from engine.domain import pool_details as details
from engine.domain import pool_state as states
from engine.domain.market import PoolRecord

_PIPS = 1_000_000


def entry_of(state: states.PoolState, has_gross: bool = True) -> dict[str, Any]:
    """The JSON object. `has_gross`: the ticks' gross liquidity is exact, not just a lower bound."""
    record = state.pool
    entry: dict[str, Any] = {
        "address": record.address,
        "protocol": record.protocol.value,
        "venue": record.venue,
        "tokens": list(record.tokens),
        "fee_pips": record.fee_pips,
    }
    facts = record.details
    match state:
        case states.V2PoolState():
            return entry | {"reserves": _texts((state.reserve0, state.reserve1))}
        case states.V3PoolState():
            entry |= _price(state, has_gross)
            if state.fees is not None and state.fees != (record.fee_pips, record.fee_pips):
                entry["fees"] = list(state.fees)
            if isinstance(facts, details.AlgebraDetails):
                entry["version"] = facts.version.value
            return entry
        case states.V4PoolState():
            return entry | _price(state, has_gross) | _v4(record, state)
        case states.SolidlyPoolState():
            return entry | _solidly(record, state)
        case states.CamelotPoolState():
            facts = _of(record, details.CamelotDetails)
            reserves = _texts((state.reserve0, state.reserve1))
            fees = [10 * state.fee0, 10 * state.fee1]
            shape = {"stable": facts.stable, "decimals": list(facts.decimals)}
            return entry | {"reserves": reserves, "fees": fees} | shape
        case states.CurveStablePoolState():
            return entry | _curve_stable(record, state)
        case states.CurveCryptoPoolState():
            return entry | _curve_crypto(record, state)
        case states.BalancerV2WeightedPoolState():
            weighted = _of(record, details.BalancerV2WeightedDetails)
            fields = {"pool_id": weighted.pool_id, "vault": weighted.vault, "version": weighted.version}
            fields |= {"balances": _texts(state.balances), "weights": _texts(weighted.weights)}
            scaling = _texts(weighted.scaling_factors)
            return entry | fields | {"scaling_factors": scaling, "swap_fee": str(state.swap_fee)}
        case states.BalancerV2StablePoolState():
            return entry | _balancer_v2_stable(record, state)
        case states.BalancerV3WeightedPoolState():
            v3 = _of(record, details.BalancerV3WeightedDetails)
            entry |= {"vault": v3.vault, "live_balances": _texts(state.live_balances)}
            entry |= {"rates": _texts(state.rates), "weights": _texts(v3.weights)}
            entry |= {"decimal_factors": _texts(v3.decimal_factors), "swap_fee": str(state.swap_fee)}
            if v3.minimum_balances:
                entry["minimum_balances"] = _texts(v3.minimum_balances)
            return entry | {"minimum_trade": str(v3.minimum_trade)}
        case states.BalancerV3StablePoolState():
            stable = _of(record, details.BalancerV3StableDetails)
            entry |= {"vault": stable.vault, "live_balances": _texts(state.live_balances)}
            entry |= {"rates": _texts(state.rates), "decimal_factors": _texts(stable.decimal_factors)}
            entry |= {"swap_fee": str(state.swap_fee), "minimum_trade": str(stable.minimum_trade)}
            return entry | {"imbalance_limit": stable.imbalance_limit} | _amp(state.amp_ramp)
        case states.Erc4626PoolState():
            vault = _of(record, details.Erc4626Details)
            virtual = (str(vault.virtual_shares), str(vault.virtual_assets))
            totals = {"total_assets": str(state.total_assets), "total_supply": str(state.total_supply)}
            return entry | totals | dict(zip(("virtual_shares", "virtual_assets"), virtual, strict=True))
        case states.WstEthPoolState():
            entry |= {"total_shares": str(state.total_shares), "wrapped_supply": str(state.wrapped_supply)}
            return entry | {"total_pooled_ether": str(state.total_pooled_ether)}
        case states.WethPoolState():
            return entry | {"supply": str(state.supply)}
        case _:
            assert_never(state)


def _texts(values: Iterable[int]) -> list[str]:
    return [str(value) for value in values]


def _of(record: PoolRecord, kind: Any) -> Any:
    assert isinstance(record.details, kind)
    return record.details


def _price(state: states.V3PoolState | states.V4PoolState, has_gross: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "sqrt_price_x96": str(state.sqrt_price_x96),
        "liquidity": str(state.liquidity),
        "tick": state.tick,
        "tick_spacing": state.pool.tick_spacing,
        "ticks": [[tick[0], str(tick[1])] for tick in state.ticks],
    }
    if has_gross:
        entry["ticks_gross"] = [str(tick[2]) for tick in state.ticks]
    if state.known is not None:
        entry |= {"ticks_complete": False, "known_low": state.known[0], "known_high": state.known[1]}
    return entry


def _v4(record: PoolRecord, state: states.V4PoolState) -> dict[str, Any]:
    facts = _of(record, details.UniswapV4Details)
    key = {"pool_id": facts.pool_id, "hooks": facts.hooks, "key_fee": facts.key_fee}
    return key | {"fee_pips": state.lp_fee, "protocol_fee": state.protocol_fee}


def _solidly(record: PoolRecord, state: states.SolidlyPoolState) -> dict[str, Any]:
    facts = _of(record, details.SolidlyDetails)
    return {
        "fee_pips": min(state.fee * _PIPS // facts.fee_denominator, _PIPS - 1),
        "reserves": _texts((state.reserve0, state.reserve1)),
        "decimals": list(facts.decimals),
        "stable": facts.stable,
        "version": facts.version.value,
        "fee": state.fee,
        "fee_denominator": facts.fee_denominator,
    }


def _curve_stable(record: PoolRecord, state: states.CurveStablePoolState) -> dict[str, Any]:
    facts = _of(record, details.CurveStableDetails)
    has_precision = facts.variant not in (
        details.StableSwapVariant.THREE_POOL,
        details.StableSwapVariant.SUSD,
    )
    precision = 100 if has_precision else 1
    entry: dict[str, Any] = {
        "variant": facts.variant.value,
        "balances": _texts(state.balances),
        "rates": _texts(state.rates),
        "a": str(state.ramp[1] // precision),
        "a_precision": precision,
        "fee": str(state.fee),
        "admin_fee": str(state.admin_fee),
    }
    if state.ramp != (state.ramp[1], state.ramp[1], 0, 0) or state.ramp[1] % precision:
        entry["ramp"] = _texts(state.ramp)
    if state.offpeg_fee_multiplier or facts.variant is details.StableSwapVariant.NG:
        entry["offpeg_fee_multiplier"] = str(state.offpeg_fee_multiplier)
    if facts.base_pool is not None:
        entry["base_pool"] = facts.base_pool
    return entry


def _curve_crypto(record: PoolRecord, state: states.CurveCryptoPoolState) -> dict[str, Any]:
    facts = _of(record, details.CurveCryptoDetails)
    fees = {"mid_fee": state.mid_fee, "out_fee": state.out_fee, "fee_gamma": state.fee_gamma}
    return {
        "variant": facts.variant.value,
        "precisions": _texts(facts.precisions),
        "balances": _texts(state.balances),
        "a": str(state.a),
        "gamma": str(state.gamma),
        "d": str(state.d),
        "price_scale": _texts(state.price_scale),
        "fees": {key: str(value) for key, value in fees.items()},
        "total_supply": str(state.total_supply),
        "virtual_price": str(state.virtual_price),
        "ramping": state.ramping,
        "may_lose": state.may_lose,
    }


def _amp(ramp: tuple[int, int, int, int]) -> dict[str, Any]:
    resting = {"amp": str(ramp[1])}
    return resting if ramp == (ramp[1], ramp[1], 0, 0) else resting | {"amp_ramp": _texts(ramp)}


def _balancer_v2_stable(record: PoolRecord, state: states.BalancerV2StablePoolState) -> dict[str, Any]:
    facts = _of(record, details.BalancerV2StableDetails)
    entry: dict[str, Any] = {
        "pool_id": facts.pool_id,
        "vault": facts.vault,
        "version": facts.version,
        "balances": _texts(state.balances),
        "scaling_factors": _texts(state.scaling_factors),
        "swap_fee": str(state.swap_fee),
    }
    if facts.bpt_index is not None:
        entry["bpt_index"] = facts.bpt_index
    return entry | _amp(state.amp_ramp)
