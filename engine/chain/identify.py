"""From sightings to records: what a pool's creation log does not say is asked of the pool and its factory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from engine.chain.calls import View
from engine.chain.creations import Sighting
from engine.chain.identify_balancer import balancer_v2, balancer_v3
from engine.chain.identify_curve import curve_crypto, curve_stable
from engine.chain.readers.reading import Ask, Reading
from engine.chain.sighted import Sighted, draft, record
from engine.domain.market import ZERO_ADDRESS, PoolRecord, Protocol
from engine.domain.pool_details import (
    AlgebraDetails,
    AlgebraVersion,
    CamelotDetails,
    Erc4626Details,
    SolidlyDetails,
    SolidlyVersion,
)

_TOKEN0, _TOKEN1 = View.of("token0()", "address"), View.of("token1()", "address")
_FEE = View.of("fee()", "uint24")
_METADATA = View.of("metadata()", "uint256", "uint256", "uint256", "uint256", "bool", "address", "address")
_FEE_OF_POOL = View.of("getFee(address,bool)", "uint256")
_IS_STABLE = View.of("stableSwap()", "bool")
_MULTIPLIERS = (View.of("precisionMultiplier0()", "uint256"), View.of("precisionMultiplier1()", "uint256"))
_SPACING = View.of("tickSpacing()", "int24")
_INTEGRAL_ONLY = View.of("tickTreeRoot()", "uint32")
_ALGEBRA_V2_ONLY = View.of("tickSpacingLimitOrders()", "int24")
_ASSET = View.of("asset()", "address")
_DECIMALS = View.of("decimals()", "uint8")
_TOTALS = (View.of("totalAssets()", "uint256"), View.of("totalSupply()", "uint256"))
_TO_SHARES = tuple(View.of(f"{name}(uint256)", "uint256") for name in ("convertToShares", "previewDeposit"))
_TO_ASSETS = tuple(View.of(f"{name}(uint256)", "uint256") for name in ("convertToAssets", "previewRedeem"))
_STETH = View.of("stETH()", "address")
_VAULT_GAS = 5_000_000
# Amounts at which the conversion of one kind of vault differs from that of another.
_PROBES = (1, 10**9 + 7, 10**18 + 9, 10**27 + 11)


async def identify(reading: Reading, sightings: Sequence[Sighting]) -> list[PoolRecord]:
    """The records of sighted pools; those that are of no known kind are refused in `reading`, by address.

    Raises NodeError when the node fails.
    """
    records: list[PoolRecord] = []
    for protocol, identifier in _IDENTIFIERS.items():
        sighted = [
            Sighted(one, draft(one)) for one in sightings if one.venue.protocol is protocol and one.address
        ]
        if sighted:
            records += await identifier(reading, sighted)
    return [pool for pool in records if pool.key not in reading.refused]


async def _pairs(reading: Reading, sighted: Sequence[Sighted]) -> list[PoolRecord]:
    """Uniswap V2 pairs that a list names."""
    tokens = await _tokens(reading, sighted)
    return [
        replace(record(one, tokens[one.address]), fee_pips=one.sighting.venue.fee_pips or 3000)
        for one in sighted
        if one.address in tokens
    ]


async def _concentrated(reading: Reading, sighted: Sequence[Sighted]) -> list[PoolRecord]:
    """Uniswap V3 and Slipstream pools that a list names; Slipstream's fee is part of the state."""
    tokens = await _tokens(reading, sighted)
    answers = await reading.of_each([one.draft for one in sighted], _FEE, _SPACING)
    found = []
    for one, (fee, spacing) in zip(sighted, answers, strict=True):
        if one.address in tokens and fee is not None and spacing is not None:
            made = record(one, tokens[one.address], spacing=spacing[0])
            is_fixed = one.sighting.venue.protocol is Protocol.UNISWAP_V3
            found.append(replace(made, fee_pips=fee[0]) if is_fixed else made)
    return found


