"""Every cycle that may pay, found without looking at those that can't.

Two levels. Over tokens: a depth-first walk from a base token along directed pairs, each at its best pool's
rate, cut wherever even the best way home could not bring the product above the floor; those ways home come
from a layered relaxation, one pass over the pairs per hop. Over pools: those of each pair of a token cycle
that passed, best first, cut by the same bounds. Both cuts drop only what cannot pass, so the answer is that
of enumeration. A walk may also be asked for cycles through given pools alone: the bounds then say, too, how
good a way can be that meets one of them. And it may be asked for the promising alone, by an aim: cycles
whose ceiling is below that of enough others are passed over, most of them before they are complete.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.search.aim import LEAST, LEAST_COST, note_nb
from engine.search.ceilings import FAR_COLUMN, NEAR_COLUMN, below_nb, ceiling_nb

MAX_HOPS = 4


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def mark_nb(tables, rows, met, met_rate):
    """Note the pools asked for: `met` u8[P], and per directed pair their best rate, `met_rate` f64[2U]."""
    for row in rows:
        if tables.pair_of[row] < 0:
            continue
        met[row] = 1
        for d in range(2):
            q = 2 * tables.pair_of[row] + d
            met_rate[q] = max(met_rate[q], tables.slot_rate[tables.place[2 * row + d]])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def unmark_nb(tables, rows, met, met_rate):
    """Take the notes back."""
    for row in rows:
        if tables.pair_of[row] >= 0:
            met[row] = 0
            met_rate[2 * tables.pair_of[row]] = met_rate[2 * tables.pair_of[row] + 1] = 0.0


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def relax_nb(tables, directed, base, rank, max_hops, met_rate, home, met_home):
    """Fill `home` f64[>= max_hops - 1, T]: the best product of at most h + 1 hops from a token to `base`, and
    `met_home` likewise for ways that meet a pool asked for. Base tokens of a lower rank are not passed: their
    cycles are found from them."""
    source, target, best = tables.source, tables.target, tables.best
    to_base, base_rank = tables.to_base, tables.rank
    tokens = home.shape[1]
    for token in range(tokens):
        q = to_base[rank, token]
        home[0, token] = best[q] if q >= 0 else 0.0
        met_home[0, token] = met_rate[q] if q >= 0 else 0.0
    for h in range(1, max_hops - 1):
        for token in range(tokens):
            home[h, token], met_home[h, token] = home[h - 1, token], met_home[h - 1, token]
        for q in range(directed):
            to, rate = target[q], best[q]
            onward = home[h - 1, to]
            if onward == 0.0 or rate == 0.0 or to == base or (base_rank[to] >= 0 and base_rank[to] < rank):
                continue
            here = source[q]
            home[h, here] = max(home[h, here], rate * onward)
            met = max(met_rate[q] * onward, rate * met_home[h - 1, to])
            met_home[h, here] = max(met_home[h, here], met)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _conflict_nb(taken, level, group):
    for k in range(level):
        if taken[k] == group:
            return True
    return False


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _close_nb(
    first,
    end,
    slots,
    group,
    chosen,
    taken,
    last,
    has_met,
    product,
    near,
    far,
    spent,
    floor,
    aim,
    bounded,
    met,
    out,
    found,
):
    """Write a cycle for each pool, slots [first, end), that may be the `last` hop after the chosen ones: most
    of the work. `near` and `far` are the bends so far, `spent` the costs."""
    slot_edge, slot_rate = slots
    bends, protocol, costs, tops, state = aim
    least_cost = spent + state[LEAST_COST]
    for k in range(first, end):
        whole = product * slot_rate[k]
        if not whole > floor:
            break
        # From here on the rates only fall.
        if bounded and below_nb(whole, near, far, state[LEAST] + least_cost):
            break
        edge = slot_edge[k]
        if not has_met and met[edge >> 1] == 0:
            continue
        if _conflict_nb(taken, last, group[edge >> 1]):
            continue
        if bounded:
            cost = spent + costs[protocol[edge >> 1]]
            all_near = near + bends[edge, NEAR_COLUMN] * product
            all_far = far + bends[edge, FAR_COLUMN] * product
            if below_nb(whole, all_near, all_far, state[LEAST] + cost):
                continue
            worth = ceiling_nb(whole, all_near, all_far) - cost
            if not worth > state[LEAST]:
                continue
            note_nb(tops, state, worth)
        if found == len(out):
            break
        for d in range(last):
            out[found, d] = chosen[d]
        out[found, last] = edge
        for d in range(last + 1, MAX_HOPS):
            out[found, d] = np.int32(-1)
        found += 1
    return found


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _bounds_nb(path, hops, best, met_rate, rest, met_rest):
    """The best products of the hops from each level on, and the best that meet a pool asked for."""
    rest[hops], met_rest[hops] = 1.0, 0.0
    for level in range(hops - 1, -1, -1):
        q = path[level]
        rest[level] = best[q] * rest[level + 1]
        met_rest[level] = max(met_rate[q] * rest[level + 1], best[q] * met_rest[level + 1])


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _expand_nb(tables, group, path, hops, floor, aim, bounded, every, met, met_rate, scratch, out, found):
    """Write the pool cycles of the token cycle `path` i32[hops] whose product exceeds `floor`; returns the
    count so far, which stops at what `out` i32[n, 4] holds. Those without a chance are passed over where it
    is `bounded`."""
    best, start, count, slots = tables
    slot_edge, slot_rate = slots
    chosen, taken, cursor, has_met, product, rest, met_rest, near, far, spent = scratch
    bends, protocol, costs, _, state = aim
    each = state[LEAST_COST]
    _bounds_nb(path, hops, best, met_rate, rest, met_rest)
    level = 0
    cursor[0], product[0], has_met[0] = start[path[0]], 1.0, every
    near[0] = far[0] = spent[0] = 0.0
    while level >= 0:
        q, so_near, so_far, cost = path[level], near[level], far[level], spent[level]
        if level == hops - 1:
            found = _close_nb(
                start[q], start[q] + count[q], slots, group, chosen, taken, level, has_met[level],
                product[level], so_near, so_far, cost, floor, aim, bounded, met, out, found,
            )  # fmt: skip
            if found == len(out):
                return found
            level -= 1
            continue
        k = cursor[level]
        held = product[level] * slot_rate[k] if k < start[q] + count[q] else 0.0
        whole = held * rest[level + 1]
        least = state[LEAST] + cost + (hops - level) * each
        if not whole > floor or (bounded and below_nb(whole, so_near, so_far, least)):
            level -= 1
            continue
        cursor[level] = k + 1
        edge = slot_edge[k]
        meets = has_met[level] or met[edge >> 1] != 0
        if not meets and not held * met_rest[level + 1] > floor:
            continue
        if _conflict_nb(taken, level, group[edge >> 1]):
            continue
        if bounded:
            so_near += bends[edge, NEAR_COLUMN] * product[level]
            so_far += bends[edge, FAR_COLUMN] * product[level]
            cost += costs[protocol[edge >> 1]]
            if below_nb(whole, so_near, so_far, state[LEAST] + cost + (hops - level - 1) * each):
                continue
        chosen[level], taken[level] = edge, group[edge >> 1]
        level += 1
        cursor[level], product[level], has_met[level] = start[path[level]], held, meets
        near[level], far[level], spent[level] = so_near, so_far, cost
    return found


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False, forceinline=True)
def _only_base_nb(base_rank, token, depth):
    """False when a way passes another base token: it may be worth more from there."""
    for d in range(1, depth + 1):
        if base_rank[token[d]] >= 0:
            return False
    return True


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _walk_nb(
    tables,
    group,
    base,
    rank,
    max_hops,
    floor,
    aim,
    every,
    met,
    met_rate,
    home,
    met_home,
    out,
    found,
    budget,
    way,
):
    """`walk_nb` with memory for the `way`: without counting references, which takes
    longer than most cycles do."""
    best, target, base_rank, to_base = tables.best, tables.target, tables.rank, tables.to_base
    out_start, out_count, out_pair = tables.out_start, tables.out_count, tables.out_pair
    pools = (best, tables.start, tables.held, (tables.slot_edge, tables.slot_rate))
    aims = len(aim[3]) > 0
    path, token, cursor, product, has_met, scratch = way
    depth, looked = 0, 0
    token[0], cursor[0], product[0], has_met[0] = base, 0, 1.0, every
    while depth >= 0:
        here, k = token[depth], cursor[depth]
        if k >= out_count[here] or depth >= max_hops - 1 or looked >= budget:
            depth -= 1
            continue
        cursor[depth] = k + 1
        looked += 1
        q = out_pair[out_start[here] + k]
        to = target[q]
        so_far = product[depth] * best[q]
        # At least one hop is left to come home.
        left = max_hops - depth - 2
        if to == base or not so_far * home[left, to] > floor:
            continue
        if base_rank[to] >= 0 and base_rank[to] < rank:
            continue
        meets = has_met[depth] or met_rate[q] > 0.0
        if not meets and not so_far * met_home[left, to] > floor:
            continue
        passed = False
        for d in range(1, depth + 1):
            passed = passed or token[d] == to
        if passed:
            continue
        path[depth] = q
        depth += 1
        token[depth], cursor[depth], product[depth], has_met[depth] = to, 0, so_far, meets
        closing = to_base[rank, to]
        if closing < 0 or not so_far * best[closing] > floor:
            continue
        if meets or met_rate[closing] > 0.0:
            path[depth] = closing
            bounded = aims and _only_base_nb(base_rank, token, depth)
            found = _expand_nb(
                pools, group, path, depth + 1, floor, aim, bounded, every, met, met_rate, scratch, out, found
            )
            if found == len(out):
                return found, looked
    return found, looked


@njit(nogil=True, cache=True, error_model="numpy")
def walk_nb(
    tables, group, base, rank, max_hops, floor, aim, every, met, met_rate, home, met_home, out, found, budget
):
    """Simple cycles of 2..max_hops hops from `base` whose product of rates exceeds `floor`; those that meet a
    pool asked for, or `every`. Written to `out` i32[n, 4] from `found` on, -1 after the last edge. Where
    there is an `aim` (`engine.search.aim`), those whose ceiling is not above its least are left out.

    Returns (count so far, pairs looked at). The answer is incomplete when the count fills `out` or the
    pairs looked at reach `budget`.
    """
    scratch = (
        np.empty(MAX_HOPS, np.int32),  # chosen edges
        np.empty(MAX_HOPS, np.int32),  # groups of their pools
        np.empty(MAX_HOPS + 1, np.int64),  # slot to try next
        np.empty(MAX_HOPS + 1, np.bool_),  # a pool asked for is among the chosen
        np.empty(MAX_HOPS + 1),  # product of the chosen
        np.empty(MAX_HOPS + 1),  # the best product of the hops from a level on
        np.empty(MAX_HOPS + 1),  # the best that meets a pool asked for
        np.empty(MAX_HOPS + 1),  # bends of the chosen, for prices near
        np.empty(MAX_HOPS + 1),  # and for all
        np.empty(MAX_HOPS + 1),  # costs of the chosen, base units
    )
    way = (
        np.empty(MAX_HOPS, np.int32),  # directed pairs
        np.empty(MAX_HOPS, np.int32),  # tokens
        np.zeros(MAX_HOPS, np.int64),  # adjacency place to try next
        np.empty(MAX_HOPS),  # product of the best rates
        np.empty(MAX_HOPS, np.bool_),  # a pair of a pool asked for is among them
        scratch,
    )
    return _walk_nb(
        tables,
        group,
        base,
        rank,
        max_hops,
        floor,
        aim,
        every,
        met,
        met_rate,
        home,
        met_home,
        out,
        found,
        budget,
        way,
    )


@njit(nogil=True, cache=True, error_model="numpy")
def starts_nb(tables, cycles, rotated, ring):
    """Every base token of each cycle as its start: `rotated` i32[>= 4n, 4] receives the cycles, `ring` the
    number of the one each comes from. Returns how many."""
    count = 0
    for n in range(len(cycles)):
        hops = 0
        while hops < MAX_HOPS and cycles[n, hops] >= 0:
            hops += 1
        for first in range(hops):
            edge = cycles[n, first]
            sold = tables.source[2 * tables.pair_of[edge >> 1] + (edge & 1)]
            if tables.rank[sold] < 0:
                continue
            for d in range(MAX_HOPS):
                rotated[count, d] = cycles[n, (first + d) % hops] if d < hops else np.int32(-1)
            ring[count] = n
            count += 1
    return count
