"""What was found out about a token before it may be traded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TokenFault(StrEnum):
    """Why a token may not be traded."""

    NO_CODE = "no_code"
    NO_SOURCE = "no_source"
    UNREADABLE = "unreadable"
    UNPROVEN = "unproven"
    BUY_FAILS = "buy_fails"
    TRANSFER_FAILS = "transfer_fails"
    SELL_FAILS = "sell_fails"
    APPROVAL_FAILS = "approval_fails"
    TAKES_FEE = "takes_fee"
    SUPPLY_MOVES = "supply_moves"
    REBASES = "rebases"
    LIMITED = "limited"
    CONDITIONAL = "conditional"
    PAUSED = "paused"
    COSTLY = "costly"
    REFUSED_FEATURE = "refused_feature"


@dataclass(frozen=True, slots=True)
class TokenCode:
    """What a token's behaviour comes from, as of a block. `implementation` is where a proxy's slots or code
    point ("" for none); the hashes are keccak-256 of runtime codes, `features` what the code can do by the
    selectors in it."""

    code_hash: str
    implementation: str = ""
    implementation_hash: str = ""
    features: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Changes when anything that runs for the token does."""
        return "|".join((self.code_hash, self.implementation, self.implementation_hash))


@dataclass(frozen=True, slots=True)
class TokenVerdict:
    """A judgement on one token, lower-case address. Times in seconds of the chain's clock.

    `fault` is None for a token that may be traded until `expires_at`, as long as its code stays what it was;
    `detail` says in words what was seen, `context` in which of the circumstances it was tried.
    """

    token: str
    fault: TokenFault | None
    detail: str
    context: str
    code: TokenCode
    judged_block: int
    judged_at: int
    expires_at: int

    @property
    def is_safe(self) -> bool:
        return self.fault is None

    def holds_at(self, timestamp: int) -> bool:
        """Whether it still counts at a block of that time."""
        return timestamp < self.expires_at
