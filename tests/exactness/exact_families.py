"""Every family whose bytecode comes from a registry, cheapest first."""

from __future__ import annotations

import exact_balancer_v2
import exact_balancer_v3
import exact_concentrated
import exact_cryptoswap
import exact_curve
import exact_solidly
import exact_tricrypto
import exact_v2
import exact_v4
import exact_vaults
import exact_weth
from exact_campaign import Family

FAMILIES: list[Family] = [
    *exact_v2.FAMILIES,
    *exact_weth.FAMILIES,
    *exact_vaults.FAMILIES,
    *exact_solidly.FAMILIES,
    *exact_v4.FAMILIES,
    *exact_concentrated.FAMILIES,
    *exact_curve.FAMILIES,
    *exact_cryptoswap.FAMILIES,
    *exact_tricrypto.FAMILIES,
    *exact_balancer_v2.FAMILIES,
    *exact_balancer_v3.FAMILIES,
]
