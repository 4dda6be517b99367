"""What kind of Balancer pool an address is: tokens in the vault's order, weights, version."""

from __future__ import annotations

from collections.abc import Sequence

from engine.chain.calls import View
from engine.chain.readers.reading import Ask, Reading
from engine.chain.sighted import Sighted, record
from engine.domain.market import PoolRecord, Protocol
from engine.domain.pool_details import (
    BalancerV2StableDetails,
    BalancerV2WeightedDetails,
    BalancerV3StableDetails,
    BalancerV3WeightedDetails,
)

_ONE = 10**18
_POOL_ID = View.of("getPoolId()", "bytes32")
_VAULT = View.of("getVault()", "address")
_WEIGHTS = View.of("getNormalizedWeights()", "uint256[]")
_SCALING = View.of("getScalingFactors()", "uint256[]")
_BPT_INDEX = View.of("getBptIndex()", "uint256")
_TOKENS = View.of("getPoolTokens(bytes32)", "address[]", "uint256[]", "uint256")
_REGISTERED = View.of("getPool(bytes32)", "address", "uint8")
_DECIMALS = View.of("decimals()", "uint8")

_V3_TOKENS = View.of("getPoolTokens(address)", "address[]")
_V3_RATES = View.of("getPoolTokenRates(address)", "uint256[]", "uint256[]")
_V3_MINIMUM = View.of("getMinimumTradeAmount()", "uint256")
_V3_FLOORS = View.of("getMinTokenBalances()", "uint256[]")
# No getter tells whether a pool refuses swaps between balances further apart; where it does not, it is left
# alone in that state for nothing.
_V3_IMBALANCE_LIMIT = 10_000
_READ_GAS = 3_000_000


async def balancer_v2(reading: Reading, sighted: Sequence[Sighted]) -> list[PoolRecord]:
    """Records of weighted and stable pools whose vault is the venue's (its `deployer`) and has them."""
    basics = await reading.of_each([one.draft for one in sighted], _POOL_ID, _VAULT)
    marks = await reading.of_each(
        [one.draft for one in sighted], _WEIGHTS, _SCALING, _BPT_INDEX, optional=True
    )
    found = []
    for one, (pool_id, vault), (weights, scaling, bpt_index) in zip(sighted, basics, marks, strict=True):
        if pool_id is None or vault is None:
            continue
        at_vault = one.sighting.venue.deployer
        if vault[0].lower() != at_vault:
            reading.refuse(one.draft, "its vault is not the venue's")
            continue
        tokens, registered = await reading.values(
            [Ask(one.draft, view, (pool_id[0],), at_vault, gas=_READ_GAS) for view in (_TOKENS, _REGISTERED)]
        )
        if tokens is None or registered is None or registered[0].lower() != one.address:
            reading.refuse(one.draft, "the vault does not know it")
            continue
        coins = tuple(token.lower() for token in tokens[0] if token.lower() != one.address)
        named = "0x" + pool_id[0].hex()
        version = 1 if scaling is None else 2
        if one.sighting.venue.protocol is Protocol.BALANCER_V2_STABLE:
            index = None if bpt_index is None else bpt_index[0]
            details = BalancerV2StableDetails(named, at_vault, version, index)
            found.append(record(one, coins, details=details))
            continue
        factors = await _decimal_factors(reading, one, coins)
        if weights is None or len(weights[0]) != len(coins) or factors is None:
            reading.refuse(one.draft, "its weights or decimals cannot be read")
            continue
        scaled = tuple(factor * _ONE for factor in factors)
        weighted = BalancerV2WeightedDetails(named, at_vault, tuple(weights[0]), scaled, version)
        found.append(record(one, coins, details=weighted))
    return found


async def balancer_v3(reading: Reading, sighted: Sequence[Sighted]) -> list[PoolRecord]:
    """Records of pools that the venue's vault (its `deployer`) has."""
    found = []
    drafts = [one.draft for one in sighted]
    marks = await reading.of_each(drafts, _WEIGHTS, _V3_FLOORS, optional=True)
    for one, (weights, floors) in zip(sighted, marks, strict=True):
        vault = one.sighting.venue.deployer
        tokens, rates, minimum = await reading.values(
            [
                Ask(one.draft, _V3_TOKENS, (one.address,), vault, gas=_READ_GAS),
                Ask(one.draft, _V3_RATES, (one.address,), vault, gas=_READ_GAS),
                Ask(one.draft, _V3_MINIMUM, (), vault, optional=True),
            ]
        )
        if tokens is None or rates is None:
            continue
        coins = tuple(token.lower() for token in tokens[0])
        factors = tuple(rates[0])
        least = 1_000_000 if minimum is None else minimum[0]
        if one.sighting.venue.protocol is Protocol.BALANCER_V3_STABLE:
            details = BalancerV3StableDetails(vault, factors, least, _V3_IMBALANCE_LIMIT)
            found.append(record(one, coins, details=details))
        elif weights is None or len(weights[0]) != len(coins):
            reading.refuse(one.draft, "its weights cannot be read")
        else:
            minimums = tuple(floors[0]) if floors else ()
            weighted = BalancerV3WeightedDetails(vault, tuple(weights[0]), factors, least, minimums)
            found.append(record(one, coins, details=weighted))
    return found


async def _decimal_factors(reading: Reading, one: Sighted, tokens: Sequence[str]) -> tuple[int, ...] | None:
    answers = await reading.values([Ask(one.draft, _DECIMALS, to=token) for token in tokens])
    if any(answer is None or answer[0] > 18 for answer in answers):
        return None
    return tuple(10 ** (18 - answer[0]) for answer in answers if answer is not None)
