"""Compiled loops of policy trees: histograms of scores, and the best cuts in them.

A histogram's last channel counts rows; the others are sums of the arms' scores.
"""

from __future__ import annotations

import numpy as np

from truelift.arrays.compiled import compiled


@compiled
def add_cells(cell, group, values, out):  # type: ignore[no-untyped-def]
    """Add every row's values to ``out[group, cell]``; rows of a negative group count nowhere."""
    width = values.shape[1]
    for r in range(len(cell)):
        g = group[r]
        if g >= 0:
            c = cell[r]
            for v in range(width):
                out[g, c, v] += values[r, v]


@compiled
def add_pairs(first, second, group, values, bins, out):  # type: ignore[no-untyped-def]
    """:func:`add_cells` of the cell ``first * bins + second``, which is not kept."""
    width = values.shape[1]
    for r in range(len(first)):
        g = group[r]
        if g >= 0:
            c = np.int64(first[r]) * bins + second[r]
            for v in range(width):
                out[g, c, v] += values[r, v]


@compiled
def add_triples(first, second, third, group, values, bins, out):  # type: ignore[no-untyped-def]
    """:func:`add_cells` of the cell of three codes."""
    width = values.shape[1]
    for r in range(len(first)):
        g = group[r]
        if g >= 0:
            c = (np.int64(first[r]) * bins + second[r]) * bins + third[r]
            for v in range(width):
                out[g, c, v] += values[r, v]


@compiled
def _best_arm(sums):  # type: ignore[no-untyped-def]
    best = 0
    for a in range(1, len(sums) - 1):
        if sums[a] > sums[best]:
            best = a
    return best


@compiled
def _split_of(prefix, least, tie, best):  # type: ignore[no-untyped-def]
    """The best cut of a side whose bins' running sums are given: its value (at least ``best``) and cut.

    ``prefix`` is bins x channels; a cut counts where it adds more than ``tie`` and both leaves have
    ``least`` rows; of equal ones the lowest stands. -1 is no cut.
    """
    bins, channels = prefix.shape
    arms, cut = channels - 1, -1
    total = prefix[bins - 1]
    for b in range(bins - 1):
        low = prefix[b]
        if low[arms] < least or total[arms] - low[arms] < least:
            continue
        below, above = low[0], total[0] - low[0]
        for a in range(1, arms):
            below = max(below, low[a])
            above = max(above, total[a] - low[a])
        if below + above > best + tie:
            best, cut = below + above, b
    return best, cut


@compiled
def side_splits(pair, least, tie, values, cuts):  # type: ignore[no-untyped-def]
    """Best cuts on the second covariate, on each side of every cut on the first.

    Parameters
    ----------
    pair : ndarray, B x B x channels
        Histogram of the first covariate (lines) and the second.
    least : float
        Rows of a leaf.
    tie : float
    values : ndarray, 2 x B
        Receives the value of the side below (0) and above (1) the cut: minus infinity without one.
    cuts : ndarray of int, 2 x B
    """
    lines, bins, channels = pair.shape
    whole = np.zeros((bins, channels))
    for b in range(lines):
        for c in range(bins):
            for v in range(channels):
                whole[c, v] += pair[b, c, v]
    below = np.zeros((bins, channels))
    running_below, running_above = np.zeros(channels), np.zeros(channels)
    prefix_below, prefix_above = np.empty((bins, channels)), np.empty((bins, channels))
    for b in range(lines):
        # ``below`` holds sums over lines; the running sums over bins go to the sides' prefixes.
        running_below[:] = 0.0
        running_above[:] = 0.0
        for c in range(bins):
            for v in range(channels):
                below[c, v] += pair[b, c, v]
                running_below[v] += below[c, v]
                running_above[v] += whole[c, v] - below[c, v]
                prefix_below[c, v] = running_below[v]
                prefix_above[c, v] = running_above[v]
        values[0, b], cuts[0, b] = _split_of(prefix_below, least, tie, -np.inf)
        values[1, b], cuts[1, b] = _split_of(prefix_above, least, tie, -np.inf)


@compiled
def own_splits(marginal, least, tie, values, cuts):  # type: ignore[no-untyped-def]
    """:func:`side_splits` where both covariates are the same one."""
    bins, channels = marginal.shape
    prefix = np.zeros((bins, channels))
    for b in range(bins):
        for v in range(channels):
            prefix[b, v] = marginal[b, v] + (prefix[b - 1, v] if b else 0.0)
    for b in range(bins):
        values[0, b], cuts[0, b] = _split_of(prefix[: b + 1], least, tie, -np.inf)
        values[1, b], cuts[1, b] = -np.inf, -1
        if b < bins - 1:
            upper = np.empty((bins - 1 - b, channels))
            for c in range(b + 1, bins):
                for v in range(channels):
                    upper[c - b - 1, v] = prefix[c, v] - prefix[b, v]
            value, cut = _split_of(upper, least, tie, -np.inf)
            values[1, b] = value
            cuts[1, b] = cut + b + 1 if cut >= 0 else -1


