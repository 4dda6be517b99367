"""Solidly pools and floored directional fees in plain integers, from the contracts' order of operations."""

from __future__ import annotations

from dataclasses import dataclass

from amm_reference import UINT256, require

W = 10**18


def checked(value: int) -> int:
    """What Solidity 0.8 does with a uint256 result."""
    require(0 <= value <= UINT256)
    return value


def product(a: int, b: int) -> int:
    return checked(a * b)


def quotient(a: int, b: int) -> int:
    require(b > 0)
    return a // b


@dataclass
class SolidlyPool:
    """`version`: "volatile", "velo1", "velo2" or "aerodrome"; decimals as powers of ten."""

    version: str
    reserves: tuple[int, int]
    units: tuple[int, int]
    fee: int
    fee_denominator: int = 10_000

    def net(self, amount: int) -> int:
        return amount - product(amount, self.fee) // self.fee_denominator

    def scaled(self, amount: int, token: int) -> int:
        return quotient(product(amount, W), self.units[token])

    def k(self, balance0: int, balance1: int) -> int:
        if self.version == "volatile":
            return product(balance0, balance1)
        return self.stable_k(self.scaled(balance0, 0), self.scaled(balance1, 1))

    @staticmethod
    def stable_k(x: int, y: int) -> int:
        squares = product(x, x) // W + product(y, y) // W
        return product(product(x, y) // W, squares) // W

    @staticmethod
    def slope(x: int, y: int) -> int:
        first = product(3 * x, product(y, y) // W) // W
        return checked(first + product(product(x, x) // W, x) // W)

    def newton_k(self, x: int, y: int) -> int:
        if self.version != "velo1":
            return self.stable_k(x, y)
        y_cubed = product(product(y, y) // W, y) // W
        x_cubed = product(product(x, x) // W, x) // W
        return checked(product(x, y_cubed) // W + product(x_cubed, y) // W)

    def solve(self, x: int, target: int, y: int) -> int:
        for _ in range(255):
            k = self.newton_k(x, y)
            rising = k < target
            step = quotient(product(abs(target - k), W), self.slope(x, y))
            if self.version == "velo1":
                y = checked(y + step if rising else y - step)
                if step <= 1:
                    return y
                continue
            if step == 0:
                if k == target:
                    return y
                if rising:
                    test = self.k if self.version == "aerodrome" else self.stable_k
                    if test(x, y + 1) > target:
                        return y + 1
                elif self.stable_k(x, checked(y - 1)) < target:
                    return y
                step = 1
            y = checked(y + step if rising else y - step)
        require(self.version == "velo1")
        return y

    def get_amount_out(self, token_in: int, amount: int) -> int:
        token_out = 1 - token_in
        net = self.net(amount)
        reserve_in, reserve_out = self.reserves[token_in], self.reserves[token_out]
        if self.version == "volatile":
            return quotient(product(net, reserve_out), checked(reserve_in + net))
        target = self.k(*self.reserves)
        x, y = self.scaled(reserve_in, token_in), self.scaled(reserve_out, token_out)
        kept = self.solve(checked(x + self.scaled(net, token_in)), target, y)
        return product(checked(y - kept), self.units[token_out]) // W

    def accepts(self, token_in: int, amount: int, amount_out: int) -> bool:
        """Does the pool's swap pay `amount_out`? Raises Revert where its arithmetic does."""
        if not 0 < amount_out < self.reserves[1 - token_in] or amount <= 0:
            return False
        checked(self.reserves[token_in] + amount)
        # The fee is shared out among the liquidity tokens as fee * 1e18 / supply.
        product(amount - self.net(amount), W)
        balances = list(self.reserves)
        balances[token_in] += self.net(amount)
        balances[1 - token_in] -= amount_out
        return self.k(*balances) >= self.k(*self.reserves)

    def swap(self, token_in: int, amount: int) -> int:
        """The router's swap: what getAmountOut says, if the pool then pays it."""
        require(amount > 0 and min(self.reserves) > 0)
        amount_out = self.get_amount_out(token_in, amount)
        require(self.accepts(token_in, amount, amount_out))
        return amount_out
