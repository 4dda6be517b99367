"""The error tree. Children differ by how the caller reacts; values travel as attributes.

RoundtripError
├── UsageError            the person's input or configuration is wrong: one sentence, exit 2
│   ├── ConfigError       a settings file, environment override or manifest
│   ├── SnapshotError     a market snapshot or a pool in it
│   └── DeploymentError   what is on the chain is not what the manifest recorded
├── NodeError             the node refused, hung, or answered nonsense
│   ├── MalformedAnswer   what it answered is too large, not JSON-RPC, or not of its method's form
│   └── NodeUnreachable   no connection at all
│       └── RateLimited   it asks to be left alone for a while
├── MarketError           our picture of the pools cannot be trusted
│   ├── UnknownParent     a block does not extend any block we still remember
│   ├── ReorgTooDeep      the undo log does not reach the common ancestor: resync
│   └── GapTooWide        so many blocks were missed that reading anew is quicker: resync
└── ExecutionError        a submission could not be made or followed
"""

from __future__ import annotations


class RoundtripError(Exception):
    """Root of every error this package raises on purpose."""


class UsageError(RoundtripError):
    """Wrong input: the message is one sentence naming what, where, and what to do."""


class ConfigError(UsageError):
    """A wrong setting, override or manifest."""


class SnapshotError(UsageError):
    """A malformed market snapshot; names the file and the pool."""


class DeploymentError(UsageError):
    """The chain does not hold what the deployment manifest says."""


class NodeError(RoundtripError):
    """The node answered with an error.

    Attributes: `method` (JSON-RPC method), `code` (error code or None), `data` (revert data or None).
    """

    def __init__(self, message: str, *, method: str = "", code: int | None = None, data: str | None = None):
        super().__init__(message)
        self.method = method
        self.code = code
        self.data = data


class MalformedAnswer(NodeError):
    """The answer is too large, not JSON-RPC, or not of the form its method has."""


class NodeUnreachable(NodeError):
    """No connection to the node. `left` is False when the request certainly never left."""

    left: bool = True


class RateLimited(NodeUnreachable):
    """The node asks to be left alone, for `retry_after_s` seconds where it says so."""

    retry_after_s: float | None = None


class MarketError(RoundtripError):
    """The market state cannot be trusted."""


class UnknownParent(MarketError):
    """The block's parent is not a block the market still remembers."""

    def __init__(self, number: int, parent_hash: str):
        super().__init__(f"block {number} extends {parent_hash}, which is not in the undo log")
        self.number = number
        self.parent_hash = parent_hash


class ReorgTooDeep(MarketError):
    """The reorg reaches past the undo log; the market must be read again from the node."""

    def __init__(self, depth: int, limit: int):
        super().__init__(f"reorg of depth {depth} is deeper than the undo log of {limit} blocks")
        self.depth = depth
        self.limit = limit


class GapTooWide(MarketError):
    """So many blocks were missed that reading the market anew is quicker than following them."""

    def __init__(self, blocks: int, limit: int):
        super().__init__(f"{blocks} blocks were missed, more than the {limit} that are caught up one by one")
        self.blocks = blocks
        self.limit = limit


class ExecutionError(RoundtripError):
    """A submission could not be made or followed to its outcome."""
