"""Curve's sUSD-type pool of four coins, the one Curve pool whose bytecode a registry has.

What `exchange` really pays, the pool's balances after it, and what `get_dy` says (not always the same). The
pool has no exact-out call: the engine's least input has to buy what is wanted, and one unit less must not.
"""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
from eth_utils import keccak
from exact_build import published_code
from exact_campaign import Family, Mismatch, Round
from exact_chain import OWNER, Chain, as_bits, run_batch
from exact_numbers import spread
from exact_rows import quoted, word_rows

from engine.amm.families.stableswap import StableSwap, pack
from engine.amm.layout import KIND_CURVE_STABLE, OK, ints_to_limbs, limbs_to_ints
from engine.amm.stable_invariant import STABLE_SUSD
from engine.amm.stableswap import exchanges_nb, new_stable_pools, set_stable_pool

STATES, SWAPS_PER_STATE, WANTED_PER_STATE = 50, 16, 4
_PACKAGE, _PATH = "@setprotocol/set-protocol-v2@0.1.16", "external/abi/curve/Stableswap.json"
_DECIMALS = (18, 6, 6, 18)
_RATES = [10 ** (36 - each) for each in _DECIMALS]
_MOST_FEE = 5 * 10**9
# Where this compiler keeps them: lists under the hash of their place.
_BALANCES = int.from_bytes(keccak((2).to_bytes(32, "big")), "big")
_A, _FEE, _ADMIN_FEE = 3, 4, 5

State = tuple[list[int], int, int, int]  # balances, A, fee and admin fee


