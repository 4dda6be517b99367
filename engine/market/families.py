"""Families in the market: which kind and rules a record has, and its state as words and back."""

from __future__ import annotations

from typing import TypeVar, assert_never

from engine.amm import layout
from engine.amm.families import balancer_stable, balancer_weighted, cryptoswap_words, solidly, vaults
from engine.amm.families import stableswap as stableswap_words
from engine.amm.families.words import Words
from engine.amm.solidly_curve import STABLE_AERODROME, STABLE_V1, STABLE_V2, VOLATILE
from engine.amm.stable_invariant import (
    STABLE_FACTORY,
    STABLE_NG,
    STABLE_SUSD,
    STABLE_TEMPLATE,
    STABLE_THREE_POOL,
)
from engine.amm.v4_fees import HookPolicy, hook_policy
from engine.domain import pool_details as details
from engine.domain import pool_state as states
from engine.domain.errors import MarketError
from engine.domain.market import PoolRecord, Protocol

D = TypeVar("D")

CAMELOT_DENOMINATOR = 100_000
MAX_COINS = 8

_KIND = {
    Protocol.UNISWAP_V2: layout.KIND_V2,
    Protocol.UNISWAP_V3: layout.KIND_V3,
    Protocol.UNISWAP_V4: layout.KIND_V3,
    Protocol.SLIPSTREAM: layout.KIND_V3,
    Protocol.ALGEBRA: layout.KIND_V3,
    Protocol.SOLIDLY: layout.KIND_SOLIDLY,
    Protocol.CAMELOT_V2: layout.KIND_V2,
    Protocol.CURVE_STABLESWAP: layout.KIND_CURVE_STABLE,
    Protocol.CURVE_CRYPTOSWAP: layout.KIND_TWOCRYPTO,
    Protocol.BALANCER_V2_WEIGHTED: layout.KIND_BALANCER_V2_WEIGHTED,
    Protocol.BALANCER_V2_STABLE: layout.KIND_BALANCER_V2_STABLE,
    Protocol.BALANCER_V3_WEIGHTED: layout.KIND_BALANCER_V3_WEIGHTED,
    Protocol.BALANCER_V3_STABLE: layout.KIND_BALANCER_V3_STABLE,
    Protocol.ERC4626: layout.KIND_ERC4626,
    Protocol.WSTETH: layout.KIND_WSTETH,
    Protocol.WETH: layout.KIND_WETH,
}
_DETAILS: dict[Protocol, type] = {
    Protocol.UNISWAP_V4: details.UniswapV4Details,
    Protocol.ALGEBRA: details.AlgebraDetails,
    Protocol.SOLIDLY: details.SolidlyDetails,
    Protocol.CAMELOT_V2: details.CamelotDetails,
    Protocol.CURVE_STABLESWAP: details.CurveStableDetails,
    Protocol.CURVE_CRYPTOSWAP: details.CurveCryptoDetails,
    Protocol.BALANCER_V2_WEIGHTED: details.BalancerV2WeightedDetails,
    Protocol.BALANCER_V2_STABLE: details.BalancerV2StableDetails,
    Protocol.BALANCER_V3_WEIGHTED: details.BalancerV3WeightedDetails,
    Protocol.BALANCER_V3_STABLE: details.BalancerV3StableDetails,
    Protocol.ERC4626: details.Erc4626Details,
}
# Protocols whose contracts sort the tokens of a pool, or need token0 < token1 as we do.
_SORTED = frozenset(
    (
        Protocol.UNISWAP_V2,
        Protocol.UNISWAP_V3,
        Protocol.UNISWAP_V4,
        Protocol.SLIPSTREAM,
        Protocol.ALGEBRA,
        Protocol.SOLIDLY,
        Protocol.CAMELOT_V2,
    )
)
_MANY = frozenset(
    (
        Protocol.CURVE_STABLESWAP,
        Protocol.CURVE_CRYPTOSWAP,
        Protocol.BALANCER_V2_WEIGHTED,
        Protocol.BALANCER_V2_STABLE,
        Protocol.BALANCER_V3_WEIGHTED,
        Protocol.BALANCER_V3_STABLE,
    )
)
_RAMPED = (layout.KIND_CURVE_STABLE, layout.KIND_BALANCER_V2_STABLE, layout.KIND_BALANCER_V3_STABLE)
_CURVES = {
    details.SolidlyVersion.VELODROME_V1: STABLE_V1,
    details.SolidlyVersion.VELODROME_V2: STABLE_V2,
    details.SolidlyVersion.AERODROME: STABLE_AERODROME,
}
_VARIANTS = {
    details.StableSwapVariant.THREE_POOL: STABLE_THREE_POOL,
    details.StableSwapVariant.SUSD: STABLE_SUSD,
    details.StableSwapVariant.TEMPLATE: STABLE_TEMPLATE,
    details.StableSwapVariant.FACTORY: STABLE_FACTORY,
    details.StableSwapVariant.NG: STABLE_NG,
}


