"""Re-execution of real blocks on a local node gives the logs that the chain saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.app.simulate.blocks import load_block
from engine.app.simulate.replay import log_mismatches, stored_replayer

# By index, transactions that cannot run as they did: rollups that read older block hashes, and in the oldest
# rules contracts that free gas tokens by the gas they have used.
DIFFERENT = {12047794: [], 12244000: [], 15537394: [], 18085863: [], 19933597: [], 19923400: [20]}


@pytest.mark.parametrize("number", DIFFERENT)
async def test_replays_a_block_by_its_own_rules(stored_blocks: Path, tmp_path: Path, number: int) -> None:
    block = load_block(stored_blocks / str(number))
    count = len(block.transactions)
    async with stored_replayer(block, 1, tmp_path) as replayer:
        replayed = await replayer.run(count)
        assert replayed.refused == {}
        assert block.recorded_logs is not None
        assert log_mismatches(replayed, block.recorded_logs, count) == DIFFERENT[number]
        await replayer.run(0)
        untouched = await replayer.state()
        # Running again starts from the pre-state again.
        again = await replayer.run(count)
        assert log_mismatches(again, block.recorded_logs, count) == DIFFERENT[number]
    for address, account in block.state.items():
        kept = {slot: value for slot, value in account.storage.items() if value}
        if address != block.header["miner"] and (account.code or kept):
            assert {slot: v for slot, v in untouched[address].storage.items() if v} == kept
            assert untouched[address].code == account.code


async def test_state_after_some_transactions_is_that_moments(stored_blocks: Path, tmp_path: Path) -> None:
    block = load_block(stored_blocks / "12047794")
    pair, reserves = "0xb4e16d0168e52d35cacd2c6185b44281ec28c9dc", 8
    async with stored_replayer(block, 1, tmp_path) as replayer:
        values = []
        for count in (0, 35, 36):
            await replayer.run(count)
            values.append((await replayer.state())[pair].storage[reserves])
    before, just_before, after = values
    assert before == just_before != after
