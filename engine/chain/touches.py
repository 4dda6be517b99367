"""First topics of the logs after which a pool must be read again, for the families that need it.

Curve emits one signature per number of coins. Balancer logs swaps and liquidity at its vaults and fees, rates
and amplification at the pool; vaults and wrappers log deposits and withdrawals.
"""

from __future__ import annotations

from engine.chain.wire import topic

_FIXED = [f"uint256[{n}]" for n in range(2, 9)]
_LISTS = [*_FIXED, "uint256[]"]

_CURVE = [
    "TokenExchange(address,int128,uint256,int128,uint256)",
    "TokenExchangeUnderlying(address,int128,uint256,int128,uint256)",
    "TokenExchange(address,uint256,uint256,uint256,uint256)",
    "TokenExchange(address,uint256,uint256,uint256,uint256,uint256,uint256)",
    *(f"AddLiquidity(address,{n},{n},uint256,uint256)" for n in _LISTS),
    *(f"AddLiquidity(address,{n},uint256,uint256)" for n in _LISTS),
    *(f"AddLiquidity(address,{n},uint256,uint256,uint256)" for n in _LISTS),
    *(f"RemoveLiquidity(address,{n},{n},uint256)" for n in _LISTS),
    *(f"RemoveLiquidity(address,{n},uint256)" for n in _LISTS),
    *(f"RemoveLiquidityImbalance(address,{n},{n},uint256,uint256)" for n in _LISTS),
    "RemoveLiquidityOne(address,uint256,uint256)",
    "RemoveLiquidityOne(address,uint256,uint256,uint256)",
    "RemoveLiquidityOne(address,int128,uint256,uint256,uint256)",
    "RemoveLiquidityOne(address,uint256,uint256,uint256,uint256,uint256)",
    "RampA(uint256,uint256,uint256,uint256)",
    "StopRampA(uint256,uint256)",
    "RampAgamma(uint256,uint256,uint256,uint256,uint256,uint256)",
    "StopRampA(uint256,uint256,uint256)",
    "NewFee(uint256)",
    "NewFee(uint256,uint256)",
    "ApplyNewFee(uint256)",
    "ApplyNewFee(uint256,uint256)",
    "NewParameters(uint256,uint256,uint256,uint256,uint256,uint256)",
    "NewParameters(uint256,uint256,uint256,uint256,uint256,uint256,uint256)",
    "ClaimAdminFee(address,uint256)",
    "ClaimAdminFee(address,uint256[])",
]
_BALANCER_V2 = [
    "Swap(bytes32,address,address,uint256,uint256)",
    "PoolBalanceChanged(bytes32,address,address[],int256[],uint256[])",
    "PoolBalanceManaged(bytes32,address,address,int256,int256)",
    "SwapFeePercentageChanged(uint256)",
    "AmpUpdateStarted(uint256,uint256,uint256,uint256)",
    "AmpUpdateStopped(uint256)",
    "TokenRateCacheUpdated(address,uint256)",
    "TokenRateCacheUpdated(uint256,uint256)",
    "PausedStateChanged(bool)",
]
_BALANCER_V3 = [
    "Swap(address,address,address,uint256,uint256,uint256,uint256)",
    "LiquidityAdded(address,address,uint8,uint256,uint256[],uint256[])",
    "LiquidityRemoved(address,address,uint8,uint256,uint256[],uint256[])",
    "SwapFeePercentageChanged(address,uint256)",
    "PoolPausedStateChanged(address,bool)",
]
_VAULTS = [
    "Deposit(address,address,uint256,uint256)",
    "Withdraw(address,address,address,uint256,uint256)",
    "Submitted(address,uint256,address)",
    "TokenRebased(uint256,uint256,uint256,uint256,uint256,uint256,uint256)",
    "ETHDistributed(uint256,uint256,uint256,uint256,uint256,uint256)",
    "SharesBurnt(address,uint256,uint256,uint256)",
]

TOUCH_TOPICS = tuple(topic(text) for text in (*_CURVE, *_BALANCER_V2, *_BALANCER_V3, *_VAULTS))
