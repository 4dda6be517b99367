"""Roundtrip: an on-chain DEX arbitrage engine."""

__version__ = "0.1.0"