class World:
    def __init__(self) -> None:
        self.chain = Chain()
        coins = [self.chain.driver("CampaignToken", ["uint8"], [each]) for each in _DECIMALS]
        types = ["address[4]", "address[4]", "address", "uint256", "uint256"]
        code = published_code(_PACKAGE, _PATH)
        self.pool = self.chain.deploy(code, types, [coins, coins, OWNER, 100, 4_000_000])
        self.driver = self.chain.driver("CurveDriver")
        for coin in coins:
            for holder in (self.pool, self.driver):
                self.chain.call(coin, "set(address,uint256)", holder, 2**255)

    def write(self, balances: list[int], amp: int, fee: int, admin_fee: int) -> None:
        for k, balance in enumerate(balances):
            self.chain.store(self.pool, _BALANCES + k, balance)
        for slot, value in ((_A, amp), (_FEE, fee), (_ADMIN_FEE, admin_fee)):
            self.chain.store(self.pool, slot, value)

    def check_written(self, balances: list[int], amp: int, fee: int, admin_fee: int) -> None:
        """The slots are what the getters read."""
        read = [self._get("balances(int128)", k) for k in range(4)]
        read += [self._get(name) for name in ("A()", "fee()", "admin_fee()")]
        assert read == [*balances, amp, fee, admin_fee], read

    def _get(self, signature: str, *arguments: int) -> int:
        return self.chain.call(self.pool, signature, *arguments, returns=("uint256",))

    def round(self, seed: int) -> Counter[str]:
        rng = random.Random(seed)
        counts: Counter[str] = Counter()
        for number in range(STATES):
            state = _state(rng)
            self.write(*state)
            if number == 0:
                self.check_written(*state)
            cases = [_case(rng, state[0]) for _ in range(SWAPS_PER_STATE)]
            counts += _compare(state, cases, self.run(cases))
            counts += self._least_inputs(rng, state)
        return counts

    def run(self, cases: list[list[int]]) -> np.ndarray:
        signature = "run(address,uint256[3][])"
        return run_batch(self.chain, self.driver, signature, cases, int(self.pool, 16))

    def _least_inputs(self, rng: random.Random, state: State) -> Counter[str]:
        """Where the engine refuses, some input is tried, and must not buy what is wanted."""
        pairs = [rng.sample(range(4), 2) for _ in range(WANTED_PER_STATE)]
        wanted = [spread(rng, max(state[0][j] * 11 // 10, 1)) for _, j in pairs]
        statuses, results = _quoted(state, pairs, wanted, False)
        asked = []
        for pair, status, value in zip(pairs, statuses, limbs_to_ints(results), strict=True):
            least = value if status == OK else spread(rng, 2**110)
            asked += [[*pair, least], [*pair, max(least - 1, 0)]]
        answer = self.run(asked)
        done, paid = as_bits(answer[:, 0]) & 1 != 0, limbs_to_ints(answer[:, 1])
        for n, amount in enumerate(wanted):
            enough, less = (done[k] and paid[k] >= amount for k in (2 * n, 2 * n + 1))
            # For nothing at all this pool can pay a unit.
            if enough != (statuses[n] == OK) or (less and asked[2 * n + 1][2]):
                raise Mismatch(
                    state, pairs[n], amount, int(statuses[n]), asked[2 * n], paid[2 * n : 2 * n + 2]
                )
        bought = int((statuses == OK).sum())
        return Counter({"swaps": len(wanted), "least inputs": bought, "refused": len(wanted) - bought})


def _state(rng: random.Random) -> State:
    kind = rng.random()
    if kind < 0.15:
        balances = [spread(rng, 10**33) for _ in _DECIMALS]
    else:
        whole, skew = 10 ** rng.uniform(-5, 13), rng.choice([0.05, 0.5, 1.5, 4])
        balances = [max(int(whole * 10 ** (each + rng.gauss(0, skew))), 1) for each in _DECIMALS]
    if kind > 0.98:
        balances[rng.randrange(4)] = 0
    amp = rng.choice([1, 2, 100, 256, 10**6, spread(rng, 10**6)])
    fee = rng.choice([0, 1, 4_000_000, _MOST_FEE, spread(rng, _MOST_FEE)])
    return balances, amp, fee, rng.choice([0, 1, _MOST_FEE, spread(rng, _MOST_FEE)])


def _case(rng: random.Random, balances: list[int]) -> list[int]:
    i, j = rng.sample(range(4), 2)
    if rng.random() < 0.02:
        return [i, j, rng.choice([0, 1, 2, 2**128, 2**200])]
    # In terms of what is there to buy, whatever its decimals.
    worth = max(balances[j] * _RATES[j] // _RATES[i], balances[i], 1)
    return [i, j, min(spread(rng, worth * rng.choice([1, 1, 10, 1000])), 2**250)]


def _compare(state, cases: list[list[int]], answer: np.ndarray) -> Counter[str]:
    balances, amp, fee, admin_fee = state
    pools = new_stable_pools(1)
    set_stable_pool(pools, 0, STABLE_SUSD, balances, _RATES, amp, fee, admin_fee)
    paid, done = _kernel(pools, cases, False)
    statuses, results = _quoted(state, [case[:2] for case in cases], [case[2] for case in cases], True)
    bought = limbs_to_ints(results)
    for n, case in enumerate(cases):
        # The engine never sells nothing, which this pool would let it.
        if case[2] and ((statuses[n] == OK) != done[n] or (done[n] and bought[n] != paid[n][0])):
            raise Mismatch("quote", state, case, int(statuses[n]), bought[n], paid[n])
    viewed, answered = _kernel(pools, cases, True)
    bits = as_bits(answer[:, 0])
    theirs = [limbs_to_ints(answer[:, k]) for k in range(1, 5)]
    for n, (i, j, amount) in enumerate(cases):
        right = done[n] == (bits[n] & 1 != 0) and answered[n] == (bits[n] & 2 != 0)
        if right and done[n]:
            grown = balances[i] + amount
            right = (*paid[n], grown) == (theirs[0][n], theirs[3][n], theirs[2][n])
        if right and answered[n]:
            right = viewed[n][0] == theirs[1][n]
        if not right:
            answered_with = [column[n] for column in theirs]
            raise Mismatch(state, (i, j, amount), paid[n], viewed[n], int(bits[n]), answered_with)
    return Counter(
        {
            "swaps": len(cases),
            "paid": int(sum(done)),
            "refused": int(len(cases) - sum(done)),
            "view differs": sum(paid[n][0] != viewed[n][0] for n in range(len(cases)) if done[n]),
        }
    )


def _quoted(state: State, pairs: list[list[int]], amounts: list[int], exact_in: bool):
    balances, amp, fee, admin_fee = state
    ramp = amp, amp, 0, 0
    pool = StableSwap(STABLE_SUSD, fee, admin_fee, ramp, 0, tuple(balances), tuple(_RATES))
    pools = word_rows(KIND_CURVE_STABLE, [pack(pool)] * len(pairs), pairs)
    count = len(pairs)
    return quoted(pools, np.full(count, True), np.full(count, exact_in), amounts)


def _kernel(pools, cases: list[list[int]], view: bool) -> tuple[list[tuple[int, int]], np.ndarray]:
    """[(amount, balance after)], and which are OK."""
    count = len(cases)
    columns = np.array([case[:2] for case in cases], np.int64)
    statuses, results = np.zeros(count, np.int64), np.zeros((count, 2, 4), np.uint64)
    amounts = ints_to_limbs(case[2] for case in cases)
    rows, times = np.zeros(count, np.int64), np.zeros(count, np.uint64)
    exchanges_nb(pools, rows, columns[:, 0], columns[:, 1], amounts, times, view, statuses, results)
    values = zip(limbs_to_ints(results[:, 0]), limbs_to_ints(results[:, 1]), strict=True)
    return list(values), statuses == OK


def _open() -> Round:
    return World().round


FAMILIES = [
    Family(
        "curve-susd",
        "Curve StableSwap, sUSD type",
        "@setprotocol/set-protocol-v2 0.1.16",
        "families.stableswap",
        100_000,
        _open,
        4_000,
        ("paid", "refused", "view differs", "least inputs"),
    )
]
