"""Which pools a range of blocks touched, by their logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.chain.logs import STATE_TOPICS
from engine.domain.errors import NodeError, NodeUnreachable
from engine.domain.ports import Node

# More addresses than this in a filter cost the node more than the logs of all others cost us.
_MAX_ADDRESSES = 500
_MAX_SILENCES = 3

# By contract, and by the first indexed word of its logs ("" for any): the keys of the pools concerned.
Emitters = Mapping[str, Mapping[str, Sequence[str]]]


async def touched_since(node: Node, emitters: Emitters, first: int, last: int) -> set[str]:
    """Keys of the pools of which blocks `first` to `last`, both included, have state logs.

    Ranges that the node finds too large are halved. Raises NodeError when it refuses a single block.
    """
    wanted: dict[str, Any] = {"topics": [list(STATE_TOPICS)]}
    if len(emitters) <= _MAX_ADDRESSES:
        wanted["address"] = sorted(emitters)
    touched: set[str] = set()
    silences, waiting = 0, [(first, last)] if emitters and first <= last else []
    while waiting:
        start, end = waiting.pop()
        try:
            logs = await node.request(
                "eth_getLogs", [wanted | {"fromBlock": hex(start), "toBlock": hex(end)}]
            )
        except NodeError as error:
            silences += isinstance(error, NodeUnreachable)
            if start == end or silences > _MAX_SILENCES:
                raise
            middle = (start + end) // 2
            waiting += [(middle + 1, end), (start, middle)]
            continue
        if not isinstance(logs, list):
            raise NodeError("the node answered eth_getLogs with something else", method="eth_getLogs")
        for log in logs:
            touched.update(_concerned(emitters, log))
    return touched


def _concerned(emitters: Emitters, log: Any) -> list[str]:
    if not isinstance(log, dict):
        raise NodeError("the node answered eth_getLogs with something else", method="eth_getLogs")
    by_word = emitters.get(str(log.get("address")).lower())
    if by_word is None:
        return []
    topics = log.get("topics")
    word = str(topics[1]).lower() if isinstance(topics, list) and len(topics) > 1 else ""
    return [*by_word.get(word, ()), *(by_word.get("", ()) if word else ())]
