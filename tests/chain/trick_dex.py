"""Tokens that play tricks, each in a published V2 pair and a V3 pool with an honest token."""

from __future__ import annotations

from eth_abi import encode
from eth_utils import keccak
from local_dex import Q96, LocalDex
from local_node import LocalNode

from engine.app.toolchain import forge_artifact
from engine.domain.market import PoolRecord, Protocol

# As in `TrickToken.sol`, in its order.
TRICKS = (
    "none",
    "blocks sales",
    "taxes sales",
    "taxes purchases",
    "taxes everything",
    "taxes sender on top",
    "blocks buyer",
    "sells for chosen only",
    "limits amounts",
    "limits holdings",
    "sells without coinbase only",
    "sells without gas price only",
    "sells without base fee only",
    "blocks origin",
    "sells for one origin only",
    "blocks odd seconds",
    "blocks even blocks",
    "closes later",
    "blocks after transfers",
    "blocks within block",
    "paused",
    "returns false",
    "moves nothing",
    "grows with time",
    "spends all gas",
    "answers bomb",
    "blocks approval",
    "mints on transfer",
    "sells with much gas only",
    "destroys on sale",
)
SUPPLY = 10**27


class TrickDex(LocalDex):
    """`trick_token` makes tokens with pools; `victim` is whom some of them are after."""

    def __init__(self, node: LocalNode, victim: str):
        super().__init__(node)
        self.victim = victim

    def trick_token(self, trick: str, *, proxied: bool = False) -> tuple[str, list[PoolRecord]]:
        """A new token that plays `trick`, and its pools: a V2 pair and a V3 pool."""
        kind = TRICKS.index(trick)
        creation = forge_artifact("TrickToken").bytecode
        token = self.deploy(creation + encode(["uint8", "address"], [kind, self.victim]))
        if proxied:
            call = _initialize(kind, self.victim)
            proxy = forge_artifact("TrickProxy", "TrickToken").bytecode
            token = self.deploy(proxy + encode(["address", "bytes"], [token, call]))
        token = token.lower()
        return token, self.furnish(token, tricky=True)

    def furnish(self, token: str, *, tricky: bool = False) -> list[PoolRecord]:
        """Pools of a token that anybody may mint, beside the first of the honest tokens."""
        v2, v3, _ = self.venues
        honest = self.tokens[0]
        first, second = sorted((token, honest), key=lambda each: int(each, 16))
        self.send(token, "mint(address,uint256)", self.owner, SUPPLY)
        self.send(token, "approve(address,uint256)", self.callee, 2**256 - 1)
        self.send(v2.factory, "createPair(address,address)", first, second)
        (pair,) = self.read(v2.factory, "getPair(address,address)", ["address"], first, second)
        pool = self.create_v3(v3, first, second, 3000, Q96)
        if tricky:
            for market in (pair, pool):
                self.send(token, "setMarket(address)", market)
        for sold in (token, honest):
            self.send(sold, "transfer(address,uint256)", pair, SUPPLY // 100)
        self.send(pair, "mint(address)", self.owner)
        self.mint(pool, -887220, 887220, 10**24)
        return [
            PoolRecord(pair.lower(), Protocol.UNISWAP_V2, "v2", (first.lower(), second.lower()), 3000),
            PoolRecord(pool.lower(), Protocol.UNISWAP_V3, "v3", (first.lower(), second.lower()), 3000, 60),
        ]


def _initialize(kind: int, victim: str) -> bytes:
    return keccak(text="initialize(uint8,address)")[:4] + encode(["uint8", "address"], [kind, victim])
