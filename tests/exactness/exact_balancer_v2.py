"""Balancer V2: mainnet's vault and pools, byte for byte; weighted, stable and composable stable.

A round is one pool with random tokens, weights or amplification, fee and rates; its balances are written to
the vault's storage, and the vault does every swap and undoes it (`queryBatchSwap`).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from eth_utils import keccak
from exact_build import published_code
from exact_campaign import Family, Mismatch, Round
from exact_chain import OWNER, UINT112, UINT256, Chain, Reverted, as_bits, mapping_slot, run_batch
from exact_numbers import spread
from exact_rows import quoted, word_rows

from engine.amm.balancer_stable import STABLE_2021, STABLE_2022
from engine.amm.balancer_weighted import WEIGHTED_2021, WEIGHTED_SHORTCUTS
from engine.amm.families.balancer_stable import StableV2
from engine.amm.families.balancer_stable import pack_v2 as pack_stable
from engine.amm.families.balancer_weighted import WeightedV2
from engine.amm.families.balancer_weighted import pack_v2 as pack_weighted
from engine.amm.families.words import Words
from engine.amm.layout import KIND_BALANCER_V2_STABLE, KIND_BALANCER_V2_WEIGHTED, OK, limbs_to_ints

STATES, SWAPS_PER_STATE = 25, 40
ONE = 10**18
_PACKAGE = "@balancer-labs/v2-deployments@3.2.0"
_DECIMALS = (18, 18, 18, 6, 6, 8, 12, 2, 0)
_LEAST_FEE, _MOST_FEE = 10**12, 10**17
_GENERAL, _MINIMAL, _TWO_TOKENS = 0, 1, 2
# Where the vault keeps the balances of each kind of pool, by pool id.
_GENERAL_SLOT, _MINIMAL_SLOT, _TWO_TOKENS_SLOT = 1, 7, 9
_HUGE = 2**110
_MOST_AMP = 5000
STARTED = 1_700_000_000
NOBODY = "0x" + 40 * "0"


@dataclass
class Pool:
    """One pool; `tokens` and the rest in the vault's order, without the pool's own token."""

    address: str
    pool_id: bytes
    tokens: list[str]
    assets: list[str]  # as the vault has them
    decimals: list[int]
    fee: int
    version: int
    weights: list[int]
    amp: int = 0
    ramp: tuple[int, int, int, int] | None = None  # of the amplification, while it moves
    providers: list[str] | None = None
    rates: list[int] | None = None

    @property
    def scaling(self) -> list[int]:
        rates = self.rates or [ONE] * len(self.decimals)
        return [10 ** (18 - each) * rate for each, rate in zip(self.decimals, rates, strict=True)]

    @property
    def kind(self) -> int:
        return KIND_BALANCER_V2_STABLE if self.amp else KIND_BALANCER_V2_WEIGHTED

    def words(self, balances: list[int]) -> Words:
        columns = tuple(balances), tuple(self.scaling)
        if self.amp:
            ramp = self.ramp or (self.amp, self.amp, 0, 0)
            return pack_stable(StableV2(self.version, self.fee, ramp, *columns))
        return pack_weighted(WeightedV2(self.version, self.fee, *columns, tuple(self.weights)))


def code(task: str, name: str, kind: str = "artifact") -> bytes:
    return published_code(_PACKAGE, f"dist/tasks/{task}/{kind}/{name}.json")


def token_shelf(chain: Chain) -> list[tuple[str, int]]:
    """Tokens to make pools of, in ascending order of address, with their decimals."""
    made = [(chain.driver("CampaignToken", ["uint8"], [each]), each) for each in _DECIMALS]
    return sorted(made, key=lambda entry: int(entry[0], 16))


class World:
    """The vault, tokens to choose from, and the driver."""

    def __init__(self, make: Callable[[World, random.Random], Pool]) -> None:
        self.chain, self.make = Chain(), make
        authorizer = self.chain.deploy(code("20210418-authorizer", "Authorizer"), ["address"], [OWNER])
        arguments = [authorizer, OWNER, 0, 0]
        vault_code = code("20210418-vault", "Vault")
        self.vault = self.chain.deploy(vault_code, ["address", "address", "uint256", "uint256"], arguments)
        provider = code("20220725-protocol-fee-percentages-provider", "ProtocolFeePercentagesProvider")
        self.fees = self.chain.deploy(provider, ["address", "uint256", "uint256"], [self.vault, ONE, ONE])
        self.driver = self.chain.driver("BalancerDriver")
        self.tokens = token_shelf(self.chain)

    def choose(self, rng: random.Random, least: int, most: int) -> tuple[list[str], list[int]]:
        """Tokens in ascending order of address, and their decimals."""
        chosen = sorted(rng.sample(range(len(self.tokens)), rng.randint(least, most)))
        return [self.tokens[k][0] for k in chosen], [self.tokens[k][1] for k in chosen]

    def registered(self, address: str) -> tuple[bytes, list[str]]:
        """(pool id, tokens in the vault's order)."""
        pool_id = self.chain.call(address, "getPoolId()", returns=("bytes32",))
        returns = "address[]", "uint256[]", "uint256"
        tokens, _, _ = self.chain.call(self.vault, "getPoolTokens(bytes32)", pool_id, returns=returns)
        return pool_id, list(tokens)

    def write(self, pool: Pool, balances: list[int]) -> None:
        """`balances` in the order of `pool.assets`, all of it cash."""
        specialization = int.from_bytes(pool.pool_id[20:22], "big")
        key = int.from_bytes(pool.pool_id, "big")
        if specialization == _GENERAL:
            # EnumerableMap: the entries, of token and balance, are in a mapping by number.
            entries = mapping_slot(key, _GENERAL_SLOT) + 1
            for k, balance in enumerate(balances):
                self.chain.store(self.vault, mapping_slot(k, entries) + 1, balance)
        elif specialization == _MINIMAL:
            by_token = mapping_slot(key, _MINIMAL_SLOT)
            for token, balance in zip(pool.assets, balances, strict=True):
                self.chain.store(self.vault, mapping_slot(int(token, 16), by_token), balance)
        else:
            # keccak of the pair of tokens leads to the two cash balances in one word.
            pair = mapping_pair(pool.assets)
            by_pair = mapping_slot(key, _TWO_TOKENS_SLOT) + 2
            self.chain.store(self.vault, mapping_slot(pair, by_pair), balances[0] | balances[1] << 112)

    def check_written(self, pool: Pool, balances: list[int]) -> None:
        returns = "address[]", "uint256[]", "uint256"
        read = self.chain.call(self.vault, "getPoolTokens(bytes32)", pool.pool_id, returns=returns)[1]
        assert list(read) == balances, (pool, list(read), balances)

    def run(self, pool: Pool, cases: list[list[int]]) -> np.ndarray:
        signature = "run(address,bytes32,address[],uint256[4][])"
        words = int(self.vault, 16), int.from_bytes(pool.pool_id, "big")
        assets = [int(asset, 16) for asset in pool.assets]
        return run_batch(self.chain, self.driver, signature, cases, *words, assets)

    def round(self, seed: int) -> Counter[str]:
        rng = random.Random(seed)
        counts: Counter[str] = Counter()
        self.chain.set_time(STARTED)
        checkpoint = self.chain.evm.snapshot()
        pool = self.make(self, rng)
        pool.ramp = started_ramp(self.chain, rng, pool.address, pool.amp, _MOST_AMP)
        places = [pool.assets.index(token) for token in pool.tokens]
        for number in range(STATES):
            self._set_rates(rng, pool)
            pass_time(self.chain, rng, pool.ramp)
            balances = _balances(rng, pool)
            in_vault = [_HUGE] * len(pool.assets)
            for place, balance in zip(places, balances, strict=True):
                in_vault[place] = balance
            self.write(pool, in_vault)
            if number == 0:
                self.check_written(pool, in_vault)
            cases = [_case(rng, pool, balances) for _ in range(SWAPS_PER_STATE)]
            asked = [[places[i], places[j], amount, kind] for i, j, amount, kind in cases]
            counts += compare(self.chain.time, pool, balances, cases, self.run(pool, asked))
        self.chain.evm.revert(checkpoint)
        return counts

    def _set_rates(self, rng: random.Random, pool: Pool) -> None:
        if pool.providers is None or pool.rates is None or rng.random() < 0.7:
            return
        for k, provider in enumerate(pool.providers):
            if provider != NOBODY:
                pool.rates[k] = max(int(10 ** rng.gauss(18, 0.3)), 1)
                self.chain.call(provider, "set(uint256)", pool.rates[k])
                self.chain.call(pool.address, "updateTokenRateCache(address)", pool.tokens[k])


def started_ramp(
    chain: Chain, rng: random.Random, pool: str, amp: int, most: int
) -> tuple[int, int, int, int] | None:
    """Let the amplification (three decimals) begin to move, at most twofold and in a day or more."""
    if not amp or rng.random() < 0.4:
        return None
    wanted = min(max(int(amp / 1000 * rng.uniform(0.5, 2)), 1), most)
    until = chain.time + int(86_400 * rng.uniform(1, 10))
    try:
        chain.call(pool, "startAmplificationParameterUpdate(uint256,uint256)", wanted, until)
    except Reverted:
        return None
    return amp, wanted * 1000, chain.time, until


def pass_time(chain: Chain, rng: random.Random, ramp: tuple[int, int, int, int] | None) -> None:
    """Some moment of the ramp, or after it."""
    if ramp:
        chain.set_time(ramp[2] + int((ramp[3] - ramp[2]) * rng.choice([0, 1, rng.random(), 1.2])))


def mapping_pair(tokens: list[str]) -> int:
    """The vault's hash of a pair of tokens: two addresses, packed."""
    return int.from_bytes(keccak(b"".join(bytes.fromhex(token[2:]) for token in tokens)), "big")


def _fee(rng: random.Random) -> int:
    return rng.choice([_LEAST_FEE, 3 * 10**15, _MOST_FEE, rng.randrange(_LEAST_FEE, _MOST_FEE + 1)])


def random_weights(rng: random.Random, count: int) -> list[int]:
    """At least one per cent each; even ones, such of small ratios (with short powers), and any."""
    kind = rng.random()
    if kind < 0.15:
        weights = [ONE // count] * count
    elif kind < 0.4:
        parts = [rng.choice([1, 2, 4]) for _ in range(count)]
        weights = [ONE * part // sum(parts) for part in parts]
    elif kind < 0.55:
        weights = [10**16] * count
        weights[rng.randrange(count)] = 0
        weights[weights.index(0)] = ONE - sum(weights)
    else:
        parts = [rng.random() ** 3 + 0.02 for _ in range(count)]
        weights = [10**16 + int((ONE - 10**16 * count) * part / sum(parts)) for part in parts]
    weights[0] += ONE - sum(weights)
    return weights


def _balances(rng: random.Random, pool: Pool) -> list[int]:
    scaling = pool.scaling
    if rng.random() < 0.2:
        return [spread(rng, UINT112) for _ in scaling]
    whole, skew = 10 ** rng.uniform(-6, 13), rng.choice([0.05, 0.5, 2])
    if pool.weights:
        skew = 3
    drawn = [int(whole * 10 ** (18 + rng.gauss(0, skew))) * ONE // each for each in scaling]
    return [min(max(balance, rng.choice([0, 1])), UINT112) for balance in drawn]


def _case(rng: random.Random, pool: Pool, balances: list[int]) -> list[int]:
    i, j = rng.sample(range(len(balances)), 2)
    exact_out = rng.random() < 0.5
    held = balances[j] if exact_out else balances[i]
    most = max(held if pool.amp else held * 3 // 10 + 2, 1)
    amount = spread(rng, most * rng.choice([1, 1, 1, 10]))
    if rng.random() < 0.02:
        amount = rng.choice([0, UINT112, 2**128, UINT256 // 2])
    return [i, j, amount, int(exact_out)]


def compare(
    time: int, pool: Any, balances: list[int], cases: list[list[int]], answer: np.ndarray
) -> Counter[str]:
    """What the kernel says of (coin in, coin out, amount, exact out?) beside what a vault of either did:
    rows of (done, amount in, amount out)."""
    count = len(cases)
    exact_in = np.array([case[3] == 0 for case in cases])
    pools = word_rows(pool.kind, [pool.words(balances)] * count, [case[:2] for case in cases], time)
    statuses, results = quoted(pools, np.full(count, True), exact_in, [case[2] for case in cases])
    done, ok = as_bits(answer[:, 0]) == 1, statuses == OK
    same = np.where(exact_in[:, None], results == answer[:, 2], results == answer[:, 1]).all(axis=1)
    right = (done == ok) & (same | ~ok)
    if not right.all():
        n = int(np.flatnonzero(~right)[0])
        values = limbs_to_ints(results)
        raise Mismatch(pool, balances, cases[n], int(statuses[n]), values[n], limbs_to_ints(answer[n]))
    ramped = {"while A moves": count} if pool.ramp and time < pool.ramp[3] else {}
    return Counter(
        {
            **ramped,
            "swaps": count,
            "exact in": int((ok & exact_in).sum()),
            "exact out": int((ok & ~exact_in).sum()),
            "refused": int((~ok).sum()),
        }
    )


def weighted_2021(world: World, rng: random.Random) -> Pool:
    tokens, decimals = world.choose(rng, 2, 8)
    weights, fee = random_weights(rng, len(tokens)), _fee(rng)
    types = [
        "address",
        "string",
        "string",
        "address[]",
        "uint256[]",
        "uint256",
        "uint256",
        "uint256",
        "address",
    ]
    creation = code("20210418-weighted-pool", "WeightedPool", "bytecode")
    address = world.chain.deploy(creation, types, [world.vault, "W", "W", tokens, weights, fee, 0, 0, OWNER])
    return Pool(address, *_registered(world, address, tokens), decimals, fee, WEIGHTED_2021, weights)


def weighted_v3(world: World, rng: random.Random) -> Pool:
    tokens, decimals = world.choose(rng, 2, 8)
    weights, fee = random_weights(rng, len(tokens)), _fee(rng)
    return made_weighted(world, tokens, decimals, weights, fee)


def made_weighted(world: World, tokens: list[str], decimals: list[int], weights: list[int], fee: int) -> Pool:
    """A weighted pool of 2023; tokens in ascending order."""
    count = len(tokens)
    types = [
        "(string,string,address[],uint256[],address[],address[],uint256)",
        "address", "address", "uint256", "uint256", "address", "string",
    ]  # fmt: skip
    parameters = ("W", "W", tokens, weights, [NOBODY] * count, [NOBODY] * count, fee)
    creation = code("20230206-weighted-pool-v3", "WeightedPool")
    arguments = [parameters, world.vault, world.fees, 0, 0, OWNER, ""]
    address = world.chain.deploy(creation, types, arguments)
    return Pool(address, *_registered(world, address, tokens), decimals, fee, WEIGHTED_SHORTCUTS, weights)


def _registered(world: World, address: str, tokens: list[str]) -> tuple[bytes, list[str], list[str]]:
    pool_id, assets = world.registered(address)
    return pool_id, [token.lower() for token in tokens], [asset.lower() for asset in assets]


def _amplification(rng: random.Random) -> int:
    return rng.choice([1, 2, 100, 1000, _MOST_AMP, spread(rng, _MOST_AMP)])


def stable_2021(world: World, rng: random.Random) -> Pool:
    tokens, decimals = world.choose(rng, 2, 5)
    amp, fee = _amplification(rng), _fee(rng)
    types = [
        "address",
        "string",
        "string",
        "address[]",
        "uint256",
        "uint256",
        "uint256",
        "uint256",
        "address",
    ]
    creation = code("deprecated/20210624-stable-pool", "StablePool", "bytecode")
    address = world.chain.deploy(creation, types, [world.vault, "S", "S", tokens, amp, fee, 0, 0, OWNER])
    return Pool(address, *_registered(world, address, tokens), decimals, fee, STABLE_2021, [], amp * 1000)


def stable_v2(world: World, rng: random.Random) -> Pool:
    tokens, decimals = world.choose(rng, 2, 5)
    amp, fee = _amplification(rng), _fee(rng)
    return made_stable(world, tokens, decimals, amp, fee)


def made_stable(world: World, tokens: list[str], decimals: list[int], amp: int, fee: int) -> Pool:
    """A stable pool of 2022; tokens in ascending order, `amp` without decimals."""
    factory = world.chain.deploy(
        code("20220609-stable-pool-v2", "StablePoolFactory"), ["address"], [world.vault]
    )
    signature = "create(string,string,address[],uint256,uint256,address)"
    arguments = "S", "S", tokens, amp, fee, OWNER
    address = world.chain.call(factory, signature, *arguments, returns=("address",))
    return Pool(address, *_registered(world, address, tokens), decimals, fee, STABLE_2022, [], amp * 1000)


def composable(world: World, rng: random.Random) -> Pool:
    tokens, decimals = world.choose(rng, 2, 5)
    amp, fee, count = _amplification(rng), _fee(rng), len(tokens)
    providers = [world.chain.driver("RateProvider") if rng.random() < 0.7 else NOBODY for _ in tokens]
    types = [
        "(address,address,string,string,address[],address[],uint256[],bool[],uint256,uint256,uint256,uint256,"
        "address,string)"
    ]
    parameters = (
        world.vault, world.fees, "C", "C", tokens, providers, [3600] * count, [False] * count, amp, fee, 0, 0,
        OWNER, "",
    )  # fmt: skip
    creation = code("20230206-composable-stable-pool-v3", "ComposableStablePool")
    address = world.chain.deploy(creation, types, [parameters])
    pool = Pool(address, *_registered(world, address, tokens), decimals, fee, STABLE_2022, [], amp * 1000)
    pool.providers, pool.rates = providers, [ONE] * count
    return pool


def _open(make: Callable[[World, random.Random], Pool]) -> Callable[[], Round]:
    return lambda: World(make).round


def _family(name: str, title: str, kernels: str, make: Callable[[World, random.Random], Pool]) -> Family:
    source = "@balancer-labs/v2-deployments 3.2.0"
    kinds: tuple[str, ...] = ("exact in", "exact out", "refused")
    if kernels.endswith("stable"):
        kinds = (*kinds, "while A moves")
    return Family(name, f"Balancer V2, {title}", source, kernels, 100_000, _open(make), 4_000, kinds)


FAMILIES = [
    _family("balancer-v2-weighted-2021", "weighted of 2021", "families.balancer_weighted", weighted_2021),
    _family("balancer-v2-weighted", "weighted of 2023", "families.balancer_weighted", weighted_v3),
    _family("balancer-v2-stable-2021", "stable of 2021", "families.balancer_stable", stable_2021),
    _family("balancer-v2-stable", "stable of 2022", "families.balancer_stable", stable_v2),
    _family("balancer-v2-composable", "composable stable of 2023", "families.balancer_stable", composable),
]
