"""Several endpoints of one chain as one node: the healthiest is asked, the next when it fails or hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, TypeVar

import stamina

from engine.chain.calls import contract_failed
from engine.chain.head_watch import HeadWatch, Member, Observer
from engine.chain.rpc import Call, RpcNode, is_read
from engine.chain.wire import Header, header
from engine.domain.errors import ConfigError, MalformedAnswer, NodeError, NodeUnreachable
from engine.domain.market import BlockRef

T = TypeVar("T")

# The leader is preferred to another endpoint that scores better by less than this.
_LEADERS_ADVANTAGE_MS = 200.0
_WITNESS_PAUSE_S = 0.05


class EndpointSet:
    """Implements `engine.domain.ports.Node`, and what a block source needs, over one or more endpoints.

    Reads go to the healthiest endpoint; when it fails the next is asked at once, when it is silent for longer
    than it usually takes (at least 0.4 s) the next is asked as well and the first answer counts. Anything
    else is sent once, to another endpoint only when it certainly never left. `witnesses` is how many
    endpoints must know a block before it is traded on; all of them, where there are fewer.
    `observer` hears what `HeadWatch` has to say.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        throttle_per_second: int | None = None,
        timeout_s: float = 10.0,
        attempts: int = 3,
        witnesses: int = 2,
        observer: Observer = lambda fact, values: None,
    ):
        if not urls:
            raise ConfigError("no node is named: set chain.rpc_url")
        self.members = [
            Member(RpcNode(url, throttle_per_second=throttle_per_second, timeout_s=timeout_s, attempts=1))
            for url in urls
        ]
        self.witnesses = min(witnesses, len(urls))
        self.watch = HeadWatch(self.members, self._observe)
        self.observer = observer
        self._timeout_s = timeout_s
        self._attempts = attempts

    @property
    def shown(self) -> str:
        """The leading endpoint's address without credentials and keys."""
        return self.members[self.watch.leader].name

    @property
    def can_subscribe(self) -> bool:
        """Whether the leading endpoint pushes heads."""
        return self.members[self.watch.leader].node.can_subscribe

    async def __aenter__(self) -> EndpointSet:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; a later request opens them again."""
        await asyncio.gather(*(member.node.close() for member in self.members))

    async def chain_id(self) -> int:
        """The chain every reachable endpoint serves.

        Raises ConfigError when they serve different ones, NodeError when none answers.
        """
        answers = await asyncio.gather(*(m.node.chain_id() for m in self.members), return_exceptions=True)
        served = {answer: m for m, answer in zip(self.members, answers, strict=True) if type(answer) is int}
        if len(served) > 1:
            named = " but ".join(f"{m.name} serves chain {chain}" for chain, m in served.items())
            raise ConfigError(f"the nodes of chain.rpc_url are of different chains: {named}")
        for member, answer in zip(self.members, answers, strict=True):
            if isinstance(answer, NodeError):
                member.health.failed(answer)
            elif isinstance(answer, BaseException):
                raise answer
        if not served:
            assert isinstance(answers[0], NodeError)
            raise answers[0]
        self.watch.chain_id = next(iter(served))
        return self.watch.chain_id

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        """The result of one call. Raises NodeError as `RpcNode.request` does; of several endpoints' errors,
        the first that is a refusal."""
        if not is_read(method):
            return await self._send(lambda node: node.request(method, params))
        async for attempt in self._rounds():
            with attempt:
                return (await self._race(method, lambda node: node.request(method, params)))[1]
        raise AssertionError("unreachable: the retry context returns or raises")

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Results in order, as `RpcNode.batch`; what one endpoint cannot answer is asked of the others."""
        if not calls:
            return []
        if not all(is_read(method) for method, _ in calls):
            return list(await self._send(lambda node: node.batch(calls)))
        method = f"{len(str(len(calls)))}-digit batch of {calls[0][0]}"
        async for attempt in self._rounds():
            with attempt:
                member, answers = await self._race(method, lambda node: node.batch(calls))
                return await self._completed(member, calls, list(answers))
        raise AssertionError("unreachable: the retry context returns or raises")

    async def latest(self) -> Header:
        """The newest head known: the healthiest endpoint's, or a higher one that another announced."""
        newest = header(await self.request("eth_getBlockByNumber", ["latest", False]))
        announced = [m.health.head for m in self.members if m.health.up and m.health.head]
        return max([newest, *announced], key=lambda each: each.ref.number)

    async def heads(self, poll_s: float, watch_s: float) -> AsyncGenerator[Header, None]:
        """The leading endpoint's heads; see `HeadWatch.heads`."""
        async with aclosing(self.watch.heads(poll_s, watch_s)) as heads:
            async for head in heads:
                yield head

    def depose(self, error: NodeError) -> None:
        """What the leading endpoint said cannot be true: let another one lead."""
        self.watch.depose(error)

    async def witnessed(self, block: BlockRef, within_s: float) -> bool:
        """Whether `witnesses` endpoints know `block`, asked again for `within_s` seconds."""
        seen = self.watch.claimed_by(block.hash)
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while len(seen) < self.witnesses:
                    asked = [at for at in range(len(self.members)) if at not in seen]
                    knows = await asyncio.gather(*(self._knows(self.members[at], block) for at in asked))
                    seen |= {at for at, known in zip(asked, knows, strict=True) if known}
                    seen |= self.watch.claimed_by(block.hash)
                    if len(seen) < self.witnesses:
                        await asyncio.sleep(_WITNESS_PAUSE_S)
        return len(seen | self.watch.claimed_by(block.hash)) >= self.witnesses

    def other(self) -> RpcNode | None:
        """The best endpoint that does not lead, for a second opinion; None where there is only one."""
        others = [each for each in self._ordered() if each is not self.members[self.watch.leader]]
        return others[0].node if others else None

    async def _knows(self, member: Member, block: BlockRef) -> bool:
        if member.refused is not None:
            return False
        try:
            raw = await member.node.request("eth_getBlockByHash", [block.hash, False])
            return raw is not None and header(raw).ref.hash == block.hash
        except NodeError:
            return False

    def _ordered(self) -> list[Member]:
        """Members that may be asked, the best first."""
        best = self.watch.best_block
        leader = self.members[self.watch.leader]

        def rank(member: Member) -> float:
            return member.health.score_ms(best) - (_LEADERS_ADVANTAGE_MS if member is leader else 0)

        usable = [member for member in self.members if member.refused is None]
        return sorted(usable or self.members, key=rank)

    def _rounds(self) -> Any:
        return stamina.retry_context(
            on=NodeUnreachable,
            attempts=self._attempts,
            timeout=self._timeout_s,
            wait_initial=0.1,
            wait_max=2.0,
            wait_jitter=0.3,
        )

    async def _race(self, method: str, ask: Callable[[RpcNode], Awaitable[T]]) -> tuple[Member, T]:
        """The first good answer. Raises the first refusal, or else the first error, when all failed."""
        waiting = self._ordered()
        asked: dict[asyncio.Task[T], Member] = {}
        errors: list[NodeError] = []
        try:
            while waiting or asked:
                patience: float | None = None
                if waiting:
                    member = waiting.pop(0)
                    asked[asyncio.create_task(self._timed(member, method, ask))] = member
                    patience = member.health.patience_s(method) if waiting else None
                done, _ = await asyncio.wait(asked, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                while done:
                    task = done.pop()
                    member = asked.pop(task)
                    failure = task.exception()
                    if failure is None:
                        return member, task.result()
                    if not isinstance(failure, NodeError) or _final(failure):
                        raise failure
                    errors.append(failure)
                    if not waiting and asked and not done:
                        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            refusals = [error for error in errors if not isinstance(error, NodeUnreachable)]
            raise (refusals or errors)[0]
        finally:
            for task in asked:
                task.cancel()
            if asked:
                await asyncio.gather(*asked, return_exceptions=True)

    async def _timed(self, member: Member, method: str, ask: Callable[[RpcNode], Awaitable[T]]) -> T:
        started = member.health.clock()
        try:
            answer = await ask(member.node)
        except NodeError as error:
            if not _final(error):
                member.health.failed(error)
            raise
        except asyncio.CancelledError:
            # Another one was asked later and answered first.
            member.health.overtaken()
            raise
        member.health.answered(method, member.health.clock() - started)
        return answer

    async def _completed(self, member: Member, calls: Sequence[Call], answers: list[Any]) -> list[Any]:
        """`answers` with the entries that another endpoint may know asked of the others."""
        for other in self._ordered():
            missing = [
                at for at, each in enumerate(answers) if isinstance(each, NodeError) and not _final(each)
            ]
            if not missing:
                break
            if other is not member:
                with suppress(NodeError):
                    found = await other.node.batch([calls[at] for at in missing])
                    for at, answer in zip(missing, found, strict=True):
                        if not isinstance(answer, NodeError) or _final(answer):
                            answers[at] = answer
        return answers

    async def _send(self, ask: Callable[[RpcNode], Awaitable[T]]) -> T:
        failure: NodeError | None = None
        for member in self._ordered():
            try:
                return await ask(member.node)
            except NodeUnreachable as error:
                member.health.failed(error)
                if error.left:
                    raise
                failure = failure or error
        assert failure is not None
        raise failure

    def _observe(self, fact: str, values: dict[str, Any]) -> None:
        self.observer(fact, values)


def _final(error: NodeError) -> bool:
    """Whether every endpoint would say the same: the contract failed, or the request itself is wrong."""
    if isinstance(error, NodeUnreachable | MalformedAnswer):
        return False
    return contract_failed(error) or error.code == -32602


@asynccontextmanager
async def connect_all(
    urls: Sequence[str],
    *,
    throttle_per_second: int | None = None,
    timeout_s: float = 10.0,
    witnesses: int = 2,
    observer: Observer = lambda fact, values: None,
) -> AsyncIterator[EndpointSet]:
    """Endpoints of which at least one has answered.

    Raises ConfigError for a malformed address or endpoints of different chains, NodeError when none answers.
    """
    async with EndpointSet(
        urls,
        throttle_per_second=throttle_per_second,
        timeout_s=timeout_s,
        witnesses=witnesses,
        observer=observer,
    ) as nodes:
        await nodes.chain_id()
        yield nodes
