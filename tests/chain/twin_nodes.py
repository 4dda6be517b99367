"""Nodes that hold the same chain: equal inputs give equal blocks."""

from __future__ import annotations

from pathlib import Path

from local_node import LocalNode

_GENESIS_S = 1_700_000_000


class TwinNodes:
    """`count` real nodes that mine the same blocks, block by block, unless told apart."""

    def __init__(self, directory: Path, count: int = 2):
        self.nodes = []
        for at in range(count):
            (directory / str(at)).mkdir()
            node = LocalNode(directory / str(at))
            node.start("--timestamp", str(_GENESIS_S))
            self.nodes.append(node)

    def mine(self, *only: int, count: int = 1, apart: int = 0) -> None:
        """A block on every node, or on `only` those; blocks of another `apart` have other hashes."""
        for _ in range(count):
            for at in only or range(len(self.nodes)):
                node = self.nodes[at]
                last = int(node.block()["timestamp"], 16)
                node.rpc("evm_setNextBlockTimestamp", last + 12 + apart)
                node.mine()

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()
