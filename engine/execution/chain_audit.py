"""Whether the chain says what the journal says, for what no reorg reaches any more."""

from __future__ import annotations

from collections.abc import Iterable

from engine.domain.execution import Execution
from engine.domain.ports import Node
from engine.domain.quantity import quantity
from engine.execution.receipts import TokenDelta
from engine.execution.tracker import REORG_BLOCKS, amended, fetch_receipts

BATCH = 100
# How far back the first look of a run goes.
FIRST_BLOCKS = 7_200


class ChainAudit:
    """Compares one operator's executions with their receipts, and their number with the nonces used.

    Each look takes up where the last one ended, and stops where a reorg may still change things: there the
    tracker looks.
    """

    def __init__(self, node: Node, operator: str, router: str, token_delta: TokenDelta):
        self._node = node
        self._operator = operator
        self._router = router
        self._token_delta = token_delta
        self._looked: tuple[int, int] | None = None

    async def look(self, executions: Iterable[Execution], head: int) -> dict[str, str]:
        """What differs, by the intent's id ("nonces" for their number), in words. Raises NodeError."""
        until = head - REORG_BLOCKS
        if until < 0:
            return {}
        count = await self._node.request("eth_getTransactionCount", [self._operator, hex(until)])
        used = quantity(count, "transaction count")
        since = until - FIRST_BLOCKS if self._looked is None else self._looked[0]
        last = {execution.intent.id: execution for execution in executions}
        mine = [each for each in last.values() if each.intent.transaction.sender == self._operator]
        differences = await self._receipts([each for each in mine if since < _moment(each) <= until])
        if self._looked is not None:
            mined = sum(bool(each.block_hash) and since < each.block_number <= until for each in mine)
            spent = used - self._looked[1]
            if spent != mined:
                differences["nonces"] = (
                    f"{self._operator} used {spent} nonces in blocks {since + 1} to {until}, "
                    f"the journal has {mined} transactions there"
                )
        self._looked = until, used
        return differences

    async def _receipts(self, executions: list[Execution]) -> dict[str, str]:
        differences = {}
        for start in range(0, len(executions), BATCH):
            chosen = executions[start : start + BATCH]
            receipts = await fetch_receipts(self._node, [each.intent for each in chosen])
            for execution in chosen:
                intent, receipt = execution.intent, receipts.get(execution.intent.transaction.hash)
                if receipt is None and not execution.block_hash:
                    continue
                found = amended(execution, receipt, self._router, self._token_delta)
                if found is None:
                    continue
                journal = f"{intent.id}: {_shown(execution)} in the journal"
                chain = f"{_shown(found)} in the chain"
                if receipt is None:
                    chain = f"{intent.transaction.hash} is not in the chain"
                differences[intent.id] = f"{journal}, {chain}"
        return differences


def _moment(execution: Execution) -> int:
    return execution.block_number or execution.intent.block_number


def _shown(execution: Execution) -> str:
    return (
        f"{execution.outcome} in block {execution.block_number} with profit {execution.realised_profit} "
        f"for {execution.gas_paid_wei} wei of gas"
    )
