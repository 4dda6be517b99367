"""Prices as the chain's feed registry reports them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

USD = "0x0000000000000000000000000000000000000348"


class FeedStatus(IntEnum):
    """Why a quote can or cannot be used; the numbers are the registry contract's."""

    OK = 0
    MISSING = 1
    STALE = 2
    OUT_OF_BOUNDS = 3
    CALL_FAILED = 4
    DISAGREE = 5
    SEQUENCER_DOWN = 6
    CHANGED = 7


@dataclass(frozen=True, slots=True)
class FeedQuote:
    """One price. `price_e18`: quote units per whole base token, times 1e18; `updated_at` in unix seconds.

    `status` is a FeedStatus value; `price_e18` means nothing unless it is OK.
    """

    price_e18: int
    updated_at: int
    status: int

    @property
    def usable(self) -> bool:
        return self.status == FeedStatus.OK and self.price_e18 > 0
