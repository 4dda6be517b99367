"""Solving (Laplacian + diagonal) x = b for the graph of trading pools, compiled.

Most tokens trade in a handful of pools with a few hubs. Tokens with few neighbours are eliminated one after
the other, fewest neighbours first, which leaves a small dense system of the hubs (symmetric Gaussian
elimination by minimum degree; A. George, J. Liu, 1989). Where the graph is not of that kind, conjugate
gradients with the diagonal as preconditioner take over.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

ROOM = 24  # neighbours a token may have while it is eliminated
_HUB_DEGREE = 12
MAX_HUBS = 160
_TOLERANCE = 1e-2
_ROUNDS = 200


class System(NamedTuple):
    """The matrix is `diagonal` less `weight[k]` at both places `edge[k]`; negative places are fixed tokens.
    The other arrays are room for the elimination."""

    edge: NDArray[np.int32]  # [P, 2]
    diagonal: NDArray[np.float64]  # [tokens]
    right: NDArray[np.float64]  # [tokens]
    answer: NDArray[np.float64]  # [tokens]
    pivot: NDArray[np.float64]  # [tokens]
    load: NDArray[np.float64]  # [tokens]
    spare: NDArray[np.float64]  # [tokens]
    degree: NDArray[np.int32]  # [tokens]
    order: NDArray[np.int32]  # [tokens]
    hub: NDArray[np.int32]  # [tokens] place in the dense system, -1 for others, -2 for eliminated ones
    neighbour: NDArray[np.int32]  # [tokens, ROOM]
    tie: NDArray[np.float64]  # [tokens, ROOM]
    dense: NDArray[np.float64]  # [MAX_HUBS, MAX_HUBS]
    dense_right: NDArray[np.float64]  # [MAX_HUBS]


def allocate_system(pool_count: int, token_count: int) -> System:
    """Room for a system of that many edges and unknowns."""
    floats = [np.zeros(token_count) for _ in range(6)]
    places = [np.zeros(token_count, np.int32) for _ in range(3)]
    return System(
        np.zeros((pool_count, 2), np.int32),
        *floats,
        *places,
        np.zeros((token_count, ROOM), np.int32),
        np.zeros((token_count, ROOM)),
        np.zeros((MAX_HUBS, MAX_HUBS)),
        np.zeros(MAX_HUBS),
    )


@njit(nogil=True, cache=True, error_model="numpy")
def solve_nb(system, weight, edges, unknowns):
    """The solution of the first `unknowns` into `system.answer`; `edges` of `weight` and `system.edge` count.

    `diagonal` holds positive entries and `right` the right-hand side; both are left as they are.
    """
    if not _eliminate_nb(system, weight, edges, unknowns):
        _conjugate_nb(system, weight, edges, unknowns)


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _tie_nb(system, a, b, weight):
    """Note an edge with a token that is still to be eliminated at `a`; False without room."""
    count = system.degree[a]
    for k in range(count):
        if system.neighbour[a, k] == b:
            system.tie[a, k] += weight
            return True
    if count == ROOM:
        return False
    system.neighbour[a, count], system.tie[a, count] = b, weight
    system.degree[a] = count + 1
    return True


@njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
def _connect_nb(system, a, b, weight):
    hub_a, hub_b = system.hub[a], system.hub[b]
    if hub_a >= 0 and hub_b >= 0:
        system.dense[hub_a, hub_b] -= weight
        system.dense[hub_b, hub_a] -= weight
        return True
    fits = True
    if hub_a < 0:
        fits = _tie_nb(system, a, b, weight)
    if hub_b < 0:
        fits = _tie_nb(system, b, a, weight) and fits
    return fits


@njit(nogil=True, cache=True, error_model="numpy")
def _lay_out_nb(system, weight, edges, unknowns):
    """Choose the hubs and note all edges; returns the hubs, -1 when there is no room."""
    degree, hub = system.degree, system.hub
    for n in range(unknowns):
        degree[n], hub[n] = 0, -1
        system.pivot[n], system.load[n] = system.diagonal[n], system.right[n]
    for k in range(edges):
        a, b = system.edge[k, 0], system.edge[k, 1]
        if a >= 0 and b >= 0:
            degree[a] += 1
            degree[b] += 1
    hubs = 0
    for n in range(unknowns):
        if degree[n] > _HUB_DEGREE:
            if hubs == MAX_HUBS:
                return -1
            hub[n] = hubs
            hubs += 1
    system.order[:unknowns] = np.argsort(degree[:unknowns])
    degree[:unknowns] = 0
    system.dense[:hubs, :hubs] = 0.0
    for k in range(edges):
        a, b = system.edge[k, 0], system.edge[k, 1]
        if a >= 0 and b >= 0 and not _connect_nb(system, a, b, weight[k]):
            return -1
    return hubs


@njit(nogil=True, cache=True, error_model="numpy")
def _eliminate_nb(system, weight, edges, unknowns):
    hubs = _lay_out_nb(system, weight, edges, unknowns)
    if hubs < 0:
        return False
    pivot, load, hub = system.pivot, system.load, system.hub
    for at in range(unknowns):
        v = system.order[at]
        if hub[v] >= 0:
            continue
        hub[v] = -2
        if not pivot[v] > 0.0:
            return False
        for i in range(system.degree[v]):
            a, tie = system.neighbour[v, i], system.tie[v, i]
            if hub[a] == -2:
                continue
            part = tie / pivot[v]
            pivot[a] -= part * tie
            load[a] += part * load[v]
            for j in range(i + 1, system.degree[v]):
                b = system.neighbour[v, j]
                if hub[b] != -2 and not _connect_nb(system, a, b, part * system.tie[v, j]):
                    return False
    if not _solve_hubs_nb(system, unknowns, hubs):
        return False
    for at in range(unknowns - 1, -1, -1):
        v = system.order[at]
        if hub[v] == -2:
            total = load[v]
            hub[v] = -1
            for i in range(system.degree[v]):
                a = system.neighbour[v, i]
                # Those eliminated before this one are still marked; their ties went into it.
                if hub[a] != -2:
                    total += system.tie[v, i] * system.answer[a]
            system.answer[v] = total / pivot[v]
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _solve_hubs_nb(system, unknowns, hubs):
    """Cholesky on the dense rest; False when it is not positive definite."""
    m, right = system.dense, system.dense_right
    for n in range(unknowns):
        h = system.hub[n]
        if h >= 0:
            m[h, h] = system.pivot[n]
            right[h] = system.load[n]
    for j in range(hubs):
        for k in range(j):
            for i in range(j, hubs):
                m[i, j] -= m[i, k] * m[j, k]
        if not m[j, j] > 0.0:
            return False
        root = math.sqrt(m[j, j])
        for i in range(j, hubs):
            m[i, j] /= root
    for i in range(hubs):
        for k in range(i):
            right[i] -= m[i, k] * right[k]
        right[i] /= m[i, i]
    for i in range(hubs - 1, -1, -1):
        for k in range(i + 1, hubs):
            right[i] -= m[k, i] * right[k]
        right[i] /= m[i, i]
    for n in range(unknowns):
        if system.hub[n] >= 0:
            system.answer[n] = right[system.hub[n]]
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _conjugate_nb(system, weight, edges, unknowns):
    answer, residual, direction, product = system.answer, system.pivot, system.load, system.spare
    diagonal = system.diagonal
    rho = 0.0
    for n in range(unknowns):
        answer[n], residual[n] = 0.0, system.right[n]
        direction[n] = residual[n] / diagonal[n]
        rho += residual[n] * direction[n]
    target = rho * _TOLERANCE * _TOLERANCE
    for _ in range(_ROUNDS):
        if not rho > target:
            break
        for n in range(unknowns):
            product[n] = diagonal[n] * direction[n]
        for k in range(edges):
            a, b = system.edge[k, 0], system.edge[k, 1]
            if a >= 0 and b >= 0:
                product[a] -= weight[k] * direction[b]
                product[b] -= weight[k] * direction[a]
        curvature = 0.0
        for n in range(unknowns):
            curvature += direction[n] * product[n]
        if not curvature > 0.0:
            break
        alpha, fresh = rho / curvature, 0.0
        for n in range(unknowns):
            answer[n] += alpha * direction[n]
            residual[n] -= alpha * product[n]
            fresh += residual[n] * residual[n] / diagonal[n]
        beta, rho = fresh / rho, fresh
        for n in range(unknowns):
            direction[n] = residual[n] / diagonal[n] + beta * direction[n]
