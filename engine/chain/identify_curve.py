"""What kind of Curve pool an address is: its coins, and its generation by what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.chain.calls import View
from engine.chain.readers.reading import Ask, Reading
from engine.chain.sighted import Sighted, record
from engine.domain.market import PoolRecord
from engine.domain.pool_details import (
    ZERO_ADDRESS,
    CryptoSwapVariant,
    CurveCryptoDetails,
    CurveStableDetails,
    StableSwapVariant,
)

_MAX_COINS = 8
_COIN = View.of("coins(uint256)", "address")
_COIN_INT128 = View.of("coins(int128)", "address")
_NG_ONLY = View.of("D_ma_time()", "uint256")
_A_PRECISE = View.of("A_precise()", "uint256")
_GET_BALANCES = tuple(View.of("get_balances()", f"uint256[{n}]") for n in range(2, _MAX_COINS + 1))
_BASE_POOL = View.of("base_pool()", "address")
_NG_BASE_POOL = View.of("BASE_POOL()", "address")
_OFFPEG = View.of("offpeg_fee_multiplier()", "uint256")
_RAMPS = View.of("initial_A()", "uint256")
_GAMMA = View.of("gamma()", "uint256")
_UNDERLYING = View.of("underlying_coins(uint256)", "address")
_UNDERLYING_INT128 = View.of("underlying_coins(int128)", "address")
_MARKS = (_NG_ONLY, _A_PRECISE, _GET_BALANCES[0], _BASE_POOL, _NG_BASE_POOL, _OFFPEG, _RAMPS, _GAMMA)

_VERSION = View.of("version()", "string")
_PRECISIONS = tuple(View.of("precisions()", f"uint256[{n}]") for n in (2, 3))
# The third number and letters after it stand for builds with the same arithmetic.
_TWOCRYPTO = {"v2.0": CryptoSwapVariant.TWOCRYPTO_20, "v2.1": CryptoSwapVariant.TWOCRYPTO_21}
_TRICRYPTO = {"v2.0": CryptoSwapVariant.TRICRYPTO}


async def curve_stable(reading: Reading, sighted: Sequence[Sighted]) -> list[PoolRecord]:
    """Records of StableSwap pools; lending pools and others that answer like none of the generations are
    refused."""
    coins = await _coins(reading, sighted, _COIN)
    old_coins = await _coins(reading, [one for one in sighted if not coins[one.address]], _COIN_INT128)
    marks = await reading.of_each([one.draft for one in sighted], *_MARKS, optional=True)
    asks = [
        Ask(one.draft, _UNDERLYING if coins[one.address] else _UNDERLYING_INT128, (0,), optional=True)
        for one in sighted
    ]
    underlying = await reading.values(asks)
    found = []
    for one, answers, lends in zip(sighted, marks, underlying, strict=True):
        tokens = coins[one.address] or old_coins.get(one.address, ())
        details = _generation(answers, is_old=not coins[one.address])
        wrapped = lends is not None and lends[0] != ZERO_ADDRESS and lends[0].lower() != (tokens or ("",))[0]
        if len(tokens) < 2:
            reading.refuse(one.draft, "it has no coins")
        elif details is None or (wrapped and details.base_pool is None):
            reading.refuse(one.draft, "it is a StableSwap pool of an unknown kind")
        else:
            found.append(record(one, tokens, details=details))
    return found


def _generation(answers: Sequence[tuple[Any, ...] | None], *, is_old: bool) -> CurveStableDetails | None:
    ng, precise, balances, base, ng_base, offpeg, ramps, gamma = answers
    if gamma is not None:
        # A CryptoSwap pool, which a registry of both kinds lists beside the others.
        return None
    if ng is not None:
        return CurveStableDetails(StableSwapVariant.NG, ng_base[0].lower() if ng_base else None)
    if offpeg is not None:
        return None
    base_pool = base[0].lower() if base is not None and base[0] != ZERO_ADDRESS else None
    if is_old and ramps is None:
        # Pools whose A can ramp compute as 3pool does, however their coins are numbered.
        return CurveStableDetails(StableSwapVariant.SUSD)
    if precise is None:
        return CurveStableDetails(StableSwapVariant.THREE_POOL, base_pool)
    if balances is not None and base_pool is None:
        return CurveStableDetails(StableSwapVariant.FACTORY)
    return CurveStableDetails(StableSwapVariant.TEMPLATE, base_pool)


async def curve_crypto(reading: Reading, sighted: Sequence[Sighted]) -> list[PoolRecord]:
    """Records of twocrypto-NG and tricrypto-NG pools; older CryptoSwap contracts are refused."""
    coins = await _coins(reading, sighted, _COIN)
    found = []
    for one in sighted:
        tokens = coins[one.address]
        if len(tokens) not in (2, 3):
            reading.refuse(one.draft, "it has not two or three coins")
            continue
        precisions_view = _PRECISIONS[len(tokens) - 2]
        answers = await reading.of_each([one.draft], _VERSION, precisions_view, optional=True)
        version, precisions = answers[0]
        variant = _crypto_variant(len(tokens), version[0] if version else "")
        if variant is None or precisions is None:
            reading.refuse(one.draft, "it is a CryptoSwap pool of an unknown version")
        else:
            found.append(record(one, tokens, details=CurveCryptoDetails(variant, tuple(precisions[0]))))
    return found


def _crypto_variant(coins: int, version: str) -> CryptoSwapVariant | None:
    return (_TWOCRYPTO if coins == 2 else _TRICRYPTO).get(version[:4])


async def _coins(reading: Reading, sighted: Sequence[Sighted], view: View) -> dict[str, tuple[str, ...]]:
    asks = [Ask(one.draft, view, (n,), optional=True) for one in sighted for n in range(_MAX_COINS)]
    answers = await reading.values(asks)
    found = {}
    for at, one in enumerate(sighted):
        listed = []
        for answer in answers[_MAX_COINS * at : _MAX_COINS * (at + 1)]:
            if answer is None or answer[0] == ZERO_ADDRESS:
                break
            listed.append(answer[0].lower())
        found[one.address] = tuple(listed)
    return found
