"""Landed arbitrages: on every real block there is, and on cases made to mislead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.app.simulate.arbitrages import LandedArbitrage, arbitrages_of
from engine.app.simulate.blocks import find_blocks, load_block
from engine.app.simulate.chain_table import load_chain_table
from engine.app.simulate.swaps import (
    BALANCER_V2_SWAP,
    CURVE_CRYPTO_EXCHANGE,
    CURVE_NG_CRYPTO_EXCHANGE,
    V2_SWAP,
    V4_SWAP,
    Swap,
    swaps_of,
)
from engine.app.simulate.trace_logs import logs_by_transaction
from engine.chain.events import PANCAKE_V3_SWAP, TRANSFER, V3_SWAP

WETH, USDC, DAI = "0x" + "c0" * 20, "0x" + "a0" * 20, "0x" + "60" * 20
TX = "0x" + "11" * 32
# Curve's newer crypto pools emit an event that those who derived the list did not read: WETH -> AAVE ->
# PAX -> crvUSD -> WETH, 0.0835 WETH, handed to the block's builder in the same transaction.
UNLISTED = {(19933597, 1)}


def stored_arbitrages(folder: Path) -> dict[tuple[int, int], LandedArbitrage]:
    table = load_chain_table(1)
    found = {}
    for path in find_blocks(folder):
        block = load_block(path)
        for index, logs in (block.recorded_logs or {}).items():
            swaps = swaps_of(logs, native=table.wrapped_native)
            for one in arbitrages_of(block.transactions[index]["hash"], index, swaps, table.base_tokens):
                assert (block.number, index) not in found
                found[block.number, index] = one
    return found


def as_set(swaps: Any) -> set[tuple[str, str, str, int, int]]:
    return {(s.pool, s.token_in, s.token_out, s.amount_in, s.amount_out) for s in swaps}


def test_finds_what_searchers_landed_in_the_stored_blocks_and_nothing_else(stored_blocks: Path) -> None:
    found = stored_arbitrages(stored_blocks)
    listed = json.loads((stored_blocks / "derived_arbitrages.json").read_text())
    assert found.keys() - UNLISTED == {(row["block"], row["tx_index"]) for row in listed}
    for row in listed:
        one = found[row["block"], row["tx_index"]]
        assert one.tx == row["tx"]
        assert {token: amount for token, amount in one.net.items() if amount} == {
            token: int(amount) for token, amount in row["net"].items()
        }
        assert as_set(one.cycle) == {
            (s["pool"], s["token_in"], s["token_out"], int(s["amount_in"]), int(s["amount_out"]))
            for s in row["swaps"]
        }
        assert one.profit == one.net[one.base_token] == max(int(amount) for amount in row["net"].values())
        assert one.cycle[0].token_in == one.cycle[-1].token_out == one.base_token


def test_an_unlisted_cycle_through_curve_is_a_real_one(stored_blocks: Path) -> None:
    for place in UNLISTED:
        one = stored_arbitrages(stored_blocks)[place]
        assert not one.supported
        assert one.profit == 83_525_927_845_819_924
        logs = (load_block(stored_blocks / str(place[0])).recorded_logs or {})[place[1]]
        paid_out = [log for log in logs if log["topics"][0] == TRANSFER][-1]
        assert int(paid_out["data"], 16) == one.profit


def test_finds_the_profitable_cycles_of_traced_blocks(traces: Path) -> None:
    table = load_chain_table(1)
    listed = [
        row
        for row in json.loads((traces / "derived_arbitrages.json").read_text())
        if all(int(amount) >= 0 for amount in row["net"].values())
    ]
    assert len(listed) == 13
    logs = {
        block: logs_by_transaction(json.loads((traces / f"{block}.json").read_text())["traces"])
        for block in {row["block"] for row in listed}
    }
    for row in listed:
        index, own = logs[row["block"]][row["tx"]]
        found = arbitrages_of(row["tx"], index, swaps_of(own, native=table.wrapped_native), table.base_tokens)
        assert len(found) == 1, row["tx"]
        assert {token: amount for token, amount in found[0].net.items() if amount} == {
            token: int(amount) for token, amount in row["net"].items()
        }
        assert as_set(found[0].cycle) == {
            (pool, token_in, token_out, int(given), int(got))
            for pool, token_in, token_out, given, got in row["path"]
        }
        assert found[0].base_token == table.wrapped_native


def test_a_losing_cycle_of_a_traced_block_is_none(traces: Path) -> None:
    table = load_chain_table(1)
    (loser,) = (
        row
        for row in json.loads((traces / "derived_arbitrages.json").read_text())
        if any(int(amount) < 0 for amount in row["net"].values())
    )
    logs = logs_by_transaction(json.loads((traces / f"{loser['block']}.json").read_text())["traces"])
    index, own = logs[loser["tx"]]
    swaps = swaps_of(own, native=table.wrapped_native)
    assert len(swaps) == loser["hops"]
    assert arbitrages_of(loser["tx"], index, swaps, table.base_tokens) == []


def swap(place: int, pool: str, token_in: str, token_out: str, given: int, got: int) -> Swap:
    return Swap(pool, "uniswap-v2", token_in, token_out, given, got, place)


def found(*swaps: Swap) -> list[LandedArbitrage]:
    return arbitrages_of(TX, 3, swaps, (WETH, USDC))


def test_a_cycle_starts_at_its_base_wherever_it_was_entered() -> None:
    (one,) = found(
        swap(0, "b", USDC, DAI, 2_000, 2_001),
        swap(1, "c", DAI, WETH, 2_001, 103),
        swap(2, "a", WETH, USDC, 100, 2_000),
    )
    assert [s.pool for s in one.cycle] == ["a", "b", "c"]
    assert (one.base_token, one.profit, one.net) == (WETH, 3, {USDC: 0, DAI: 0, WETH: 3})


def test_dust_in_another_token_does_not_make_it_the_base() -> None:
    (one,) = found(swap(0, "a", DAI, WETH, 2_000, 103), swap(1, "b", WETH, DAI, 100, 2_001))
    assert (one.base_token, one.profit) == (WETH, 3)


def test_a_profit_in_no_base_token_is_reported_in_its_own() -> None:
    (one,) = found(swap(0, "a", WETH, DAI, 100, 2_001), swap(1, "b", DAI, WETH, 2_000, 100))
    assert (one.base_token, one.profit) == (DAI, 1)


def test_a_cycle_among_other_swaps_is_found() -> None:
    (one,) = found(
        swap(0, "x", DAI, USDC, 5, 5),
        swap(1, "a", WETH, DAI, 100, 2_000),
        swap(2, "y", USDC, "0x" + "77" * 20, 5, 900),
        swap(3, "b", DAI, WETH, 2_000, 101),
    )
    assert {s.log_index for s in one.cycle} == {1, 3}


def test_two_cycles_of_one_transaction_are_two() -> None:
    both = found(
        swap(0, "a", WETH, DAI, 100, 2_000),
        swap(1, "b", DAI, WETH, 2_000, 101),
        swap(2, "c", WETH, USDC, 100, 2_000),
        swap(3, "d", USDC, WETH, 2_000, 105),
    )
    assert [one.profit for one in both] == [5, 1]


@pytest.mark.parametrize(
    "swaps",
    [
        pytest.param([swap(0, "a", WETH, USDC, 100, 200), swap(1, "b", USDC, DAI, 200, 199)], id="a route"),
        pytest.param([swap(0, "a", WETH, USDC, 100, 200)], id="one side of a sandwich"),
        pytest.param([swap(0, "a", WETH, USDC, 100, 200), swap(1, "b", USDC, WETH, 200, 100)], id="no gain"),
        pytest.param(
            [swap(0, "a", WETH, USDC, 100, 200), swap(1, "b", USDC, WETH, 201, 102)], id="paid by USDC"
        ),
        pytest.param([swap(0, "a", WETH, USDC, 100, 200), swap(1, "a", USDC, WETH, 200, 102)], id="one pool"),
        pytest.param(
            [swap(0, "a", WETH, USDC, 50, 100), swap(1, "b", WETH, USDC, 50, 99)], id="a split order"
        ),
    ],
)
def test_what_is_no_arbitrage_is_not_reported(swaps: list[Swap]) -> None:
    assert found(*swaps) == []


def test_a_swarm_of_swaps_ends() -> None:
    tokens = [f"0x{n:040x}" for n in range(12)]
    swaps = [swap(n, f"pool {n}", tokens[n % 12], tokens[(n * 7 + 1) % 12], 100, 100) for n in range(600)]
    assert found(*swaps) == []


def log(address: str, topics: list[str], *words: int) -> dict[str, Any]:
    data = "".join((word % (1 << 256)).to_bytes(32, "big").hex() for word in words)
    return {"address": address, "topics": topics, "data": "0x" + data}


def moved(token: str, sender: str, receiver: str, amount: int) -> dict[str, Any]:
    return log(
        token, [TRANSFER, "0x" + sender[2:].rjust(64, "0"), "0x" + receiver[2:].rjust(64, "0")], amount
    )


POOL, MAN, NOBODY = "0x" + "99" * 20, "0x" + "55" * 20, "0x" + "00" * 32
ID = "0x" + "ab" * 32
PAID = [moved(WETH, MAN, POOL, 100), moved(USDC, POOL, MAN, 2_000)]


@pytest.mark.parametrize(
    ("event", "pool"),
    [
        # USDC's address is the lower one: it is token0.
        pytest.param(log(POOL, [V2_SWAP, NOBODY, NOBODY], 0, 100, 2_000, 0), POOL, id="v2"),
        pytest.param(log(POOL, [V2_SWAP, NOBODY, NOBODY], 7, 100, 2_007, 0), POOL, id="v2 both ways"),
        pytest.param(log(POOL, [V3_SWAP, NOBODY, NOBODY], -2_000, 100, 1, 1, 1), POOL, id="v3"),
        pytest.param(
            log(POOL, [PANCAKE_V3_SWAP, NOBODY, NOBODY], -2_000, 100, 1, 1, 1, 0, 0), POOL, id="pancake"
        ),
        pytest.param(log(POOL, [V4_SWAP, ID, NOBODY], 2_000, -100, 1, 1, 1, 3000), ID, id="v4"),
        pytest.param(log(POOL, [CURVE_CRYPTO_EXCHANGE, NOBODY], 0, 100, 1, 2_000), POOL, id="curve"),
        pytest.param(
            log(POOL, [CURVE_NG_CRYPTO_EXCHANGE, NOBODY], 0, 100, 1, 2_000, 1, 1), POOL, id="curve ng"
        ),
        pytest.param(
            log(POOL, [BALANCER_V2_SWAP, ID, NOBODY[:26] + WETH[2:], NOBODY[:26] + USDC[2:]], 100, 2_000),
            ID,
            id="balancer",
        ),
    ],
)
def test_reads_each_family(event: dict[str, Any], pool: str) -> None:
    (one,) = swaps_of([*PAID, event], native=WETH)
    assert (one.pool, one.token_in, one.token_out, one.amount_in, one.amount_out, one.log_index) == (
        *(pool, WETH, USDC),
        *(100, 2_000),
        2,
    )


def test_the_native_coin_moves_without_a_log() -> None:
    sold = log(POOL, [CURVE_CRYPTO_EXCHANGE, NOBODY], 0, 100, 1, 2_000)
    (one,) = swaps_of([PAID[1], sold], native=WETH)
    assert (one.token_in, one.token_out) == (WETH, USDC)


def test_known_tokens_need_no_transfers() -> None:
    event = log(POOL, [V2_SWAP, NOBODY, NOBODY], 0, 100, 2_000, 0)
    assert swaps_of([event]) == []
    (one,) = swaps_of([event], {POOL: (USDC, WETH)})
    assert (one.token_in, one.token_out) == (WETH, USDC)


@pytest.mark.parametrize(
    "topic", [V2_SWAP, V3_SWAP, V4_SWAP, BALANCER_V2_SWAP, CURVE_CRYPTO_EXCHANGE, TRANSFER]
)
@pytest.mark.parametrize("words", [0, 1, 3, 40])
def test_hostile_logs_are_passed_over(topic: str, words: int) -> None:
    hostile = log(POOL, [topic], *range(words))
    assert swaps_of([hostile, {**hostile, "data": "0xzz"}, {**hostile, "data": hostile["data"] + "00"}]) == []


def test_topics_are_those_seen_on_mainnet() -> None:
    assert V2_SWAP.startswith("0xd78ad95f")
    assert V3_SWAP.startswith("0xc42079f9")
    assert BALANCER_V2_SWAP.startswith("0x2170c741")
    assert V4_SWAP.startswith("0x40e9cecb")
