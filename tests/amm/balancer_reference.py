"""Plain-integer twin of Balancer V2 and V3 quotes, written from the protocol's description.

Amounts are base units, fees, weights and rates have 18 decimals, `amp` has 3. `Revert` is raised where the
contracts revert. Nothing here is shared with the compiled code.
"""

from __future__ import annotations

from amm_reference import UINT256, Revert, require

ONE = 10**18
UINT112 = (1 << 112) - 1
UINT128 = (1 << 128) - 1
LOGS = [(32 * 10**20 >> k) for k in range(10)]
EXPS = [
    7896296018268069516100000000000000,
    888611052050787263676000000,
    298095798704172827474000,
    5459815003314423907810,
    738905609893065022723,
    271828182845904523536,
    164872127070012814685,
    128402541668774148407,
    113314845306682631683,
    106449445891785942956,
]
E128 = 38877084059945950922200000000000000000000000000000000000
E64 = 6235149080811616882910000000


def quotient(a: int, b: int) -> int:
    """Signed division towards zero."""
    return a // b if (a < 0) == (b < 0) else -(-a // b)


def checked(value: int) -> int:
    require(0 <= value <= UINT256)
    return value


def ceil_div(a: int, b: int) -> int:
    require(b > 0)
    return -(-a // b)


def floor_div(a: int, b: int) -> int:
    require(b > 0)
    return a // b


def mul_down(a: int, b: int) -> int:
    return checked(a * b) // ONE


def mul_up(a: int, b: int) -> int:
    return -(-checked(a * b) // ONE)


def div_down(a: int, b: int) -> int:
    return floor_div(checked(a * ONE), b)


def div_up(a: int, b: int) -> int:
    return ceil_div(checked(a * ONE), b)


def odd_series(z: int, unit: int, last: int) -> int:
    """2 * (z + z**3 / 3 + ... + z**last / last)."""
    square = quotient(z * z, unit)
    power = total = z
    for n in range(3, last + 1, 2):
        power = quotient(power * square, unit)
        total += quotient(power, n)
    return 2 * total


def ln_far(x: int) -> int:
    if x < ONE:
        return -ln_far(ONE * ONE // x)
    total = 0
    for whole, exponent in ((E128, 128 * ONE), (E64, 64 * ONE)):
        if x >= whole * ONE:
            x //= whole
            total += exponent
    total, x = total * 100, x * 100
    for power, exponent in zip(EXPS, LOGS, strict=True):
        if x >= power:
            x = x * 10**20 // power
            total += exponent
    z = quotient((x - 10**20) * 10**20, x + 10**20)
    return quotient(total + odd_series(z, 10**20, 11), 100)


def ln_near(x: int) -> int:
    x *= ONE
    return odd_series(quotient((x - 10**36) * 10**36, x + 10**36), 10**36, 15)


def exp(x: int) -> int:
    if x < 0:
        return ONE * ONE // exp(-x)
    whole = 1
    if x >= 128 * ONE:
        x, whole = x - 128 * ONE, E128
    elif x >= 64 * ONE:
        x, whole = x - 64 * ONE, E64
    x *= 100
    product = 10**20
    for power, exponent in list(zip(EXPS, LOGS, strict=True))[:8]:
        if x >= exponent:
            x -= exponent
            product = product * power // 10**20
    total, term = 10**20 + x, x
    for n in range(2, 13):
        term = term * x // 10**20 // n
        total += term
    return product * total // 10**20 * whole // 100


def power(x: int, y: int) -> int:
    if y == 0:
        return ONE
    if x == 0:
        return 0
    require(x < 1 << 255 and y < (1 << 254) // 10**20)
    if 9 * 10**17 < x < 11 * 10**17:
        log = ln_near(x)
        whole = quotient(log, ONE)
        log_power = whole * y + quotient((log - whole * ONE) * y, ONE)
    else:
        log_power = ln_far(x) * y
    log_power = quotient(log_power, ONE)
    require(-41 * ONE <= log_power <= 130 * ONE)
    return exp(log_power)


def pow_up(x: int, y: int, has_shortcuts: bool) -> int:
    if has_shortcuts and y == ONE:
        return x
    if has_shortcuts and y == 2 * ONE:
        return mul_up(x, x)
    if has_shortcuts and y == 4 * ONE:
        return mul_up(mul_up(x, x), mul_up(x, x))
    raw = power(x, y)
    return checked(raw + mul_up(raw, 10_000) + 1)


def weighted_out(
    amount: int, balance_in: int, balance_out: int, weight_in: int, weight_out: int, shortcuts: bool
) -> int:
    """Curve amounts of 18 decimals."""
    require(amount <= mul_down(balance_in, 3 * 10**17))
    base = div_up(balance_in, checked(balance_in + amount))
    share = pow_up(base, div_down(weight_in, weight_out), shortcuts)
    return mul_down(balance_out, max(0, ONE - share))


def weighted_in(
    amount: int, balance_in: int, balance_out: int, weight_in: int, weight_out: int, shortcuts: bool
) -> int:
    require(amount <= mul_down(balance_out, 3 * 10**17))
    base = div_up(balance_out, balance_out - amount)
    growth = pow_up(base, div_up(weight_out, weight_in), shortcuts)
    return mul_up(balance_in, checked(growth - ONE))


def invariant_2021(amp: int, balances: list[int]) -> int:
    n, total = len(balances), checked(sum(balances))
    ann, d = amp * n, total
    for _ in range(255 if total else 0):
        p = balances[0] * n
        for balance in balances[1:]:
            p = ceil_div(checked(p * balance * n), d)
        top = n * d * d + ceil_div(checked(ann * total * p), 1000)
        below = (n + 1) * d + checked((ann - 1000) * p) // 1000
        before, d = d, ceil_div(checked(top), checked(below))
        if abs(d - before) <= 1:
            return d
    require(total == 0)
    return 0


def invariant_2022(amp: int, balances: list[int]) -> int:
    n, total = len(balances), checked(sum(balances))
    ann, d = amp * n, total
    for _ in range(255 if total else 0):
        p = d
        for balance in balances:
            p = floor_div(checked(p * d), checked(balance * n))
        top = checked(checked(checked(ann * total) // 1000 + checked(p * n)) * d)
        before, d = d, floor_div(top, checked(checked((ann - 1000) * d) // 1000 + checked((n + 1) * p)))
        if abs(d - before) <= 1:
            return d
    require(total == 0)
    return 0


def balance_given(amp: int, balances: list[int], d: int, index: int, multiplies_first: bool) -> int:
    n = len(balances)
    ann, p = amp * n, balances[0] * n
    for balance in balances[1:]:
        p = floor_div(checked(p * balance * n), d)
    rest = checked(sum(balances)) - balances[index]
    square = checked(d * d)
    if multiplies_first:
        c = checked(ceil_div(checked(square * 1000), checked(ann * p)) * balances[index])
        b = checked(rest + floor_div(checked(d * 1000), ann))
    else:
        c = checked(checked(ceil_div(square, checked(ann * p)) * 1000) * balances[index])
        b = checked(rest + floor_div(d, ann) * 1000)
    y = ceil_div(checked(square + c), checked(d + b))
    for _ in range(255):
        before, y = y, ceil_div(checked(checked(y * y) + c), checked(checked(2 * y + b) - d))
        if abs(y - before) <= 1:
            return y
    raise Revert


def stable_swap(
    version: int, exact_in: bool, amount: int, i: int, j: int, balances: list[int], amp: int
) -> int:
    """Curve amounts of 18 decimals; version 1 of 2021, 2 of 2022 on, 3 of V3."""
    d = (invariant_2021 if version == 1 else invariant_2022)(amp, balances)
    after = list(balances)
    if exact_in:
        after[i] = checked(after[i] + amount)
        return checked(balances[j] - balance_given(amp, after, d, j, version == 3) - 1)
    after[j] = checked(after[j] - amount)
    return checked(balance_given(amp, after, d, i, version == 3) - balances[i] + 1)


def v2_fee_and_scale(exact_in, amount, i, j, balances, scaling, fee, curve) -> int:
    """V2's order: the fee on raw amounts; `curve(amount)` on scaled ones."""
    require(amount > 0)
    if exact_in:
        require(balances[i] + amount <= UINT112)
        kept = amount - mul_up(amount, fee)
        result = div_down(curve(mul_down(kept, scaling[i])), scaling[j])
        require(result <= balances[j])
        return result
    require(amount <= balances[j])
    raw = div_up(curve(mul_down(amount, scaling[j])), scaling[i])
    result = div_up(raw, ONE - fee)
    require(balances[i] + result <= UINT112)
    return result


def v2_weighted(version, exact_in, amount, i, j, balances, scaling, weights, fee) -> int:
    def curve(scaled: int) -> int:
        function = weighted_out if exact_in else weighted_in
        sides = (mul_down(balances[k], scaling[k]) for k in (i, j))
        return function(scaled, *sides, weights[i], weights[j], version >= 2)

    return v2_fee_and_scale(exact_in, amount, i, j, balances, scaling, fee, curve)


def v2_stable(version, exact_in, amount, i, j, balances, scaling, amp, fee) -> int:
    def curve(scaled: int) -> int:
        upscaled = [mul_down(b, s) for b, s in zip(balances, scaling, strict=True)]
        return stable_swap(version, exact_in, scaled, i, j, upscaled, amp)

    return v2_fee_and_scale(exact_in, amount, i, j, balances, scaling, fee, curve)


def v3_fee_and_scale(exact_in, amount, i, j, live, factors, rates, fee, least, curve) -> int:
    """V3's order: the fee on scaled amounts."""
    require(amount > 0)
    rate_out = rates[j] + (rates[j] % ONE > 0)
    if exact_in:
        given = mul_down(checked(amount * factors[i]), rates[i])
        require(live[i] + given <= UINT128)
        kept = given - mul_up(given, fee)
        require(kept >= least)
        result = curve(kept)
        require(least <= result <= live[j])
        return div_down(result, checked(factors[j] * rate_out))
    given = mul_up(checked(amount * factors[j]), rate_out)
    require(given >= least and given <= live[j])
    result = curve(given)
    require(result >= least)
    result = checked(result + ceil_div(checked(result * fee), ONE - fee))
    require(live[i] + result <= UINT128)
    return div_up(result, checked(factors[i] * rates[i]))


def v3_weighted(exact_in, amount, i, j, live, factors, rates, weights, floors, fee, least) -> int:
    def curve(given: int) -> int:
        function = weighted_out if exact_in else weighted_in
        result = function(given, live[i] + 1, live[j], weights[i], weights[j], True)
        after = checked(live[j] - (result if exact_in else given))
        require(live[i] + 1 >= floors[i] and after >= floors[j])
        return result

    return v3_fee_and_scale(exact_in, amount, i, j, live, factors, rates, fee, least, curve)


def v3_stable(exact_in, amount, i, j, live, factors, rates, amp, fee, least, imbalance) -> int:
    def curve(given: int) -> int:
        result = stable_swap(3, exact_in, given, i, j, live, amp)
        added, taken = (given, result) if exact_in else (result, given)
        after_in, after_out = checked(live[i] + added), checked(live[j] - taken)
        smallest, greatest = min([*live, after_out]), max([*live, after_in])
        require(imbalance == 0 or floor_div(greatest, smallest) < imbalance)
        return result

    return v3_fee_and_scale(exact_in, amount, i, j, live, factors, rates, fee, least, curve)
