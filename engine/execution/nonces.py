"""One operator's nonces: reserved in order, each used for exactly one purpose."""

from __future__ import annotations

from engine.domain.errors import ExecutionError


class ForeignNonce(ExecutionError):
    """Somebody else sent a transaction with the operator's key. Attributes: `next_nonce`, `chain_nonce`."""

    def __init__(self, next_nonce: int, chain_nonce: int):
        super().__init__(
            f"the node holds the operator's transactions up to nonce {chain_nonce - 1}, mined or waiting, "
            f"but only those below {next_nonce} were sent from here: another program is sending with this key"
        )
        self.next_nonce = next_nonce
        self.chain_nonce = chain_nonce


class NonceLane:
    """Gives out consecutive nonces. `next_nonce` is the first one that was never reserved."""

    def __init__(self, next_nonce: int):
        self._next = next_nonce
        self._returned: set[int] = set()

    @property
    def next_nonce(self) -> int:
        """The nonce that `reserve` gives out next."""
        return min(self._returned, default=self._next)

    def reserve(self) -> int:
        """Take the lowest free nonce."""
        nonce = self.next_nonce
        if nonce == self._next:
            self._next += 1
        self._returned.discard(nonce)
        return nonce

    def release(self, nonce: int) -> None:
        """Give back a nonce whose transaction certainly never left."""
        if not 0 <= nonce < self._next:
            raise ExecutionError(f"nonce {nonce} was never reserved")
        self._returned.add(nonce)
        while self._next - 1 in self._returned:
            self._next -= 1
            self._returned.discard(self._next)

    def spend(self, nonce: int) -> None:
        """Never give this nonce out again: a transaction of ours that was given up has landed after all."""
        self._returned.discard(nonce)
        self._next = max(self._next, nonce + 1)

    def observe(self, chain_nonce: int) -> None:
        """Compare with the number of the operator's transactions in the chain.

        Raises ForeignNonce when the chain has mined a nonce that is free here, after moving past it.
        """
        free = self.next_nonce
        if chain_nonce <= free:
            return
        self._returned = {nonce for nonce in self._returned if nonce >= chain_nonce}
        self._next = max(self._next, chain_nonce)
        raise ForeignNonce(free, chain_nonce)