def kind_of(record: PoolRecord) -> int:
    """The layout's kind of a record's rows."""
    if record.protocol is Protocol.CAMELOT_V2 and _details(record, details.CamelotDetails).stable:
        return layout.KIND_SOLIDLY
    if record.protocol is Protocol.CURVE_CRYPTOSWAP and len(record.tokens) == 3:
        return layout.KIND_TRICRYPTO
    return _KIND[record.protocol]


def rules_of(record: PoolRecord) -> int:
    """The layout's rules of a record's rows."""
    if record.protocol is Protocol.UNISWAP_V4:
        return layout.V4
    if record.protocol is Protocol.ALGEBRA:
        version = _details(record, details.AlgebraDetails).version
        return layout.TICK_WORDS if version is details.AlgebraVersion.V1 else layout.TICK_LIST
    return layout.FLOORED_FEE if record.protocol is Protocol.CAMELOT_V2 else 0


def check_record(record: PoolRecord) -> None:
    """Raises MarketError for a record no pool of its protocol can have."""
    name, tokens = f"pool {record.key}", record.tokens
    wanted = _DETAILS.get(record.protocol, type(None))
    if not isinstance(record.details, wanted):
        raise MarketError(f"{name} lacks the details of a {record.protocol.value} pool")
    most = 2
    if record.protocol in _MANY:
        most = 3 if record.protocol is Protocol.CURVE_CRYPTOSWAP else MAX_COINS
    if not 2 <= len(tokens) <= most or len(set(tokens)) != len(tokens):
        raise MarketError(f"{name} does not have {2 if most == 2 else f'2 to {most}'} different tokens")
    if record.protocol in _SORTED and int(tokens[0], 16) >= int(tokens[1], 16):
        raise MarketError(f"{name} does not have two tokens in ascending order")
    if not 0 <= record.fee_pips < 1_000_000:
        raise MarketError(f"{name} has a fee of {record.fee_pips} pips")
    is_v3 = _KIND[record.protocol] == layout.KIND_V3
    if is_v3 and not 0 < record.tick_spacing <= layout.MAX_TICK:
        raise MarketError(f"{name} has a tick spacing of {record.tick_spacing}")
    facts = record.details
    if isinstance(facts, details.SolidlyDetails | details.CamelotDetails) and not all(
        0 <= decimals <= 36 for decimals in facts.decimals
    ):
        raise MarketError(f"{name} has decimals outside 0..36")


def untradable(record: PoolRecord) -> str | None:
    """Why a pool can never be quoted from its state, if that is so."""
    facts = record.details
    if isinstance(facts, details.UniswapV4Details) and (
        hook_policy(facts.hooks, facts.key_fee) is HookPolicy.REFUSED
    ):
        return HookPolicy.REFUSED.value
    return None


