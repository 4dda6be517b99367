"""Which module serves a kind, and the table of addresses."""

from __future__ import annotations

from importlib import import_module

from engine.amm import layout

_FAMILIES = {
    layout.KIND_SOLIDLY: ("solidly", "quote", "estimate"),
    layout.KIND_CURVE_STABLE: ("stableswap", "quote", "estimate"),
    layout.KIND_TWOCRYPTO: ("cryptoswap2", "quote", "estimate"),
    layout.KIND_TRICRYPTO: ("cryptoswap3", "quote", "estimate"),
    layout.KIND_BALANCER_V2_WEIGHTED: ("balancer_weighted", "quote_v2", "estimate_v2"),
    layout.KIND_BALANCER_V3_WEIGHTED: ("balancer_weighted", "quote_v3", "estimate_v3"),
    layout.KIND_BALANCER_V2_STABLE: ("balancer_stable", "quote_v2", "estimate_v2"),
    layout.KIND_BALANCER_V3_STABLE: ("balancer_stable", "quote_v3", "estimate_v3"),
    layout.KIND_ERC4626: ("vaults", "quote_vault", "estimate_vault"),
    layout.KIND_WSTETH: ("vaults", "quote_wrapper", "estimate_wrapper"),
    layout.KIND_WETH: ("vaults", "quote_weth", "estimate_weth"),
}


def make_ready(kind: int) -> None:
    """Fill in the addresses of a kind: compiles it, or loads it from the cache, once per process.

    Kinds that need no call are none of this table's business and are passed over.
    """
    if kind not in _FAMILIES or layout.CALLS[kind, layout.CALL_QUOTE]:
        return
    module, quote, estimate = _FAMILIES[kind]
    family = import_module(f"engine.amm.families.{module}")
    layout.CALLS[kind, layout.CALL_ESTIMATE] = getattr(family, estimate).address
    layout.CALLS[kind, layout.CALL_QUOTE] = getattr(family, quote).address
