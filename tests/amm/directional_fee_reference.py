"""Camelot V2's volatile pair in plain integers: what its view answers and what its swap accepts."""

from __future__ import annotations

from dataclasses import dataclass

from amm_reference import UINT112, UINT256, require

FEE_DENOMINATOR = 100_000


@dataclass
class DirectionalPair:
    """`fees` in 1e-5, by token sold."""

    reserves: tuple[int, int]
    fees: tuple[int, int]

    def get_amount_out(self, token_in: int, amount: int) -> int:
        kept = amount * (FEE_DENOMINATOR - self.fees[token_in])
        numerator = kept * self.reserves[1 - token_in]
        denominator = self.reserves[token_in] * FEE_DENOMINATOR + kept
        require(0 <= numerator <= UINT256 and 0 < denominator <= UINT256)
        return numerator // denominator

    def accepts(self, token_in: int, amount: int, amount_out: int) -> bool:
        reserve_in, reserve_out = self.reserves[token_in], self.reserves[1 - token_in]
        if amount <= 0 or not 0 < amount_out < reserve_out or reserve_in + amount > UINT112:
            return False
        adjusted = reserve_in + amount - amount * self.fees[token_in] // FEE_DENOMINATOR
        return adjusted * (reserve_out - amount_out) >= reserve_in * reserve_out

    def swap(self, token_in: int, amount: int) -> int:
        require(amount > 0 and min(self.reserves) > 0)
        amount_out = self.get_amount_out(token_in, amount)
        require(self.accepts(token_in, amount, amount_out))
        return amount_out
