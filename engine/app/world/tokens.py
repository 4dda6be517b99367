"""The world's tokens and what they are worth: mainnet's symbols, names, decimals and early-2025 prices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from engine.domain.market import Token

_REVERSION = 0.004


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """A token before it is deployed.

    `price_usd` per whole token; `est_volatility` is the standard deviation of one block's log return.
    `tracks` names the token whose returns this one shares, `no_return` a token whose transfers return
    nothing, and `wrapped_native` the one that is WETH9.
    """

    symbol: str
    name: str
    decimals: int
    price_usd: float
    est_volatility: float
    tracks: str | None = None
    no_return: bool = False
    wrapped_native: bool = False


TOKEN_SPECS = (
    TokenSpec("WETH", "Wrapped Ether", 18, 3_330.0, 6e-4, wrapped_native=True),
    TokenSpec("USDC", "USD Coin", 6, 1.0, 1e-5),
    TokenSpec("USDT", "Tether USD", 6, 0.9992, 2e-5, no_return=True),
    TokenSpec("DAI", "Dai Stablecoin", 18, 0.9998, 1e-5),
    TokenSpec("WBTC", "Wrapped BTC", 8, 94_600.0, 5e-4),
    TokenSpec("wstETH", "Wrapped liquid staked Ether 2.0", 18, 3_962.7, 2e-5, tracks="WETH"),
    TokenSpec("LINK", "ChainLink Token", 18, 20.4, 9e-4),
    TokenSpec("UNI", "Uniswap", 18, 13.3, 9e-4),
    TokenSpec("AAVE", "Aave Token", 18, 308.0, 1e-3),
    TokenSpec("MKR", "Maker", 18, 1_492.0, 8e-4),
    TokenSpec("CRV", "Curve DAO Token", 18, 0.894, 1.1e-3),
    TokenSpec("LDO", "Lido DAO Token", 18, 1.83, 1.1e-3),
    TokenSpec("SHIB", "SHIBA INU", 18, 2.11e-5, 1.1e-3),
    TokenSpec("PEPE", "Pepe", 18, 2.02e-5, 1.3e-3),
)

BASE_SYMBOLS = ("WETH", "USDC", "USDT", "DAI", "WBTC")


class TruePrices:
    """What each token is worth to the inhabitants: log prices that wander and revert to the table's."""

    def __init__(self, rng: Random, specs: tuple[TokenSpec, ...] = TOKEN_SPECS):
        self._rng = rng
        self._specs = {spec.symbol: spec for spec in specs}
        self._drift = dict.fromkeys(self._specs, 0.0)

    def advance(self) -> None:
        """Move every price by one block."""
        for symbol, spec in self._specs.items():
            shock = self._rng.gauss(0.0, spec.est_volatility)
            self._drift[symbol] += shock - _REVERSION * self._drift[symbol]

    def est_usd(self, symbol: str) -> float:
        """US dollars per whole token."""
        spec = self._specs[symbol]
        drift = self._drift[symbol] + (self._drift[spec.tracks] if spec.tracks else 0.0)
        return spec.price_usd * math.exp(drift)

    def est_usd_per_unit(self, token: Token) -> float:
        """US dollars per base unit."""
        return self.est_usd(token.symbol) / 10**token.decimals

    def est_pool_price(self, token0: Token, token1: Token) -> float:
        """Base units of token1 that one base unit of token0 is worth."""
        return self.est_usd_per_unit(token0) / self.est_usd_per_unit(token1)
