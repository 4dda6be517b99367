"""Proof that a plan does at this block what the integers say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from eth_abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils import keccak

from engine.domain.errors import NodeError, NodeUnreachable
from engine.domain.execution import Plan, SimulatedPlan
from engine.domain.market import BlockRef
from engine.domain.opportunity import CheckResult, RefusalReason, Refused
from engine.domain.ports import Node
from engine.domain.quantity import quantity
from engine.execution.access_lists import as_json

GAS_MARGIN_NUMERATOR = 5
GAS_MARGIN_DENOMINATOR = 4
REVERTED = 3
INVALID_PARAMS = -32602
CHECK = "simulation"
# How nodes word a call that failed inside the EVM without revert data.
_EVM_FAILURES = (
    "revert",
    "evm error",
    "out of gas",
    "invalid opcode",
    "invalid jump",
    "stack ",
    "gas required exceeds",
)
_ERRORS = {
    keccak(text=signature)[:4]: signature
    for signature in (
        "Error(string)",
        "Panic(uint256)",
        "UnsupportedVersion(uint256)",
        "Expired()",
        "OtherParent()",
        "MalformedStream()",
        "UnexpectedCallback()",
        "CallbackNotSpent()",
        "NothingOwed()",
        "TransferRefused(address)",
        "BalanceUnknown(address)",
        "BalanceFell(address)",
        "AllowanceLeft(address,address)",
        "BuilderRefused()",
        "ProfitTooLow(uint256,uint256)",
    )
}

_PINS = tuple("0x" + keccak(text=signature)[:4].hex() for signature in ("Expired()", "OtherParent()"))


@dataclass(frozen=True, slots=True)
class _Dialect:
    """What of the call's context the node understands; `pins`: the next block's number and parent."""

    by_hash: bool = True
    overrides: bool = True
    pins: bool = True


class Simulator:
    """Runs plans by `eth_call` and `eth_estimateGas` as `sender`, pinned to a block's hash (EIP-1898).

    The call sees the next block's number, time and base fee where the node takes block overrides. A node
    that refuses hashes or overrides is asked without; by number, the block's hash is compared afterwards. One
    whose calls do not know the next block's number or parent runs the plan without its pins to them.
    `block_interval_s` is the expected time between blocks; `senders` tells who else may send, by router.
    """

    def __init__(
        self,
        node: Node,
        sender: str,
        block_interval_s: int = 12,
        senders: Callable[[], Mapping[str, str]] = dict,
    ):
        self._node = node
        self._senders = senders
        self._sender = sender
        self._interval_s = block_interval_s
        self._dialect = _Dialect()

    async def simulate(self, plan: Plan, block: BlockRef) -> SimulatedPlan | Refused:
        """Simulate `plan` on top of `block`.

        The call must return exactly the expected profit, to the wei; anything else is a refusal that carries
        the numbers: BLOCK_REPLACED where the chain has meanwhile left `block`, whose state the node may no
        longer have shown. Raises NodeError when the node did not run the call.
        """
        called, estimated = await self._run(plan, block)
        for answer in (called, estimated):
            if isinstance(answer, NodeError):
                return await self._failed(plan, block, RefusalReason.SIMULATION_REVERTED, _failure(answer))
        profit = quantity(called, "profit") if called != "0x" else 0
        gas_used = quantity(estimated, "gas estimate")
        numbers = {
            "expected_profit": str(plan.expected_profit),
            "simulated_profit": str(profit),
            "gas_used": str(gas_used),
            "block_hash": block.hash,
        }
        if profit != plan.expected_profit:
            return await self._failed(plan, block, RefusalReason.SIMULATION_MISMATCH, numbers)
        if plan.gas_cost * gas_used >= plan.expected_profit * max(plan.gas_estimate, 1):
            return _refused(plan, RefusalReason.NET_PROFIT_TOO_LOW, numbers)
        gas_limit = gas_used * GAS_MARGIN_NUMERATOR // GAS_MARGIN_DENOMINATOR
        return SimulatedPlan(
            plan=replace(plan, gas_limit=gas_limit),
            block=block,
            simulated_profit=profit,
            gas_used=gas_used,
            results=(*plan.approved.results, CheckResult(CHECK, True, None, numbers)),
        )

    async def _run(self, plan: Plan, block: BlockRef) -> list[Any]:
        while True:
            dialect = self._dialect
            answers = await self._node.batch(self._calls(plan, block, dialect))
            refusal = next((a for a in answers if isinstance(a, NodeError) and not _ran(a)), None)
            if refusal is not None:
                weaker = _weaker(dialect, refusal)
                if weaker is None:
                    raise refusal
            elif plan.unpinned is not None and dialect.pins and any(map(_elsewhere, answers)):
                weaker = replace(dialect, pins=False)
            else:
                break
            # Another simulation may have found out at the same time; never climb back up.
            self._dialect = _Dialect(
                self._dialect.by_hash and weaker.by_hash,
                self._dialect.overrides and weaker.overrides,
                self._dialect.pins and weaker.pins,
            )
        if not dialect.by_hash:
            await self._require_canonical(block)
        return answers

    def _calls(self, plan: Plan, block: BlockRef, dialect: _Dialect) -> list[tuple[str, list[Any]]]:
        pinned = dialect.pins or plan.unpinned is None
        transaction: dict[str, Any] = {
            "from": self._senders().get(plan.router, self._sender),
            "to": plan.router,
            "data": "0x" + (plan.calldata if pinned else plan.unpinned or b"").hex(),
            "gas": hex(plan.gas_limit),
        }
        if plan.access_list:
            transaction["accessList"] = as_json(plan.access_list)
        where: Any = {"blockHash": block.hash} if dialect.by_hash else hex(block.number)
        params: list[Any] = [transaction, where]
        if dialect.overrides:
            child = {
                "number": hex(block.number + 1),
                "time": hex(min(block.timestamp + self._interval_s, plan.deadline)),
                "baseFeePerGas": hex(block.next_base_fee_wei()),
            }
            params += [{}, child]
        return [("eth_call", params), ("eth_estimateGas", params)]

    async def _failed(
        self, plan: Plan, block: BlockRef, reason: RefusalReason, numbers: dict[str, str]
    ) -> Refused:
        canonical = await self._is_canonical(block)
        numbers = {**numbers, "block_hash": block.hash}
        return _refused(plan, reason if canonical else RefusalReason.BLOCK_REPLACED, numbers)

    async def _is_canonical(self, block: BlockRef) -> bool:
        found = await self._node.request("eth_getBlockByNumber", [hex(block.number), False])
        return bool(found) and str(found.get("hash")).lower() == block.hash

    async def _require_canonical(self, block: BlockRef) -> None:
        if not await self._is_canonical(block):
            raise NodeError(
                f"block {block.number} is no longer {block.hash}", method="eth_call", code=None, data=None
            )


def _weaker(dialect: _Dialect, refusal: NodeError) -> _Dialect | None:
    """The next dialect to try when the node refused the request itself, or None when it is not about form."""
    if isinstance(refusal, NodeUnreachable) or refusal.code != INVALID_PARAMS:
        return None
    if dialect.overrides:
        return replace(dialect, overrides=False)
    return replace(dialect, by_hash=False) if dialect.by_hash else None


def _ran(error: NodeError) -> bool:
    """Whether the error is the call's own failure in the EVM rather than the node's refusal to run it."""
    if isinstance(error, NodeUnreachable) or error.code == INVALID_PARAMS:
        return False
    text = str(error).lower()
    return error.code == REVERTED or bool(error.data) or any(word in text for word in _EVM_FAILURES)


def _elsewhere(answer: Any) -> bool:
    """Whether a call failed for being in another block than the one it was made for."""
    data = answer.data if isinstance(answer, NodeError) else None
    return isinstance(data, str) and data[:10] in _PINS


def _failure(error: NodeError) -> dict[str, str]:
    numbers = {"method": error.method, "message": str(error)[:300]}
    data = error.data if isinstance(error.data, str) else ""
    if len(data) >= 10:
        numbers["error"] = describe_revert(data)
    return numbers


def describe_revert(data: str) -> str:
    """Revert data as `Name(values)` where it is the router's or Solidity's error, else its selector."""
    try:
        raw = bytes.fromhex(data.removeprefix("0x"))
    except ValueError:
        return "malformed revert data"
    signature = _ERRORS.get(raw[:4])
    if signature is None:
        return "0x" + raw[:4].hex()
    name, _, types = signature.rstrip(")").partition("(")
    try:
        values = decode([kind for kind in types.split(",") if kind], raw[4:])
    except (DecodingError, OverflowError, ValueError):
        return name
    return f"{name}({', '.join(str(value)[:200] for value in values)})"


def _refused(plan: Plan, reason: RefusalReason, numbers: dict[str, str]) -> Refused:
    result = CheckResult(CHECK, False, reason, numbers)
    return Refused(plan.opportunity, (*plan.approved.results, result))
