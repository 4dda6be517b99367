"""Logs that traced V2 and V3 pools and tokens emitted, worked out from the calls alone."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from engine.app.simulate.swaps import V2_SWAP
from engine.chain.events import TRANSFER, V3_SWAP

_TRANSFER, _TRANSFER_FROM = "0xa9059cbb", "0x23b872dd"
_V2_CALL, _V3_CALL = "0x022c0d9f", "0x128acb08"


def logs_by_transaction(traces: list[dict[str, Any]]) -> dict[str, tuple[int, list[dict[str, Any]]]]:
    """(index, logs) of each transaction that did not revert, with the logs of token transfers first."""
    calls: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for trace in traces:
        if trace.get("transaction_hash") and (trace.get("action") or {}).get("callType") == "call":
            calls[trace["transaction_hash"]].append(trace)
    return {
        tx: (own[0]["transaction_position"], _logs(own))
        for tx, own in calls.items()
        if not any(call["error"] and not call["trace_address"] for call in own)
    }


def _logs(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    failed = [tuple(call["trace_address"]) for call in calls if call["error"]]
    kept = [
        call
        for call in calls
        if not any(tuple(call["trace_address"])[: len(path)] == path for path in failed)
    ]
    transfers = [log for call in kept if (log := _transfer_log(call))]
    received: dict[tuple[str, str], int] = defaultdict(int)
    swaps = []
    for call in kept:
        log = _transfer_log(call)
        if log is not None:
            received["0x" + log["topics"][2][26:], log["address"]] += int(log["data"], 16)
    for call in kept:
        kind, to = call["action"]["input"][:10], call["action"]["to"]
        if kind == _V2_CALL:
            swaps.append(_v2_log(call, to, {t: v for (p, t), v in received.items() if p == to}))
        elif kind == _V3_CALL and call["result"]["output"] != "0x":
            data = call["result"]["output"] + "0" * (3 * 64)
            swaps.append(
                {"address": to, "topics": [V3_SWAP, "0x" + "00" * 32, "0x" + "00" * 32], "data": data}
            )
    return transfers + [swap for swap in swaps if swap]


def _transfer_log(call: dict[str, Any]) -> dict[str, Any] | None:
    data, to = call["action"]["input"], call["action"]["to"]
    words = [data[10 + 64 * n : 74 + 64 * n] for n in range(3)]
    if data[:10] == _TRANSFER and len(data) >= 138:
        sender, receiver, amount = call["action"]["from"][2:].rjust(64, "0"), words[0], words[1]
    elif data[:10] == _TRANSFER_FROM and len(data) >= 202:
        sender, receiver, amount = words
    else:
        return None
    return {"address": to, "topics": [TRANSFER, "0x" + sender, "0x" + receiver], "data": "0x" + amount}


def _v2_log(call: dict[str, Any], pool: str, received: dict[str, int]) -> dict[str, Any] | None:
    """The pair was paid once and pays once; which token is token0 follows from the outputs' places."""
    data = call["action"]["input"]
    out0, out1 = int(data[10:74], 16), int(data[74:138], 16)
    paid = [amount for amount in received.values() if amount]
    if len(paid) != 1 or (out0 > 0) == (out1 > 0):
        return None
    ins = (0, paid[0]) if out0 else (paid[0], 0)
    words = "".join(f"{value:064x}" for value in (*ins, out0, out1))
    return {"address": pool, "topics": [V2_SWAP, "0x" + "00" * 32, "0x" + "00" * 32], "data": "0x" + words}
