"""Compiled stochastic gradients of factorised scores ``b + b_u + b_i + p_u . q_i``.

Rows are visited in an order that a seed decides, one after the other, so a fit is the same one on
every machine and with any number of cores.
"""

from __future__ import annotations

import numpy as np

from truelift.arrays.compiled import compiled


@compiled
def fit_points(  # type: ignore[no-untyped-def]
    users, items, labels, weights, left, right, user_bias, item_bias, level,
    logistic, epochs, rate, penalty, bias_penalty, seed,
):  # fmt: skip
    """Weighted squares or logistic losses of single cells.

    The gradient of both is linear in the label, so a label may be any number: a doubly robust
    pseudo-label too. ``logistic`` says whether scores are log odds. The step falls linearly to a
    tenth over the epochs. Changes the factors and biases in place.
    """
    np.random.seed(seed)
    rows, rank = len(users), left.shape[1]
    order = np.arange(rows)
    steps, step = epochs * rows, 0
    for _ in range(epochs):
        for k in range(rows - 1, 0, -1):
            j = np.random.randint(0, k + 1)
            order[k], order[j] = order[j], order[k]
        for k in range(rows):
            row = order[k]
            u, i = users[row], items[row]
            score = level[0] + user_bias[u] + item_bias[i]
            for f in range(rank):
                score += left[u, f] * right[i, f]
            if logistic:
                score = 1.0 / (1.0 + np.exp(-score))
            pace = rate * (1.0 - 0.9 * step / steps)
            step += 1
            # A weight never steps over its own optimum.
            pull = min(pace * weights[row], 1.0) * (labels[row] - score)
            level[0] += 0.1 * pull
            user_bias[u] += pull - pace * bias_penalty * user_bias[u]
            item_bias[i] += pull - pace * bias_penalty * item_bias[i]
            for f in range(rank):
                a, b = left[u, f], right[i, f]
                left[u, f] += pull * b - pace * penalty * a
                right[i, f] += pull * a - pace * penalty * b


@compiled
def fit_pairs(  # type: ignore[no-untyped-def]
    users, items, weights, left, right, item_bias, steps, rate, penalty, seed,
    avoid,
):  # fmt: skip
    """Signed pairwise losses: ``|w| log(1 + exp(-sign(w) (s_ui - s_uj)))``, j drawn evenly.

    With weights of 1 this is BPR (Rendle et al., UAI 2009); with ``Z Y / max(P, c)`` and
    ``-(1 - Z) Y / max(1 - P, c)`` the upper bound of the loss of Sato et al. (RecSys 2020), whose
    minimum ranks by the causal effect. ``avoid`` (users x items) are items that j may not be.
    """
    np.random.seed(seed)
    rows, rank, catalogue = len(users), left.shape[1], len(right)
    for step in range(steps):
        row = np.random.randint(0, rows)
        u, i, weight = users[row], items[row], weights[row]
        j = np.random.randint(0, catalogue)
        for _ in range(20):
            if j != i and not avoid[u, j]:
                break
            j = np.random.randint(0, catalogue)
        gap = item_bias[i] - item_bias[j]
        for f in range(rank):
            gap += left[u, f] * (right[i, f] - right[j, f])
        sign = 1.0 if weight > 0 else -1.0
        pace = rate * (1.0 - 0.9 * step / steps)
        pull = sign * min(pace * abs(weight), 1.0) / (1.0 + np.exp(sign * gap))
        item_bias[i] += pull - pace * penalty * item_bias[i]
        item_bias[j] += -pull - pace * penalty * item_bias[j]
        for f in range(rank):
            a, b, c = left[u, f], right[i, f], right[j, f]
            left[u, f] += pull * (b - c) - pace * penalty * a
            right[i, f] += pull * a - pace * penalty * b
            right[j, f] += -pull * a - pace * penalty * c
