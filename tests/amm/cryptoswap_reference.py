"""Plain-integer twins of the CryptoSwap kernels, in the contracts' order of operations.

The invariant, with n balances x_i in units of coin 0 and A as the pools keep it (times n**n and 10**4):

    K0 = prod(x) * n**n / D**n,   K = A * K0 * gamma**2 / (gamma + 1 - K0)**2
    K * D**(n-1) * sum(x) + prod(x) = K * D**n + (D / n)**n

Checked operations go through `uint` and `sint`, which raise Revert outside 256 bits; the contracts' unchecked
ones go through `wrap`. Signed quotients truncate.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from amm_reference import Revert, require

WAD = 10**18
TWO, TWO_V21, TRI = 2, 21, 3


def uint(value: int) -> int:
    require(0 <= value < 1 << 256)
    return value


def sint(value: int) -> int:
    require(-(1 << 255) <= value < 1 << 255)
    return value


def wrap(value: int) -> int:
    value &= (1 << 256) - 1
    return value - (1 << 256) if value >> 255 else value


def div(a: int, b: int) -> int:
    require(b != 0)
    return a // b


def sdiv(a: int, b: int) -> int:
    require(b != 0)
    return -(-a // b) if (a < 0) != (b < 0) else a // b


def cbrt(x: int) -> int:
    """Seven Newton steps for the cube root of x in units of 1e-18 (1e-18 ** 3 = 1e-54 of x * 1e36)."""
    limit = 115792089237316195423570985008687907853269
    scaled, scale = (x * 10**36, 1) if x < limit else (x * WAD, 10**6) if x < limit * WAD else (x, 10**12)
    log = max(scaled.bit_length() - 1, 0)
    root = (1 << log // 3) * 1260 ** (log % 3) // 1000 ** (log % 3)
    for _ in range(7):
        root = (2 * root + (scaled // (root * root) if root else 0)) // 3
    return root * scale


def _distance(gamma: int, k0: int) -> int:
    return abs(gamma + WAD - k0) + 1


def newton_d(a: int, gamma: int, unsorted: list[int], k0_prev: int, version: int) -> int:
    n = len(unsorted)
    x = sorted(unsorted, reverse=True)
    total = sum(x)
    if n == 2:
        require(4000 <= a <= 40_000_000 and 10**10 <= gamma <= 199 * 10**15)
        require(10**9 <= x[0] <= 10**33)
        require(x[1] * WAD // x[0] >= 10**14)
        d = 2 * isqrt(x[0] * x[1])
        if k0_prev:
            d = min(isqrt(4 * x[0] * x[1] // k0_prev * WAD), total)
    else:
        require(0 < x[0] < ((1 << 256) - 1) // WAD * 27)
        if k0_prev == 0:
            d = 3 * geometric_mean(x)
        else:
            scale = 10**36 if total > 10**36 else 10**24 if total > 10**24 else WAD
            product = uint(uint(x[0] * x[1]) // scale * x[2])
            d = cbrt(
                uint(product // k0_prev * 27 * (scale // WAD if scale == WAD else isqrt(scale) // 10**6))
            )
    for _ in range(255):
        before = d
        require(d > 0)
        k0 = WAD
        if n == 2:
            k0 = uint(uint(4 * WAD * x[0]) // d * x[1]) // d
        else:
            for x_i in x:
                k0 = k0 * x_i * 3 // d
        g1k0 = _distance(gamma, k0)
        mul1 = uint(WAD * d // gamma * g1k0 // gamma * g1k0 * 10000) // a
        mul2 = uint(2 * WAD * n * k0) // g1k0
        slope = uint(uint(total + uint(total * mul2) // WAD + div(mul1 * n, k0)) - uint(mul2 * d) // WAD)
        plus = div(uint(d * (slope + total)), slope)
        minus = uint(d * d) // slope
        step = uint(d * (mul1 // slope)) // WAD * abs(WAD - k0) // k0
        minus = uint(minus + step if k0 < WAD else minus - step)
        d = plus - minus if plus > minus else (minus - plus) // 2
        if abs(d - before) * 10**14 < max(10**16, d):
            low, high = (10**16 // 2, 10**20 // 2) if n == 2 else (10**16 - 1, 10**20)
            require(all(low <= x_i * WAD // d <= high for x_i in x))
            return d
    raise Revert


def geometric_mean(x: list[int]) -> int:
    product = uint(uint(x[0] * x[1]) // WAD * x[2]) // WAD
    return cbrt(product) if product else 0


def newton_y(a: int, gamma: int, others: list[int], d: int) -> int:
    n = len(others) + 1
    others = sorted(others, reverse=True)
    if n == 2:
        y = d * d // (others[0] * 4)
        k0_i = 2 * WAD * others[0] // d
    else:
        y, k0_i = d // 3, WAD
        for x in reversed(others):
            y = uint(y * d) // (x * 3)
        for x in others:
            k0_i = uint(k0_i * x * 3) // d
    tolerance = max(others[0] // 10**14, d // 10**14, 100)
    for _ in range(255):
        before = y
        k0 = uint(k0_i * y * n) // d
        total = sum(others) + y
        g1k0 = _distance(gamma, k0)
        mul1 = uint(WAD * d // gamma * g1k0 // gamma * g1k0 * 10000) // a
        mul2 = WAD + 2 * WAD * k0 // g1k0
        slope = uint(WAD * y + uint(total * mul2) + mul1)
        if slope < uint(d * mul2):
            y = before // 2
            continue
        slope -= d * mul2
        f_prime = div(slope, y)
        minus = div(mul1, f_prime)
        plus = (slope + WAD * d) // f_prime + div(uint(minus * WAD), k0)
        minus += WAD * total // f_prime
        y = before // 2 if plus < minus else plus - minus
        if abs(y - before) < max(tolerance, y // 10**14):
            if n == 3:
                require(10**16 <= y * WAD // d <= 10**20)
            return y
    raise Revert


def get_y2(a: int, gamma: int, other: int, d: int) -> tuple[int, int]:
    """(y, K0 or zero) for two coins."""
    require(4000 <= a <= 40_000_000 and 10**10 <= gamma <= 199 * 10**15 and 10**17 <= d <= 10**33)
    bound = 10**20 * 2 * 10**16 // gamma if gamma > 2 * 10**16 else 10**20
    div(d * d, other)
    require(10**36 // bound <= sint(2 * WAD * other) // d <= bound)
    ag2 = sint(a * gamma * gamma)
    qa = 10**32
    qb = sint(sint(d * ag2) // 400_000_000 // other - 3 * 10**32 - 2 * gamma * 10**14)
    ratio = 4 * ag2 // 400_000_000
    qc = sint(3 * 10**32 + 4 * gamma * 10**14 + gamma * gamma // 10**4 + sint(ratio * other) // d - ratio)
    qd = -((WAD + gamma) ** 2 // 10**4)
    delta0 = sint(sdiv(sint(3 * qa * qc), qb) - qb)
    delta1 = sint(sint(3 * delta0) + qb - sdiv(sint(sdiv(27 * qa * qa, qb) * qd), qb))
    size, divider = min(abs(delta0), abs(delta1), qa), 1
    if size > 10**26:
        k = 48
        while size <= 10**k:
            k -= 2
        divider = 10 ** (k - 18)
    elif size > 10**24:
        divider = 10**6
    elif size > 10**20:
        divider = 100
    qa, qb, qc, qd = (sdiv(q, divider) for q in (qa, qb, qc, qd))
    require(qb != 0)
    delta0 = sint(sdiv(wrap(3 * qa * qc), qb) - qb)
    delta1 = sint(sint(3 * delta0) + qb - sdiv(wrap(sdiv(wrap(27 * qa * qa), qb) * qd), qb))
    argument = sint(sint(delta1 * delta1) + wrap(sdiv(sint(4 * delta0 * delta0), qb) * delta0))
    if argument <= 0:
        return newton_y(a, gamma, [other], d), 0
    root = isqrt(argument)
    b_cbrt = cbrt(qb) if qb > 0 else -cbrt(-qb)
    second = cbrt((delta1 + root) // 2) if delta1 > 0 else -cbrt((root - delta1) // 2)
    c1 = sdiv(wrap(sint(b_cbrt * b_cbrt) // WAD * second), WAD)
    scaled_b = wrap(WAD * qb)
    root_k0 = sdiv(sint(sint(wrap(WAD * c1) - scaled_b) - sint(sdiv(scaled_b, c1) * delta0)), 3 * qa)
    y = uint(sdiv(sdiv(wrap(d * d // other * root_k0), 4), WAD))
    fraction = uint(y * WAD) // d
    require(10**36 // 2 // bound <= fraction <= bound // 2)
    return y, uint(root_k0)


_DIVIDERS3 = ((48, 30), (44, 26), (40, 22), (36, 18), (32, 14), (28, 10), (24, 6), (20, 2))


def get_y3(a: int, gamma: int, others: list[int], d: int) -> tuple[int, int]:
    """(y, K0 or zero) for three coins; `others` in the order of their indices."""
    require(2700 <= a <= 270_000_000 and 10**10 <= gamma <= 5 * 10**16 and 10**17 <= d <= 10**33)
    require(all(10**16 <= uint(x * WAD) // d <= 10**20 for x in others))
    j, k = others
    gamma2 = gamma * gamma
    qa = 10**36 // 27
    fall = sint(wrap(d * d // j * gamma2) * a)
    qb = sint(10**36 // 9 + 2 * WAD * gamma // 27 - sdiv(sdiv(sdiv(fall, 729), 10000), k))
    rise = sdiv(wrap(sdiv(sint(gamma2 * (j + k - d)), d) * a), 27)
    qc = sint(10**36 // 9 + gamma * (gamma + 4 * WAD) // 27 + sdiv(rise, 10000))
    qd = (WAD + gamma) ** 2 // 27
    size = abs(sint(sdiv(sint(3 * qa * qc), qb) - qb))
    divider = next((10**power for above, power in _DIVIDERS3 if size > 10**above), 1)
    if qa > abs(qb):
        extra = abs(sdiv(qa, qb))
        qa, qb, qc, qd = (sdiv(sint(q * extra), divider) for q in (qa, qb, qc, qd))
    else:
        extra = abs(sdiv(qb, qa))
        qa, qb, qc, qd = (sdiv(sdiv(q, extra), divider) for q in (qa, qb, qc, qd))
    require(qb != 0)
    ac3 = sint(3 * qa * qc)
    delta0 = sint(sdiv(ac3, qb) - qb)
    delta1 = sint(sdiv(sint(3 * ac3), qb) - 2 * qb - sdiv(sint(sdiv(sint(27 * sint(qa * qa)), qb) * qd), qb))
    argument = sint(sint(delta1 * delta1) + sint(sdiv(sint(4 * delta0 * delta0), qb) * delta0))
    if argument <= 0:
        return newton_y(a, gamma, others, d), 0
    root = isqrt(argument)
    b_cbrt = cbrt(qb) if qb >= 0 else -cbrt(-qb)
    second = cbrt(sint(delta1 + root) // 2) if delta1 > 0 else -cbrt(sint(root - delta1) // 2)
    c1 = sdiv(sint(sint(b_cbrt * b_cbrt) // WAD * second), WAD)
    root_k0 = sdiv(sint(sint(qb + sdiv(sint(qb * delta0), c1)) - c1), 3)
    y = uint(sdiv(sint(sint(sint(d * d) // 27 // k * d) // j * root_k0), qa))
    k0 = uint(sdiv(wrap(WAD * root_k0), qa))
    require(10**16 - 1 <= wrap(y * WAD) // d <= 10**20)
    return y, k0


def fee_of(xp: list[int], mid: int, out: int, fee_gamma: int, version: int) -> int:
    total = sum(xp)
    if version == TRI:
        k = 3 * WAD * xp[0] // total
        for x in xp[1:]:
            k = k * 3 * x // total
    else:
        k = 4 * WAD * xp[0] // total * xp[1] // total
    if version == TWO_V21:
        f = div(fee_gamma * k, fee_gamma * k // WAD + WAD - k)
    elif version == TWO or fee_gamma > 0:
        f = div(fee_gamma * WAD, uint(fee_gamma + WAD - k))
    else:
        f = k
    return (mid * f + uint(out * (WAD - f))) // WAD


@dataclass
class Pool:
    version: int
    a: int
    gamma: int
    d: int
    balances: list[int]
    precisions: list[int]
    price_scale: list[int]
    mid_fee: int
    out_fee: int
    fee_gamma: int
    total_supply: int
    virtual_price: int
    ramping: bool = False
    may_lose: bool = False

    def scaled(self, balances: list[int]) -> list[int]:
        prices = [WAD, *self.price_scale]
        return [
            uint(uint(x * p) * s) // WAD if i else uint(x * s)
            for i, (x, p, s) in enumerate(zip(balances, prices, self.precisions, strict=True))
        ]

    def get_y(self, xp: list[int], d: int, j: int) -> tuple[int, int]:
        others = [x for i, x in enumerate(xp) if i != j]
        if self.version == TRI:
            return get_y3(self.a, self.gamma, others, d)
        return get_y2(self.a, self.gamma, others[0], d)

    def exchange(self, i: int, j: int, dx: int, check_loss: bool = True) -> int:
        """The amount out, raising Revert where `exchange` reverts before it would move the price scale."""
        n = len(self.balances)
        require(i != j and 0 <= i < n and 0 <= j < n and dx > 0)
        after = list(self.balances)
        after[i] = uint(after[i] + dx)
        xp = self.scaled(after)
        d = self.d
        if self.ramping:
            d = newton_d(self.a, self.gamma, self.scaled(self.balances), 0, self.version)
        y, k0 = self.get_y(xp, d, j)
        dy = uint(uint(xp[j] - y) - 1)
        xp[j] = y
        if j:
            dy = uint(dy * WAD) // self.price_scale[j - 1]
        dy //= self.precisions[j]
        fee = fee_of(xp, self.mid_fee, self.out_fee, self.fee_gamma, self.version)
        dy = uint(dy - uint(fee * dy) // 10**10)
        if check_loss:
            after[j] = uint(after[j] - dy)
            self._no_loss(self.scaled(after), k0)
        return dy

    def _no_loss(self, xp: list[int], k0: int) -> None:
        d = newton_d(self.a, self.gamma, xp, k0, self.version)
        if self.virtual_price == 0:
            return
        price = self.price_of(d)
        if self.version == TRI:
            uint(2 * price - WAD)
        require(self.may_lose or price > self.virtual_price)

    def price_of(self, d: int) -> int:
        """The virtual price that belongs to D."""
        if self.version == TWO_V21:
            xcp = d * WAD // 2 // isqrt(WAD * self.price_scale[0])
            return div(WAD * xcp, self.total_supply) + 1
        n = len(self.balances)
        ideal = [d // n, *(uint(d * WAD) // (n * p) for p in self.price_scale)]
        xcp = isqrt(uint(ideal[0] * ideal[1])) if n == 2 else geometric_mean(ideal)
        return div(uint(WAD * xcp), self.total_supply)
