"""Python calls of the Balancer kernels, and the same calls of their plain-integer twins."""

from __future__ import annotations

from dataclasses import dataclass

import balancer_reference
import numpy as np
from amm_reference import Revert
from numba import njit

from engine.amm.balancer_stable import v2_stable_nb, v3_stable_nb
from engine.amm.balancer_vault import row_nb
from engine.amm.balancer_weighted import (
    est_weighted_out_nb,
    est_weighted_rate_nb,
    v2_weighted_nb,
    v3_weighted_nb,
)
from engine.amm.layout import OK, int_to_limbs, ints_to_limbs, limbs_to_int
from engine.amm.log_exp import pow_up_nb
from engine.amm.quote import store_u256_nb
from engine.amm.wide import make_u256, to_u256

LEAST = 10**6


@njit(nogil=True, cache=True, error_model="numpy")
def v2_one(balances, scaling, weights, amp, fee, version, i, j, exact_in, limbs, out):
    amount, unknown = make_u256(limbs[0], limbs[1], limbs[2], limbs[3]), to_u256(np.uint64(0))
    if amp == 0:
        status, result = v2_weighted_nb(balances, scaling, weights, fee, version, i, j, exact_in, amount)
    else:
        status, result = v2_stable_nb(balances, scaling, amp, fee, version, i, j, exact_in, amount, unknown)
    store_u256_nb(result, out)
    return status


@njit(nogil=True, cache=True, error_model="numpy")
def v3_one(live, factors, rates, weights, floors, amp, fee, least, limit, i, j, exact_in, limbs, out):
    amount, unknown = make_u256(limbs[0], limbs[1], limbs[2], limbs[3]), to_u256(np.uint64(0))
    if amp == 0:
        status, result = v3_weighted_nb(
            live, factors, rates, weights, floors, fee, least, i, j, exact_in, amount
        )
    else:
        status, result = v3_stable_nb(
            live, factors, rates, amp, fee, least, limit, i, j, exact_in, amount, unknown
        )
    store_u256_nb(result, out)
    return status


@njit(nogil=True, cache=True, error_model="numpy")
def pow_up_one(x, y, has_shortcuts, out):
    value, ok = pow_up_nb(make_u256(x[0], x[1], x[2], x[3]), make_u256(y[0], y[1], y[2], y[3]), has_shortcuts)
    store_u256_nb(value, out)
    return ok


@dataclass
class Pool:
    """A pool of either vault: weighted when `amp` is zero. V3 pools have `factors`; V2 ones `scaling`."""

    balances: list[int]
    fee: int
    amp: int = 0
    weights: list[int] | None = None
    version: int = 2
    scaling: list[int] | None = None
    factors: list[int] | None = None
    rates: list[int] | None = None
    floors: list[int] | None = None
    imbalance_limit: int = 10_000

    def quote(self, exact_in: bool, i: int, j: int, amount: int) -> tuple[int, int]:
        """(status, amount) of the kernel."""
        balances = ints_to_limbs(self.balances, 2)
        weights = np.array(self.weights or [0] * len(balances), np.uint64)
        fee, amp = np.uint64(self.fee), np.uint64(self.amp)
        out, limbs = np.zeros(4, np.uint64), int_to_limbs(amount)
        if self.scaling is not None:
            scaling = ints_to_limbs(self.scaling, 2)
            call = balances, scaling, weights, amp, fee, self.version, i, j, exact_in, limbs, out
            return int(v2_one(*call)), limbs_to_int(out)
        factors = np.array(self.factors, np.uint64)
        rates, floors = ints_to_limbs(self.rates, 2), ints_to_limbs(self.floors or [0] * len(balances), 2)
        limits = np.uint64(LEAST), np.uint64(self.imbalance_limit)
        call = balances, factors, rates, weights, floors, amp, fee, *limits, i, j, exact_in, limbs, out
        return int(v3_one(*call)), limbs_to_int(out)

    def kernel(self, exact_in: bool, i: int, j: int, amount: int) -> int | None:
        status, result = self.quote(exact_in, i, j, amount)
        return result if status == OK else None

    def twin(self, exact_in: bool, i: int, j: int, amount: int) -> int | None:
        trade = exact_in, amount, i, j, self.balances
        try:
            if self.scaling is not None and not self.amp:
                return balancer_reference.v2_weighted(
                    self.version, *trade, self.scaling, self.weights, self.fee
                )
            if self.scaling is not None:
                return balancer_reference.v2_stable(self.version, *trade, self.scaling, self.amp, self.fee)
            scaled = *trade, self.factors, self.rates
            if not self.amp:
                floors = self.floors or [0] * len(self.balances)
                return balancer_reference.v3_weighted(*scaled, self.weights, floors, self.fee, LEAST)
            return balancer_reference.v3_stable(*scaled, self.amp, self.fee, LEAST, self.imbalance_limit)
        except Revert:
            return None


@njit(nogil=True, cache=True, error_model="numpy")
def est_weighted(amount_in, balances, weights, fee):
    """(amount out, spot price) of the float twin, token 0 sold for token 1."""
    balance_in, balance_out = row_nb(balances, 0), row_nb(balances, 1)
    return (
        est_weighted_out_nb(amount_in, balance_in, balance_out, weights[0], weights[1], fee),
        est_weighted_rate_nb(balance_in, balance_out, weights[0], weights[1], fee),
    )
