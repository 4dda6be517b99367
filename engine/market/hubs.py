"""Contracts that log for many pools, and the indexed word by which their logs name one."""

from __future__ import annotations

from engine.domain.market import PoolRecord, Protocol
from engine.domain.pool_details import (
    BalancerV2StableDetails,
    BalancerV2WeightedDetails,
    BalancerV3StableDetails,
    BalancerV3WeightedDetails,
    UniswapV4Details,
)

ANY_LOG = ""  # every log of the contract concerns the pool


def hub_of(record: PoolRecord) -> tuple[str, str] | None:
    """(contract, first indexed word of its logs, lower-case) for a pool whose state others log."""
    facts = record.details
    if isinstance(facts, UniswapV4Details):
        return facts.manager, facts.pool_id
    if isinstance(facts, BalancerV2WeightedDetails | BalancerV2StableDetails):
        return facts.vault, facts.pool_id
    if isinstance(facts, BalancerV3WeightedDetails | BalancerV3StableDetails):
        return facts.vault, "0x" + record.address[2:].rjust(64, "0")
    if record.protocol is Protocol.WSTETH:
        return record.tokens[0], ANY_LOG
    return None