async def _tokens(reading: Reading, sighted: Sequence[Sighted]) -> dict[str, tuple[str, ...]]:
    """By address, the two tokens: as the sighting says, else as the pool says."""
    answers = await reading.of_each([one.draft for one in sighted], _TOKEN0, _TOKEN1, optional=True)
    found: dict[str, tuple[str, ...]] = {}
    for one, (token0, token1) in zip(sighted, answers, strict=True):
        if one.sighting.tokens:
            found[one.address] = one.sighting.tokens
        elif token0 is not None and token1 is not None:
            found[one.address] = (token0[0].lower(), token1[0].lower())
        else:
            reading.refuse(one.draft, "it does not name its tokens")
    return found


async def _solidly(reading: Reading, sighted: Sequence[Sighted]) -> list[PoolRecord]:
    pools = [one.draft for one in sighted]
    facts = await reading.of_each(pools, _METADATA)
    fee_asks = [
        Ask(one.draft, _FEE_OF_POOL, (one.address, bool(one.sighting.stable)), one.factory, optional=True)
        for one in sighted
    ]
    found = []
    for one, (answer,), by_pool in zip(sighted, facts, await reading.values(fee_asks), strict=True):
        if answer is None:
            continue
        unit0, unit1, _, _, stable, token0, token1 = answer
        decimals = _power_of_ten(unit0), _power_of_ten(unit1)
        tokens = token0.lower(), token1.lower()
        if decimals[0] is None or decimals[1] is None or (one.sighting.tokens or tokens) != tokens:
            reading.refuse(one.draft, "its metadata() contradicts its creation")
            continue
        if by_pool is None:
            version = SolidlyVersion.VELODROME_V1
        elif "aerodrome" in one.sighting.venue.name.lower():
            version = SolidlyVersion.AERODROME
        else:
            version = SolidlyVersion.VELODROME_V2
        details = SolidlyDetails(stable, (decimals[0], decimals[1]), version)
        found.append(record(one, tokens, details=details))
    return found


async def _camelot(reading: Reading, sighted: Sequence[Sighted]) -> list[PoolRecord]:
    found = []
    tokens = await _tokens(reading, sighted)
    answers = await reading.of_each([one.draft for one in sighted], _IS_STABLE, *_MULTIPLIERS)
    for one, (stable, unit0, unit1) in zip(sighted, answers, strict=True):
        if stable is None or unit0 is None or unit1 is None:
            continue
        decimals = _power_of_ten(unit0[0]), _power_of_ten(unit1[0])
        if decimals[0] is None or decimals[1] is None:
            reading.refuse(one.draft, "its precision is no power of ten")
            continue
        details = CamelotDetails(stable[0], (decimals[0], decimals[1]))
        if one.address in tokens:
            found.append(record(one, tokens[one.address], details=details))
    return found


async def _algebra(reading: Reading, sighted: Sequence[Sighted]) -> list[PoolRecord]:
    pools = [one.draft for one in sighted]
    tokens = await _tokens(reading, sighted)
    spacings = await reading.of_each(pools, _SPACING)
    marks = await reading.of_each(pools, _INTEGRAL_ONLY, _ALGEBRA_V2_ONLY, optional=True)
    found = []
    for one, (spacing,), (integral, second) in zip(sighted, spacings, marks, strict=True):
        if spacing is None:
            continue
        if not 0 < spacing[0] < 1 << 15:
            reading.refuse(one.draft, "its tick spacing is out of range")
            continue
        version = AlgebraVersion.V1
        if integral is not None:
            version = AlgebraVersion.INTEGRAL
        elif second is not None:
            version = AlgebraVersion.V2
        if one.address in tokens:
            made = AlgebraDetails(version)
            found.append(record(one, tokens[one.address], spacing=spacing[0], details=made))
    return found


