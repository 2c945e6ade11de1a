"""Compiled loops over the steps of users whose needs are numbers: Kalman's filter, the smoother, expected sums.

Columns are taken one after the other (their noise is independent), so that a gap is a column left out and no matrix of them
is inverted (Anderson & Moore 1979). The smoother is that of Rauch, Tung & Striebel (1965). A row of the sums is that of
:class:`~.linear.NumberLayout`.
"""

from __future__ import annotations

import math

import numpy as np

from truelift.arrays.compiled import compiled


# Matrices are of a few needs: plain loops are many times as fast as a library's product of them.
@compiled
def _product(left, right, out):  # type: ignore[no-untyped-def]
    """``left @ right``."""
    for i in range(len(out)):
        for j in range(out.shape[1]):
            total = 0.0
            for k in range(left.shape[1]):
                total += left[i, k] * right[k, j]
            out[i, j] = total


@compiled
def _divided(left, spread, root, out):  # type: ignore[no-untyped-def]
    """``left`` times the inverse of a covariance, by its root (Cholesky)."""
    size = len(spread)
    for i in range(size):
        for j in range(i + 1):
            total = spread[i, j]
            for k in range(j):
                total -= root[i, k] * root[j, k]
            root[i, j] = math.sqrt(total) if i == j else total / root[j, j]
    for row in range(len(left)):
        for i in range(size):
            total = left[row, i]
            for k in range(i):
                total -= root[i, k] * out[row, k]
            out[row, i] = total / root[i, i]
        for i in range(size - 1, -1, -1):
            total = out[row, i]
            for k in range(i + 1, size):
                total -= root[k, i] * out[row, k]
            out[row, i] = total / root[i, i]


@compiled
def _filter(  # type: ignore[no-untyped-def]
    first, last, inputs, numbers, moves, pushed, begin, begin_spread, loading, level, noise,
    ahead, ahead_spread, mean, spread,
):  # fmt: skip
    """The filter of a user's steps, and what it expects of each step beforehand; gives the log-likelihood."""
    needs = len(moves)
    told = 0.0
    half, with_need = np.empty((needs, needs)), np.empty(needs)
    for t in range(last - first):
        row = first + t
        a = inputs[row]
        if t == 0:
            for k in range(needs):
                ahead[0, k] = begin[k, a]
                for j in range(needs):
                    ahead_spread[0, k, j] = begin_spread[k, j]
        else:
            _product(moves, spread[t - 1], half)
            _product(half, moves.T, ahead_spread[t])
            for k in range(needs):
                ahead_spread[t, k, k] += 1.0
                total = pushed[k, a]
                for j in range(needs):
                    total += moves[k, j] * mean[t - 1, j]
                ahead[t, k] = total
        for k in range(needs):
            mean[t, k] = ahead[t, k]
            for j in range(needs):
                spread[t, k, j] = ahead_spread[t, k, j]
        for g in range(len(level)):
            seen = numbers[row, g]
            if seen != seen:
                continue
            varies, away = noise[g] ** 2, seen - level[g]
            for k in range(needs):
                total = 0.0
                for j in range(needs):
                    total += spread[t, k, j] * loading[g, j]
                with_need[k] = total
                varies += loading[g, k] * total
                away -= loading[g, k] * mean[t, k]
            told -= 0.5 * (math.log(2 * math.pi * varies) + away * away / varies)
            for k in range(needs):
                mean[t, k] += with_need[k] * away / varies
                for j in range(needs):
                    spread[t, k, j] -= with_need[k] * with_need[j] / varies
    return told


@compiled
def _smooth(steps, moves, ahead, ahead_spread, mean, spread, back):  # type: ignore[no-untyped-def]
    """Filters become smoothers in place; ``back[t]`` takes what is known of the next step to this one."""
    needs = len(moves)
    half, root, apart = np.empty((needs, needs)), np.zeros((needs, needs)), np.empty((needs, needs))
    for t in range(steps - 2, -1, -1):
        _product(spread[t], moves.T, half)
        _divided(half, ahead_spread[t + 1], root, back[t])
        for k in range(needs):
            for j in range(needs):
                mean[t, k] += back[t, k, j] * (mean[t + 1, j] - ahead[t + 1, j])
                apart[k, j] = spread[t + 1, k, j] - ahead_spread[t + 1, k, j]
        _product(back[t], apart, half)
        _product(half, back[t].T, apart)
        for k in range(needs):
            for j in range(needs):
                spread[t, k, j] += apart[k, j]


