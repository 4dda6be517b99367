"""Whether a factory knows a pool as its own: for pools at addresses that CREATE2 does not prove."""

from __future__ import annotations

from collections.abc import Sequence

from engine.chain.calls import View
from engine.chain.meta_registry import registry_of
from engine.chain.readers.reading import Ask, Reading
from engine.domain.market import ZERO_ADDRESS, PoolRecord, Protocol

_FROM_FACTORY = View.of("isPoolFromFactory(address)", "bool")
_COIN_COUNT = View.of("get_n_coins(address)", "uint256")
_COIN_LISTS = "address[]", "address[2]", "address[3]"
_FIRST_COIN = tuple(View.of("get_coins(address)", kind) for kind in _COIN_LISTS)
_BALANCER = (
    Protocol.BALANCER_V2_WEIGHTED,
    Protocol.BALANCER_V2_STABLE,
    Protocol.BALANCER_V3_WEIGHTED,
    Protocol.BALANCER_V3_STABLE,
)
_CURVE = (Protocol.CURVE_STABLESWAP, Protocol.CURVE_CRYPTOSWAP)
_SINGLE = (Protocol.ERC4626, Protocol.WSTETH, Protocol.WETH)
_UNKNOWN = "its factory does not know it"


async def unvouched(reading: Reading, pools: Sequence[PoolRecord]) -> dict[str, str]:
    """By key, why a pool is not its venue's. A venue whose factory is the pool itself vouches for it: then
    the registry has named that one contract.

    Raises NodeError when the node fails.
    """
    asked = [
        pool
        for pool in pools
        if pool.protocol in (*_BALANCER, *_CURVE, *_SINGLE) and pool.address != _factory(reading, pool)
    ]
    verdicts = {pool.key: _UNKNOWN for pool in asked if pool.protocol in _SINGLE}
    balancer = [pool for pool in asked if pool.protocol in _BALANCER]
    for pool, answer in zip(
        balancer,
        await reading.values(
            [
                Ask(pool, _FROM_FACTORY, (pool.address,), _factory(reading, pool), optional=True)
                for pool in balancer
            ]
        ),
        strict=True,
    ):
        if answer is None or not answer[0]:
            verdicts[pool.key] = _UNKNOWN
    curve = [pool for pool in asked if pool.protocol in _CURVE]
    registries = {name: await registry_of(reading, reading.venues[name]) for name in {p.venue for p in curve}}
    for pool in curve:
        asks = [
            Ask(pool, view, (pool.address,), registries[pool.venue], optional=True)
            for view in (_COIN_COUNT, *_FIRST_COIN)
        ]
        count, *coins = await reading.values(asks)
        named = [answer[0][0] for answer in coins if answer is not None and len(answer[0])]
        if not (count is not None and count[0]) and not any(coin != ZERO_ADDRESS for coin in named):
            verdicts[pool.key] = _UNKNOWN
    return verdicts


def _factory(reading: Reading, pool: PoolRecord) -> str:
    return reading.venues[pool.venue].factory