def pack(state: states.PoolState) -> Words:
    """The words of a state. Raises MarketError for values the contract cannot hold."""
    coins = getattr(state, "balances", None) or getattr(state, "live_balances", None)
    if coins is not None and len(coins) != len(state.pool.tokens):
        raise MarketError(
            f"pool {state.pool.key} has {len(coins)} balances for {len(state.pool.tokens)} tokens"
        )
    try:
        return _pack(state)
    except (OverflowError, ValueError) as error:
        raise MarketError(f"pool {state.pool.key} has an impossible state: {error}") from error


def _pack(state: states.PoolState) -> Words:
    record = state.pool
    match state:
        case states.SolidlyPoolState():
            solid = _details(record, details.SolidlyDetails)
            curve = _CURVES[solid.version] if solid.stable else VOLATILE
            return _solidly(curve, state, (state.fee, state.fee), solid.fee_denominator, solid.decimals)
        case states.CamelotPoolState():
            decimals = _details(record, details.CamelotDetails).decimals
            return _solidly(STABLE_V1, state, (state.fee0, state.fee1), CAMELOT_DENOMINATOR, decimals)
        case states.CurveStablePoolState():
            kind = _VARIANTS[_details(record, details.CurveStableDetails).variant]
            multiplier, ramp = state.offpeg_fee_multiplier, state.ramp
            pool = stableswap_words.StableSwap(
                kind, state.fee, state.admin_fee, ramp, multiplier, state.balances, state.rates
            )
            return stableswap_words.pack(pool)
        case states.CurveCryptoPoolState():
            return _crypto(record, state)
        case states.BalancerV2WeightedPoolState():
            weighted = _details(record, details.BalancerV2WeightedDetails)
            return balancer_weighted.pack_v2(
                balancer_weighted.WeightedV2(
                    weighted.version,
                    state.swap_fee,
                    state.balances,
                    weighted.scaling_factors,
                    weighted.weights,
                )
            )
        case states.BalancerV2StablePoolState():
            version = _details(record, details.BalancerV2StableDetails).version
            return balancer_stable.pack_v2(
                balancer_stable.StableV2(
                    version, state.swap_fee, state.amp_ramp, state.balances, state.scaling_factors
                )
            )
        case states.BalancerV3WeightedPoolState():
            return _weighted_v3(record, state)
        case states.BalancerV3StablePoolState():
            stable = _details(record, details.BalancerV3StableDetails)
            return balancer_stable.pack_v3(
                balancer_stable.StableV3(
                    stable.minimum_trade,
                    state.swap_fee,
                    stable.imbalance_limit,
                    state.amp_ramp,
                    state.live_balances,
                    state.rates,
                    stable.decimal_factors,
                )
            )
        case states.Erc4626PoolState():
            facts = _details(record, details.Erc4626Details)
            return vaults.pack(
                vaults.Vault(
                    state.total_supply, state.total_assets, facts.virtual_shares, facts.virtual_assets
                )
            )
        case states.WstEthPoolState():
            return vaults.pack(
                vaults.Wrapper(state.total_shares, state.total_pooled_ether, state.wrapped_supply)
            )
        case states.WethPoolState():
            return vaults.pack(vaults.Weth(state.supply))
        case states.V2PoolState() | states.V3PoolState() | states.V4PoolState():
            raise ValueError("its state is not kept as words")
        case _:
            assert_never(state)


def _solidly(
    curve: int,
    state: states.SolidlyPoolState | states.CamelotPoolState,
    fees: tuple[int, int],
    denominator: int,
    decimals: tuple[int, int],
) -> Words:
    if not all(0 <= fee <= denominator for fee in fees):
        raise ValueError(f"fees {fees} of {denominator}")
    units = (10 ** decimals[0], 10 ** decimals[1])
    reserves = (state.reserve0, state.reserve1)
    return solidly.pack(solidly.Solidly(curve, fees, denominator, reserves, units))


