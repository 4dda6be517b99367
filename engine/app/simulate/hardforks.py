"""Which rules a block was executed under."""

from __future__ import annotations

# First block of each fork of Ethereum mainnet, newest first, by anvil's names. Source: the fork table of
# ethereum/execution-specs and the forks' meta EIPs (606, 609, 1013, 1679, 2070, 7568, 7569, 7600, 7607).
# The "glacier" forks only moved the difficulty bomb and are left out: anvil runs Muir Glacier by Berlin's gas
# prices.
_MAINNET = (
    (23_935_694, "osaka"),
    (22_431_084, "prague"),
    (19_426_587, "cancun"),
    (17_034_870, "shanghai"),
    (15_537_394, "paris"),
    (12_965_000, "london"),
    (12_244_000, "berlin"),
    (9_069_000, "istanbul"),
    (7_280_000, "petersburg"),
    (4_370_000, "byzantium"),
    (2_675_000, "spuriousdragon"),
    (2_463_000, "tangerine"),
    (1_150_000, "homestead"),
    (0, "frontier"),
)
# The router needs transient storage and MCOPY.
TRANSIENT = frozenset({"cancun", "prague", "osaka"})
CURRENT = "prague"
_MAINNET_ID = 1
_BERLIN = 12_244_000


def hardfork_of(chain_id: int, number: int) -> str:
    """Anvil's name of the rules of block `number`; the current ones for chains other than mainnet."""
    if chain_id != _MAINNET_ID:
        return CURRENT
    return next(name for first, name in _MAINNET if number >= first)


def is_overcharged(chain_id: int, number: int) -> bool:
    """Whether anvil charges block `number` more for a fresh storage slot than its rules say: it takes
    Berlin's 22,100 gas instead of 20,000 (EIP-2200) under the older ones too."""
    return chain_id == _MAINNET_ID and number < _BERLIN
