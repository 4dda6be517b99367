"""What a traced transaction shows of the V2-type pools it swapped in: their reserves just before.

A pair reads its own balances of both tokens at the end of `swap` and takes them as its new reserves. So the
reserves before are those balances less what came in, plus what went out. Where the transaction also asked the
pair for its reserves, the answer must agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.app.simulate.swaps import Swap
from engine.domain.market import Protocol

_SWAP, _BALANCE_OF, _GET_RESERVES = "0x022c0d9f", "0x70a08231", "0x0902f1ac"
_FEE_PIPS = 3_000
_PIPS = 1_000_000


@dataclass(frozen=True, slots=True)
class PairState:
    """Reserves of token0 and token1 (the lower address first) before a swap, base units."""

    pool: str
    tokens: tuple[str, str]
    reserve0: int
    reserve1: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why a pool's state before its swap is not known."""

    pool: str
    reason: str


def state_before(swap: Swap, calls: Sequence[dict[str, Any]]) -> PairState | Unknown:
    """The state of the swap's pool just before it. `calls` are all of the transaction's, in order."""
    if swap.protocol != Protocol.UNISWAP_V2:
        return Unknown(swap.pool, f"a trace does not hold the state of a {swap.protocol} pool")
    own = [call for call in calls if call["action"].get("to") == swap.pool and _is(call, _SWAP)]
    if len(own) != 1:
        return Unknown(swap.pool, f"the transaction swaps in it {len(own)} times")
    tokens = _sorted(swap.token_in, swap.token_out)
    after = {token: _balance(own[0], token, swap.pool, calls) for token in tokens}
    if None in after.values():
        return Unknown(swap.pool, "its balances are not in the trace")
    before = {token: amount or 0 for token, amount in after.items()}
    before[swap.token_in] -= swap.amount_in
    before[swap.token_out] += swap.amount_out
    reserves = (before[tokens[0]], before[tokens[1]])
    asked = _asked(swap.pool, own[0], calls)
    if asked is not None and asked != reserves:
        return Unknown(
            swap.pool, "its balances differ from its reserves: it takes a fee on transfers or skims"
        )
    if not _pays(swap, before):
        return Unknown(swap.pool, "it paid more than a fee of 0.3 % allows")
    return PairState(swap.pool, tokens, *reserves)


def _pays(swap: Swap, before: dict[str, int]) -> bool:
    """The pair's check of K at the usual fee."""
    held, left = before[swap.token_in], before[swap.token_out]
    kept = held * _PIPS + swap.amount_in * (_PIPS - _FEE_PIPS)
    return kept * (left - swap.amount_out) >= held * left * _PIPS


def _balance(swap_call: dict[str, Any], token: str, pool: str, calls: Sequence[dict[str, Any]]) -> int | None:
    """What the token last answered the pair within its swap."""
    path = swap_call["trace_address"]
    question = _BALANCE_OF + pool[2:].rjust(64, "0")
    answers = [
        int(call["result"]["output"], 16)
        for call in calls
        if call["trace_address"][: len(path)] == path
        and call["action"].get("to") == token
        and call["action"].get("from") == pool
        and call["action"]["input"] == question
    ]
    return answers[-1] if answers else None


def _asked(pool: str, swap_call: dict[str, Any], calls: Sequence[dict[str, Any]]) -> tuple[int, int] | None:
    """The reserves the pair last named before its swap."""
    named = None
    for call in calls:
        if call is swap_call:
            return named
        if call["action"].get("to") == pool and _is(call, _GET_RESERVES):
            output = call["result"]["output"][2:]
            named = (int(output[:64], 16), int(output[64:128], 16))
    return named


def _is(call: dict[str, Any], selector: str) -> bool:
    result = call.get("result") or {}
    return bool(call["action"].get("input", "").startswith(selector)) and result.get("output") is not None


def _sorted(one: str, other: str) -> tuple[str, str]:
    return (one, other) if int(one, 16) < int(other, 16) else (other, one)
