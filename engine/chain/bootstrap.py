"""Reading pools from a node: every call pinned to one block hash, so that the picture is not torn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from eth_utils import keccak

from engine.chain.calls import answered, at_block, chunks, require_canonical
from engine.chain.metadata import read_tokens
from engine.chain.readers.families import read_states
from engine.chain.readers.reading import Progress, Reading
from engine.chain.vouching import unvouched
from engine.chain.wire import octets
from engine.domain.market import ZERO_ADDRESS, BlockRef, PoolRecord, Protocol, Token, Venue
from engine.domain.pool_state import (
    BlockReading,
    Bootstrap,
    PartialState,
    PoolState,
    V3Fees,
    V3PoolState,
    V4Fees,
    V4PoolState,
)
from engine.domain.ports import Node
from engine.domain.provenance import is_genuine

_POOLS_PER_BATCH = 200
Keep = Callable[[Sequence[PoolState], Sequence[Token]], None]
NATIVE = Token(ZERO_ADDRESS, "ETH", 18)


async def bootstrap(
    node: Node,
    pools: Sequence[PoolRecord],
    venues: Sequence[Venue],
    block: BlockRef,
    *,
    progress: Progress = lambda what, done, total: None,
    partial: PartialState | None = None,
    trade_time: int | None = None,
    keep: Keep = lambda states, tokens: None,
) -> Bootstrap:
    """Read tokens and pool state at `block`; `partial` says what the node does not hold.

    A pool is refused, with the reason, when its venue is unknown, its address is not where the venue would
    have put it or its factory does not know it, its code is missing or not the venue's, a token's metadata is
    unfit, or its own calls fail or contradict themselves. `trade_time`, in seconds, is when the states are to
    be traded on (by default, the block's own time): amplifications that move are taken as of then.
    `keep(states, tokens)` gets what was read as soon as it was. `progress(what, done, total)` counts tokens,
    pools and tick words. Raises NodeError when the node fails or no longer holds the block.
    """
    partial = partial or PartialState()
    reading = Reading(node, block, venues, trade_time=trade_time, progress=progress, partial=partial)
    pools = reading.keep(pools, _provenance_verdicts(pools, venues))
    pools = reading.keep(pools, await unvouched(reading, pools))
    pools = reading.keep(pools, await _code_verdicts(reading, pools))
    addresses = sorted({token for pool in pools for token in pool.tokens} - {ZERO_ADDRESS})
    tokens, unfit = await read_tokens(
        node,
        [token for token in addresses if token not in partial.tokens],
        block.hash,
        lambda done, total: progress("tokens", done, total),
    )
    tokens += [partial.tokens[token] for token in addresses if token in partial.tokens]
    reading.refused |= unfit
    pools = reading.keep(
        pools, {pool.key: unfit[token] for pool in pools for token in pool.tokens if token in unfit}
    )
    for part in chunks(len(pools), _POOLS_PER_BATCH):
        batch = [pools[at] for at in part]
        await read_states(reading, batch)
        keep([reading.states[pool.key] for pool in batch if pool.key in reading.states], tokens)
        progress("pools", part.stop, len(pools))
    await require_canonical(node, block)
    states = tuple(reading.states[pool.key] for pool in pools if pool.key in reading.states)
    used = {token for state in states for token in state.pool.tokens}
    return Bootstrap(
        block,
        tuple(token for token in [*tokens, NATIVE] if token.address in used),
        states,
        reading.refused,
    )


async def refresh(
    node: Node,
    pools: Sequence[PoolRecord],
    venues: Sequence[Venue],
    block: BlockRef,
    *,
    trade_time: int | None = None,
    ticks: bool = True,
) -> tuple[dict[str, PoolState], dict[str, str]]:
    """States at `block` of pools that were read before, by key, and why others could not be read: their own
    calls only, not what never changes about them. Without `ticks` the states carry no tick tables, and are
    good for a comparison only. Raises NodeError when the node fails."""
    reading = Reading(node, block, venues, trade_time=trade_time, ticks=ticks)
    await read_states(reading, pools)
    return reading.states, reading.refused


async def read_with_block(
    node: Node, pools: Sequence[PoolRecord], venues: Sequence[Venue], block: BlockRef, *, trade_time: int
) -> tuple[list[BlockReading], dict[str, str]]:
    """What the logs of `block` do not tell of known pools, and why some could not be read: whole states, but
    of pools of concentrated liquidity the fees in force alone. Protocols are read side by side, because the
    line waits for it. Raises NodeError when the node fails."""
    by_protocol: dict[Protocol, list[PoolRecord]] = {}
    for pool in pools:
        by_protocol.setdefault(pool.protocol, []).append(pool)
    answers = await asyncio.gather(
        *(
            refresh(node, group, venues, block, trade_time=trade_time, ticks=False)
            for group in by_protocol.values()
        )
    )
    readings = [_unlogged(state) for states, _ in answers for state in states.values()]
    return readings, {key: reason for _, refused in answers for key, reason in refused.items()}


def _unlogged(state: PoolState) -> BlockReading:
    match state:
        case V3PoolState():
            return V3Fees(state.pool, state.fees or (state.pool.fee_pips, state.pool.fee_pips))
        case V4PoolState():
            return V4Fees(state.pool, state.lp_fee, state.protocol_fee)
    return state


def _provenance_verdicts(pools: Sequence[PoolRecord], venues: Sequence[Venue]) -> dict[str, str]:
    by_name = {venue.name: venue for venue in venues}
    verdicts = {}
    for pool in pools:
        venue = by_name.get(pool.venue)
        if venue is None:
            verdicts[pool.key] = "its venue is unknown"
        elif not is_genuine(venue, pool):
            verdicts[pool.key] = f"it is not where {venue.name} would have created it"
    return verdicts


async def _code_verdicts(reading: Reading, pools: Sequence[PoolRecord]) -> dict[str, str]:
    verdicts = {}
    for part in chunks(len(pools), _POOLS_PER_BATCH):
        batch = [pools[at] for at in part]
        addresses = list(dict.fromkeys(pool.address for pool in batch))
        pinned = at_block(reading.block.hash)
        answers = await reading.node.batch([("eth_getCode", [address, pinned]) for address in addresses])
        codes = {
            address: octets(answered(answer), "code")
            for address, answer in zip(addresses, answers, strict=True)
        }
        hashes: dict[bytes, str] = {}
        for pool in batch:
            code, wanted = codes[pool.address], reading.venues[pool.venue].pool_code_hash
            if not code:
                verdicts[pool.key] = "there is no code at its address"
            elif wanted is not None:
                if code not in hashes:
                    hashes[code] = "0x" + keccak(code).hex()
                if hashes[code] != wanted:
                    verdicts[pool.key] = f"its code is not that of a {pool.venue} pool"
    return verdicts
