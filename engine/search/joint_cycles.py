"""Taking a balanced set of trades apart into cycles through a base token, the widest first, compiled.

Each trade is a directed edge from the token sold to the token bought. The widest cycle of at most so many
hops is found by a layered search (the best bottleneck to every token after k hops), taken out of the trades
in proportion, and so on until what is left is worth too little.
"""

from __future__ import annotations

import numpy as np
from numba import njit

MAX_CYCLE_HOPS = 10


@njit(nogil=True, cache=True, error_model="numpy")
def peel_nb(flows, count, prices, bases, max_hops, least, cycles, amounts):
    """Cycles through any token of `bases` i32[b] out of the first `count` flows, which are used up.

    Writes `cycles` i32[n, MAX_CYCLE_HOPS] (indices of flows, -1 after the last) and `amounts` f64[n] (what is
    sold first), as many as fit and whose value is at least `least`; returns how many.
    """
    tokens = len(prices)
    widest = np.zeros((max_hops + 1, tokens))
    through = np.full((max_hops + 1, tokens), -1, np.int32)
    path = np.empty(MAX_CYCLE_HOPS, np.int32)
    written = 0
    while written < len(cycles):
        width, hops = 0.0, 0
        for base in bases:
            more, more_hops = _widest_nb(flows, count, prices, base, max_hops, widest, through)
            if more > width:
                width, hops = more, more_hops
                hops = _trace_nb(flows, base, hops, through, path)
        if not width >= least or hops == 0:
            return written
        amounts[written] = _take_nb(flows, path, hops, np.inf)
        cycles[written, :hops] = path[:hops]
        cycles[written, hops:] = -1
        written += 1
    return written


@njit(nogil=True, cache=True, error_model="numpy")
def peel_paths_nb(flows, count, prices, source, targets, supply, max_hops, least, paths, amounts):
    """Paths from the token `source` to any of `targets` i32[b] out of the first `count` flows, which are used
    up; together they sell no more than `supply` of it.

    Writes `paths` and `amounts` as `peel_nb` writes cycles; returns how many.
    """
    tokens = len(prices)
    widest = np.zeros((max_hops + 1, tokens))
    through = np.full((max_hops + 1, tokens), -1, np.int32)
    path = np.empty(MAX_CYCLE_HOPS, np.int32)
    written = 0
    while written < len(paths) and prices[source] * supply >= least:
        _widest_nb(flows, count, prices, source, max_hops, widest, through)
        width, hops, end = 0.0, 0, -1
        for t in targets:
            for hop in range(1, max_hops + 1):
                if widest[hop, t] > width * 1.25:
                    width, hops, end = widest[hop, t], hop, t
        if not width >= least or end < 0:
            return written
        hops = _trace_nb(flows, end, hops, through, path)
        amounts[written] = _take_nb(flows, path, hops, supply)
        supply -= amounts[written]
        paths[written, :hops] = path[:hops]
        paths[written, hops:] = -1
        written += 1
    return written


@njit(nogil=True, cache=True, error_model="numpy")
def _widest_nb(flows, count, prices, base, max_hops, widest, through):
    """(width, hops) of the widest closed walk from `base`; a cycle with fewer hops wins unless the other is
    clearly wider."""
    widest[:] = 0.0
    widest[0, base] = np.inf
    best, best_hops = 0.0, 0
    for hop in range(1, max_hops + 1):
        for k in range(count):
            a, b = flows.sold[k], flows.bought[k]
            reach = widest[hop - 1, a]
            if reach > 0.0 and (hop == 1 or a != base):
                width = min(reach, prices[a] * flows.paid[k])
                if width > widest[hop, b]:
                    widest[hop, b] = width
                    through[hop, b] = k
        if widest[hop, base] > best * 1.25:
            best, best_hops = widest[hop, base], hop
    return best, best_hops


@njit(nogil=True, cache=True, error_model="numpy")
def _trace_nb(flows, base, hops, through, path):
    """The walk's flows into `path`, cut short where it meets a token twice; returns its hops."""
    t = base
    for hop in range(hops, 0, -1):
        path[hop - 1] = through[hop, t]
        t = flows.sold[path[hop - 1]]
    length = 0
    for hop in range(hops):
        k = path[hop]
        for earlier in range(length):
            if flows.sold[path[earlier]] == flows.sold[k]:
                length = earlier
                break
        path[length] = k
        length += 1
    return length


@njit(nogil=True, cache=True, error_model="numpy")
def _take_nb(flows, path, hops, most):
    """Take the most that goes through, and no more than `most`, out of the flows, each in proportion; returns
    what is sold first."""
    rate = 1.0
    for hop in range(hops):
        k = path[hop]
        most = min(most, flows.paid[k] / rate)
        rate *= flows.got[k] / flows.paid[k]
    amount = most
    for hop in range(hops):
        k = path[hop]
        part = min(amount / flows.paid[k], 1.0)
        bought = part * flows.got[k]
        flows.paid[k] -= part * flows.paid[k]
        flows.got[k] -= bought
        if flows.paid[k] <= 0.0 or flows.got[k] <= 0.0 or part > 1.0 - 1e-12:
            flows.paid[k] = flows.got[k] = 0.0
        amount = bought
    return most
