"""Compiled search over orders: nodes go to their best places, and kicks leave plateaus.

A node is looked at again only after something that its gain hangs on has changed: its own parents before it, those
of a node that may be its parent or its child, or where these stand.
"""

from __future__ import annotations

import numpy as np

from truelift.graph.discovery.family_kernels import compiled

#: Nodes that a kick moves.
KICK_MOVES = 3


@compiled
def best_of(starts: np.ndarray, masks: np.ndarray, v: int, before: np.uint64) -> int:
    """The first family of a node whose parents all stand before it."""
    for at in range(starts[v], starts[v + 1]):
        if masks[at] & ~before == 0:
            return int(at)
    return int(starts[v + 1] - 1)


@compiled
def _before(candidates: np.ndarray, place: np.ndarray, v: int) -> np.uint64:
    mask = np.uint64(0)
    for bit in range(candidates.shape[1]):
        u = candidates[v, bit]
        if u < 0:
            break
        if place[u] < place[v]:
            mask |= np.uint64(1) << np.uint64(bit)
    return mask


@compiled
def chosen_families(
    candidates: np.ndarray, starts: np.ndarray, masks: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """The family of each node in an order."""
    p = len(order)
    place = np.empty(p, np.int64)
    for i in range(p):
        place[order[i]] = i
    chosen = np.empty(p, np.int64)
    for v in range(p):
        chosen[v] = best_of(starts, masks, v, _before(candidates, place, v))
    return chosen


@compiled
def _stir(near: np.ndarray, v: int, stirred: np.ndarray) -> None:
    """A node and those that may be its parents or children are looked at again."""
    stirred[v] = True
    for k in range(near.shape[1]):
        if near[v, k] < 0:
            break
        stirred[near[v, k]] = True


@compiled
def _improve(
    candidates: np.ndarray, starts: np.ndarray, masks: np.ndarray, scores: np.ndarray,
    bits: np.ndarray, near: np.ndarray, first: np.ndarray, order: np.ndarray, stirred: np.ndarray,
    settled: np.ndarray,
) -> float:  # fmt: skip
    """Move nodes to their best places until nothing gains; the order's score.

    ``first[a, b]``: a has to stand before b. ``settled`` are the parents before each node when nothing gained
    last; nodes whose own have changed are stirred up.
    """
    p = len(order)
    place = np.empty(p, np.int64)
    for i in range(p):
        place[order[i]] = i
    masked = np.empty(p, np.uint64)
    now = np.empty(p)
    for v in range(p):
        masked[v] = _before(candidates, place, v)
        now[v] = scores[best_of(starts, masks, v, masked[v])]
        if masked[v] != settled[v]:
            _stir(near, v, stirred)
    one = np.uint64(1)
    gained = True
    while gained:
        gained = False
        for x in range(p):
            if not stirred[x]:
                continue
            stirred[x] = False
            at = place[x]
            best_gain, best_at = 1e-9, at
            for direction in (-1, 1):
                gain, own, own_score = 0.0, masked[x], now[x]
                i = at + direction
                while 0 <= i < p:
                    w = order[i]
                    if first[x, w] if direction > 0 else first[w, x]:
                        break
                    bit_x, bit_w = bits[x, w], bits[w, x]  # of w among x's, of x among w's
                    if bit_x >= 0:
                        own ^= one << np.uint64(bit_x)
                        score = scores[best_of(starts, masks, x, own)]
                        gain += score - own_score
                        own_score = score
                    if bit_w >= 0:
                        other = masked[w] ^ (one << np.uint64(bit_w))
                        gain += scores[best_of(starts, masks, w, other)] - now[w]
                    if gain > best_gain:
                        best_gain, best_at = gain, i
                    i += direction
            if best_at == at:
                continue
            step = 1 if best_at > at else -1
            i = at
            while i != best_at:
                w = order[i + step]
                order[i], order[i + step] = w, x
                place[w], place[x] = i, i + step
                if bits[x, w] >= 0:
                    masked[x] ^= one << np.uint64(bits[x, w])
                if bits[w, x] >= 0:
                    masked[w] ^= one << np.uint64(bits[w, x])
                    now[w] = scores[best_of(starts, masks, w, masked[w])]
                    _stir(near, w, stirred)
                i += step
            now[x] = scores[best_of(starts, masks, x, masked[x])]
            _stir(near, x, stirred)
            gained = True
    settled[:] = masked
    total = 0.0
    for v in range(p):
        total += now[v]
    return total


@compiled
def iterated(
    candidates: np.ndarray, starts: np.ndarray, masks: np.ndarray, scores: np.ndarray,
    bits: np.ndarray, near: np.ndarray, first: np.ndarray, order: np.ndarray, kicks: np.ndarray,
) -> tuple[np.ndarray, float]:  # fmt: skip
    """The best order from one to begin with, and its score.

    ``kicks`` are numbers from 0 to 1, a row a kick: for each node that is moved, which one and where to.
    """
    p = len(order)
    best, settled = order.copy(), np.zeros(p, np.uint64)
    score = _improve(
        candidates, starts, masks, scores, bits, near, first, best, np.ones(p, np.bool_), settled
    )
    for k in range(len(kicks)):
        trial, own = best.copy(), settled.copy()
        stirred = np.zeros(p, np.bool_)
        for m in range(kicks.shape[1] // 2):
            i = int(kicks[k, 2 * m] * p)
            x = trial[i]
            low, high = i, i
            while low > 0 and not first[trial[low - 1], x]:
                low -= 1
            while high < p - 1 and not first[x, trial[high + 1]]:
                high += 1
            j = low + int(kicks[k, 2 * m + 1] * (high - low + 1))
            while i < j:
                trial[i] = trial[i + 1]
                i += 1
            while i > j:
                trial[i] = trial[i - 1]
                i -= 1
            trial[j] = x
            _stir(near, x, stirred)
        found = _improve(candidates, starts, masks, scores, bits, near, first, trial, stirred, own)
        if found > score - 1e-9:  # a plateau is walked
            best, settled = trial, own
            score = max(score, found)
    return best, score
