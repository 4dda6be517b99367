"""No false positives: every found cycle is executed on published bytecode and leaves the profit it states."""

from __future__ import annotations

import random

from amm_evm import OWNER, V3Chain, npm_code

from engine.domain.market import BlockRef, PoolRecord, Protocol, Token
from engine.domain.opportunity import Opportunity
from engine.market.market import Market
from engine.search.finder import Finder

CYCLES = 500
TOKENS, V2_POOLS, V3_POOLS = 5, 16, 14
BLOCK = BlockRef(1, "0x" + "01" * 32, "0x" + "00" * 32, 1)


class CycleChain(V3Chain):
    """Real V2 pairs and V3 pools between five tokens, mirrored in a market."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        code = npm_code("@uniswap/v2-core", "build/UniswapV2Factory.json")
        self.v2_factory = self.deploy(code, ("address",), (OWNER,))
        names = [self.token0, self.token1, *(self._token(f"T{n}") for n in range(TOKENS - 2))]
        self.tokens = sorted(names, key=lambda address: int(address, 16))
        self.market = Market()
        for token in self.tokens:
            self.market.add_token(Token(token.lower(), "T", 18))
        self._pools: dict[str, tuple[str, bool]] = {}
        pairs = [(a, b) for a in range(TOKENS) for b in range(a + 1, TOKENS)]
        for n in range(min(V2_POOLS, len(pairs))):
            self._add_v2(rng, *pairs[n])
        for n in range(V3_POOLS):
            self._add_v3(rng, *pairs[n % len(pairs)], (500, 10) if n % 2 else (3000, 60))
        self.market.start(BLOCK)

    def _add_v2(self, rng: random.Random, first: int, second: int) -> None:
        tokens = self.tokens[first], self.tokens[second]
        pair = self.call(self.v2_factory, "createPair(address,address)", *tokens, returns=("address",))
        reserves = int(10 ** rng.uniform(18, 22)), 0
        reserves = reserves[0], int(reserves[0] * rng.lognormvariate(0, 0.01))
        for token, amount in zip(tokens, reserves, strict=True):
            self.call(token, "transfer(address,uint256)", pair, amount)
        self.call(pair, "mint(address)", OWNER)
        names = tokens[0].lower(), tokens[1].lower()
        record = PoolRecord(pair.lower(), Protocol.UNISWAP_V2, "", names, 3000)
        self.market.set_v2(self.market.add_pool(record), *reserves)
        self._pools[pair.lower()] = pair, False

    def _add_v3(self, rng: random.Random, first: int, second: int, tier: tuple[int, int]) -> None:
        tokens, (fee, spacing) = (self.tokens[first], self.tokens[second]), tier
        signature = "createPool(address,address,uint24)"
        zero = "0x" + "00" * 20
        if (
            self.call(self.factory, "getPool(address,address,uint24)", *tokens, fee, returns=("address",))
            != zero
        ):
            return
        pool = self.call(self.factory, signature, *tokens, fee, returns=("address",))
        price = int(2**96 * rng.lognormvariate(0, 0.01) ** 0.5)
        self.call(pool, "initialize(uint160)", price)
        bounds = set()
        for width in (2, 10, 60):
            lower, upper = (-rng.randint(1, width) * spacing, rng.randint(1, width) * spacing)
            bounds |= {lower, upper}
            self.mint(pool, lower, upper, int(10 ** rng.uniform(18, 22)))
        slot = self.call(pool, "slot0()", returns=("uint160", "int24"))
        liquidity = self.call(pool, "liquidity()", returns=("uint128",))
        ticks = []
        for bound in sorted(bounds):
            gross, net = self.call(pool, "ticks(int24)", bound, returns=("uint128", "int128"))
            if gross:
                ticks.append((bound, net, gross))
        names = tokens[0].lower(), tokens[1].lower()
        record = PoolRecord(pool.lower(), Protocol.UNISWAP_V3, "", names, fee, spacing)
        self.market.set_v3(self.market.add_pool(record), slot[0], liquidity, slot[1], ticks)
        self._pools[pool.lower()] = pool, True

    def balance(self, token: str) -> int:
        return self.call(token, "balanceOf(address)", OWNER, returns=("uint256",))

    def earns(self, found: Opportunity) -> int:
        """What executing the stated amounts, hop by hop, changes of the base token; the state is put back."""
        checkpoint = self.evm.snapshot()
        before = self.balance(found.base_token)
        for k, hop in enumerate(found.hops):
            pool, is_v3 = self._pools[hop.pool]
            if is_v3:
                last = k == len(found.hops) - 1
                event = self.swap(pool, hop.zero_for_one, hop.amount_in if last else -hop.amount_out, 0)
                moved = (event.amount0, event.amount1) if hop.zero_for_one else (event.amount1, event.amount0)
                assert moved == (hop.amount_in, -hop.amount_out)
                continue
            self.call(hop.token_in, "transfer(address,uint256)", pool, hop.amount_in)
            outs = (0, hop.amount_out) if hop.zero_for_one else (hop.amount_out, 0)
            self.call(pool, "swap(uint256,uint256,address,bytes)", *outs, OWNER, b"")
        gained = self.balance(found.base_token) - before
        self.evm.revert(checkpoint)
        return gained


def test_five_hundred_cycles_earn_on_bytecode_what_they_state() -> None:
    rng = random.Random(8)
    chain = CycleChain(rng)
    found: list[Opportunity] = []
    for token in chain.tokens:
        found += Finder(chain.market, [token.lower()], 4).find(None, BLOCK)
    assert len(found) >= CYCLES
    sample = rng.sample(found, CYCLES)
    assert any(hop.protocol is Protocol.UNISWAP_V3 for one in sample for hop in one.hops)
    for opportunity in sample:
        assert chain.earns(opportunity) == opportunity.gross_profit > 0
