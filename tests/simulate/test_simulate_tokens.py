"""Tokens of real blocks: those that were traded exactly are found to be good."""

from __future__ import annotations

import json
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest

from engine.app.simulate.acting import latest
from engine.app.simulate.blocks import genesis, load_block
from engine.app.simulate.chain_table import load_chain_table
from engine.app.simulate.hardforks import CURRENT
from engine.app.simulate.pools import find_pools, pool_like
from engine.app.simulate.replay import local_node
from engine.app.simulate.stages import STAGE_FLAGS
from engine.app.world.node import AnvilOptions
from engine.chain.token_code import read_codes
from engine.chain.token_judge import JudgeTerms, TokenJudge
from engine.chain.token_probe import TokenProber
from engine.domain.token_safety import TokenVerdict

ROUTER = "0x" + "77" * 20


def exactly_traded(folder: Path) -> dict[int, set[str]]:
    """Tokens that searchers passed from pool to pool without losing a unit, by block."""
    found: dict[int, set[str]] = {}
    for trade in json.loads((folder / "derived_arbitrages.json").read_text()):
        swaps = trade["swaps"]
        for before, after in pairwise(swaps):
            if before["token_out"] == after["token_in"] and before["amount_out"] == after["amount_in"]:
                found.setdefault(trade["block"], set()).add(after["token_in"])
    return found


async def verdicts_of_block(folder: Path) -> list[TokenVerdict]:
    """Verdicts on every token of the pools in a recorded block's state."""
    block = load_block(folder)
    table = load_chain_table(1)
    timestamp = int(block.header["timestamp"], 16)
    with tempfile.TemporaryDirectory() as scratch:
        start = Path(scratch) / "genesis.json"
        start.write_text(json.dumps(genesis(block.state, block.header, 1, timestamp - 1)))
        options = AnvilOptions(
            chain_id=1,
            hardfork=CURRENT,
            number=block.number - 1,
            timestamp=timestamp - 1,
            base_fee_wei=7,
            init=start,
            extra=STAGE_FLAGS,
        )
        async with local_node(options) as node:
            await node.request("anvil_mine", ["0x1"])
            head = await latest(node)
            known = {address: account.storage for address, account in block.state.items()}
            pools = (await find_pools(node, pool_like(block.state), table, head, known)).records
            tokens = sorted({token for pool in pools for token in pool.tokens})
            codes = await read_codes(node, tokens, head.hash)
            judge = TokenJudge(node, TokenProber(node, ROUTER), JudgeTerms("0x" + "ab" * 20))
            return [
                await judge.judge(token, codes[token], [p for p in pools if token in p.tokens], head)
                for token in tokens
            ]


BLOCKS = (10760440, 11114732, 12244000, 19932703)
OTHER_BLOCKS = (
    11743952,
    12047794,
    12522062,
    15537394,
    15752489,
    16257471,
    17034869,
    18085863,
    18988207,
    19426587,
    19923400,
    19933122,
    19933597,
    19934116,
)


@pytest.mark.parametrize(
    "number", [*BLOCKS, *(pytest.param(n, marks=pytest.mark.campaign) for n in OTHER_BLOCKS)]
)
async def test_no_token_that_was_traded_exactly_in_a_real_block_is_refused(
    stored_blocks: Path, number: int
) -> None:
    verdicts = {verdict.token: verdict for verdict in await verdicts_of_block(stored_blocks / str(number))}
    assert any(verdict.is_safe for verdict in verdicts.values())
    good = exactly_traded(stored_blocks).get(number, set()) & verdicts.keys()
    refused = [verdicts[token] for token in sorted(good) if not verdicts[token].is_safe]
    assert not refused
