"""From a verified cycle to an approved one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from engine.domain.market import BlockRef, Protocol
from engine.domain.pool_details import PoolDetails


@dataclass(frozen=True, slots=True)
class Hop:
    """One swap of a cycle, exact. Amounts in base units of `token_in` and `token_out`.

    `pool` is the record's `key`, `coin_in` and `coin_out` the tokens' places in the record's `tokens`.
    """

    pool: str
    protocol: Protocol
    venue: str
    token_in: str
    token_out: str
    amount_in: int
    amount_out: int
    fee_pips: int
    details: PoolDetails | None = None
    coin_in: int = 0
    coin_out: int = 1

    @property
    def zero_for_one(self) -> bool:
        """True when token0 is sold: token0 is the lower address."""
        return int(self.token_in, 16) < int(self.token_out, 16)


class _Chain:
    """What every chain of hops, each paid by the one before, has."""

    __slots__ = ()
    hops: tuple[Hop, ...]

    @property
    def amount_in(self) -> int:
        return self.hops[0].amount_in

    @property
    def amount_out(self) -> int:
        return self.hops[-1].amount_out

    @property
    def pools(self) -> tuple[str, ...]:
        return tuple([hop.pool for hop in self.hops])


@dataclass(frozen=True, slots=True)
class Opportunity(_Chain):
    """A profitable cycle, sized and verified in integers against the state of `block`.

    The amounts are what the router will move: the last hop's output is fixed by its exact input, and each
    earlier hop buys what the next one owes: exactly, where the protocol has an exact-out swap, else at least
    that (`hops[i].amount_out >= hops[i+1].amount_in`, over by dust).
    `gas_estimate` in gas units; `gas_cost` is that gas in base units of `base_token`, `loan_fee` what a flash
    loan costs besides, where no pool of the cycle pays before it is paid.
    """

    block: BlockRef
    base_token: str
    hops: tuple[Hop, ...]
    gas_estimate: int = 0
    gas_cost: int = 0
    loan_fee: int = 0

    @property
    def gross_profit(self) -> int:
        """Change of the base token before gas, base units."""
        return self.amount_out - self.amount_in

    @property
    def net_profit(self) -> int:
        """Gross profit less gas at the feed's rate and less a loan's fee, base units; may be negative."""
        return self.gross_profit - self.gas_cost - self.loan_fee

    @property
    def id(self) -> str:
        """Sixteen hex digits, the same for the same cycle, size and block."""
        text = "|".join((self.block.hash, self.base_token, str(self.amount_in), *self.pools))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Conversion(_Chain):
    """What opportunities before it in the same transaction have earned in one base token, sold for another.
    Its amounts are the router's, as an opportunity's are; `gas_estimate` in gas units.

    `gas_cost` is what its own gas costs and that of the opportunities whose profit it sells, in base units of
    `token_out`: what selling must bring for them to be worth their while.
    """

    hops: tuple[Hop, ...]
    gas_estimate: int = 0
    gas_cost: int = 0

    @property
    def token_in(self) -> str:
        return self.hops[0].token_in

    @property
    def token_out(self) -> str:
        return self.hops[-1].token_out


@dataclass(frozen=True, slots=True)
class Settlement:
    """Opportunities of several base tokens for one transaction, in their order, each exact on the state those
    before it leave, and conversions after them, which sell to the last unit what they earn in any other base
    token than the first one's, for that one."""

    opportunities: tuple[Opportunity, ...]
    conversions: tuple[Conversion, ...]

    @property
    def base_token(self) -> str:
        """The only token that there is more of afterwards."""
        return self.opportunities[0].base_token


class RefusalReason(StrEnum):
    """Why the risk chain, or the simulation after it, said no."""

    TRADING_HALTED = "trading_halted"
    VENUE_UNKNOWN = "venue_unknown"
    VENUE_DISABLED = "venue_disabled"
    POOL_PROVENANCE = "pool_provenance"
    POOL_QUARANTINED = "pool_quarantined"
    TOKEN_NOT_ALLOWED = "token_not_allowed"
    TOKEN_UNJUDGED = "token_unjudged"
    TOKEN_UNSAFE = "token_unsafe"
    NET_PROFIT_TOO_LOW = "net_profit_too_low"
    TOO_OLD = "too_old"
    HEAD_UNWITNESSED = "head_unwitnessed"
    TRADE_CAP = "trade_cap"
    FEED_MISSING = "feed_missing"
    FEED_STALE = "feed_stale"
    FEED_DEVIATION = "feed_deviation"
    IN_FLIGHT_CONFLICT = "in_flight_conflict"
    REORG_RECENT = "reorg_recent"
    LOSS_LIMIT = "loss_limit"
    FAILURE_RATE = "failure_rate"
    EXPOSURE = "exposure"
    HOOKS = "hooks"
    TOO_DEEP = "too_deep"
    MODEL_ERROR = "model_error"
    DEPEGGED = "depegged"
    SEQUENCER_DOWN = "sequencer_down"
    GAS_BALANCE = "gas_balance"
    GAS_PRICE = "gas_price"
    NOT_ENCODABLE = "not_encodable"
    SIMULATION_REVERTED = "simulation_reverted"
    SIMULATION_MISMATCH = "simulation_mismatch"
    BLOCK_REPLACED = "block_replaced"
    SECOND_NODE = "second_node"


class CheckResult(NamedTuple):
    """One check's answer; `compared` holds what was compared, immutable values, several as a tuple.

    Most answers are never read: writing out their numbers costs more than the check.
    """

    check: str
    passed: bool
    reason: RefusalReason | None = None
    compared: Mapping[str, object] = MappingProxyType({})

    @property
    def numbers(self) -> dict[str, str]:
        """What was compared as text, for `roundtrip explain` and the ledger."""
        return {name: _text(value) for name, value in self.compared.items()}


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True)
class Approved:
    """An opportunity every check passed. Only the risk chain makes one."""

    opportunity: Opportunity
    results: tuple[CheckResult, ...]


@dataclass(frozen=True, slots=True)
class ApprovedConversion:
    """A conversion every check that applies to it passed. Only the risk chain makes one."""

    conversion: Conversion
    results: tuple[CheckResult, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """An opportunity and the check that stopped it (the last of `results`)."""

    opportunity: Opportunity
    results: tuple[CheckResult, ...]

    @property
    def reason(self) -> RefusalReason:
        reason = self.results[-1].reason
        assert reason is not None
        return reason


class TradingState(StrEnum):
    """What the engine may do: trade, only reduce exposure, or nothing."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"