@compiled
def add_users(  # type: ignore[no-untyped-def]
    starts, inputs, numbers, moves, pushed, begin, begin_spread, loading, level, noise, own, out,
):  # fmt: skip
    """Expected sums of users into the rows of ``out``: each its own, or all into the first."""
    needs, levels, columns = len(moves), pushed.shape[1], len(level)
    longest = 0
    for u in range(len(starts) - 1):
        longest = max(longest, starts[u + 1] - starts[u])
    ahead, mean = np.empty((longest, needs)), np.empty((longest, needs))
    ahead_spread, spread = np.empty((longest, needs, needs)), np.empty((longest, needs, needs))
    back, both = np.empty((longest, needs, needs)), np.empty((needs, needs))
    wide = needs + levels
    ends = np.cumsum(
        np.array(
            [levels, levels * needs, needs * needs, wide * wide, needs * wide, needs * needs,
             columns * (needs + 1) ** 2, columns * (needs + 1), columns * 2]
        )
    )  # fmt: skip
    for u in range(len(starts) - 1):
        first, last = starts[u], starts[u + 1]
        if last == first:
            continue
        line = out[u if own else 0]
        begun = line[ends[0] : ends[1]].reshape((levels, needs))
        begun_square = line[ends[1] : ends[2]].reshape((needs, needs))
        before = line[ends[2] : ends[3]].reshape((wide, wide))
        cross = line[ends[3] : ends[4]].reshape((needs, wide))
        square = line[ends[4] : ends[5]].reshape((needs, needs))
        held = line[ends[5] : ends[6]].reshape((columns, needs + 1, needs + 1))
        shown = line[ends[6] : ends[7]].reshape((columns, needs + 1))
        seen = line[ends[7] : ends[8]].reshape((columns, 2))
        line[ends[8]] += last - first
        line[ends[8] + 1] += 1.0
        line[ends[8] + 2] += _filter(
            first, last, inputs, numbers, moves, pushed, begin, begin_spread, loading, level, noise,
            ahead, ahead_spread, mean, spread,
        )  # fmt: skip
        _smooth(last - first, moves, ahead, ahead_spread, mean, spread, back)
        for t in range(last - first):
            a = inputs[first + t]
            if t == 0:
                line[a] += 1.0
                for k in range(needs):
                    begun[a, k] += mean[0, k]
                    for j in range(needs):
                        begun_square[k, j] += spread[0, k, j] + mean[0, k] * mean[0, j]
            else:
                _product(spread[t], back[t - 1].T, both)
                before[needs + a, needs + a] += 1.0
                for k in range(needs):
                    before[k, needs + a] += mean[t - 1, k]
                    before[needs + a, k] += mean[t - 1, k]
                    cross[k, needs + a] += mean[t, k]
                    for j in range(needs):
                        before[k, j] += spread[t - 1, k, j] + mean[t - 1, k] * mean[t - 1, j]
                        cross[k, j] += both[k, j] + mean[t, k] * mean[t - 1, j]
                        square[k, j] += spread[t, k, j] + mean[t, k] * mean[t, j]
            for g in range(columns):
                x = numbers[first + t, g]
                if x == x:
                    held[g, needs, needs] += 1.0
                    shown[g, needs] += x
                    seen[g, 0] += 1.0
                    seen[g, 1] += x * x
                    for k in range(needs):
                        held[g, k, needs] += mean[t, k]
                        held[g, needs, k] += mean[t, k]
                        shown[g, k] += x * mean[t, k]
                        for j in range(needs):
                            held[g, k, j] += spread[t, k, j] + mean[t, k] * mean[t, j]


@compiled
def posteriors(  # type: ignore[no-untyped-def]
    starts, inputs, numbers, moves, pushed, begin, begin_spread, loading, level, noise,
    filtered, filtered_spread, smoothed, smoothed_spread,
):  # fmt: skip
    """Means (n x K) and covariances (n x K x K) of needs: by what was seen up to a step, and by all."""
    needs = len(moves)
    longest = 0
    for u in range(len(starts) - 1):
        longest = max(longest, starts[u + 1] - starts[u])
    ahead, ahead_spread = np.empty((longest, needs)), np.empty((longest, needs, needs))
    back = np.empty((longest, needs, needs))
    for u in range(len(starts) - 1):
        first, last = starts[u], starts[u + 1]
        _filter(
            first, last, inputs, numbers, moves, pushed, begin, begin_spread, loading, level, noise,
            ahead, ahead_spread, filtered[first:last], filtered_spread[first:last],
        )  # fmt: skip
        smoothed[first:last] = filtered[first:last]
        smoothed_spread[first:last] = filtered_spread[first:last]
        _smooth(
            last - first, moves, ahead, ahead_spread, smoothed[first:last], smoothed_spread[first:last], back,
        )  # fmt: skip
