"""Compiled loops over the steps of users: forward, backward, and the expected sums that EM needs.

A row of the sums has, one after the other: starts by input and need, moves by input and two needs, levels of the
categorical columns by need, weight and weighted sum of counts, weight, sum and sum of squares of numbers, steps by
need, steps, users, log-likelihood (:class:`~.states.Layout`).
"""

from __future__ import annotations

import math

import numpy as np

from truelift.arrays.compiled import compiled

# What is seen makes a need at most this much less likely than the likeliest one at a step: a row
# that no living need could have made then moves the weights, and does not end in 0 / 0.
_LEAST = 1e-100
_LOG_LEAST = math.log(_LEAST)


@compiled
def _seen(  # type: ignore[no-untyped-def]
    codes, counts, numbers, log_table, offsets, log_rate, rate, mean, sd, chance
):
    """Chances of what was seen at a step by need, up to a factor; the log of the factor."""
    needs = len(chance)
    chance[:] = 0.0
    beside = 0.0
    for c in range(len(codes)):
        if codes[c] >= 0:
            row = log_table[offsets[c] + codes[c]]
            for k in range(needs):
                chance[k] += row[k]
    for p in range(len(counts)):
        x = counts[p]
        if x == x:
            beside -= math.lgamma(x + 1.0)
            for k in range(needs):
                chance[k] += x * log_rate[p, k] - rate[p, k]
    for g in range(len(numbers)):
        x = numbers[g]
        if x == x:
            beside -= 0.9189385332046727
            for k in range(needs):
                away = (x - mean[g, k]) / sd[g, k]
                chance[k] -= 0.5 * away * away + math.log(sd[g, k])
    top = chance[0]
    for k in range(1, needs):
        top = max(top, chance[k])
    for k in range(needs):
        chance[k] = math.exp(max(chance[k] - top, _LOG_LEAST))
    return top + beside


@compiled
def _forward(  # type: ignore[no-untyped-def]
    first, last, inputs, codes, counts, numbers, initial, transition, log_table, offsets, log_rate,
    rate, mean, sd, seen, alpha, scale,
):  # fmt: skip
    """The filter of a user's steps into ``alpha``; gives the log-likelihood."""
    needs = initial.shape[1]
    told = 0.0
    for t in range(last - first):
        row = first + t
        told += _seen(
            codes[row], counts[row], numbers[row], log_table, offsets, log_rate, rate, mean, sd, seen[t],
        )  # fmt: skip
        total = 0.0
        for k in range(needs):
            if t == 0:
                before = initial[inputs[row], k]
            else:
                before = 0.0
                for j in range(needs):
                    before += alpha[t - 1, j] * transition[inputs[row], j, k]
            alpha[t, k] = before * seen[t, k]
            total += alpha[t, k]
        scale[t] = total
        told += math.log(total)
        for k in range(needs):
            alpha[t, k] /= total
    return told


@compiled
def add_users(  # type: ignore[no-untyped-def]
    starts, inputs, codes, counts, numbers, initial, transition, log_table, offsets, log_rate, rate, mean, sd,
    own, out,
):  # fmt: skip
    """Expected sums of users into the rows of ``out``: each its own, or all into the first."""
    levels, needs = initial.shape
    longest = 0
    for u in range(len(starts) - 1):
        longest = max(longest, starts[u + 1] - starts[u])
    seen, alpha = np.empty((longest, needs)), np.empty((longest, needs))
    scale, beta, back = np.empty(longest), np.empty(needs), np.empty(needs)
    at_moves = levels * needs
    at_table = at_moves + levels * needs * needs
    at_counts = at_table + log_table.shape[0] * needs
    at_numbers = at_counts + log_rate.shape[0] * needs * 2
    at_steps = at_numbers + mean.shape[0] * needs * 3
    for u in range(len(starts) - 1):
        first, last = starts[u], starts[u + 1]
        if last == first:
            continue
        line = out[u if own else 0]
        line[at_steps + needs + 2] += _forward(
            first, last, inputs, codes, counts, numbers, initial, transition, log_table, offsets,
            log_rate, rate, mean, sd, seen, alpha, scale,
        )  # fmt: skip
        line[at_steps + needs] += last - first
        line[at_steps + needs + 1] += 1.0
        beta[:] = 1.0
        for t in range(last - first - 1, -1, -1):
            row = first + t
            shown = inputs[row]
            for k in range(needs):
                weight = alpha[t, k] * beta[k]
                line[at_steps + k] += weight
                for c in range(codes.shape[1]):
                    if codes[row, c] >= 0:
                        line[at_table + (offsets[c] + codes[row, c]) * needs + k] += weight
                for p in range(counts.shape[1]):
                    x = counts[row, p]
                    if x == x:
                        place = at_counts + (p * needs + k) * 2
                        line[place] += weight
                        line[place + 1] += weight * x
                for g in range(numbers.shape[1]):
                    x = numbers[row, g]
                    if x == x:
                        place = at_numbers + (g * needs + k) * 3
                        line[place] += weight
                        line[place + 1] += weight * x
                        line[place + 2] += weight * x * x
                if t == 0:
                    line[shown * needs + k] += weight
            if t > 0:
                for k in range(needs):
                    back[k] = seen[t, k] * beta[k] / scale[t]
                for j in range(needs):
                    total = 0.0
                    place = at_moves + (shown * needs + j) * needs
                    for k in range(needs):
                        part = transition[shown, j, k] * back[k]
                        total += part
                        line[place + k] += alpha[t - 1, j] * part
                    beta[j] = total


@compiled
def posteriors(  # type: ignore[no-untyped-def]
    starts, inputs, codes, counts, numbers, initial, transition, log_table, offsets, log_rate, rate, mean, sd,
    filtered, smoothed,
):  # fmt: skip
    """P(need | what was seen up to the step) and P(need | all that was seen), n x K each."""
    needs = initial.shape[1]
    longest = 0
    for u in range(len(starts) - 1):
        longest = max(longest, starts[u + 1] - starts[u])
    seen, scale = np.empty((longest, needs)), np.empty(longest)
    beta, back = np.empty(needs), np.empty(needs)
    for u in range(len(starts) - 1):
        first, last = starts[u], starts[u + 1]
        alpha = filtered[first:last]
        _forward(
            first, last, inputs, codes, counts, numbers, initial, transition, log_table, offsets,
            log_rate, rate, mean, sd, seen, alpha, scale,
        )  # fmt: skip
        beta[:] = 1.0
        for t in range(last - first - 1, -1, -1):
            for k in range(needs):
                smoothed[first + t, k] = alpha[t, k] * beta[k]
            if t > 0:
                for k in range(needs):
                    back[k] = seen[t, k] * beta[k] / scale[t]
                for j in range(needs):
                    total = 0.0
                    for k in range(needs):
                        total += transition[inputs[first + t], j, k] * back[k]
                    beta[j] = total
