"""Writing a state that was read from a node, or from a file, over what the tables hold of a pool."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.amm.layout import (
    KIND_V2,
    KIND_V3,
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    V4,
    int_to_limbs,
    ints_to_limbs,
    limbs_to_int,
    limbs_to_ints,
    limbs_to_signed,
    signeds_to_limbs,
)
from engine.amm.v4_fees import PIPS, v4_fee
from engine.domain.errors import MarketError
from engine.domain.market import PoolRecord, Protocol
from engine.domain.pool_state import (
    BlockReading,
    CamelotPoolState,
    PoolState,
    V2PoolState,
    V3Fees,
    V3PoolState,
    V4Fees,
    V4PoolState,
)
from engine.market.families import kind_of, pack, unpack
from engine.market.tables import PoolTables

_UINT112 = 1 << 112
_UINT128 = 1 << 128
_INT128 = 1 << 127
_PIPS_PER_CAMELOT_UNIT = 10

Ticks = Sequence[tuple[int, int] | tuple[int, int, int]]


def write_state(tables: PoolTables, row: int, rows: int, state: BlockReading) -> None:
    """Write `state`, or only fees, to the `rows` rows from `row`. Raises MarketError, changing nothing, for
    values the contract cannot hold and for a state of another family."""
    record = state.pool
    match state:
        case V3Fees():
            tables.fee_pips[row] = _pips(record, state.fees)
        case V4Fees():
            tables.fee_pips[row] = _v4_fees(record, state)
            tables.lp_fee[row], tables.protocol_fee[row] = state.lp_fee, state.protocol_fee
        case V2PoolState():
            write_v2(tables, row, record, state.reserve0, state.reserve1)
        case CamelotPoolState() if kind_of(record) == KIND_V2:
            fees = _pips(record, (state.fee0, state.fee1), _PIPS_PER_CAMELOT_UNIT)
            write_v2(tables, row, record, state.reserve0, state.reserve1)
            tables.fee_pips[row] = fees
        case V3PoolState():
            fees = _pips(record, state.fees or (record.fee_pips, record.fee_pips))
            write_v3(tables, row, state)
            tables.fee_pips[row] = fees
        case V4PoolState():
            fees = _v4_fees(record, state)
            write_v3(tables, row, state)
            tables.fee_pips[row] = fees
            tables.lp_fee[row], tables.protocol_fee[row] = state.lp_fee, state.protocol_fee
        case _:
            if tables.family[row] != kind_of(record):
                raise MarketError(f"pool {record.key} is of another family than its state")
            tables.write_words(row, rows, pack(state))


def write_v2(tables: PoolTables, row: int, record: PoolRecord, reserve0: int, reserve1: int) -> None:
    """Raises MarketError for a reserve outside uint112."""
    if tables.family[row] != KIND_V2:
        raise MarketError(f"pool {record.key} is not a V2 pool")
    if not (0 <= reserve0 < _UINT112 and 0 <= reserve1 < _UINT112):
        raise MarketError(f"pool {record.key} has a reserve outside uint112")
    tables.reserves[row, 0] = int_to_limbs(reserve0, 2)
    tables.reserves[row, 1] = int_to_limbs(reserve1, 2)


def write_v3(tables: PoolTables, row: int, state: V3PoolState | V4PoolState) -> None:
    """Raises MarketError for values the contract cannot hold."""
    record, ticks = state.pool, state.ticks
    low, high = state.known or (MIN_TICK, MAX_TICK)
    if tables.family[row] != KIND_V3:
        raise MarketError(f"pool {record.key} is not a V3 pool")
    price = state.sqrt_price_x96
    if price != 0 and not MIN_SQRT_RATIO <= price < MAX_SQRT_RATIO:
        raise MarketError(f"pool {record.key} has a square-root price outside the protocol's bounds")
    if not 0 <= state.liquidity < _UINT128:
        raise MarketError(f"pool {record.key} has a liquidity outside uint128")
    if not MIN_TICK <= low <= high <= MAX_TICK or not MIN_TICK <= state.tick <= MAX_TICK:
        raise MarketError(f"pool {record.key} has a tick outside the protocol's bounds")
    check_ticks(record, ticks, int(tables.tick_spacing[row]))
    tables.sqrt_price[row] = int_to_limbs(price)
    tables.liquidity[row] = int_to_limbs(state.liquidity, 2)
    tables.tick[row] = state.tick
    tables.known_low[row], tables.known_high[row] = low, high
    tables.gross_known[row] = all(len(entry) == 3 for entry in ticks)
    tables.write_ticks(
        row,
        np.array([entry[0] for entry in ticks], np.int32),
        signeds_to_limbs(entry[1] for entry in ticks),
        ints_to_limbs((entry[2] if len(entry) == 3 else abs(entry[1]) for entry in ticks), 2),
    )


def check_ticks(record: PoolRecord, ticks: Ticks, spacing: int) -> None:
    """Raises MarketError unless they ascend within bounds and spacing, with liquidity that fits."""
    last = MIN_TICK - 1
    for entry in ticks:
        tick, net = entry[0], entry[1]
        if not last < tick <= MAX_TICK or tick % spacing:
            raise MarketError(f"pool {record.key} has tick {tick} out of order, bounds or spacing")
        if not -_INT128 < net < _INT128:
            raise MarketError(f"pool {record.key} has liquidity_net outside int128 at tick {tick}")
        if len(entry) == 3 and not max(abs(net), 1) <= entry[2] < _UINT128:
            raise MarketError(f"pool {record.key} has an impossible liquidity_gross at tick {tick}")
        last = tick


def _pips(record: PoolRecord, fees: tuple[int, int], per_unit: int = 1) -> tuple[int, int]:
    pips = fees[0] * per_unit, fees[1] * per_unit
    if not all(0 <= fee < PIPS for fee in pips):
        raise MarketError(f"pool {record.key} has fees of {fees[0]} and {fees[1]}")
    return pips


def _v4_fees(record: PoolRecord, state: V4PoolState | V4Fees) -> tuple[int, int]:
    try:
        return (
            v4_fee(state.protocol_fee, state.lp_fee, True),
            v4_fee(state.protocol_fee, state.lp_fee, False),
        )
    except ValueError as error:
        raise MarketError(f"pool {record.key} has an impossible fee: {error}") from error


def tracked_spacing(record: PoolRecord, rules: int) -> int:
    """What ticks must divide by: the spacing, but one where it may change (pools with a list of ticks)."""
    return record.tick_spacing if rules in (0, V4) else 1


def state_of(tables: PoolTables, row: int, record: PoolRecord) -> PoolState:
    """The state `write_state` would write again. A V3 pool without known gross liquidity has |net| there."""
    kind = int(tables.family[row])
    if kind == KIND_V2:
        reserves = [limbs_to_int(tables.reserves[row, side]) for side in (0, 1)]
        if record.protocol is Protocol.UNISWAP_V2:
            return V2PoolState(record, *reserves)
        fees = (tables.fee_pips[row] // _PIPS_PER_CAMELOT_UNIT).tolist()
        return CamelotPoolState(record, *reserves, *fees)
    if kind != KIND_V3:
        return unpack(record, tables.read_words(row))
    at, nets, grosses = tables.read_ticks(row)
    values = zip(at.tolist(), nets, limbs_to_ints(grosses), strict=True)
    ticks = tuple((tick, limbs_to_signed(net), gross) for tick, net, gross in values)
    price, liquidity = limbs_to_int(tables.sqrt_price[row]), limbs_to_int(tables.liquidity[row])
    tick, range_known = int(tables.tick[row]), (int(tables.known_low[row]), int(tables.known_high[row]))
    known = None if range_known == (MIN_TICK, MAX_TICK) else range_known
    if record.protocol is Protocol.UNISWAP_V4:
        lp_fee, protocol_fee = int(tables.lp_fee[row]), int(tables.protocol_fee[row])
        return V4PoolState(record, price, liquidity, tick, ticks, lp_fee, protocol_fee, known)
    fee0, fee1 = tables.fee_pips[row].tolist()
    return V3PoolState(record, price, liquidity, tick, ticks, known, (fee0, fee1))
