"""A market of published bytecode with our router in it, and what a run of the router must leave behind."""

from __future__ import annotations

from dataclasses import astuple

from benchmarks.gas import OPERATOR
from benchmarks.gas_market import GasMarket, Node, NodeRefused, calldata
from engine.domain.market import ZERO_ADDRESS, BlockRef
from engine.domain.opportunity import Opportunity
from engine.execution.simulator import describe_revert


class Bench:
    """The market on its node, and the state that every case starts from."""

    def __init__(self, node: Node) -> None:
        self.node, self.market = node, GasMarket(node, OPERATOR)
        self.lenders: set[str] = set()
        node("anvil_setBalance", OPERATOR, hex(10**21))
        node("anvil_impersonateAccount", OPERATOR)
        # Below the head, where a reorg leaves it alone.
        node("evm_mine")
        node("evm_mine")
        self.keep()

    def keep(self) -> None:
        """From now on `reset` comes back to here."""
        self.snapshot = self.node("evm_snapshot")
        self.block = self.market.refresh()

    def reset(self) -> BlockRef:
        self.node("evm_revert", self.snapshot)
        self.snapshot = self.node("evm_snapshot")
        self.block = self.market.refresh()
        return self.block

    def held(self, token: str) -> int:
        router = self.market.router
        if token == ZERO_ADDRESS:
            return int(self.node("eth_getBalance", router, "latest"), 16)
        return self.node.read(token, ["uint256"], "balanceOf(address)", router)[0]

    def send(self, stream: bytes, sender: str = OPERATOR) -> dict:
        self.node("anvil_impersonateAccount", sender)
        transaction = {"from": sender, "to": self.market.router, "data": "0x" + stream.hex()}
        return self.market.transact(transaction)

    def drain(self, holder: str, token: str, left: int) -> None:
        """Take a token from a contract, but for `left`."""
        (held,) = self.node.read(token, ["uint256"], "balanceOf(address)", holder)
        self.node("anvil_impersonateAccount", holder)
        self.node("anvil_setBalance", holder, hex(10**18))
        data = calldata("transfer(address,uint256)", self.market.owner, held - left)
        self.market.transact({"from": holder, "to": token, "data": "0x" + data.hex()})

    def send_free(self, stream: bytes) -> dict:
        """With nothing for the builder but the bid."""
        base_fee = self.node("eth_getBlockByNumber", "pending", False)["baseFeePerGas"]
        transaction = {"from": OPERATOR, "to": self.market.router, "data": "0x" + stream.hex()}
        fees = {"maxFeePerGas": base_fee, "maxPriorityFeePerGas": "0x0"}
        return self.market.transact(transaction | fees)

    def reason(self, stream: bytes, sender: str = OPERATOR) -> str:
        """Why the next block refuses the stream."""
        call = {"from": sender, "to": self.market.router, "data": "0x" + stream.hex()}
        try:
            self.node("eth_call", call, "pending")
        except NodeRefused as error:
            return describe_revert(error.data)
        return "not refused"

    def everything(self) -> set[str]:
        return {token for record in self.market.pools.values() for token in record.tokens}

    def run(self, opportunities: list[Opportunity], stream: bytes, fee: int = 0) -> None:
        """Lands with exactly the expected profit less a loan's `fee`; no other balance falls, no allowance is
        left."""
        base = opportunities[0].base_token
        tokens = self.everything()
        before = {token: self.held(token) for token in tokens}
        expected = sum(each.gross_profit for each in opportunities)
        self.send(stream)
        after = {token: self.held(token) for token in tokens}
        assert after[base] - before[base] == expected - fee
        for token in tokens - {base}:
            dust = sum(
                hop.amount_out - following.amount_in
                for each in opportunities
                for hop, following in zip(each.hops, each.hops[1:], strict=False)
                if hop.token_out == token
            )
            assert 0 <= after[token] - before[token] <= dust, token
        self.require_nothing_allowed(opportunities)

    def require_nothing_allowed(self, opportunities: list[Opportunity]) -> None:
        """No token may be taken from the router by any contract that took part, or that it knows."""
        spenders = {hop.pool for each in opportunities for hop in each.hops if len(hop.pool) == 42}
        spenders |= {each for each in astuple(self.market.pinned) if each} | self.lenders
        for token in self.everything() - {ZERO_ADDRESS}:
            for spender in spenders:
                arguments = self.market.router, spender
                (left,) = self.node.read(token, ["uint256"], "allowance(address,address)", *arguments)
                assert left == 0, (token, spender)
