"""From an approved opportunity to a landed, reverted or missed transaction."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engine.domain.market import BlockRef
from engine.domain.opportunity import Approved, ApprovedConversion, CheckResult, Opportunity


@dataclass(frozen=True, slots=True)
class Pinned:
    """The contracts a router was constructed with, lower-case; None where unknown or absent."""

    wrapped_native: str | None = None
    pool_manager: str | None = None
    balancer_vault: str | None = None
    balancer_vault_v3: str | None = None


# (address, slots of 32 bytes), lower-case hex
AccessList = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Calldata for the router and the terms it will be sent on.

    Fees in wei per gas, `deadline` in unix seconds.

    `min_profit` is what the router enforces, `loan_fee` what flash loans cost the run, where it needs any,
    `bid` what the run itself pays to the builder; all in base units of the opportunity's base token.
    `unpinned` is the calldata without pins to a block or a parent, where `calldata` has such: for nodes whose
    simulated calls are in no block. `also` are further opportunities, carried out after the first in this
    order, all or none; `conversions` come after them, and sell all that those of other base tokens earn for
    the first one's. Without conversions all are of one base token. `access_list` names addresses and slots
    that will be touched.
    """

    approved: Approved
    router: str
    calldata: bytes
    min_profit: int
    deadline: int
    gas_limit: int
    max_fee_wei: int
    priority_fee_wei: int
    loan_fee: int = 0
    bid: int = 0
    unpinned: bytes | None = None
    also: tuple[Approved, ...] = ()
    conversions: tuple[ApprovedConversion, ...] = ()
    access_list: AccessList = ()

    @property
    def opportunity(self) -> Opportunity:
        """The first one."""
        return self.approved.opportunity

    @property
    def together(self) -> tuple[Approved, ...]:
        """All that the transaction carries out, in order."""
        return (self.approved, *self.also)

    @property
    def pools(self) -> frozenset[str]:
        chains = [each.opportunity for each in self.together] + [each.conversion for each in self.conversions]
        return frozenset(pool for chain in chains for pool in chain.pools)

    @property
    def gross_profit(self) -> int:
        """Of the first one's base token, in which all profit ends."""
        sold = sum(each.conversion.amount_out for each in self.conversions)
        return sold + sum(each.gross_profit for each in self._of_the_base_token)

    @property
    def gas_cost(self) -> int:
        """What all of them cost, as they were approved, base units."""
        converted = sum(each.conversion.gas_cost for each in self.conversions)
        return converted + sum(each.gas_cost for each in self._of_the_base_token)

    @property
    def gas_estimate(self) -> int:
        """Gas of all of them, as they were approved."""
        converted = sum(each.conversion.gas_estimate for each in self.conversions)
        return converted + sum(each.opportunity.gas_estimate for each in self.together)

    @property
    def _of_the_base_token(self) -> list[Opportunity]:
        base = self.opportunity.base_token
        return [each.opportunity for each in self.together if each.opportunity.base_token == base]

    @property
    def expected_profit(self) -> int:
        """What the router's balance grows by, base units: after fee and bid, before gas."""
        return self.gross_profit - self.loan_fee - self.bid


@dataclass(frozen=True, slots=True)
class SimulatedPlan:
    """A plan whose simulation at `block` passed and returned exactly the expected profit.

    Only the simulator makes one. `results` are all the check results of the plan's first opportunity
    including the simulation's.
    """

    plan: Plan
    block: BlockRef
    simulated_profit: int
    gas_used: int
    results: tuple[CheckResult, ...]


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A signed transaction, ready to be journalled and sent."""

    sender: str
    nonce: int
    hash: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be sent; on disk before it leaves.

    `kind` is "trade" for a plan and "cancel" for a zero-value replacement. `max_fee_wei` and
    `priority_fee_wei` let a later replacement outbid it. `last_block` is the last block it may be in when it
    was only shown to builders; 0 for one that waits in a pool until it is mined or replaced. `record` is a
    JSON-safe description of the opportunity (cycle, amounts, check results) sufficient to book the outcome
    after a crash.
    """

    id: str
    kind: str
    chain_id: int
    block_number: int
    base_token: str
    expected_profit: int
    simulated_profit: int
    deadline: int
    max_fee_wei: int
    priority_fee_wei: int
    transaction: SignedTransaction
    record: dict
    last_block: int = 0


class Delivery(StrEnum):
    """What a channel answered to a transaction."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One channel's answer. `detail` is its reference for the transaction, or why it was refused; what is
    unknown may land. `elapsed_ms` from asking to the answer."""

    channel: str
    delivery: Delivery
    detail: str = ""
    elapsed_ms: float = 0.0


class Outcome(StrEnum):
    """What became of a submission; every nonce ends with exactly one of them.

    UNDONE is no end: the block that decided it was reorganised away, and it may land again.
    """

    LANDED = "landed"
    REVERTED = "reverted"
    MISSED = "missed"
    REPLACED = "replaced"
    NEVER_SENT = "never_sent"
    UNDONE = "undone"


class MissReason(StrEnum):
    """Why a trade that was sent brought nothing.

    OUTBID: a transaction before it went through two of its pools or more. STATE_MOVED: something else changed
    what it was computed from. LATE: the block it was meant for was there without it. NOT_INCLUDED: nobody
    touched its pools, and nobody included it.
    """

    OUTBID = "outbid"
    STATE_MOVED = "state_moved"
    LATE = "late"
    NOT_INCLUDED = "not_included"


@dataclass(frozen=True, slots=True)
class Execution:
    """An intent and its outcome. `realised_profit` in base units of the base token, from the receipt's
    Transfer logs into and out of the router; `effective_gas_price_wei` per gas. Zero where not landed. For
    the transaction's bytes a rollup charges `data_fee_wei` besides, or counts `data_gas` of the gas used.
    Of a trade that did not land, `miss` is the reason where the node told it, and `rival` the hash of the
    transaction that touched its pools first."""

    intent: Intent
    outcome: Outcome
    block_number: int = 0
    block_hash: str = ""
    realised_profit: int = 0
    gas_used: int = 0
    effective_gas_price_wei: int = 0
    data_fee_wei: int = 0
    data_gas: int = 0
    miss: MissReason | None = None
    rival: str = ""

    @property
    def gas_paid_wei(self) -> int:
        """All that the transaction cost, with what a rollup charged for its bytes."""
        return self.gas_used * self.effective_gas_price_wei + self.data_fee_wei
