"""Double-entry records of what executions did to balances."""

from __future__ import annotations

from dataclasses import dataclass

NATIVE = "native"


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a transfer of value. `amount` is signed, in base units of `token` (an address, or
    `NATIVE` for wei of the chain's own coin); per execution and token the amounts sum to zero."""

    execution_id: str
    account: str
    token: str
    amount: int


@dataclass(frozen=True, slots=True)
class Booked:
    """What the ledger holds under an execution's id."""

    outcome: str
    block_number: int
    realised_profit: int
    gas_paid_wei: int
    entries: tuple[Entry, ...]
