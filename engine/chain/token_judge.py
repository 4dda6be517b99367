"""From probes of a token to a verdict on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from eth_abi import decode
from eth_abi.exceptions import DecodingError

from engine.chain.calls import View, call
from engine.chain.token_code import EMPTY_CODE_HASH
from engine.chain.token_probe import (
    FLASH,
    OVERLAID,
    Circumstances,
    Probed,
    Source,
    Stage,
    TokenProber,
    circumstances,
    source_of,
)
from engine.domain.errors import NodeError, NodeUnreachable
from engine.domain.market import BlockRef, PoolRecord
from engine.domain.ports import Node
from engine.domain.token_safety import TokenCode, TokenFault, TokenVerdict

_BALANCE = View.of("balanceOf(address)", "uint256")
_PAUSED = View.of("paused()", "bool")
_MAX_HOLDERS = 64
_SOURCES = 2
# Less than this says nothing about fees.
_LEAST_BALANCE = 4_096
_LARGE_PART, _SMALL_PART = 8, 100_000
_ERROR = bytes.fromhex("08c379a0")
_FAULTS = {
    Stage.UNREADABLE: TokenFault.UNREADABLE,
    Stage.BUY: TokenFault.BUY_FAILS,
    Stage.BUY_INEXACT: TokenFault.TAKES_FEE,
    Stage.PASS: TokenFault.TRANSFER_FAILS,
    Stage.PASS_INEXACT: TokenFault.TAKES_FEE,
    Stage.APPROVE: TokenFault.APPROVAL_FAILS,
    Stage.PULL: TokenFault.APPROVAL_FAILS,
    Stage.PULL_INEXACT: TokenFault.TAKES_FEE,
    Stage.SELL: TokenFault.SELL_FAILS,
    Stage.SELL_INEXACT: TokenFault.TAKES_FEE,
    Stage.SUPPLY: TokenFault.SUPPLY_MOVES,
}
# A relapse is tried again after so many blocks, then each time after this many times as many.
_RELAPSE_BLOCKS, _RELAPSE_GROWTH = 2, 4
_PASSING = frozenset({TokenFault.UNPROVEN, TokenFault.NO_SOURCE})


@dataclass(frozen=True, slots=True)
class JudgeTerms:
    """How tokens are judged. Times in seconds: `valid_for_s` a good verdict lasts, `retry_after_s` a bad one;
    `max_transfer_gas` per transfer. Tokens whose code has one of `refused_features` are refused."""

    operator: str
    interval_s: int = 12
    priority_fee_wei: int = 10**8
    valid_for_s: int = 21_600
    retry_after_s: int = 3_600
    refused_features: tuple[str, ...] = ("rebasing",)
    max_transfer_gas: int = 500_000


@dataclass(frozen=True, slots=True)
class _Finding:
    fault: TokenFault | None
    detail: str
    context: str = ""


class TokenJudge:
    """Judges tokens by what they do in calls."""

    def __init__(self, node: Node, prober: TokenProber, terms: JudgeTerms):
        self._node = node
        self._prober = prober
        self._terms = terms

    def turn_to(self, router: str) -> None:
        """Try tokens at another router's address from now on."""
        self._prober.turn_to(router)

    async def judge(
        self, token: str, code: TokenCode, pools: Collection[PoolRecord], block: BlockRef
    ) -> TokenVerdict:
        """A verdict on `token` at `block`, tried with `pools` that hold it.

        Raises NodeUnreachable when the node does not answer.
        """
        found = await self._find(token, code, pools, block)
        terms = self._terms
        lasts_s = terms.valid_for_s if found.fault is None else terms.retry_after_s
        if found.fault in _PASSING:
            lasts_s = min(lasts_s, 20 * terms.interval_s)
        return TokenVerdict(
            token,
            found.fault,
            found.detail,
            found.context,
            code,
            block.number,
            block.timestamp,
            block.timestamp + lasts_s,
        )

    def relapsed(self, verdict: TokenVerdict, times: int) -> TokenVerdict:
        """A bad verdict on a token that passed with the same code, as often as `times` in a row before this
        one: it counts at once, but the node may have said wrong, so it ends sooner the first times."""
        blocks = _RELAPSE_BLOCKS * _RELAPSE_GROWTH ** min(times, 16)
        soon = verdict.judged_at + blocks * self._terms.interval_s
        return replace(verdict, expires_at=min(verdict.expires_at, soon))

    async def _find(
        self, token: str, code: TokenCode, pools: Collection[PoolRecord], block: BlockRef
    ) -> _Finding:
        if code.code_hash == EMPTY_CODE_HASH:
            return _Finding(TokenFault.NO_CODE, "there is no contract")
        bad = sorted(set(code.features).intersection(self._terms.refused_features))
        if bad:
            return _Finding(TokenFault.REFUSED_FEATURE, f"its code can do what is refused: {', '.join(bad)}")
        sources = await self._sources(token, pools, block)
        if not sources:
            return _Finding(TokenFault.NO_SOURCE, "no pool holds enough of it to try")
        terms = self._terms
        cases = circumstances(
            block, terms.operator, terms.interval_s, terms.priority_fee_wei, terms.valid_for_s
        )
        finding = _Finding(None, "")
        for source in sources:
            sink = next((each.holder for each in sources if each is not source), source.holder)
            finding = await self._try(token, source, sink, block, cases)
            if finding.fault is not None:
                break
        if finding.fault in (None, TokenFault.CONDITIONAL) or not await self._is_paused(token, block):
            return finding
        return replace(finding, fault=TokenFault.PAUSED)

    async def _sources(self, token: str, pools: Collection[PoolRecord], block: BlockRef) -> list[Source]:
        """Where to take the token from: the pools that lend by themselves first, then by what they hold."""
        by_holder: dict[str, Source] = {}
        for pool in pools:
            source = source_of(pool, token)
            if source is not None and len(by_holder) < _MAX_HOLDERS:
                by_holder.setdefault(source.holder, source)
        answers = await self._node.batch(
            [call(token, _BALANCE.data(holder), block.hash, 300_000) for holder in by_holder]
        )
        found = []
        for source, answer in zip(by_holder.values(), answers, strict=True):
            if isinstance(answer, NodeUnreachable):
                raise answer
            try:
                (balance,) = _BALANCE.decode(answer)
            except NodeError:
                continue
            if balance >= _LEAST_BALANCE:
                found.append(replace(source, balance=balance))
        found.sort(key=lambda each: (each.kind == OVERLAID, -each.balance))
        return found[:_SOURCES]

    async def _try(
        self, token: str, source: Source, sink: str, block: BlockRef, cases: Sequence[Circumstances]
    ) -> _Finding:
        amount = source.balance // _LARGE_PART
        probed = await self._prober.probe(token, source, sink, amount, block, cases)
        if source.kind == FLASH and all(_is_empty_pool(one) for one in probed):
            return await self._try(token, replace(source, kind=OVERLAID), sink, block, cases)
        finding = _classified(probed, self._terms.max_transfer_gas)
        if finding.fault in (None, TokenFault.CONDITIONAL, TokenFault.UNPROVEN):
            return finding
        small = max(source.balance // _SMALL_PART, 4)
        if small < amount:
            fewer = await self._prober.probe(token, source, sink, small, block, cases)
            if _classified(fewer, self._terms.max_transfer_gas).fault is None:
                detail = f"{small} units pass, {amount}: {finding.detail}"
                return replace(finding, fault=TokenFault.LIMITED, detail=detail)
        return finding

    async def _is_paused(self, token: str, block: BlockRef) -> bool:
        (answer,) = await self._node.batch([call(token, _PAUSED.data(), block.hash, 300_000)])
        try:
            return bool(_PAUSED.decode(answer)[0])
        except NodeError:
            return False


def _classified(probed: Sequence[Probed], max_transfer_gas: int) -> _Finding:
    """What the probes of one amount say together."""
    unheard = [one for one in probed if not (one.answered and one.seen)]
    if unheard:
        what = unheard[0].reason.decode(errors="replace") or "the node ignores the circumstances asked for"
        return _Finding(TokenFault.UNPROVEN, what, unheard[0].circumstances.name)
    bad = [one for one in probed if one.stage is not Stage.FINE]
    if bad and len(bad) < len(probed):
        return _Finding(TokenFault.CONDITIONAL, _told(bad[0]), _names(bad))
    if bad:
        return _Finding(_FAULTS[bad[0].stage], _told(bad[0]), _names(bad))
    if len({one.balance for one in probed}) > 1 or len({one.supply for one in probed}) > 1:
        return _Finding(TokenFault.REBASES, "balances change by themselves", _names(probed))
    dearest = max(one.gas_used for one in probed)
    if dearest > max_transfer_gas:
        return _Finding(TokenFault.COSTLY, f"a transfer takes {dearest} gas", _names(probed))
    return _Finding(None, f"a transfer takes {dearest} gas", _names(probed))


def _is_empty_pool(probed: Probed) -> bool:
    """Whether Uniswap V3's pool refused only because no liquidity is in range."""
    return probed.stage is Stage.BUY and _words(probed.reason) == "L"


def _told(probed: Probed) -> str:
    what = probed.stage.name.lower().replace("_", " ")
    if probed.wanted != probed.got:
        return f"{what}: {probed.got} instead of {probed.wanted}"
    words = _words(probed.reason)
    return f"{what}: {words}" if words else what


def _names(probed: Sequence[Probed]) -> str:
    return ", ".join(one.circumstances.name for one in probed)


def _words(reason: bytes) -> str:
    """Revert data in printable words."""
    if reason[:4] == _ERROR:
        try:
            return _printable(decode(["string"], reason[4:])[0])
        except (DecodingError, OverflowError, UnicodeDecodeError):
            return "revert"
    if reason in (b"false", b"no code"):
        return reason.decode()
    return "" if reason in (b"", b"-") else "0x" + reason[:4].hex()


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)[:80]
