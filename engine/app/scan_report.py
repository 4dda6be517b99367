"""What one full search found."""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain.market import BlockRef
from engine.domain.opportunity import Opportunity


@dataclass(frozen=True, slots=True)
class ScanReport:
    """One full search. `candidates` are the directed cycles examined; `elapsed_ms` is the search alone,
    without reading the market and compiling. Opportunities are ranked, at most as many as asked for."""

    block: BlockRef
    pools: int
    candidates: int
    opportunities: list[Opportunity]
    elapsed_ms: float
    gas_price_wei: int
