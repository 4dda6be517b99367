"""Logs to facts: pool state events and ERC-20 transfers.

A log is data from a contract anybody may have written. Nothing here raises on one: a log that cannot be what
it claims names its pool, so that the pool can be quarantined, and none of that pool's events are returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.amm.layout import StateEvents, ints_to_limbs
from engine.chain.events import (
    APPROVAL,
    DEPOSIT,
    EVENTS,
    MANAGER_EVENTS,
    OWN_EVENTS,
    TRANSFER,
    TRANSFER_SHARES,
    WITHDRAWAL,
    Fields,
    Malformed,
    address_of,
    exactly,
    word_of,
    words_of,
)
from engine.chain.touches import TOUCH_TOPICS
from engine.domain.market import ZERO_ADDRESS, PoolRecord, Protocol

STATE_TOPICS = (*EVENTS, *TOUCH_TOPICS)

# Families whose logs do not carry their state: any log that may change it says only that it must be read.
READ_AGAIN = frozenset(
    (
        Protocol.CURVE_STABLESWAP,
        Protocol.CURVE_CRYPTOSWAP,
        Protocol.BALANCER_V2_WEIGHTED,
        Protocol.BALANCER_V2_STABLE,
        Protocol.BALANCER_V3_WEIGHTED,
        Protocol.BALANCER_V3_STABLE,
        Protocol.ERC4626,
        Protocol.WSTETH,
    )
)
_NO_ADDRESS = "0x" + "00" * 32


@dataclass(frozen=True, slots=True)
class Decoded:
    """One block's logs, decoded.

    `events`: state events of known pools, in log order. `unknown`: state logs from pools we do not follow.
    `hostile`: (pool row, reason) of pools whose logs are malformed; their events are left out. `touched`:
    first rows of pools whose logs say that they changed, but not how: they must be read at this block.
    """

    events: StateEvents
    unknown: int
    hostile: list[tuple[int, str]]
    touched: frozenset[int] = field(default_factory=frozenset)


def decode(
    logs: Iterable[Mapping[str, Any]],
    pool_row: Mapping[str, int],
    pools: Sequence[PoolRecord] = (),
    hubs: Mapping[str, Mapping[str, int]] = {},
) -> Decoded:
    """Decode one block's logs, given in log-index order.

    `pool_row` maps a pool's lower-case address to its first row, `pools` are the records by row, `hubs` the
    rows of pools that other contracts log for, by contract and first indexed word (as in the market).
    """
    found = _Found()
    for log in logs:
        topics = log.get("topics")
        if not isinstance(topics, list) or not topics or not isinstance(topics[0], str):
            continue
        emitter = log.get("address")
        emitter = emitter.lower() if isinstance(emitter, str) else ""
        row, is_hub = _subject(emitter, topics, pool_row, hubs)
        if row is None:
            found.unknown += topics[0] in OWN_EVENTS or topics[0] in MANAGER_EVENTS
        elif pools and pools[row].protocol in READ_AGAIN:
            if _may_change_state(topics):
                found.touched.add(row)
        elif topics[0] in EVENTS:
            found.take(row, is_hub, topics, log.get("data"))
    return found.decoded()


def _subject(
    emitter: str,
    topics: list[Any],
    pool_row: Mapping[str, int],
    hubs: Mapping[str, Mapping[str, int]],
) -> tuple[int | None, bool]:
    """(row of the pool a log is about, whether another contract logged it)."""
    hub = hubs.get(emitter)
    if hub is not None:
        word = topics[1].lower() if len(topics) > 1 and isinstance(topics[1], str) else ""
        row = hub.get(word, hub.get(""))
        if row is not None:
            return row, True
    return pool_row.get(emitter), False


def _may_change_state(topics: list[Any]) -> bool:
    """Transfers and approvals of a pool's own token do not, but a mint or a burn does."""
    if topics[0] == TRANSFER:
        return _NO_ADDRESS in topics[1:3]
    return topics[0] not in (APPROVAL, TRANSFER_SHARES)


class _Found:
    """What has been decoded of a block so far."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.fields: list[Fields] = []
        self.hostile: dict[int, str] = {}
        self.touched: set[int] = set()
        self.unknown = 0

    def take(self, row: int, is_hub: bool, topics: list[Any], data: Any) -> None:
        if row in self.hostile:
            return
        decoder = (MANAGER_EVENTS if is_hub else OWN_EVENTS).get(topics[0])
        if decoder is None:
            self.hostile[row] = "malformed log: an event of another protocol"
            return
        try:
            decoded = decoder(topics, words_of(data))
        except Malformed as error:
            self.hostile[row] = f"malformed log: {error}"
            return
        self.rows.extend([row] * len(decoded))
        self.fields.extend(decoded)

    def decoded(self) -> Decoded:
        rows, fields = self.rows, self.fields
        if self.hostile:
            kept = [at for at, row in enumerate(rows) if row not in self.hostile]
            rows, fields = [rows[at] for at in kept], [fields[at] for at in kept]
        hostile = list(self.hostile.items())
        return Decoded(_events(rows, fields), self.unknown, hostile, frozenset(self.touched))


def token_delta(logs: Iterable[Mapping[str, Any]], token: str, account: str) -> int:
    """Change of `account`'s balance of an ERC-20 `token` by a receipt's logs, base units.

    Besides Transfer, wrapped native tokens' Deposit and Withdrawal count, unless the token logs transfers
    from and to nobody instead. Logs of other contracts and of other shapes do not count.
    """
    moved = wrapped = 0
    logs_nobody = False
    for log in logs:
        topics = log.get("topics")
        if not isinstance(topics, list) or not topics or str(log.get("address")).lower() != token:
            continue
        try:
            (amount,) = (int.from_bytes(word, "big") for word in exactly(words_of(log.get("data")), 1))
            named = [address_of(word_of(topic)) for topic in topics[1:]]
        except Malformed:
            continue
        if topics[0] == TRANSFER and len(named) == 2:
            sender, receiver = named
            moved += amount * ((receiver == account) - (sender == account))
            logs_nobody |= account in named and ZERO_ADDRESS in named
        elif topics[0] in (DEPOSIT, WITHDRAWAL) and named == [account]:
            wrapped += amount if topics[0] == DEPOSIT else -amount
    return moved if logs_nobody else moved + wrapped


def _events(rows: list[int], fields: list[Fields]) -> StateEvents:
    kinds, a, b, lower, upper = zip(*fields, strict=True) if fields else ((), (), (), (), ())
    return StateEvents(
        kind=np.array(kinds, np.uint8),
        pool=np.array(rows, np.int32),
        a=ints_to_limbs(a),
        b=ints_to_limbs(b),
        tick_lower=np.array(lower, np.int32),
        tick_upper=np.array(upper, np.int32),
    )
