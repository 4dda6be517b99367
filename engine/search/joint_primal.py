"""From the pools' best trades at nearly right prices to trades that leave no token short.

The trades of the most responsive pools are changed a little, token after token along a spanning tree from
the outermost tokens to the base tokens, until every other token's surplus is nothing. Each such pool already
trades at the very prices at which its neighbours value the difference, so the value lost is of second order
in the imbalance, and the value of what is left of the base tokens is within the gap of the upper bound.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.search.joint_curves import got_for_nb, paid_for_nb


@njit(nogil=True, cache=True, error_model="numpy")
def _root_of(parent, t):
    while parent[t] != t:
        parent[t] = parent[parent[t]]
        t = parent[t]
    return t


@njit(nogil=True, cache=True, error_model="numpy")
def _tree_nb(flows, count, is_root, parent, chosen):
    """Mark the flows of a spanning forest of greatest weight in `chosen`; base tokens count as one node."""
    tokens = len(is_root)
    first = -1
    for t in range(tokens):
        parent[t] = t
        if is_root[t]:
            if first < 0:
                first = t
            parent[t] = first
    for k in np.argsort(-flows.weight[:count]):
        chosen[k] = 0
        a, b = _root_of(parent, flows.sold[k]), _root_of(parent, flows.bought[k])
        if a != b:
            parent[a] = b
            chosen[k] = 1
    return first


@njit(nogil=True, cache=True, error_model="numpy")
def _settle_nb(curves, flows, k, t):
    """Change flow `k` so that nothing of token `t` is left over or short, as far as the pool can."""
    row, surplus = flows.row[k], flows.surplus
    d = 0 if flows.sold[k] == curves.token0[row] else 1
    paid, got = flows.paid[k], flows.got[k]
    if flows.bought[k] == t:
        fresh_got = max(got - surplus[t], 0.0)
        fresh_paid = paid_for_nb(curves, row, d, fresh_got)
        if fresh_paid == np.inf:
            return
    else:
        fresh_paid, fresh_got = got_for_nb(curves, row, d, max(paid + surplus[t], 0.0))
    surplus[flows.sold[k]] += paid - fresh_paid
    surplus[flows.bought[k]] += fresh_got - got
    flows.paid[k], flows.got[k] = fresh_paid, fresh_got


@njit(nogil=True, cache=True, error_model="numpy")
def balance_nb(curves, flows, count, floor, prices, order):
    """Change the first `count` flows so that only base tokens at their floor price keep a surplus.

    Returns (value of what is left of the base tokens, greatest shortage by value, tokens settled). The
    shortage is nought but for rounding, unless a pool's known curve ended. `order` i32[tokens, 2] receives
    the flow that settled each token, and the token, in the order they were settled: no later one changes it.
    """
    tokens = len(prices)
    is_root = np.zeros(tokens, np.uint8)
    for t in range(tokens):
        is_root[t] = floor[t] > 0.0 and prices[t] <= floor[t] * (1.0 + 1e-15)
    parent = np.empty(tokens, np.int32)
    chosen = np.empty(count, np.uint8)
    first = _tree_nb(flows, count, is_root, parent, chosen)
    for k in range(count):
        sold, bought = flows.sold[k], flows.bought[k]
        if first < 0 or _root_of(parent, sold) != _root_of(parent, first):
            flows.surplus[sold] += flows.paid[k]
            flows.surplus[bought] -= flows.got[k]
            flows.paid[k] = flows.got[k] = 0.0
            chosen[k] = 0
    settled = _settle_tree_nb(curves, flows, count, is_root, chosen, order)
    value, short = 0.0, 0.0
    for t in range(tokens):
        value += floor[t] * max(flows.surplus[t], 0.0)
        short = max(short, -prices[t] * flows.surplus[t])
    return value, short, settled


@njit(nogil=True, cache=True, error_model="numpy")
def _settle_tree_nb(curves, flows, count, is_root, chosen, order):
    """Settle the tokens of the tree, each once it has only one flow of the tree left."""
    tokens = len(is_root)
    start = np.zeros(tokens + 1, np.int64)
    for k in range(count):
        if chosen[k]:
            start[flows.sold[k] + 1] += 1
            start[flows.bought[k] + 1] += 1
    left = start[1:].copy()
    for t in range(tokens):
        start[t + 1] += start[t]
    place = start[:-1].copy()
    member = np.empty(start[-1], np.int32)
    for k in range(count):
        if chosen[k]:
            for t in (flows.sold[k], flows.bought[k]):
                member[place[t]] = k
                place[t] += 1
    queue = np.empty(tokens, np.int32)
    end = 0
    for t in range(tokens):
        if left[t] == 1 and not is_root[t]:
            queue[end] = t
            end += 1
    at, settled = 0, 0
    while at < end:
        t = queue[at]
        at += 1
        for n in range(start[t], start[t + 1]):
            k = member[n]
            if not chosen[k]:
                continue
            _settle_nb(curves, flows, k, t)
            chosen[k] = 0
            order[settled, 0], order[settled, 1] = k, t
            settled += 1
            other = flows.sold[k] if flows.bought[k] == t else flows.bought[k]
            left[other] -= 1
            if left[other] == 1 and not is_root[other]:
                queue[end] = other
                end += 1
    return settled