@compiled
def best_tree(marginals, values, cuts, least, tie, nodes):  # type: ignore[no-untyped-def]
    """The best tree of depth two from all sides' best cuts.

    Parameters
    ----------
    marginals : ndarray, p x B x channels
    values : ndarray, p x p x 2 x B
        By root covariate, child covariate, side and root cut, as :func:`side_splits` gives them.
    cuts : ndarray of int, p x p x 2 x B
    least, tie : float
    nodes : ndarray of int, 3 x 2
        Receives covariate and cut of the root and of its children below and above; -1 for a leaf.

    Returns
    -------
    float
        The sum of the chosen arms' scores. A deeper tree stands only where it adds more than
        ``tie``, and of equal ones the first covariate and the lowest cut.
    """
    p, bins, channels = marginals.shape
    arms = channels - 1
    total = np.zeros(channels)
    for b in range(bins):
        for v in range(channels):
            total[v] += marginals[0, b, v]
    best = total[_best_arm(total)]
    nodes[:] = -1
    low, high = np.zeros(channels), np.zeros(channels)
    sides = np.empty(2)
    for i in range(p):
        low[:] = 0.0
        for b in range(bins - 1):
            for v in range(channels):
                low[v] += marginals[i, b, v]
                high[v] = total[v] - low[v]
            if low[arms] < least or high[arms] < least:
                continue
            sides[0], sides[1] = low[_best_arm(low)], high[_best_arm(high)]
            if sides[0] + sides[1] > best + tie:
                best = sides[0] + sides[1]
                nodes[:] = -1
                nodes[0, 0], nodes[0, 1] = i, b
            child, cut = np.full(2, -1), np.full(2, -1)
            for side in range(2):
                for j in range(p):
                    if values[i, j, side, b] > sides[side] + tie:
                        sides[side] = values[i, j, side, b]
                        child[side], cut[side] = j, cuts[i, j, side, b]
            if sides[0] + sides[1] > best + tie:
                best = sides[0] + sides[1]
                nodes[0, 0], nodes[0, 1] = i, b
                for side in range(2):
                    nodes[1 + side, 0], nodes[1 + side, 1] = child[side], cut[side]
    return best


@compiled
def best_under_cut(pairs, first, second, marginals, least, tie, nodes):  # type: ignore[no-untyped-def]
    """The best tree of depth two from all pairs' histograms at once (P x B x B x channels)."""
    p, bins, channels = marginals.shape
    values = np.full((p, p, 2, bins), -np.inf)
    cuts = np.full((p, p, 2, bins), -1)
    for i in range(p):
        own_splits(marginals[i], least, tie, values[i, i], cuts[i, i])
    turned = np.empty((bins, bins, channels))
    for k in range(len(first)):
        i, j = first[k], second[k]
        side_splits(pairs[k], least, tie, values[i, j], cuts[i, j])
        for b in range(bins):
            for c in range(bins):
                for v in range(channels):
                    turned[c, b, v] = pairs[k, b, c, v]
        side_splits(turned, least, tie, values[j, i], cuts[j, i])
    return best_tree(marginals, values, cuts, least, tie, nodes)


@compiled
def _add_line(parts, line, factor, out):  # type: ignore[no-untyped-def]
    """Add one line of the second axis of P x B x C x D x channels, times a factor."""
    count, _, bins, width, channels = parts.shape
    for k in range(count):
        for b in range(bins):
            for c in range(width):
                for v in range(channels):
                    out[k, b, c, v] += factor * parts[k, line, b, c, v]


@compiled
def best_under_root(triples, doubles, first, second, root, least, tie, nodes):  # type: ignore[no-untyped-def]
    """The best tree of depth three whose root cuts one covariate.

    Parameters
    ----------
    triples : ndarray, P x B x B x B x channels
        Histograms of the root's covariate and the pairs ``first`` < ``second``.
    doubles : ndarray, p x B x B x channels
        Histograms of the root's covariate (lines) and every covariate, itself too.
    first, second : ndarray of int, P
    root : int
    least, tie : float
    nodes : ndarray of int, 7 x 2
        Receives the root, then the tree below the cut and that above it, as :func:`best_tree` has them.

    Returns
    -------
    float
        Minus infinity where no cut leaves enough rows.
    """
    count, bins, channels = len(first), triples.shape[1], triples.shape[4]
    p = doubles.shape[0]
    of_one = doubles.reshape(p, bins, 1, bins, channels)
    low, high = np.zeros((count, bins, bins, channels)), np.zeros((count, bins, bins, channels))
    low_one, high_one = np.zeros((p, bins, channels)), np.zeros((p, bins, channels))
    for b in range(bins):
        _add_line(triples, b, 1.0, high)
        _add_line(of_one, b, 1.0, high_one.reshape(p, 1, bins, channels))
    best = -np.inf
    below, above = np.empty((3, 2), np.int64), np.empty((3, 2), np.int64)
    rows = high_one[0, :, channels - 1].sum()
    for b in range(bins - 1):
        _add_line(triples, b, 1.0, low)
        _add_line(triples, b, -1.0, high)
        _add_line(of_one, b, 1.0, low_one.reshape(p, 1, bins, channels))
        _add_line(of_one, b, -1.0, high_one.reshape(p, 1, bins, channels))
        inside = low_one[0, :, channels - 1].sum()
        if inside < least or rows - inside < least:
            continue
        value = best_under_cut(low, first, second, low_one, least, tie, below)
        value += best_under_cut(high, first, second, high_one, least, tie, above)
        if value > best + tie:
            best = value
            nodes[0, 0], nodes[0, 1] = root, b
            nodes[1:4] = below
            nodes[4:7] = above
    return best
