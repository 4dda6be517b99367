"""Judges tokens beside the line: at the start, when first seen, and when they gave cause for doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from engine.app.settings import Settings
from engine.chain.token_code import read_codes
from engine.chain.token_judge import JudgeTerms, TokenJudge
from engine.chain.token_probe import TokenProber
from engine.domain.errors import NodeError
from engine.domain.events import BlockFinished, ExecutionResolved, Fact, OpportunityRefused, TokenJudged
from engine.domain.execution import Outcome
from engine.domain.market import ZERO_ADDRESS, BlockRef, PoolRecord
from engine.domain.opportunity import RefusalReason
from engine.domain.ports import Node
from engine.domain.token_safety import TokenCode, TokenVerdict
from engine.market.divergence import Rotation
from engine.market.market import Market

_AT_ONCE = 4
_PER_PASS = 64
_RECHECKED_PER_BLOCK = 8
# A token that keeps failing simulations is not judged again at every block.
_DOUBT_REST_BLOCKS = 10
_UNJUDGED = frozenset({RefusalReason.TOKEN_UNJUDGED})
_DOUBTFUL = frozenset({RefusalReason.SIMULATION_REVERTED, RefusalReason.SIMULATION_MISMATCH})


class TokenWatch:
    """Keeps `verdicts` by token address. Nothing waits for it but `start`, and that not for long.

    `known` are verdicts of earlier runs: each counts until it expires, if the token's code is still the same.
    A verdict falls the moment the code it was about is seen to have changed.
    """

    def __init__(
        self,
        node: Node,
        judge: TokenJudge,
        publish: Callable[[Fact], None],
        known: Iterable[TokenVerdict] = (),
    ):
        self.verdicts: dict[str, TokenVerdict] = {}
        self._node = node
        self._judge = judge
        self._publish = publish
        self._remembered = {verdict.token: verdict for verdict in known}
        self._market = Market()
        self._rotation = Rotation()
        self._urgent: dict[str, None] = {}
        self._doubted_at: dict[str, int] = {}
        # With which code a token passed last, and how often it failed with that since.
        self._passed: dict[str, str] = {}
        self._relapses: dict[str, int] = {}
        self._running: asyncio.Task[None] | None = None

    async def start(self, market: Market, head: BlockRef, within_s: float) -> None:
        """Take up `market` and begin to judge its tokens; returns when all are, or after `within_s`."""
        await self.close()
        self._market = market
        self._running = asyncio.create_task(self._all(head), name="token trials")
        await asyncio.wait({self._running}, timeout=within_s)

    def turn_to(self, router: str) -> None:
        """Try tokens as `router` would from now on; verdicts stay until they end."""
        self._judge.turn_to(router)

    async def close(self) -> None:
        """Stop what runs."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None

    def take(self, fact: Fact) -> None:
        """Hear what the line does: a finished block is the time to look again, a failure a reason to."""
        match fact:
            case BlockFinished():
                if self._running is None or self._running.done():
                    self._running = asyncio.create_task(self._pass(fact.block), name="token trials")
            case OpportunityRefused() if fact.refused.reason in _UNJUDGED:
                self._hurry(hop.token_in for hop in fact.refused.opportunity.hops)
            case OpportunityRefused() if fact.refused.reason in _DOUBTFUL:
                opportunity = fact.refused.opportunity
                self._doubt((hop.token_in for hop in opportunity.hops), opportunity.block.number)
            case ExecutionResolved() if fact.execution.outcome is Outcome.REVERTED:
                cycle = fact.execution.intent.record.get("opportunity", {}).get("cycle", ())
                self._doubt((hop["token_in"] for hop in cycle), fact.execution.block_number)

    def _hurry(self, tokens: Iterable[str]) -> None:
        for token in tokens:
            if token not in self.verdicts:
                self._urgent[token] = None

    def _doubt(self, tokens: Iterable[str], block: int) -> None:
        for token in tokens:
            if block - self._doubted_at.get(token, -_DOUBT_REST_BLOCKS) >= _DOUBT_REST_BLOCKS:
                self._doubted_at[token] = block
                self._urgent[token] = None

    async def _all(self, block: BlockRef) -> None:
        """Judge everything that has no verdict yet."""
        while True:
            left = self._due(block)
            await self._pass(block)
            if not left or self._due(block) == left:
                return

    async def _pass(self, block: BlockRef) -> None:
        """Look for changed code among a few judged tokens, and judge the next ones that wait for it."""
        try:
            await self._recheck(block)
            due = self._due(block)[:_PER_PASS]
            if due:
                await self._judge_all(due, block)
        except NodeError:
            # The node failed or the block left the chain: the next block is another chance.
            return

    def _due(self, block: BlockRef) -> list[str]:
        """Tokens without a verdict that holds, those first that are asked for."""
        tokens = self._market.token_row
        waiting = [
            token
            for token in tokens
            if token != ZERO_ADDRESS
            and token not in self._urgent
            and not ((verdict := self.verdicts.get(token)) and verdict.holds_at(block.timestamp))
        ]
        return [token for token in self._urgent if token in tokens and token != ZERO_ADDRESS] + waiting

    async def _recheck(self, block: BlockRef) -> None:
        judged = [token for token in self.verdicts if token in self._market.token_row]
        chosen = self._rotation.take(judged, _RECHECKED_PER_BLOCK)
        for token, code in (await read_codes(self._node, chosen, block.hash)).items():
            if self.verdicts[token].code.fingerprint != code.fingerprint:
                del self.verdicts[token]
                self._urgent[token] = None

    async def _judge_all(self, tokens: Sequence[str], block: BlockRef) -> None:
        codes = await read_codes(self._node, tokens, block.hash)
        holders = self._holders(tokens)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(token: str) -> None:
            async with gate:
                await self._judge_one(token, codes[token], holders.get(token, []), block)

        async with asyncio.TaskGroup() as group:
            for token in codes:
                group.create_task(one(token))

    async def _judge_one(
        self, token: str, code: TokenCode, pools: Sequence[PoolRecord], block: BlockRef
    ) -> None:
        remembered = self._remembered.pop(token, None)
        asked = token in self._urgent
        if (
            remembered is not None
            and not asked
            and remembered.holds_at(block.timestamp)
            and remembered.judged_at <= block.timestamp
            and remembered.code.fingerprint == code.fingerprint
        ):
            self.verdicts[token] = self._weighed(remembered)
            return
        try:
            verdict = await self._judge.judge(token, code, pools, block)
        except NodeError:
            return
        self._urgent.pop(token, None)
        verdict = self._weighed(verdict)
        self.verdicts[token] = verdict
        self._publish(TokenJudged(block, verdict))

    def _weighed(self, verdict: TokenVerdict) -> TokenVerdict:
        """The verdict, which ends soon when it is bad and the token passed before with the same code."""
        token, code = verdict.token, verdict.code.fingerprint
        if verdict.is_safe:
            self._passed[token] = code
            self._relapses.pop(token, None)
        elif self._passed.get(token) == code:
            times = self._relapses.get(token, 0)
            self._relapses[token] = times + 1
            return self._judge.relapsed(verdict, times)
        return verdict

    def _holders(self, tokens: Iterable[str]) -> Mapping[str, list[PoolRecord]]:
        wanted = set(tokens)
        found: dict[str, list[PoolRecord]] = {}
        for row in self._market.pool_row.values():
            pool = self._market.pools[row]
            for token in wanted.intersection(pool.tokens):
                found.setdefault(token, []).append(pool)
        return found


def token_judge(settings: Settings, node: Node, router: str, operator: str) -> TokenJudge:
    """A judge that tries tokens as our router would, sent by its operator."""
    terms = JudgeTerms(
        operator,
        settings.chain.block_interval_s,
        settings.execution.priority_fee_wei,
        settings.tokens.valid_for_s,
        settings.tokens.retry_after_s,
        settings.tokens.refused_features,
    )
    return TokenJudge(node, TokenProber(node, router), terms)
