"""Buying, passing on and selling a token inside calls, under circumstances that tell tests from trades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi import decode, encode
from eth_abi.exceptions import DecodingError

from engine.chain.calls import at_block, contract_failed
from engine.chain.wire import octets, selector
from engine.domain.errors import NodeError, NodeUnreachable
from engine.domain.market import ZERO_ADDRESS, BlockRef, PoolRecord, Protocol
from engine.domain.pool_details import (
    BalancerV2StableDetails,
    BalancerV2WeightedDetails,
    BalancerV3StableDetails,
    BalancerV3WeightedDetails,
)
from engine.domain.ports import Node

_JOB = "(address,address,uint8,bool,address,address,uint256,uint256)"
_PROBE = selector(f"probe({_JOB})")
_ANSWER = (
    "(uint8,uint256,uint256,uint256,bytes)",
    "(address,uint256,address,uint256,uint256,uint256,uint256,uint256)",
)
PAIR, FLASH, OVERLAID = 0, 1, 2
# Nobody's: what is sent to them is gone.
STRANGER = "0x" + "51a97e" * 6 + "51a9"
OTHER_ORIGIN = "0x" + "0b5e7e" * 6 + "0b5e"
OTHER_COINBASE = "0x" + "c01bab" * 6 + "c01b"
USUAL_COINBASE = "0x" + "b1dde7" * 6 + "b1dd"
ROUNDS = 6
_RICH = hex(10**24)
_INVALID_PARAMS = -32602
_GWEI = 10**9


class Stage(IntEnum):
    """What first went wrong; the numbers are `TokenProbe.sol`'s."""

    FINE = 0
    UNREADABLE = 1
    BUY = 2
    BUY_INEXACT = 3
    PASS = 4
    PASS_INEXACT = 5
    SELL = 6
    SELL_INEXACT = 7
    APPROVE = 8
    PULL = 9
    PULL_INEXACT = 10
    SUPPLY = 11


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a token can see of a transaction. `gas_price_wei` 0 is a call that pays nothing; `gas` is given
    along."""

    name: str
    origin: str
    coinbase: str
    gas_price_wei: int
    base_fee_wei: int
    number: int
    timestamp: int
    gas: int = 3_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """A contract that holds the token, and how it gives it out. `balance` in base units."""

    holder: str
    kind: int
    second: bool
    balance: int = 0


@dataclass(frozen=True, slots=True)
class Probed:
    """What one probe of a token came to. `seen` says whether the circumstances were
    really those asked for. `answered` is False when the node ran nothing, for the reason in `reason`."""

    circumstances: Circumstances
    stage: Stage
    wanted: int = 0
    got: int = 0
    gas_used: int = 0
    reason: bytes = b""
    balance: int = 0
    supply: int = 0
    seen: bool = True
    answered: bool = True


def circumstances(
    block: BlockRef, operator: str, interval_s: int, priority_fee_wei: int, valid_for_s: int
) -> list[Circumstances]:
    """As our transaction would see the next block; as a call that pays nothing sees it; a second later under
    another builder; and as somebody else would see it when the verdict ends."""
    base_fee = block.next_base_fee_wei()
    price = base_fee + max(priority_fee_wei, 1)
    soon = block.timestamp + interval_s
    ours = Circumstances("ours", operator, USUAL_COINBASE, price, base_fee, block.number + 1, soon)
    return [
        ours,
        replace(
            ours, name="free call", coinbase=ZERO_ADDRESS, gas_price_wei=0, base_fee_wei=0, gas=25_000_000
        ),
        replace(
            ours,
            name="next second",
            coinbase=OTHER_COINBASE,
            gas_price_wei=price + 50 * _GWEI,
            timestamp=soon + 1,
            number=block.number + 2,
        ),
        replace(
            ours,
            name="somebody later",
            origin=OTHER_ORIGIN,
            coinbase=OTHER_COINBASE,
            gas_price_wei=price + 7 * _GWEI,
            timestamp=block.timestamp + valid_for_s,
            number=block.number + max(valid_for_s // interval_s, 1),
        ),
    ]


def source_of(pool: PoolRecord, token: str) -> Source | None:
    """How `pool` gives out `token`; None when it does not hold any."""
    details = pool.details
    if pool.protocol in (Protocol.WETH, Protocol.WSTETH, Protocol.ERC4626) or token not in pool.tokens:
        return None
    second = pool.tokens.index(token) == 1
    holder = pool.address
    if isinstance(
        details,
        BalancerV2WeightedDetails
        | BalancerV2StableDetails
        | BalancerV3WeightedDetails
        | BalancerV3StableDetails,
    ):
        holder = details.vault
    if holder == token:
        return None
    kinds = {Protocol.UNISWAP_V2: PAIR, Protocol.UNISWAP_V3: FLASH}
    return Source(holder, kinds.get(pool.protocol, OVERLAID), second)


@dataclass(slots=True)
class _Dialect:
    """How the node wants block overrides named; found out once."""

    names: tuple[str, str] = ("feeRecipient", "baseFeePerGas")
    others: list[tuple[str, str]] = field(default_factory=lambda: [("coinbase", "baseFee")])


@cache
def probe_code() -> str:
    """The probe's runtime code, hex: what the compiler makes of its source, kept beside this module."""
    return Path(__file__).with_name("token_probe.hex").read_text().strip()


