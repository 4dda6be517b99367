"""Writes down everything that enters the line from outside, at its seams.

One line of JSON each, compressed: the settings; the market as it was read; then by block its logs, what was
read with it, the conditions and the answers of simulations; at the end the digest of the decisions.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from engine.app.recording.codec import plain
from engine.app.recording.decisions import Decisions
from engine.app.settings import Settings
from engine.chain.routers import Router
from engine.domain.errors import NodeError, UsageError
from engine.domain.events import Fact
from engine.domain.execution import Plan, SimulatedPlan
from engine.domain.market import BlockRef, PoolRecord, RawBlock
from engine.domain.opportunity import Refused
from engine.domain.pool_state import BlockReading, Bootstrap
from engine.execution.lenders import Lender
from engine.line.stages import Conditions, Line
from engine.risk.view import RiskView
from engine.search.costs import GasCosts

VERSION = 1
# Settings that decide nothing here, or that may hold secrets.
_LEFT_OUT = frozenset({"keys", "storage", "log", "alerts", "deployments"})


def simulation_key(plan: Plan, block: BlockRef) -> str:
    """Names a simulation: the block, and what is sent."""
    return hashlib.sha256(f"{block.hash}|{plan.router}|{plan.calldata.hex()}".encode()).hexdigest()


class Recorder:
    """Records one paper session into `path`, which must not exist. `lenders` is asked at every block."""

    def __init__(self, path: Path, settings: Settings):
        self.decisions = Decisions()
        self.blocks = 0
        self._verdicts: Any = None
        self._record: dict[str, Any] = {}
        self._refreshed: Any = []
        try:
            self._file: TextIO = gzip.open(path, "xt", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise UsageError(f"recording {path} cannot be written: {error.strerror}") from None
        shown = settings.model_dump(mode="json", exclude=set(_LEFT_OUT))
        # Which nodes answered decides nothing either, and their addresses may hold keys.
        shown["chain"] = {**shown["chain"], "rpc_url": "http://127.0.0.1"}
        shown["execution"] = {**shown["execution"], "private_rpc_url": None, "relays": {}}
        self._write("settings", {"version": VERSION, "settings": shown})

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._write("end", {"blocks": self.blocks, "decisions": self.decisions.digest})
        self._file.close()

    def take(self, fact: Fact) -> None:
        """Hear the line's facts, which are the decisions that a replay has to repeat."""
        self.decisions.take(fact)

    def wrap(
        self,
        line: Line,
        router: Callable[[], Router],
        bases: Sequence[str],
        lenders: Callable[[], Sequence[Lender]],
    ) -> Line:
        """The line with every answer from outside written down, without what looks beside the line: the
        tripwire would mend the market behind the recording's back."""
        market = line.market
        head = market.head
        assert head is not None
        self._flush()
        self._write(
            "start",
            {
                **_router(router()),
                "bases": list(bases),
                "reading": plain(
                    Bootstrap(
                        head,
                        tuple(market.tokens),
                        tuple(market.state_of(row) for row in market.pool_row.values()),
                    )
                ),
            },
        )
        self._verdicts = None
        turned_to = router()

        async def conditions(block: BlockRef) -> Conditions:
            nonlocal turned_to
            said = await self._noted("conditions", line.conditions(block))
            # The conditions are where another router is noticed.
            if router() != turned_to:
                turned_to = router()
                self._record["turned_to"] = _router(turned_to)
            self._record["conditions"] = self._conditions(said)
            self._record["lenders"] = plain(list(lenders()))
            return said

        async def admit(raw: RawBlock) -> Sequence[int]:
            self._begin(raw)
            rows = await self._noted("admit", line.admit(raw))
            firsts = list(dict.fromkeys(market.rows_of(row).start for row in rows))
            states = tuple(market.state_of(row) for row in firsts)
            used = {token for state in states for token in state.pool.tokens}
            tokens = tuple(token for token in market.tokens if token.address in used)
            if states:
                self._record["admitted"] = plain(Bootstrap(raw.block, tokens, states))
            return rows

        async def refresh(block: BlockRef, pools: Sequence[PoolRecord]) -> Sequence[BlockReading]:
            readings = await line.refresh(block, pools)
            self._refreshed = plain(list(readings))
            return readings

        async def simulate(plan: Plan, block: BlockRef) -> SimulatedPlan | Refused:
            answer = await self._noted("simulate", line.simulate(plan, block))
            answers = self._record.setdefault("simulations", {})
            answers[simulation_key(plan, block)] = _answer(plan, answer)
            return answer

        self._refreshed = []
        return replace(
            line,
            conditions=conditions,
            admit=admit,
            refresh=refresh,
            simulate=simulate,
            tripwire=None,
            search_seconds=None,
        )

    def _begin(self, raw: RawBlock) -> None:
        self._flush()
        self.blocks += 1
        self._record = {"block": plain(raw.block), "logs": list(raw.logs), "refreshed": self._refreshed}
        self._refreshed = []

    async def _noted(self, what: str, work: Awaitable[Any]) -> Any:
        try:
            return await work
        except NodeError:
            self._record["failed"] = what
            raise

    def _conditions(self, said: Conditions) -> dict[str, Any]:
        view = said.view
        verdicts = plain(dict(view.token_verdicts))
        changed = verdicts != self._verdicts
        self._verdicts = verdicts
        return {
            "view": _view(view),
            # Null: as at the block before.
            "verdicts": verdicts if changed else None,
            "costs": _costs(said.costs),
        }

    def _flush(self) -> None:
        if self._record:
            self._write("block", self._record)
            self._record = {}

    def _write(self, kind: str, document: dict[str, Any]) -> None:
        self._file.write(json.dumps({"is": kind, **document}, separators=(",", ":")) + "\n")


def _router(router: Router) -> dict[str, Any]:
    return {"router": router.address, "pinned": list(astuple(router.pinned))}


def _view(view: RiskView) -> dict[str, Any]:
    return {
        "head": plain(view.head),
        "trading_state": view.trading_state.value,
        "venues": dict(view.venues),
        "quarantined": dict(view.quarantined),
        "allowed_tokens": sorted(view.allowed_tokens),
        "feeds": plain(dict(view.feeds)),
        "operator_balance_wei": view.operator_balance_wei,
        "next_base_fee_wei": view.next_base_fee_wei,
        "priority_fee_wei": view.priority_fee_wei,
        "data_base_wei": view.data_base_wei,
        "data_hop_wei": view.data_hop_wei,
        "head_witnessed": view.head_witnessed,
    }


def _costs(costs: GasCosts) -> dict[str, Any]:
    return {
        "gas_price_wei": costs.gas_price_wei,
        "base_units_per_eth_wei": plain(dict(costs.base_units_per_eth_wei)),
        "base_gas": costs.base_gas,
        "hop_gas": plain(dict(costs.hop_gas)),
        "data_base_wei": costs.data_base_wei,
        "data_hop_wei": costs.data_hop_wei,
    }


def _answer(plan: Plan, answer: SimulatedPlan | Refused) -> dict[str, Any]:
    if isinstance(answer, Refused):
        return {"refused": plain(answer.results[-1])}
    return {
        "profit": answer.simulated_profit,
        "gas_used": answer.gas_used,
        "gas_limit": answer.plan.gas_limit,
        "results": [plain(each) for each in answer.results[len(plan.approved.results) :]],
    }
