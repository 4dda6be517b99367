"""What of a pool is known when the state is partial, and what a chain table may say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from eth_abi import encode
from eth_utils import keccak

from engine.amm.layout import MAX_TICK, MIN_TICK
from engine.app.simulate.chain_table import load_chain_table
from engine.app.simulate.pools import tick_window
from engine.domain.errors import ConfigError
from engine.domain.market import PoolRecord, Protocol
from engine.domain.provenance import is_genuine, pool_address

TABLE = load_chain_table(1)
WETH, USDC = TABLE.base_tokens[:2]
SPACING = 60
POOL = PoolRecord("0x" + "88" * 20, Protocol.UNISWAP_V3, "Uniswap V3", (USDC, WETH), 3000, SPACING)


def place(key: int, slot: int) -> int:
    return int.from_bytes(keccak(encode(["int256", "uint256"], [key, slot])), "big")


class Storage:
    """A pool's storage at a tick: words and tick states are put in as they become known."""

    def __init__(self, tick: int, ticks_slot: int = 5):
        self.ticks_slot = ticks_slot
        self.slots = {0: 1 | (tick % (1 << 24)) << 160}

    def word(self, position: int, *ticks: int) -> Storage:
        bits = sum(1 << (tick // SPACING - 256 * position) for tick in ticks)
        self.slots[place(position, self.ticks_slot + 1)] = bits
        return self

    def state(self, *ticks: int) -> Storage:
        for tick in ticks:
            self.slots[place(tick, self.ticks_slot)] = 7
        return self

    def window(self, pool: PoolRecord = POOL) -> tuple[tuple[int, ...], int, int]:
        found = tick_window(pool, self.slots, set(self.slots), TABLE)
        return found.ticks, found.low, found.high


def test_without_any_word_only_the_present_spacing_is_known() -> None:
    assert Storage(125).window() == ((), 120, 180)
    assert Storage(-125).window() == ((), -180, -120)


def test_known_words_are_known_to_their_edges() -> None:
    assert Storage(125).word(0).window() == ((), 0, 256 * SPACING - 1)
    assert Storage(125).word(0).word(1).word(3).window() == ((), 0, 512 * SPACING - 1)
    assert Storage(-1).word(-1).window() == ((), -256 * SPACING, 0)


def test_the_last_spacing_of_a_word_looks_into_the_next_one_upwards() -> None:
    tick = 255 * SPACING + 3
    assert Storage(tick).word(0).window() == ((), 0, 256 * SPACING)
    assert Storage(tick).word(1).window() == ((), 255 * SPACING, 512 * SPACING - 1)


def test_a_tick_whose_state_is_unknown_ends_the_range() -> None:
    ticks = (60, 120, 300, 600)
    assert Storage(130).word(0, *ticks).state(*ticks).window() == (ticks, 0, 256 * SPACING - 1)
    assert Storage(130).word(0, *ticks).state(60, 120, 300).window() == ((60, 120, 300), 0, 600)
    assert Storage(130).word(0, *ticks).state(120, 300, 600).window() == (
        (120, 300, 600),
        60,
        256 * SPACING - 1,
    )
    assert Storage(130).word(0, *ticks).state(300).window() == ((300,), 120, 600)
    assert Storage(130).word(0, *ticks).window() == ((), 120, 300)


def test_a_pool_of_another_layout_is_read_by_its_own_slots() -> None:
    pancake = replace(POOL, venue="PancakeSwap V3")
    assert Storage(130, ticks_slot=6).word(0, 300).state(300).window(pancake) == (
        (300,),
        0,
        256 * SPACING - 1,
    )
    assert Storage(130, ticks_slot=5).word(0, 300).state(300).window(pancake) == ((), 120, 180)


def test_the_whole_range_known_is_the_protocols_range() -> None:
    storage = Storage(0)
    for position in range(-58, 58):
        storage.word(position)
    assert storage.window() == ((), MIN_TICK, MAX_TICK)


def test_mainnets_table_derives_mainnets_pools() -> None:
    by_name = {venue.name: venue for venue in TABLE.venues}
    dai = "0x6b175474e89094c44da98b954eedeac495271d0f"
    for venue, tokens, fee, address in (
        ("Uniswap V2", (USDC, WETH), 3000, "0xb4e16d0168e52d35cacd2c6185b44281ec28c9dc"),
        ("SushiSwap", (USDC, WETH), 3000, "0x397ff1542f962076d0bfe58ea045ffa2d347aca0"),
        ("Uniswap V3", (USDC, WETH), 500, "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640"),
        ("Uniswap V2", (dai, WETH), 3000, "0xa478c2975ab1ea89e8196811f51a7b7ade33eb11"),
        ("PancakeSwap V3", (USDC, WETH), 500, "0x1ac1a8feaaea1900c4166deeed0c11cc10669d36"),
    ):
        assert pool_address(by_name[venue], *tokens, fee) == address
        spacing = 10 if by_name[venue].protocol is Protocol.UNISWAP_V3 else 0
        assert is_genuine(
            by_name[venue], PoolRecord(address, by_name[venue].protocol, venue, tokens, fee, spacing)
        )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("chain_id = [", "not valid TOML"),
        ("chain_id = 1", "lacks venues"),
        (f"chain_id = 2\nwrapped_native = '{WETH}'\nbase_tokens = []\nvenues = []", "is of chain 2"),
        ("chain_id = 1\nwrapped_native = 'weth'\nbase_tokens = []\nvenues = []", "'weth' is not an address"),
        ("chain_id = 1\nwrapped_native = 1\nbase_tokens = []\nvenues = [{}]", "malformed"),
        ("venues = [{ protocol = 'x', name = 'y' }]\nchain_id = 1", "lacks wrapped_native"),
    ],
)  # fmt: skip
def test_a_malformed_table_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "table.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_chain_table(1, path)
    assert str(path) in str(caught.value)
    assert complaint in str(caught.value)


def test_a_chain_without_a_table_needs_one() -> None:
    with pytest.raises(ConfigError, match="--chain-table"):
        load_chain_table(424242)
