"""The pools as a directed multigraph of tokens, and every simple cycle of it through a base token.

A directed edge is 2 * pool_row + d, d = 0 selling token0, d = 1 selling token1, so `edge ^ 1` is the same
pool the other way.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

MAX_HOPS = 4


class Graph(NamedTuple):
    """Adjacency by token: edges out of token t are `edge[start[t] : start[t + 1]]`, sorted by the token they
    lead to, which is `to[...]`."""

    start: NDArray[np.int64]  # [tokens + 1]
    edge: NDArray[np.int32]  # [E]
    to: NDArray[np.int32]  # [E]


def build_graph(
    token0: NDArray[np.int32], token1: NDArray[np.int32], token_count: int, bases: NDArray[np.int32]
) -> Graph:
    """The graph of pools between the token rows `token0[i]` and `token1[i]` (i32[pools]), less those that can
    be on no cycle: a token with one pool left ends every path through it unless it is a base, and so do the
    pools that leaves behind."""
    rows = np.arange(len(token0), dtype=np.int32)
    rows = rows[token0[rows] != token1[rows]]
    is_base = np.zeros(token_count, bool)
    is_base[bases] = True
    while True:
        degree = np.bincount(token0[rows], minlength=token_count)
        degree += np.bincount(token1[rows], minlength=token_count)
        alive = (degree > 1) | is_base
        kept = rows[alive[token0[rows]] & alive[token1[rows]]]
        if len(kept) == len(rows):
            break
        rows = kept
    source = np.concatenate((token0[rows], token1[rows]))
    target = np.concatenate((token1[rows], token0[rows]))
    edge = np.concatenate((2 * rows, 2 * rows + 1))
    order = np.lexsort((edge, target, source))
    start = np.zeros(token_count + 1, np.int64)
    np.cumsum(np.bincount(source, minlength=token_count), out=start[1:])
    return Graph(start, edge[order].astype(np.int32), target[order].astype(np.int32))


@njit(nogil=True, cache=True, error_model="numpy")
def _closing_nb(graph, base, token_count):
    """For each token the slice of its edges that lead back to `base`: (first, count)."""
    first = np.zeros(token_count, np.int64)
    count = np.zeros(token_count, np.int32)
    for token in range(token_count):
        for k in range(graph.start[token], graph.start[token + 1]):
            if graph.to[k] == base:
                if count[token] == 0:
                    first[token] = k
                count[token] += 1
    return first, count


@njit(nogil=True, cache=True, error_model="numpy")
def _emit_nb(graph, first, count, path, depth, product, rate, floor, touched, any_touched, out, written):
    """Close the open path with every edge back to the base; returns (cycles seen, cycles written)."""
    seen = 0
    for k in range(first, first + count):
        edge = graph.edge[k]
        if depth == 1 and (edge >> 1) == (path[0] >> 1):
            continue
        seen += 1
        if not product * rate[edge] > floor:
            continue
        if not (any_touched or touched[edge >> 1]):
            continue
        if written < len(out):
            for d in range(depth):
                out[written, d] = path[d]
            out[written, depth] = edge
            for d in range(depth + 1, 4):
                out[written, d] = -1
        written += 1
    return seen, written


@njit(nogil=True, cache=True, error_model="numpy")
def walk_cycles_nb(
    graph: Graph,
    base: int,
    max_hops: int,
    rate: NDArray[np.float64],
    floor: float,
    touched: NDArray[np.uint8],
    out: NDArray[np.int32],
) -> tuple[int, int]:
    """Every simple cycle of 2..max_hops hops through token `base`, no token and no pool twice.

    `rate` f64[2P] per directed edge; a cycle counts when the product of its rates exceeds `floor` and one of
    its pools is `touched` (u8[P]). Writes i32[n, 4] of directed edges, -1 after the last, as far as `out`
    has room. Returns (cycles walked, cycles that counted).
    """
    tokens = len(graph.start) - 1
    first, count = _closing_nb(graph, base, tokens)
    path = np.zeros(4, np.int32)
    seen = 0
    written = 0
    for i in range(graph.start[base], graph.start[base + 1]):
        a, p0 = graph.to[i], graph.edge[i]
        path[0] = p0
        rate0 = rate[p0]
        touched0 = touched[p0 >> 1] != 0
        more, written = _emit_nb(
            graph, first[a], count[a], path, 1, rate0, rate, floor, touched, touched0, out, written
        )
        seen += more
        if max_hops < 3:
            continue
        for j in range(graph.start[a], graph.start[a + 1]):
            b, p1 = graph.to[j], graph.edge[j]
            if b == base:
                continue
            path[1] = p1
            rate1 = rate0 * rate[p1]
            touched1 = touched0 or touched[p1 >> 1] != 0
            more, written = _emit_nb(
                graph, first[b], count[b], path, 2, rate1, rate, floor, touched, touched1, out, written
            )
            seen += more
            if max_hops < 4:
                continue
            for k in range(graph.start[b], graph.start[b + 1]):
                c, p2 = graph.to[k], graph.edge[k]
                if count[c] == 0 or c == a:
                    continue
                if c == base:
                    continue
                path[2] = p2
                rate2 = rate1 * rate[p2]
                touched2 = touched1 or touched[p2 >> 1] != 0
                more, written = _emit_nb(
                    graph, first[c], count[c], path, 3, rate2, rate, floor, touched, touched2, out, written
                )
                seen += more
    return seen, written
