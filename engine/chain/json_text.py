"""JSON-RPC messages whose one large list stays text, for those who read it better than by parsing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from engine.domain.errors import MalformedAnswer

_RESULT = b'"result":'
# Where a node's answer begins with its result, the id and the version are before it or after it.
_WITHIN = 256
_NEXT_ANSWER = b']},{"jsonrpc"'
_STANDS_FOR_IT = b"null"


class Unparsed(NamedTuple):
    """A call whose result is wanted as a JsonText, if the node writes one."""

    method: str
    params: Sequence[Any]


class JsonText:
    """A list within a message, presumably: whether its text is one is for its reader to find. `parsed` reads
    the message itself and needs no presumption."""

    __slots__ = ("_message", "text")

    def __init__(self, message: bytes, start: int, end: int):
        self._message = message
        self.text = memoryview(message)[start:end]

    def parsed(self) -> Any:
        """The result as objects. Raises MalformedAnswer when the message is none."""
        answer = _parsed(self._message)
        answer = answer[0] if isinstance(answer, list) else answer
        if not isinstance(answer, dict) or "result" not in answer:
            raise MalformedAnswer("an answer has no result")
        return answer["result"]


def read_message(message: bytes) -> Any:
    """A node's message as objects, but for a list that is the result of its first answer, which is a
    JsonText. All around that list is parsed. Raises MalformedAnswer for what is not JSON."""
    start = message.find(_RESULT, 0, _WITHIN) + len(_RESULT)
    if start < len(_RESULT) or message[start : start + 1] != b"[":
        return _parsed(message)
    end = message.rfind(_NEXT_ANSWER if message.startswith(b"[") else b"]", start) + 1
    try:
        around = orjson.loads(message[:start] + _STANDS_FOR_IT + message[end:])
    except orjson.JSONDecodeError:
        return _parsed(message)
    first = around[0] if isinstance(around, list) and around else around
    # A result that is not null is another one, after ours.
    if end == 0 or not isinstance(first, dict) or first.get("result", message) is not None:
        return _parsed(message)
    first["result"] = JsonText(message, start, end)
    return around


def _parsed(message: bytes) -> Any:
    try:
        # Refuses what nests deeper than 1,024 levels, and text that is not UTF-8.
        return orjson.loads(message)
    except orjson.JSONDecodeError:
        raise MalformedAnswer("the answer is not JSON") from None
