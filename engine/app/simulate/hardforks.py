"""Which rules a block was executed under."""

from __future__ import annotations

# First block of each fork of Ethereum mainnet, newest first, by anvil's names. Source: the fork table of
# ethereum/execution-specs and the forks' meta EIPs (606, 609, 1013, 1679, 2070, 7568, 7569, 7600, 7607).
_MAINNET = (
    (23_935_694, "osaka"),
    (22_431_084, "prague"),
    (19_426_587, "cancun"),
    (17_034_870, "shanghai"),
    (15_537_394, "paris"),
    (15_050_000, "grayglacier"),
    (13_773_000, "arrowglacier"),
    (12_965_000, "london"),
    (12_244_000, "berlin"),
    (9_200_000, "muirglacier"),
    (9_069_000, "istanbul"),
    (7_280_000, "petersburg"),
    (4_370_000, "byzantium"),
    (2_675_000, "spuriousdragon"),
    (2_463_000, "tangerine"),
    (1_150_000, "homestead"),
    (0, "frontier"),
)
# The router needs transient storage and MCOPY.
CURRENT = "prague"
_MAINNET_ID = 1


def hardfork_of(chain_id: int, number: int) -> str:
    """Anvil's name of the rules of block `number`; the current ones for chains other than mainnet."""
    if chain_id != _MAINNET_ID:
        return CURRENT
    return next(name for first, name in _MAINNET if number >= first)