async def _erc4626(reading: Reading, sighted: Sequence[Sighted]) -> list[PoolRecord]:
    found = []
    for one, (asset,) in zip(
        sighted, await reading.of_each([each.draft for each in sighted], _ASSET), strict=True
    ):
        if asset is None:
            continue
        details = await _vault_kind(reading, one.draft, asset[0].lower())
        if details is None:
            reading.refuse(one.draft, "its conversion is of no known kind: it may charge fees")
        else:
            found.append(record(one, (asset[0].lower(), one.address), details=details))
    return found


async def _vault_kind(reading: Reading, vault: PoolRecord, asset: str) -> Erc4626Details | None:
    """What the vault adds to assets and shares when it converts, found by trying; None when nothing fits."""
    asks = [
        Ask(vault, _DECIMALS, to=asset, optional=True),
        Ask(vault, _DECIMALS, optional=True),
        *(Ask(vault, view, optional=True, gas=_VAULT_GAS) for view in _TOTALS),
    ]
    for views in (_TO_SHARES, _TO_ASSETS):
        for view in views:
            asks += [Ask(vault, view, (amount,), optional=True, gas=_VAULT_GAS) for amount in _PROBES]
    answers = await reading.values(asks)
    if any(answer is None for answer in answers):
        return None
    values = [answer[0] for answer in answers if answer is not None]
    asset_decimals, share_decimals, assets, supply, *converted = values
    offset = share_decimals - asset_decimals
    candidates = [Erc4626Details(0, 0)]
    if 0 <= offset <= 36:
        candidates.insert(0, Erc4626Details(10**offset, 1))
    shares, back = converted[: 2 * len(_PROBES)], converted[2 * len(_PROBES) :]
    for kind in candidates:
        share_total, asset_total = supply + kind.virtual_shares, assets + kind.virtual_assets
        to_shares = [_floor(amount, share_total, asset_total, supply) for amount in _PROBES]
        to_assets = [_floor(amount, asset_total, share_total, supply) for amount in _PROBES]
        if shares == to_shares * 2 and back == to_assets * 2:
            return kind
    return None


def _floor(amount: int, numerator: int, denominator: int, supply: int) -> int:
    """An empty vault without virtual shares gives one for one."""
    return (
        amount if denominator == 0 or (supply == 0 and numerator == 0) else amount * numerator // denominator
    )


async def _wsteth(reading: Reading, sighted: Sequence[Sighted]) -> list[PoolRecord]:
    answers = await reading.of_each([one.draft for one in sighted], _STETH)
    return [
        record(one, (steth[0].lower(), one.address))
        for one, (steth,) in zip(sighted, answers, strict=True)
        if steth is not None
    ]


async def _weth(reading: Reading, sighted: Sequence[Sighted]) -> list[PoolRecord]:
    return [record(one, (ZERO_ADDRESS, one.address)) for one in sighted]


def _power_of_ten(value: int) -> int | None:
    exponent = len(str(value)) - 1
    return exponent if value == 10**exponent and exponent <= 36 else None


Identifier = Callable[[Reading, Sequence[Sighted]], Awaitable[list[PoolRecord]]]
_IDENTIFIERS: dict[Protocol, Identifier | Any] = {
    Protocol.UNISWAP_V2: _pairs,
    Protocol.UNISWAP_V3: _concentrated,
    Protocol.SLIPSTREAM: _concentrated,
    Protocol.SOLIDLY: _solidly,
    Protocol.CAMELOT_V2: _camelot,
    Protocol.ALGEBRA: _algebra,
    Protocol.CURVE_STABLESWAP: curve_stable,
    Protocol.CURVE_CRYPTOSWAP: curve_crypto,
    Protocol.BALANCER_V2_WEIGHTED: balancer_v2,
    Protocol.BALANCER_V2_STABLE: balancer_v2,
    Protocol.BALANCER_V3_WEIGHTED: balancer_v3,
    Protocol.BALANCER_V3_STABLE: balancer_v3,
    Protocol.ERC4626: _erc4626,
    Protocol.WSTETH: _wsteth,
    Protocol.WETH: _weth,
}
