"""A factory that announces pools that do not exist, as many in one transaction as gas allows."""

from __future__ import annotations

from eth_abi import encode
from local_node import LocalNode

from engine.chain.creations import PAIR_CREATED

ADDRESS = "0x" + "f0" * 20
_GAS_PER_LOG = 2_300

# From the first word of the call down to the second: PairCreated(i, i + 1, pair i, number i).
_CODE = (
    "5f35"  # i, the first word
    "5b8060203514604457"  # where the loop begins; to the end when i is the second word
    "805f52" + "80602052"  # in memory: the pair, its number
    "80600101" + "81"  # token1, token0
    "7f" + PAIR_CREATED[2:] + "60405fa3"  # the log
    "6001900360025600"  # i - 1, and again
    "5b00"  # the end
)


def put(node: LocalNode) -> None:
    """The factory's code, on the node."""
    assert bytes.fromhex(_CODE)[0x44] == 0x5B
    node.rpc("anvil_setCode", ADDRESS, "0x" + _CODE)


def announce(node: LocalNode, sender: str, first: int, count: int) -> None:
    """`count` pools with numbers from `first` on, in one transaction and a block of its own."""
    data = "0x" + encode(["uint256", "uint256"], [first + count, first]).hex()
    gas = hex(100_000 + count * _GAS_PER_LOG)
    sent = node.rpc("eth_sendTransaction", {"from": sender, "to": ADDRESS, "data": data, "gas": gas})
    node.mine()
    receipt = node.rpc("eth_getTransactionReceipt", sent)
    assert receipt["status"] == "0x1"
    assert len(receipt["logs"]) == count
