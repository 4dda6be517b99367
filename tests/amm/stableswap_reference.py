"""Plain-integer twin of Curve StableSwap, written from the invariant and each generation's order of division.

`Revert` is raised where the contract reverts. Nothing here is shared with the compiled code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

UINT256 = (1 << 256) - 1
WAD = 10**18
FEE_UNIT = 10**10
ROUNDS = 255


class Revert(Exception):
    """The contract reverts."""


def checked(value: int) -> int:
    if not 0 <= value <= UINT256:
        raise Revert
    return value


def quotient(a: int, b: int) -> int:
    if b == 0:
        raise Revert
    return checked(a) // checked(b)


@dataclass(frozen=True)
class Generation:
    """What differs between generations of the contract."""

    precision: int
    divisor: Callable[[int, int], int]
    power_divisor: Callable[[int], int]
    withheld: int
    must_settle: bool
    dynamic: bool
    view_converts_first: bool


def times_n(x: int, n: int) -> int:
    return x * n


def no_power(n: int) -> int:
    return 1


THREE_POOL = Generation(1, times_n, no_power, 1, False, False, True)
SUSD = Generation(1, lambda x, n: x * n + 1, no_power, 0, False, False, True)
TEMPLATE = Generation(100, times_n, no_power, 1, True, False, False)
FACTORY = Generation(100, lambda x, n: x, lambda n: n**n, 1, True, False, False)
NG = Generation(100, lambda x, n: x, lambda n: n**n, 1, True, True, False)


def get_d(xp: list[int], amp: int, generation: Generation) -> int:
    n, total = len(xp), checked(sum(xp))
    if total == 0:
        return 0
    d, ann, precision = total, amp * n, generation.precision
    for _ in range(ROUNDS):
        power = d
        for x in xp:
            power = quotient(checked(power * d), generation.divisor(x, n))
        power //= generation.power_divisor(n)
        upper = checked(ann * total) // precision + checked(power * n)
        lower = checked((ann - precision) * d) // precision + checked((n + 1) * power)
        before, d = d, quotient(checked(upper * d), lower)
        if abs(d - before) <= 1:
            return d
    if generation.must_settle:
        raise Revert
    return d


def solve(others: list[int], n: int, amp: int, d: int, generation: Generation) -> int:
    """The one balance that is not among `others`."""
    c, ann = d, amp * n
    for x in others:
        c = quotient(checked(c * d), x * n)
    c = quotient(checked(c * d * generation.precision), ann * n)
    b = checked(sum(others) + quotient(d * generation.precision, ann))
    y = d
    for _ in range(ROUNDS):
        before, y = y, quotient(checked(y * y) + c, checked(checked(2 * y + b) - d))
        if abs(y - before) <= 1:
            return y
    if generation.must_settle:
        raise Revert
    return y


@dataclass(frozen=True)
class StablePool:
    generation: Generation
    balances: tuple[int, ...]
    rates: tuple[int, ...]
    ramp: tuple[int, int, int, int]
    fee: int
    admin_fee: int = 0
    multiplier: int = 0

    def amp(self, timestamp: int) -> int:
        first, last, start, end = self.ramp
        if timestamp >= end:
            return last
        passed = checked(timestamp - start)
        if last > first:
            return first + (last - first) * passed // (end - start)
        return first - (first - last) * passed // (end - start)

    def xp(self) -> list[int]:
        return [checked(b * r) // WAD for b, r in zip(self.balances, self.rates, strict=True)]

    def rate_of_fee(self, low: int, high: int) -> int:
        if not self.generation.dynamic or self.multiplier <= FEE_UNIT:
            return self.fee
        weight = checked((self.multiplier - FEE_UNIT) * 4 * low * high)
        return checked(self.multiplier * self.fee) // (quotient(weight, (low + high) ** 2) + FEE_UNIT)

    def gross(self, i: int, j: int, dx: int, amp: int) -> tuple[int, int, list[int], int]:
        """(x, y, xp, dy before the fee)."""
        xp = self.xp()
        d = get_d(xp, amp, self.generation)
        x = checked(xp[i] + checked(dx * self.rates[i]) // WAD)
        others = [x if k == i else held for k, held in enumerate(xp) if k != j]
        y = solve(others, len(xp), amp, d, self.generation)
        return x, y, xp, checked(checked(xp[j] - y) - self.generation.withheld)

    def balance_after(self, j: int, y: int, fee: int, paid: int) -> int:
        admin = checked(fee * self.admin_fee) // FEE_UNIT
        if self.generation is SUSD:
            return quotient(checked(y + checked(fee - admin)) * WAD, self.rates[j])
        return checked(checked(self.balances[j] - paid) - quotient(checked(admin * WAD), self.rates[j]))

    def check_oracle(self, xp: list[int], amp: int) -> None:
        """NG brings its oracles up to date inside the swap, and reverts when they cannot hold the numbers."""
        d = get_d(self.xp(), amp, self.generation)
        n = len(xp)
        if d >> 128:
            raise Revert
        ratio = d // n**n
        for x in xp:
            ratio = quotient(checked(ratio * d), x)
        weighted = checked(amp * n * xp[0]) // self.generation.precision
        for x in xp[1:]:
            price = checked(weighted + checked(ratio * xp[0]) // x)
            quotient(checked(WAD * price), checked(weighted + ratio))

    def exchange(self, i: int, j: int, dx: int, timestamp: int) -> tuple[int, int]:
        """(amount paid, the pool's balance of that coin after)."""
        if self.generation is NG and dx == 0:
            raise Revert
        amp = self.amp(timestamp)
        paid, fee, x, y, xp = self.payment(i, j, dx, amp)
        after = self.balance_after(j, y, fee, paid)
        if self.generation is NG:
            xp[i], xp[j] = x, y
            self.check_oracle(xp, amp)
        return paid, after

    def payment(self, i: int, j: int, dx: int, amp: int) -> tuple[int, int, int, int, list[int]]:
        x, y, xp, dy = self.gross(i, j, dx, amp)
        fee = checked(dy * self.rate_of_fee((xp[i] + x) // 2, (xp[j] + y) // 2)) // FEE_UNIT
        return quotient(checked(checked(dy - fee) * WAD), self.rates[j]), fee, x, y, xp

    def get_dy(self, i: int, j: int, dx: int, timestamp: int) -> int:
        if not self.generation.view_converts_first:
            amp = self.amp(timestamp)
            if self.generation is NG:
                amp -= amp % 100
            return self.payment(i, j, dx, amp)[0]
        dy = self.gross(i, j, dx, self.amp(timestamp))[3]
        dy = quotient(checked(dy * WAD), self.rates[j])
        return checked(dy - checked(self.fee * dy) // FEE_UNIT)

    def deposit_view(self, coin: int, amount: int, supply: int, timestamp: int) -> int:
        amp = self.amp(timestamp)
        before = get_d(self.xp(), amp, self.generation)
        grown = tuple(checked(b + amount) if k == coin else b for k, b in enumerate(self.balances))
        after = get_d(replace(self, balances=grown).xp(), amp, self.generation)
        return quotient(checked(checked(after - before) * supply), before)

    def withdraw_one(self, coin: int, burnt: int, supply: int, timestamp: int) -> int:
        amp, xp = self.amp(timestamp), self.xp()
        n, before = len(xp), get_d(self.xp(), amp, self.generation)
        after = checked(before - quotient(checked(burnt * before), supply))
        rest = [x for k, x in enumerate(xp) if k != coin]
        new_y = solve(rest, n, amp, after, self.generation)
        fee = self.fee * n // (4 * (n - 1))
        reduced = []
        for k, x in enumerate(xp):
            share = quotient(checked(x * after), before)
            distance = checked(share - new_y if k == coin else x - share)
            reduced.append(checked(x - checked(fee * distance) // FEE_UNIT))
        rest = [x for k, x in enumerate(reduced) if k != coin]
        paid = checked(reduced[coin] - solve(rest, n, amp, after, self.generation) - 1)
        return quotient(checked(paid * WAD), self.rates[coin])
