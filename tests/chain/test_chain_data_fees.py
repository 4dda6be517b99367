"""What rollups charge for bytes: our figures beside the published oracle's, on a local node."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from eth_abi import encode
from local_node import LocalNode

from engine.app.simulate.chain_table import known_data_fee
from engine.app.toolchain import load_artifact, project_root
from engine.chain.calls import View, read_view
from engine.chain.data_fees import (
    ARB_GAS_INFO,
    BASE_BYTES,
    HOP_BYTES,
    OP_ORACLE,
    DataFee,
    DataPrice,
    OpPrices,
    read_arbitrum_byte_wei,
    read_data_price,
    read_op_prices,
)
from engine.chain.rpc import RpcNode
from engine.chain.wire import header, selector
from engine.domain.errors import NodeError
from engine.domain.execution import Execution, Intent, Outcome, SignedTransaction
from engine.execution.receipts import execution_of, parse_receipt
from engine.ledger.codec import outcome_from_json, outcome_to_json
from engine.search.costs import GasCosts

PUBLISHED = project_root() / ".build/published/@eth-optimism/contracts-bedrock@0.17.3/forge-artifacts"
# Source: OP stack specifications, "Predeploys"; system transactions are from the depositor.
L1_BLOCK = "0x4200000000000000000000000000000000000015"
DEPOSITOR = "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0001"
FEE = View.of("getL1Fee(bytes)", "uint256")
BOUND = View.of("getL1FeeUpperBound(uint256)", "uint256")
# The oracle counts the signature of an unsigned transaction as this many bytes.
SIGNATURE = 68


def send(node: LocalNode, sender: str, to: str, data: bytes) -> None:
    node.rpc("anvil_impersonateAccount", sender)
    node.rpc("anvil_setBalance", sender, hex(10**20))
    sent = node.rpc(
        "eth_sendTransaction", {"from": sender, "to": to, "data": "0x" + data.hex(), "gas": hex(10**6)}
    )
    node.mine()
    assert node.rpc("eth_getTransactionReceipt", sent)["status"] == "0x1"


def set_fees(node: LocalNode, base_fee: int, blob_fee: int, base_scalar: int, blob_scalar: int) -> None:
    """As the chain's first transaction of each block does: packed, after the selector."""
    numbers = ((base_scalar, 4), (blob_scalar, 4), (0, 8), (0, 8), (0, 8), (base_fee, 32), (blob_fee, 32))
    packed = b"".join(value.to_bytes(size, "big") for value, size in numbers) + bytes(64)
    send(node, DEPOSITOR, L1_BLOCK, selector("setL1BlockValuesEcotone()") + packed)


@pytest.fixture
def oracle(local_node: LocalNode) -> LocalNode:
    """A node with the published predeploys where an OP chain has them."""
    if not PUBLISHED.exists():
        pytest.skip("the published contracts of the OP stack are not installed")
    for address, name in ((OP_ORACLE, "GasPriceOracle"), (L1_BLOCK, "L1Block")):
        code = load_artifact(PUBLISHED / f"{name}.sol" / f"{name}.json", name).runtime
        local_node.rpc("anvil_setCode", address, "0x" + code.hex())
    return local_node


async def test_fees_are_the_published_oracles(oracle: LocalNode) -> None:
    rng = random.Random(7)
    async with RpcNode(oracle.http) as node:
        with pytest.raises(NodeError, match="before Ecotone"):
            await read_op_prices(node, header(oracle.block()).ref)
        for upgrade in ("setEcotone()", "setFjord()"):
            send(oracle, DEPOSITOR, OP_ORACLE, selector(upgrade))
            for _ in range(6):
                fees = (
                    rng.randrange(10**11),
                    rng.randrange(1, 10**10),
                    rng.randrange(10**5),
                    rng.randrange(2 * 10**6),
                )
                set_fees(oracle, *fees)
                block = header(oracle.block()).ref
                prices = await read_op_prices(node, block)
                assert prices == OpPrices(*fees, upgrade == "setFjord()")
                for size in (90, 120, 161, 254, 255, 600):
                    # Bytes in which nothing repeats, so that compression finds nothing.
                    unsigned = bytes(rng.randrange(1, 256) for _ in range(size - SIGNATURE))
                    (exact,) = await read_view(node, OP_ORACLE, FEE, (unsigned,), "latest")
                    assert prices.fee_wei(size) >= exact
                    if not prices.is_fjord:
                        assert prices.fee_wei(size) == exact
                        continue
                    (bound,) = await read_view(node, OP_ORACLE, BOUND, (size - SIGNATURE,), "latest")
                    assert prices.fee_wei(size) == bound
                price = await read_data_price(node, DataFee.OP_STACK, block)
                for hops in range(2, 9):
                    assert price.base_wei + hops * price.hop_wei >= prices.fee_wei(
                        BASE_BYTES + hops * HOP_BYTES
                    )


