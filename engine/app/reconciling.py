"""Every hour, off the line: do the journal, the chain and the ledger say the same?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from engine.app.lifecycle import wait_cancelled
from engine.app.records import Records
from engine.app.session import Session
from engine.chain.logs import token_delta
from engine.domain.errors import NodeError, UsageError
from engine.domain.events import BooksCompared, Fact
from engine.domain.market import BlockRef
from engine.execution.chain_audit import ChainAudit
from engine.ledger.audit import Audit

# How long what was just resolved may take to the ledger: what still differs then, differs.
SETTLE_S = 2.0
RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Compares the books of one run: `chains` are the audits of its operators."""

    records: Records
    chains: Iterable[ChainAudit]
    head: Callable[[], BlockRef | None]
    publish: Callable[[Fact], None]
    settle_s: float = SETTLE_S

    async def compare(self) -> BooksCompared | None:
        """Compare once and publish what came of it; None before the first block.

        The ledger's missing executions are written again and told of; everything else that differs halts, and
        is left as it is for whoever looks. Raises NodeError, UsageError and SQLAlchemyError when one of the
        three cannot be read.
        """
        head = self.head()
        if head is None:
            return None
        executions = await asyncio.to_thread(self.records.executions)
        differences: dict[str, str] = {}
        for chain in self.chains:
            differences |= await chain.look(executions, head.number)
        found = await asyncio.to_thread(self.records.audit)
        if found.lacking or found.differences:
            await asyncio.sleep(self.settle_s)
            found = _still(found, await asyncio.to_thread(self.records.audit))
        for execution in found.lacking:
            self.records.restore(execution)
        fact = BooksCompared(
            head,
            found.level,
            len(found.lacking),
            tuple(sorted({*differences.values(), *found.differences.values()})),
        )
        self.publish(fact)
        return fact


def _still(before: Audit, now: Audit) -> Audit:
    """What differs now as it did before."""
    lacked = {execution.intent.id for execution in before.lacking}
    return Audit(
        now.level,
        tuple(execution for execution in now.lacking if execution.intent.id in lacked),
        {name: what for name, what in now.differences.items() if before.differences.get(name) == what},
    )


@asynccontextmanager
async def reconciling(
    session: Session, records: Records, every_s: float, failed: Callable[[str, Exception], None]
) -> AsyncIterator[None]:
    """Compares every `every_s` seconds while the line runs, where something can be sent at all."""
    if session.sender is None:
        yield
        return
    chains = [
        ChainAudit(session.node, operator, router, token_delta)
        for router, operator in session.sender.operators.items()
    ]
    reconciler = Reconciler(records, chains, lambda: session.market.head, session.publish)

    async def hourly() -> None:
        pause = every_s
        while True:
            await asyncio.sleep(pause)
            pause = every_s
            try:
                await reconciler.compare()
            except (NodeError, UsageError, SQLAlchemyError) as error:
                failed("reconciliation", error)
                pause = min(every_s, RETRY_S)

    task = asyncio.create_task(hourly(), name="reconciliation")
    try:
        yield
    finally:
        await wait_cancelled(task)
