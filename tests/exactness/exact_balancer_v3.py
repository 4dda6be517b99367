"""Balancer V3: vault, weighted and stable pools, compiled from the published sources.

A round is one pool with random tokens, weights or amplification, fee and rates; its balances are written to
the vault's storage and checked through its getters. The vault does every swap, and the driver undoes it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from eth_utils import keccak
from exact_balancer_v2 import (
    NOBODY,
    ONE,
    STARTED,
    compare,
    pass_time,
    random_weights,
    started_ramp,
    token_shelf,
)
from exact_build import Build, compiled, published
from exact_campaign import Family, Round
from exact_chain import OWNER, UINT128, Chain, mapping_slot, run_batch
from exact_numbers import spread

from engine.amm.families.balancer_stable import StableV3
from engine.amm.families.balancer_stable import pack_v3 as pack_stable
from engine.amm.families.balancer_weighted import WeightedV3
from engine.amm.families.balancer_weighted import pack_v3 as pack_weighted
from engine.amm.families.words import Words
from engine.amm.layout import KIND_BALANCER_V3_STABLE, KIND_BALANCER_V3_WEIGHTED

STATES, SWAPS_PER_STATE = 25, 40
LEAST_TRADE, IMBALANCE_LIMIT = 10**6, 10_000
_SCOPE = "@balancer-labs/"
_VAULT = f"{_SCOPE}v3-vault/contracts/"
_FEE_UNIT, _MOST_FEE = 10**11, 10**17
_INITIALISED = 1 << 1  # in the pool's configuration word
_STANDARD, _WITH_RATE = 0, 1
_MOST_AMP = 50_000


def build() -> Build:
    packages = "interfaces", "pool-stable", "pool-utils", "pool-weighted", "solidity-utils", "vault"
    roots = [(f"{_SCOPE}v3-{name}/", published(f"{_SCOPE}v3-{name}@1.0.0")) for name in packages]
    roots.append(("@openzeppelin/contracts/", published("@openzeppelin/contracts@5.4.0")))
    names = "Vault", "VaultExtension", "VaultAdmin", "ProtocolFeeController"
    pools = (
        f"{_SCOPE}v3-pool-weighted/contracts/WeightedPool.sol",
        f"{_SCOPE}v3-pool-stable/contracts/StablePool.sol",
    )
    entries = (*(f"{_VAULT}{name}.sol" for name in names), *pools)
    # Few optimizer runs, so that the vault fits into 24,576 bytes.
    return Build("solc@0.8.26", entries, tuple(roots), optimizer_runs=1, via_ir=True)


@dataclass
class Pool:
    address: str
    tokens: list[str]
    decimals: list[int]
    fee: int
    providers: list[str]
    weights: list[int] = field(default_factory=list)
    floors: list[int] = field(default_factory=list)
    amp: int = 0
    ramp: tuple[int, int, int, int] | None = None  # of the amplification, while it moves
    rates: list[int] = field(default_factory=list)

    @property
    def factors(self) -> list[int]:
        return [10 ** (18 - each) for each in self.decimals]

    def live(self, balances: list[int]) -> list[int]:
        scales = zip(balances, self.factors, self.rates, strict=True)
        return [balance * factor * rate // ONE for balance, factor, rate in scales]

    @property
    def kind(self) -> int:
        return KIND_BALANCER_V3_STABLE if self.amp else KIND_BALANCER_V3_WEIGHTED

    def words(self, balances: list[int]) -> Words:
        live, rates, factors = tuple(self.live(balances)), tuple(self.rates), tuple(self.factors)
        if self.amp:
            ramp = self.ramp or (self.amp, self.amp, 0, 0)
            return pack_stable(StableV3(LEAST_TRADE, self.fee, IMBALANCE_LIMIT, ramp, live, rates, factors))
        columns = live, rates, tuple(self.floors), factors, tuple(self.weights)
        return pack_weighted(WeightedV3(LEAST_TRADE, self.fee, *columns))


class World:
    def __init__(self, make: Callable[[World, random.Random], Pool]) -> None:
        self.chain, self.make = Chain(), make
        self.made = compiled(build())
        self.vault = self._vault()
        self.slots = self.made["Vault"]["slots"]
        self.driver = self.chain.driver("VaultV3Driver", ["address"], [self.vault])
        self.tokens = token_shelf(self.chain)

    def _vault(self) -> str:
        nonce = self.chain.evm.basic(OWNER).nonce
        vault = _created(OWNER, nonce + 3)
        types = ["address", "uint32", "uint32", "uint256", "uint256"]
        admin = self.deploy("VaultAdmin", types, [vault, 10**7, 10**6, LEAST_TRADE, 1000])
        extension = self.deploy("VaultExtension", ["address", "address"], [vault, admin])
        controller = self.deploy("ProtocolFeeController", ["address", "uint256", "uint256"], [vault, 0, 0])
        made = self.deploy("Vault", ["address"] * 3, [extension, OWNER, controller])
        assert made.lower() == vault.lower()
        return made

    def deploy(self, name: str, types: list[str], values: list) -> str:
        return self.chain.deploy(bytes.fromhex(self.made[name]["code"]), types, values)

    def register(self, rng: random.Random, pool: Pool) -> Pool:
        types = [_WITH_RATE if provider != NOBODY else _STANDARD for provider in pool.providers]
        configurations = [
            (token, kind, provider, False)
            for token, kind, provider in zip(pool.tokens, types, pool.providers, strict=True)
        ]
        signature = (
            "registerPool(address,(address,uint8,address,bool)[],uint256,uint32,bool,"
            "(address,address,address),address,(bool,bool,bool,bool))"
        )
        roles, flags = (NOBODY, OWNER, NOBODY), (False,) * 4
        arguments = pool.address, configurations, pool.fee, 0, rng.random() < 0.5, roles, NOBODY, flags
        self.chain.call(self.vault, signature, *arguments)
        slot = mapping_slot(int(pool.address, 16), self.slots["_poolConfigBits"])
        self.chain.store(self.vault, slot, self.chain.evm.storage(self.vault, slot) | _INITIALISED)
        initialised = self.chain.call(
            self.vault, "isPoolInitialized(address)", pool.address, returns=("bool",)
        )
        assert initialised
        return pool

    def write(self, pool: Pool, balances: list[int]) -> None:
        """Raw balances, and the live ones they come to."""
        by_token = mapping_slot(int(pool.address, 16), self.slots["_poolTokenBalances"])
        for k, (raw, live) in enumerate(zip(balances, pool.live(balances), strict=True)):
            self.chain.store(self.vault, mapping_slot(k, by_token), raw | live << 128)

    def check_written(self, pool: Pool, balances: list[int]) -> None:
        returns = "address[]", "(uint8,address,bool)[]", "uint256[]", "uint256[]"
        signature = "getPoolTokenInfo(address)"
        _, _, raw, _ = self.chain.call(self.vault, signature, pool.address, returns=returns)
        signature = "getCurrentLiveBalances(address)"
        live = self.chain.call(self.vault, signature, pool.address, returns=("uint256[]",))
        assert (list(raw), list(live)) == (balances, pool.live(balances)), pool

    def run(self, pool: Pool, cases: list[list[int]]) -> np.ndarray:
        signature = "run(address,address[],uint256[4][])"
        tokens = [int(token, 16) for token in pool.tokens]
        return run_batch(self.chain, self.driver, signature, cases, int(pool.address, 16), tokens)

    def round(self, seed: int) -> Counter[str]:
        rng = random.Random(seed)
        counts: Counter[str] = Counter()
        self.chain.set_time(STARTED)
        checkpoint = self.chain.evm.snapshot()
        pool = self.make(self, rng)
        pool.ramp = started_ramp(self.chain, rng, pool.address, pool.amp, _MOST_AMP)
        for number in range(STATES):
            self._set_rates(rng, pool)
            pass_time(self.chain, rng, pool.ramp)
            balances = _balances(rng, pool)
            self.write(pool, balances)
            if number == 0:
                self.check_written(pool, balances)
            cases = [_case(rng, pool, balances) for _ in range(SWAPS_PER_STATE)]
            counts += compare(self.chain.time, pool, balances, cases, self.run(pool, cases))
        self.chain.evm.revert(checkpoint)
        return counts

    def _set_rates(self, rng: random.Random, pool: Pool) -> None:
        pool.rates = pool.rates or [ONE] * len(pool.tokens)
        if rng.random() < 0.5:
            return
        for k, provider in enumerate(pool.providers):
            if provider != NOBODY:
                pool.rates[k] = rng.choice([ONE, 2 * ONE, int(10 ** rng.gauss(18, 0.3))])
                self.chain.call(provider, "set(uint256)", pool.rates[k])


def _created(sender: str, nonce: int) -> str:
    """The address of a contract an account creates: of the RLP of both, where small nonces are themselves."""
    number = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    if not 0 < nonce < 128:
        number = bytes([0x80 + len(number)]) + number
    pair = b"\x94" + bytes.fromhex(sender[2:]) + number
    return "0x" + keccak(bytes([0xC0 + len(pair)]) + pair).hex()[-40:]


def _balances(rng: random.Random, pool: Pool) -> list[int]:
    if rng.random() < 0.1:
        return [spread(rng, 10**33) // factor for factor in pool.factors]
    whole, skew = 10 ** rng.uniform(-8, 13), rng.choice([0.05, 0.5, 1])
    if pool.weights:
        skew = 2
    drawn = [int(whole * 10 ** (18 + rng.gauss(0, skew))) for _ in pool.tokens]
    scales = zip(drawn, pool.factors, pool.rates, strict=True)
    return [min(value * ONE // (factor * rate), 2**120 // factor) for value, factor, rate in scales]


def _case(rng: random.Random, pool: Pool, balances: list[int]) -> list[int]:
    i, j = rng.sample(range(len(balances)), 2)
    exact_out = rng.random() < 0.5
    held = balances[j] if exact_out else balances[i]
    most = max(held if pool.amp else held * 3 // 10 + 2, 1)
    amount = spread(rng, most * rng.choice([1, 1, 1, 10]))
    if rng.random() < 0.02:
        amount = rng.choice([0, UINT128, 2**200])
    return [i, j, amount, int(exact_out)]


def _fee(rng: random.Random, least: int) -> int:
    drawn = rng.choice([least, 3 * 10**15, _MOST_FEE, rng.randrange(least, _MOST_FEE + 1)])
    return drawn // _FEE_UNIT * _FEE_UNIT


def _shell(world: World, rng: random.Random, address: str, tokens: list, fee: int) -> Pool:
    providers = [world.chain.driver("RateProvider") if rng.random() < 0.4 else NOBODY for _ in tokens]
    return Pool(address, [token for token, _ in tokens], [each for _, each in tokens], fee, providers)


def weighted(world: World, rng: random.Random) -> Pool:
    tokens = _choose(world, rng, 8)
    count = len(tokens)
    weights, floors = random_weights(rng, count), [rng.choice([10**6, 10**6, 10**12]) for _ in tokens]
    types = ["(string,string,uint256,uint256[],string,uint256[])", "address"]
    address = world.deploy("WeightedPool", types, [("W", "W", count, weights, "", floors), world.vault])
    pool = _shell(world, rng, address, tokens, _fee(rng, 10**13))
    pool.weights, pool.floors = weights, floors
    return world.register(rng, pool)


def stable(world: World, rng: random.Random) -> Pool:
    tokens = _choose(world, rng, 5)
    amp = rng.choice([1, 2, 100, 5000, _MOST_AMP, spread(rng, _MOST_AMP)])
    address = world.deploy(
        "StablePool", ["(string,string,uint256,string)", "address"], [("S", "S", amp, ""), world.vault]
    )
    pool = _shell(world, rng, address, tokens, _fee(rng, 10**12))
    pool.amp = amp * 1000
    return world.register(rng, pool)


def _choose(world: World, rng: random.Random, most: int) -> list[tuple[str, int]]:
    """Tokens in ascending order of address, with their decimals."""
    return [world.tokens[k] for k in sorted(rng.sample(range(len(world.tokens)), rng.randint(2, most)))]


def _open(make: Callable[[World, random.Random], Pool]) -> Callable[[], Round]:
    return lambda: World(make).round


_SOURCE = "@balancer-labs/v3-* 1.0.0, solc 0.8.26"
KINDS = ("exact in", "exact out", "refused")
FAMILIES = [
    Family(
        "balancer-v3-weighted",
        "Balancer V3, weighted",
        _SOURCE,
        "families.balancer_weighted",
        100_000,
        _open(weighted),
        4_000,
        KINDS,
    ),
    Family(
        "balancer-v3-stable",
        "Balancer V3, stable",
        _SOURCE,
        "families.balancer_stable",
        100_000,
        _open(stable),
        4_000,
        (*KINDS, "while A moves"),
    ),
]
