"""Which reader reads which protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from engine.chain.readers import balancer, concentrated, curve, pairs, v4, vaults
from engine.chain.readers.reading import Reading
from engine.domain.market import PoolRecord, Protocol

Reader = Callable[[Reading, Sequence[PoolRecord]], Awaitable[None]]

READERS: dict[Protocol, Reader] = {
    Protocol.UNISWAP_V2: pairs.read_v2,
    Protocol.CAMELOT_V2: pairs.read_camelot,
    Protocol.SOLIDLY: pairs.read_solidly,
    Protocol.UNISWAP_V3: concentrated.read_v3,
    Protocol.SLIPSTREAM: concentrated.read_slipstream,
    Protocol.ALGEBRA: concentrated.read_algebra,
    Protocol.UNISWAP_V4: v4.read_v4,
    Protocol.CURVE_STABLESWAP: curve.read_curve_stable,
    Protocol.CURVE_CRYPTOSWAP: curve.read_curve_crypto,
    Protocol.BALANCER_V2_WEIGHTED: balancer.read_balancer_v2_weighted,
    Protocol.BALANCER_V2_STABLE: balancer.read_balancer_v2_stable,
    Protocol.BALANCER_V3_WEIGHTED: balancer.read_balancer_v3_weighted,
    Protocol.BALANCER_V3_STABLE: balancer.read_balancer_v3_stable,
    Protocol.ERC4626: vaults.read_erc4626,
    Protocol.WSTETH: vaults.read_wsteth,
    Protocol.WETH: vaults.read_weth,
}


async def read_states(reading: Reading, pools: Sequence[PoolRecord]) -> None:
    """Read every pool with its protocol's reader; what cannot be read is refused in `reading`."""
    for protocol, reader in READERS.items():
        chosen = [pool for pool in pools if pool.protocol is protocol]
        if chosen:
            await reader(reading, chosen)
