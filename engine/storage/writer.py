"""The ledger's writer thread: the line hands facts over and goes on."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from engine.domain.execution import Execution
from engine.domain.ledger import Entry
from engine.domain.token_safety import TokenVerdict
from engine.storage.repository import Repository, Verdict

BATCH = 256
ATTEMPTS = 3
RETRY_S = 0.2


def ignore(error: Exception) -> None:
    """The default listener to write errors."""


class LedgerWriter:
    """Writes verdicts, executions and what was found of tokens in a thread of its own, in the order given.

    Verdicts beyond `capacity` waiting ones are dropped and counted. Executions are never dropped here; should
    the database refuse one for good it is counted in `failed`, and the next start restores it from the
    journal. `on_error` is called in the writer's thread.
    """

    def __init__(
        self,
        repository: Repository,
        run_id: int,
        *,
        capacity: int = 20_000,
        on_error: Callable[[Exception], None] = ignore,
    ):
        self._repository = repository
        self._run_id = run_id
        self._capacity = capacity
        self._on_error = on_error
        self._verdicts: deque[Verdict] = deque()
        self._executions: deque[tuple[Execution, Sequence[Entry]]] = deque()
        self._tokens: deque[TokenVerdict] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self.dropped = 0
        self.failed = 0
        self._thread = threading.Thread(target=self._work, name="ledger-writer", daemon=True)
        self._thread.start()

    def record_verdict(self, verdict: Verdict) -> bool:
        """Hand over an opportunity's verdict; never waits. False when it was dropped."""
        with self._wake:
            if self._closing or len(self._verdicts) >= self._capacity:
                self.dropped += 1
                return False
            self._verdicts.append(verdict)
            self._wake.notify()
            return True

    def record_execution(self, execution: Execution, entries: Sequence[Entry]) -> None:
        """Hand over an execution with its entries; never waits."""
        with self._wake:
            self._executions.append((execution, entries))
            self._wake.notify()

    def record_token(self, verdict: TokenVerdict) -> None:
        """Hand over a verdict on a token; never waits. One that is lost is found again."""
        with self._wake:
            if not self._closing and len(self._tokens) < self._capacity:
                self._tokens.append(verdict)
                self._wake.notify()

    async def close(self, timeout_s: float = 5.0) -> bool:
        """Write what waits and stop. False when that took longer than `timeout_s`. Idempotent."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join, timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not (self._executions or self._verdicts or self._tokens or self._closing):
                    self._wake.wait()
                if not (self._executions or self._verdicts or self._tokens):
                    return
                executions = [self._executions.popleft() for _ in range(len(self._executions))]
                verdicts = [self._verdicts.popleft() for _ in range(min(BATCH, len(self._verdicts)))]
                tokens = [self._tokens.popleft() for _ in range(min(BATCH, len(self._tokens)))]
            for execution, entries in executions:
                self._attempt(partial(self._repository.put_execution, execution, entries))
            if verdicts:
                self._attempt(partial(self._repository.put_verdicts, self._run_id, verdicts))
            if tokens:
                self._attempt(partial(self._repository.put_token_verdicts, self._run_id, tokens))

    def _attempt(self, write: Callable[[], None]) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                write()
                return
            except SQLAlchemyError as error:
                if attempt == ATTEMPTS:
                    self.failed += 1
                    with contextlib.suppress(Exception):
                        self._on_error(error)
                else:
                    threading.Event().wait(RETRY_S * attempt)
