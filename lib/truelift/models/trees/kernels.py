"""Compiled loops over rows: gradients, histograms, splits, leaves and forests.

A node is one 64-bit word: its left child (the right one follows it), its covariate, the last bin
that goes left, whether a missing value goes left, whether it splits categories. A leaf is its own
left child and sends nothing right, so that a descent takes as many steps as the tree is deep and
needs no branch.

Sums of gradients are sums of whole numbers. They do not depend on how rows are shared out, to the
last bit, and fit in half the cache that two floats would take.
"""

from __future__ import annotations

import numpy as np

from truelift.arrays.compiled import compiled
from truelift.models.trees.options import MISSING

SQUARED, LOGISTIC, SOFTMAX = 0, 1, 2
CODES = MISSING + 1
_U = np.uint64
_LEFT, _COVARIATE, _BIN, _WIDEST = _U(34), _U(10), _U(2), _U(2**24 - 1)
_ROUNDING = 1.5 * 2.0**52
_BLOCK = 2048


def word_of(
    left: np.ndarray, covariate: np.ndarray, last: np.ndarray, missing_left: np.ndarray,
    categorical: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Words of splits; ``last`` is the last bin that goes left."""
    rotated = (missing_left & ~categorical).astype(_U)
    word = (left.astype(_U) << _LEFT) | (covariate.astype(_U) << _COVARIATE)
    word |= (last.astype(_U) + rotated) << _BIN
    return word | (rotated << _U(1)) | categorical.astype(_U)


def leaf_words(nodes: np.ndarray) -> np.ndarray:
    """Words of leaves with these numbers."""
    return (nodes.astype(_U) << _LEFT) | _U(MISSING << 2)


def is_leaf(words: np.ndarray) -> np.ndarray:
    """Whether each node of one tree is a leaf."""
    return words >> _LEFT == np.arange(len(words), dtype=_U)


@compiled
def bin_codes(edges, values, codes):  # type: ignore[no-untyped-def]
    """Number of the edges (255, filled up with infinity) that are not above each value."""
    for i in range(len(values)):
        value = values[i]
        place = 0
        step = (MISSING + 1) // 2
        while step:
            place += step * (edges[place + step - 1] <= value)
            step //= 2
        codes[i] = place if value == value else MISSING


@compiled
def _gradients(kind, state, c, low, label, weight, g, h):  # type: ignore[no-untyped-def]
    """First and second derivatives of the losses of the rows from ``low`` on."""
    n = len(g)
    if kind == SQUARED:
        for i in range(n):
            g[i] = -weight[low + i] * state[0, low + i]
            h[i] = weight[low + i]
    elif kind == LOGISTIC:
        for i in range(n):
            share = 1.0 / (1.0 + np.exp(-np.float64(state[0, low + i])))
            g[i] = weight[low + i] * (share - label[low + i])
            h[i] = weight[low + i] * share * (1.0 - share)
    else:
        for i in range(n):
            share = np.exp(-_softmax_loss(state, low + i, c))
            own = 1.0 if label[low + i] == c else 0.0
            g[i] = weight[low + i] * (share - own)
            h[i] = 2.0 * weight[low + i] * share * (1.0 - share)


@compiled
def _softmax_loss(state, i, c):  # type: ignore[no-untyped-def]
    """Minus the log probability of class c."""
    top = np.float64(state[0, i])
    for b in range(1, state.shape[0]):
        top = max(top, np.float64(state[b, i]))
    norm = 0.0
    for b in range(state.shape[0]):
        norm += np.exp(state[b, i] - top)
    return np.log(norm) + top - state[c, i]


@compiled
def _whole(value):  # type: ignore[no-untyped-def]
    """The nearest whole number of one below 2**51: the sum has no room for a fraction."""
    return np.int64((value + _ROUNDING) - _ROUNDING)


@compiled
def pack_gradients(  # type: ignore[no-untyped-def]
    kind, state, c, label, weight, ranges, steps_g, steps_h, shift, rows, packed
):  # fmt: skip
    """Numbers of the ranges' rows; their gradients in steps above ``shift`` bits of curvature."""
    g, h = np.empty(_BLOCK), np.empty(_BLOCK)
    place = 0
    for r in range(len(ranges)):
        for low in range(ranges[r, 0], ranges[r, 1], _BLOCK):
            n = min(_BLOCK, ranges[r, 1] - low)
            _gradients(kind, state, c, low, label, weight, g[:n], h[:n])
            for i in range(n):
                rows[place + i] = low + i
                packed[place + i] = (_whole(g[i] * steps_g) << shift) + _whole(h[i] * steps_h)
            place += n


@compiled
def add_histograms(codes, rows, packed, node, slot_of_node, bins, sums):  # type: ignore[no-untyped-def]
    """Sums (slots, p, bins + 1) over the rows of the nodes that have a slot; missing last."""
    slots, p = sums.shape[0], sums.shape[1]
    part = np.zeros(slots * p * CODES, np.int64)
    chosen = np.empty(len(rows), np.int64)
    count = 0
    for w in range(len(rows)):
        chosen[count] = w
        count += slot_of_node[node[w]] >= 0
    _add_rows(codes.ravel(), p, rows, packed, node, slot_of_node, chosen[:count], part)
    at = 0
    for s in range(slots):
        for j in range(p):
            for b in range(bins):
                sums[s, j, b] = part[at + b]
            sums[s, j, bins] = part[at + MISSING]
            at += CODES


@compiled
def _add_rows(codes, p, rows, packed, node, slot_of_node, chosen, part):  # type: ignore[no-untyped-def]
    # Unsigned places spare a test for negative ones, and four sums at once a wait for each.
    width = _U(p)
    for w in chosen:
        value = packed[w]
        own = _U(rows[w]) * width
        at = _U(slot_of_node[node[w]]) * width * _U(CODES)
        end = own + width
        while own + _U(4) <= end:
            a = at + _U(codes[own])
            b = at + _U(CODES) + _U(codes[own + _U(1)])
            c = at + _U(2 * CODES) + _U(codes[own + _U(2)])
            d = at + _U(3 * CODES) + _U(codes[own + _U(3)])
            part[a] += value
            part[b] += value
            part[c] += value
            part[d] += value
            own += _U(4)
            at += _U(4 * CODES)
        while own < end:
            part[at + _U(codes[own])] += value
            own += _U(1)
            at += _U(CODES)


@compiled
def _objective(g, h, l2, low, high):  # type: ignore[no-untyped-def]
    """The best value of a leaf within its bounds, and twice the loss that it takes off."""
    total = h + l2
    if total <= 0.0:
        return 0.0, 0.0
    value = -g / total
    if low < value < high:
        return value, g * g / total
    value = min(max(value, low), high)
    return value, -2.0 * g * value - total * value * value


@compiled
def best_splits(  # type: ignore[no-untyped-def]
    sums, shift, unit_g, unit_h, least, low, high, categorical, signs, l2, number, real, sets
):  # fmt: skip
    """The best split of each slot.

    Parameters
    ----------
    sums : (S, p, bins + 1)
        Of packed gradients and curvatures; missing last.
    shift, unit_g, unit_h : (S,)
        Bits of the curvature; what a step is worth, times the rows that each row stands for.
    least : (S,)
        Least curvature of a child, in steps.
    low, high : (S,)
        Bounds of leaves below the slot.
    number : (S, 4) int64, out
        Covariate (-1 for no split), last bin left, missing goes left, left is the smaller.
    real : (S, 2), out
        Value of the left and of the right child.
    sets : (S, 256) bool, out
        Codes that go left, where the covariate is categorical.
    """
    bins = sums.shape[2] - 1
    order = np.zeros(bins, np.int64)
    ratio = np.zeros(bins)
    for s in range(sums.shape[0]):
        up, mask = shift[s], (np.int64(1) << shift[s]) - 1
        total = np.int64(0)
        for b in range(bins + 1):
            total += sums[s, 0, b]
        whole_h = total & mask
        _, whole = _objective((total >> up) * unit_g[s], whole_h * unit_h[s], l2, low[s], high[s])
        best = 1e-6
        number[s, 0] = -1
        for j in range(sums.shape[1]):
            here = sums[s, j]
            missing = here[bins]
            if categorical[j]:
                for b in range(bins):
                    ratio[b] = np.inf
                    if here[b] != 0:
                        h = (here[b] & mask) * unit_h[s] + l2
                        ratio[b] = (here[b] >> up) * unit_g[s] / max(h, 1e-300)
                order[:] = np.argsort(ratio, kind="mergesort")
            sum_left = np.int64(0)
            for t in range(bins):
                b = order[t] if categorical[j] else t
                if here[b] == 0:
                    continue
                sum_left += here[b]
                for way in range(2 if missing != 0 else 1):
                    left = sum_left + missing if way else sum_left
                    left_h = left & mask
                    right_h = whole_h - left_h
                    if left_h < least[s] or right_h < least[s] or left_h == 0 or right_h == 0:
                        continue
                    a, gain_a = _objective(
                        (left >> up) * unit_g[s], left_h * unit_h[s], l2, low[s], high[s]
                    )
                    z, gain_z = _objective(
                        ((total - left) >> up) * unit_g[s],
                        right_h * unit_h[s],
                        l2,
                        low[s],
                        high[s],
                    )
                    gain = gain_a + gain_z - whole
                    if gain > best and signs[j] * (z - a) >= 0.0:
                        best = gain
                        number[s, 0], number[s, 1], number[s, 2] = j, b, way
                        # Nothing is missing here: what will be goes where most rows go.
                        if missing == 0 and left_h >= right_h:
                            number[s, 2] = 1
                        number[s, 3] = left_h <= right_h
                        real[s, 0], real[s, 1] = a, z
                        if categorical[j]:
                            sets[s, :] = False
                            for k in range(t + 1):
                                sets[s, order[k]] = True
                            sets[s, MISSING] = number[s, 2] == 1


@compiled
def _next_by_order(word, code):  # type: ignore[no-untyped-def]
    """The child that a code leads to, where the split is not one of categories."""
    moved = (_U(code) + ((word >> _U(1)) & _U(1))) & _U(MISSING)
    return (word >> _LEFT) + _U(moved > ((word >> _BIN) & _U(MISSING)))


@compiled
def _next(word, code, sets, own):  # type: ignore[no-untyped-def]
    """The child that a code leads to."""
    if word & _U(1):
        return (word >> _LEFT) + _U(not sets[own, code])
    return _next_by_order(word, code)


@compiled
def advance(codes, rows, words, set_of_node, sets, node):  # type: ignore[no-untyped-def]
    """Each row one step down; rows in leaves stay."""
    for w in range(len(rows)):
        own = node[w]
        word = words[own]
        code = codes[rows[w], (word >> _COVARIATE) & _WIDEST]
        node[w] = _next(word, code, sets, set_of_node[own])


@compiled
def _leaves(codes, low, words, set_of_node, sets, depth, found):  # type: ignore[no-untyped-def]
    """Leaves of the rows from ``low`` on."""
    by_order = len(sets) == 1
    for i in range(len(found)):
        own = codes[low + i]
        node = _U(0)
        if by_order:
            for _ in range(depth):
                word = words[node]
                node = _next_by_order(word, own[(word >> _COVARIATE) & _WIDEST])
        else:
            for _ in range(depth):
                word = words[node]
                code = own[(word >> _COVARIATE) & _WIDEST]
                node = _next(word, code, sets, set_of_node[node])
        found[i] = node


@compiled
def add_leaf_sums(  # type: ignore[no-untyped-def]
    kind, codes, state, c, label, weight, ranges, words, set_of_node, sets, depth, steps_g,
    steps_h, leaf, sums,
):  # fmt: skip
    """The leaf of each row of the ranges, and sums of gradients of ranges of kind 1."""
    g, h = np.empty(_BLOCK), np.empty(_BLOCK)
    for r in range(len(ranges)):
        for low in range(ranges[r, 0], ranges[r, 1], _BLOCK):
            n = min(_BLOCK, ranges[r, 1] - low)
            own = leaf[low : low + n]
            _leaves(codes, low, words, set_of_node, sets, depth, own)
            if ranges[r, 2] == 1:
                _gradients(kind, state, c, low, label, weight, g[:n], h[:n])
                for i in range(n):
                    sums[own[i], 0] += _whole(g[i] * steps_g)
                    sums[own[i], 1] += _whole(h[i] * steps_h)


@compiled
def add_leaves(kind, state, c, weight, ranges, leaf, values):  # type: ignore[no-untyped-def]
    """Move each row's state by its leaf; the largest gradient of training rows, if squared."""
    largest = 0.0
    sign = -1.0 if kind == SQUARED else 1.0
    for r in range(len(ranges)):
        counts = kind == SQUARED and ranges[r, 2] != 0
        for i in range(ranges[r, 0], ranges[r, 1]):
            moved = np.float32(state[c, i] + sign * values[leaf[i]])
            state[c, i] = moved
            if counts:
                largest = max(largest, abs(weight[i] * moved))
    return largest


@compiled
def loss_sums(kind, state, label, weight, ranges):  # type: ignore[no-untyped-def]
    """Weighted sum of the losses of the ranges' rows."""
    total = 0.0
    for r in range(len(ranges)):
        for i in range(ranges[r, 0], ranges[r, 1]):
            if kind == SQUARED:
                total += weight[i] * np.float64(state[0, i]) ** 2
            elif kind == LOGISTIC:
                margin = np.float64(state[0, i])
                against = -margin if label[i] == 1 else margin
                total += weight[i] * (max(against, 0.0) + np.log1p(np.exp(-abs(against))))
            else:
                total += weight[i] * _softmax_loss(state, i, label[i])
    return total


@compiled
def add_forest(codes, words, first, depth, values, set_of_node, sets, margins):  # type: ignore[no-untyped-def]
    """Add the trees' leaves up; tree t belongs to class ``t % C`` of margins (C, n)."""
    leaf = np.empty(_BLOCK, np.int64)
    for low in range(0, len(codes), _BLOCK):
        found = leaf[: min(_BLOCK, len(codes) - low)]
        for t in range(len(depth)):
            here = slice(first[t], first[t + 1])
            own = sets if (set_of_node[here] > 0).any() else sets[:1]
            _leaves(codes, low, words[here], set_of_node[here], own, depth[t], found)
            value, margin = values[here], margins[t % margins.shape[0]]
            for i in range(len(found)):
                margin[low + i] += value[found[i]]