class TokenProber:
    """Runs `contracts/src/probe/TokenProbe.sol` at our router's address as the operator."""

    def __init__(self, node: Node, router: str):
        self._node = node
        self._router = router
        self._code = probe_code()
        self._dialect = _Dialect()

    def turn_to(self, router: str) -> None:
        """Run at another router's address from now on."""
        self._router = router

    async def probe(
        self,
        token: str,
        source: Source,
        sink: str,
        amount: int,
        block: BlockRef,
        cases: Sequence[Circumstances],
    ) -> list[Probed]:
        """What became of `amount` of `token` taken from `source` and sold to `sink`, in each of the cases.

        Raises NodeUnreachable when the node does not answer.
        """
        job = (token, source.holder, source.kind, source.second, STRANGER, sink, amount, ROUNDS)
        data = "0x" + (_PROBE + encode([_JOB], [job])).hex()
        # Another may be turned to while the node answers.
        router = self._router
        overlaid = {router, STRANGER} | ({source.holder} if source.kind == OVERLAID else set())
        while True:
            calls = [self._call(router, data, overlaid, case, block) for case in cases]
            answers = await self._node.batch(calls)
            probed = [_read(case, answer) for case, answer in zip(cases, answers, strict=True)]
            if all(one.seen for one in probed) or not self._dialect.others:
                return probed
            self._dialect.names = self._dialect.others.pop(0)

    def _call(
        self, router: str, data: str, overlaid: set[str], case: Circumstances, block: BlockRef
    ) -> tuple[str, list[Any]]:
        transaction = {"from": case.origin, "to": router, "data": data, "gas": hex(case.gas)}
        if case.gas_price_wei:
            transaction["gasPrice"] = hex(case.gas_price_wei)
        state: dict[str, dict[str, str]] = {address: {"code": self._code} for address in overlaid}
        state.setdefault(case.origin, {})["balance"] = _RICH
        coinbase, base_fee = self._dialect.names
        context = {
            "number": hex(case.number),
            "time": hex(case.timestamp),
            coinbase: case.coinbase,
            base_fee: hex(case.base_fee_wei),
        }
        return "eth_call", [transaction, at_block(block.hash), state, context]


def _read(case: Circumstances, answer: Any) -> Probed:
    """A probe's answer. Raises NodeUnreachable when that is what the answer is."""
    if isinstance(answer, NodeUnreachable):
        raise answer
    if isinstance(answer, NodeError):
        # The token spent all gas there was, or the node does not take overrides.
        named = answer.code != _INVALID_PARAMS and contract_failed(answer)
        return Probed(case, Stage.UNREADABLE, reason=str(answer)[:200].encode(), seen=named, answered=named)
    try:
        found, context = decode(_ANSWER, octets(answer, "call result"))
    except (NodeError, DecodingError, OverflowError):
        return Probed(case, Stage.UNREADABLE, reason=b"malformed answer", seen=False, answered=False)
    origin, gas_price, coinbase, timestamp, number, base_fee, balance, supply = context
    seen = (origin, gas_price, coinbase, timestamp, number, base_fee)
    asked = (
        case.origin,
        case.gas_price_wei,
        case.coinbase,
        case.timestamp,
        case.number,
        case.base_fee_wei,
    )
    stage, wanted, got, gas_used, reason = found
    if stage not in set(Stage):
        return Probed(case, Stage.UNREADABLE, reason=b"malformed answer", seen=False, answered=False)
    return Probed(case, Stage(stage), wanted, got, gas_used, reason, balance, supply, seen == asked)
