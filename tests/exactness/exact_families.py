"""Every family whose bytecode comes from a registry, cheapest first."""

from __future__ import annotations

import exact_concentrated
import exact_v2
import exact_v4
from exact_campaign import Family

FAMILIES: list[Family] = [*exact_v2.FAMILIES, *exact_v4.FAMILIES, *exact_concentrated.FAMILIES]