def _crypto(record: PoolRecord, state: states.CurveCryptoPoolState) -> Words:
    facts = _details(record, details.CurveCryptoDetails)
    return cryptoswap_words.pack(
        cryptoswap_words.CryptoSwap(
            a=state.a,
            gamma=state.gamma,
            fees=(state.mid_fee, state.out_fee, state.fee_gamma),
            d=state.d,
            supply=state.total_supply,
            virtual_price=state.virtual_price,
            precisions=facts.precisions,
            price_scale=state.price_scale,
            balances=state.balances,
            is_ramping=state.ramping,
            may_lose=state.may_lose,
            is_version_21=facts.variant is details.CryptoSwapVariant.TWOCRYPTO_21,
        )
    )


def _weighted_v3(record: PoolRecord, state: states.BalancerV3WeightedPoolState) -> Words:
    facts = _details(record, details.BalancerV3WeightedDetails)
    return balancer_weighted.pack_v3(
        balancer_weighted.WeightedV3(
            facts.minimum_trade,
            state.swap_fee,
            state.live_balances,
            state.rates,
            facts.minimum_balances or (0,) * len(state.live_balances),
            facts.decimal_factors,
            facts.weights,
        )
    )


def unpack(record: PoolRecord, words: Words) -> states.PoolState:
    """The state `pack` was given."""
    match record.details:
        case details.SolidlyDetails():
            solid = solidly.unpack(words)
            return states.SolidlyPoolState(record, *solid.reserves, solid.fees[0])
        case details.CamelotDetails():
            solid = solidly.unpack(words)
            return states.CamelotPoolState(record, *solid.reserves, *solid.fees)
        case details.CurveStableDetails():
            swap = stableswap_words.unpack(words)
            return states.CurveStablePoolState(
                record,
                swap.balances,
                swap.rates,
                swap.ramp,
                swap.fee,
                swap.admin_fee,
                swap.offpeg_multiplier,
            )
        case details.CurveCryptoDetails():
            crypto = cryptoswap_words.unpack(words, len(record.tokens))
            return states.CurveCryptoPoolState(
                record,
                crypto.balances,
                crypto.a,
                crypto.gamma,
                crypto.d,
                crypto.price_scale,
                *crypto.fees,
                total_supply=crypto.supply,
                virtual_price=crypto.virtual_price,
                ramping=crypto.is_ramping,
                may_lose=crypto.may_lose,
            )
        case details.BalancerV2WeightedDetails():
            weighted = balancer_weighted.unpack_v2(words)
            return states.BalancerV2WeightedPoolState(record, weighted.balances, weighted.fee)
        case details.BalancerV2StableDetails():
            stable = balancer_stable.unpack_v2(words)
            return states.BalancerV2StablePoolState(
                record, stable.balances, stable.scaling, stable.ramp, stable.fee
            )
        case details.BalancerV3WeightedDetails():
            live = balancer_weighted.unpack_v3(words)
            return states.BalancerV3WeightedPoolState(record, live.live, live.rates, live.fee)
        case details.BalancerV3StableDetails():
            pool = balancer_stable.unpack_v3(words)
            return states.BalancerV3StablePoolState(record, pool.live, pool.rates, pool.ramp, pool.fee)
        case details.Erc4626Details():
            vault = vaults.unpack_vault(words)
            return states.Erc4626PoolState(record, vault.assets, vault.supply)
    if record.protocol is Protocol.WSTETH:
        return states.WstEthPoolState(record, *vaults.unpack_wrapper(words))
    return states.WethPoolState(record, *vaults.unpack_weth(words))


def ramp_end(words: Words, kind: int) -> int:
    """The timestamp until which a pool's prices move with time alone; 0 for a pool at rest."""
    return int(words[7]) if kind in _RAMPED and words[4] != words[5] else 0


def _details(record: PoolRecord, kind: type[D]) -> D:
    if not isinstance(record.details, kind):
        raise MarketError(f"pool {record.key} lacks the details of a {record.protocol.value} pool")
    return record.details
