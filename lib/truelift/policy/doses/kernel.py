"""Sums of a dose log's rows by cluster: kernel weights at several bandwidths, and what goes with them.

With the dose a, its density f(a|x), the policy's dose d and a kernel K of bandwidth h the weight is
``w_h = K((a - d) / h) / (h f(a|x))`` (Kallus & Zhou 2018). Its mean is one where the log gives doses near d.
An estimate at h is off by about ``c h^2``, c unknown; the combination ``2 e(h / sqrt 2) - e(h)`` of two
bandwidths has that part no more (it is an estimate by a kernel of fourth order), and both are sums of the same
rows, so its variance is known.
"""

from __future__ import annotations

import numpy as np

#: Lines of a policy and bandwidth: sums of the weight, of it times the reward, times its residual.
WEIGHT, REWARD, RESIDUAL = range(3)
_PER_WIDTH = 3


def epanechnikov(u: np.ndarray) -> np.ndarray:
    """``3/4 (1 - u^2)`` within one of zero."""
    return np.where(np.abs(u) < 1, 0.75 * (1.0 - u * u), 0.0)


def lines_of(policies: int, widths: int, rewards: int) -> int:
    """Lines of a cluster's sums."""
    return rewards * (policies * (widths * _PER_WIDTH + 1) + 1) + 1


def line_of(reward: int, policy: int, width: int, part: int, policies: int, widths: int) -> int:
    """The line of a part of a policy's sums at a bandwidth."""
    return _start(reward, policies, widths) + policy * (widths * _PER_WIDTH + 1) + width * _PER_WIDTH + part  # fmt: skip


def predicted_line(reward: int, policy: int, policies: int, widths: int) -> int:
    """The line of a policy's predicted rewards."""
    return _start(reward, policies, widths) + (policy + 1) * (widths * _PER_WIDTH + 1) - 1


def present_line(reward: int, policies: int, widths: int) -> int:
    """The line of the rewards themselves."""
    return _start(reward + 1, policies, widths) - 1


def _start(reward: int, policies: int, widths: int) -> int:
    return reward * (policies * (widths * _PER_WIDTH + 1) + 1)


def dose_sums(
    keys: np.ndarray, logged: np.ndarray, density: np.ndarray, given: np.ndarray, rewards: np.ndarray,
    own: np.ndarray, predicted: np.ndarray, widths: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Sums over clusters and of their products, for whole clusters; they add up.

    Parameters
    ----------
    keys : ndarray, n
    logged, density : ndarray, n
    given : ndarray, n x P
        Doses of the policies.
    rewards, own : ndarray, n x R
        Rewards, and their predictions at the logged dose.
    predicted : ndarray, n x P x R
        At the policies' doses.
    widths : ndarray, B
    """
    _, cluster = np.unique(keys, return_inverse=True)
    count, policies, bands = int(cluster.max()) + 1, given.shape[1], len(widths)
    outcomes = rewards.shape[1]
    sums = np.empty((lines_of(policies, bands, outcomes), count))
    squares = np.zeros((policies, bands))
    for p in range(policies):
        for b, h in enumerate(widths):
            w = epanechnikov((logged - given[:, p]) / h) / (h * density)
            squares[p, b] = w @ w
            for j in range(outcomes):
                parts = (w, w * rewards[:, j], w * (rewards[:, j] - own[:, j]))
                for part, values in enumerate(parts):
                    sums[line_of(j, p, b, part, policies, bands)] = np.bincount(
                        cluster, values, count
                    )
        for j in range(outcomes):
            line = predicted_line(j, p, policies, bands)
            sums[line] = np.bincount(cluster, predicted[:, p, j], count)
    for j in range(outcomes):
        sums[present_line(j, policies, bands)] = np.bincount(cluster, rewards[:, j], count)
    sums[-1] = np.bincount(cluster, minlength=count)
    return {
        "total": sums.sum(axis=1), "cross": sums @ sums.T, "clusters": np.array([float(count)]),
        "squares": squares,
    }  # fmt: skip