async def test_arbitrums_price_of_a_byte_is_its_second_price(local_node: LocalNode) -> None:
    # The precompile is the node's own: here stands code that answers as it does.
    answer = encode(["uint256"] * 6, [140 * 7_000, 7_000, 2 * 10**12, 10**7, 10**6, 11 * 10**6])
    copy = bytes.fromhex("60c0600c60003960c06000f3") + answer
    local_node.rpc("anvil_setCode", ARB_GAS_INFO, "0x" + copy.hex())
    async with RpcNode(local_node.http) as node:
        block = header(local_node.block()).ref
        assert await read_arbitrum_byte_wei(node, block) == 7_000
        price = await read_data_price(node, DataFee.ARBITRUM, block)
        assert price == DataPrice(BASE_BYTES * 7_000, HOP_BYTES * 7_000)
        assert await read_data_price(node, DataFee.NONE, block) == DataPrice()
        local_node.rpc("anvil_setCode", ARB_GAS_INFO, "0xfe")
        with pytest.raises(NodeError):
            await read_data_price(node, DataFee.ARBITRUM, block)


@pytest.mark.parametrize(
    ("chain", "kind"), [(8453, "op-stack"), (42161, "arbitrum"), (1, "none"), (5, "none")]
)
def test_the_tables_say_how_bytes_are_charged_for(chain: int, kind: str) -> None:
    assert known_data_fee(chain) is DataFee(kind)


def test_costs_hold_what_bytes_cost() -> None:
    costs = GasCosts(10, {"0xa": 1, "0xb": Fraction(1, 2)}, data_base_wei=1_000, data_hop_wei=101)
    assert costs.cost("0xa", 50, 3) == 50 * 10 + 1_000 + 3 * 101
    assert costs.cost("0xb", 50, 3) == -(-(50 * 10 + 1_000 + 3 * 101) // 2)
    assert costs.cost_added("0xa", 50, 3) == 50 * 10 + 3 * 101


@pytest.mark.parametrize(
    ("said", "paid", "counted"),
    [({}, 42_000, 0), ({"l1Fee": "0x3e8"}, 43_000, 0), ({"gasUsedForL1": "0x7d0"}, 42_000, 2_000)],
)
def test_receipts_say_what_bytes_cost(said: dict[str, Any], paid: int, counted: int) -> None:
    transaction = SignedTransaction("0x" + "11" * 20, 0, "0x" + "22" * 32, b"")
    intent = Intent("a", "cancel", 1, 1, "0x", 0, 0, 0, 0, 0, transaction, {})
    answer = {"transactionHash": transaction.hash, "status": "0x1", "blockNumber": "0x1", "blockHash": "0x3"}
    answer |= {"gasUsed": hex(21_000), "effectiveGasPrice": "0x2", "logs": [], **said}
    delta: Callable[..., int] = lambda logs, token, account: 0  # noqa: E731
    execution = execution_of(intent, parse_receipt(answer, transaction.hash), "0x", delta)
    assert isinstance(execution, Execution)
    assert (execution.outcome, execution.gas_paid_wei, execution.data_gas) == (Outcome.LANDED, paid, counted)
    assert outcome_from_json(outcome_to_json(execution), intent) == execution
