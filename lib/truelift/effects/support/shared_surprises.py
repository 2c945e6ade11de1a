"""What rows of one cluster share of treatment and outcome, beyond what the models foresaw.

Arrays in, numbers out: by pairs of rows as for levels of categories (:mod:`~.level_balance`), and by
what a cluster's own rows say of the effect.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from truelift.effects.scores.sums import Scoring
from truelift.effects.support.level_balance import surprises

#: By how many standard errors what is shared has to differ from nothing, to be called so.
BEYOND = 4.0


def surprises_of(batch: pa.RecordBatch, scoring: Scoring) -> np.ndarray:
    """:func:`~.level_balance.surprises` of the rows of :func:`~.repeated_units.rows_of_clusters`."""
    arms, outcomes = scoring.layout.arms, scoring.layout.outcomes
    bucket = batch.column(0).to_numpy()
    lines = np.empty((arms * (1 + outcomes), batch.num_rows))
    for b in np.unique(bucket):
        own = np.flatnonzero(bucket == b)
        _, units = scoring.units(batch.take(pa.array(own)), int(b))
        lines[:, own] = surprises(units, scoring.clip)
    return lines


def shared_surprise(
    cluster: np.ndarray, treated: tuple[np.ndarray, np.ndarray],
    control: tuple[np.ndarray, np.ndarray],
) -> tuple[float, float]:  # fmt: skip
    """The bias of an arm's difference to the control, by pairs of rows of a cluster, and its error.

    As :func:`~.level_balance.left_over`, with clusters as levels, whose rows may depend on each
    other: the error is that of independent clusters.

    Parameters
    ----------
    cluster : ndarray of int, n
    treated, control : tuple of (ndarray, ndarray), n
        B and R of the two arms.
    """
    n = np.bincount(cluster).astype(float)
    paired = n > 1
    covered = float(n[paired].sum())
    if covered <= 0:
        return 0.0, np.inf
    product = np.zeros(len(n))
    for sign, (share, left) in ((1.0, treated), (-1.0, control)):
        sums = [np.bincount(cluster, line) for line in (share, left, share * left)]
        product += sign * (sums[0] * sums[1] - sums[2])
    by_cluster = product[paired] / (n[paired] - 1) / covered
    return float(by_cluster.sum()), float(np.sqrt(np.sum(by_cluster**2)))


def difference_within(
    cluster: np.ndarray, treated: tuple[np.ndarray, np.ndarray],
    control: tuple[np.ndarray, np.ndarray],
) -> tuple[float, float]:  # fmt: skip
    """What rows of one cluster say of an arm's difference otherwise than all rows do, and its error.

    The models' residuals are zero on average in each arm. If they are also alike for treated and
    control rows of one cluster, that cluster says what the estimate says; the difference, with n_1
    n_0 / n as weights (those of a regression with an intercept for every cluster), is what an
    estimate by clusters' own rows lacks of it, or has more.

    Parameters
    ----------
    cluster : ndarray of int, n
    treated, control : tuple of (ndarray, ndarray), n
        B and R of the two arms.
    """
    size, means = int(cluster.max()) + 1, []
    for share, left in (treated, control):
        own, residual = _residuals(share, left)
        count = np.bincount(cluster, own, minlength=size)
        means.append((count, np.bincount(cluster, residual, minlength=size)))
    (n1, sum1), (n0, sum0) = means
    both = (n1 > 0) & (n0 > 0)
    if not both.any():
        return 0.0, np.inf
    weight = n1[both] * n0[both] / (n1[both] + n0[both])
    apart = sum0[both] / n0[both] - sum1[both] / n1[both]
    bias = float(weight @ apart / weight.sum())
    return bias, float(np.sqrt(np.sum((weight * (apart - bias)) ** 2)) / weight.sum())


def shares_both(
    cluster: np.ndarray, treated: tuple[np.ndarray, np.ndarray],
    control: tuple[np.ndarray, np.ndarray],
) -> bool:  # fmt: skip
    """Whether rows of one cluster share their treatment *and* their outcome, beyond the models.

    Each by pairs of rows, so that it shows where the product of both has mean zero, as where what
    units bring along and what time brings cancel.

    Parameters
    ----------
    cluster : ndarray of int, n
    treated, control : tuple of (ndarray, ndarray), n
        B and R of the two arms.
    """
    nothing = np.zeros(len(cluster))
    outcome = _residuals(*treated)[1] + _residuals(*control)[1]
    for line in (treated[0], outcome):
        shared, error = shared_surprise(cluster, (line, line), (nothing, nothing))
        if not shared > BEYOND * error:
            return False
    return True


def _residuals(share: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which rows are of an arm, and their residuals, from its B (-1 for rows of others) and R."""
    own = share > -1.0
    return own, np.divide(left, share + 1.0, out=np.zeros(len(left)), where=own)
