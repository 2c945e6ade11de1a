"""What the trees start from: cross-fitted linear outcome regressions and a logistic propensity.

Shrunken trees approach a slope by stairs and under-fit it; an interval does not know. With the
linear part fitted first, trees are left with what is not linear. Without covariates both models
are constants: the means of the training rows.

Sums over rows only, so workers add theirs up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from truelift.distributed.collective import Collective
from truelift.effects.boosting.reading import Preparation, TrainingRows
from truelift.inference.normal_equations import ridge_per_unit, solve_symmetric
from truelift.models.trees.binning import drawn

_CHUNK_NUMBERS = 2_000_000
_START_ROWS = 20_000.0
_MOST_STEPS = 30
_ENOUGH = 1e-12


@dataclass(frozen=True, eq=False)
class LinearStart:
    """Coefficients without each fold.

    The design is ``(1, z)`` with ``z = (x - centre) / scale``, 0 where missing; with degree 2,
    ``z_i z_j`` for ``i <= j`` follow. Its length is w.

    Parameters
    ----------
    linear : tuple of int
        Rows of the covariates that take part.
    centre, scale : ndarray, q
    degree : int
    outcome : ndarray, (K, A, J, w)
    propensity : ndarray, (K, A - 1, w)
        Log odds of each arm against arm 0.
    """

    linear: tuple[int, ...]
    centre: np.ndarray
    scale: np.ndarray
    degree: int
    outcome: np.ndarray
    propensity: np.ndarray

    def design(self, x: np.ndarray) -> np.ndarray:
        """Of all covariates (p, n), the design (w, n)."""
        chosen = [x[j].astype(np.float32) for j in self.linear]
        return _design(chosen, self.centre, self.scale, x.shape[1], self.degree)


def design_chunks(
    rows: TrainingRows, preparation: Preparation
) -> Iterator[tuple[slice, np.ndarray]]:
    """Slices of the rows and their designs (w, n)."""
    most = max(_CHUNK_NUMBERS // preparation.width, 2048)
    for first in range(0, len(rows.arm), most):
        here = slice(first, min(first + most, len(rows.arm)))
        chosen = [column[here] for column in rows.raw]
        centre, scale = preparation.centre, preparation.scale
        yield here, _design(chosen, centre, scale, here.stop - first, preparation.degree)


def _design(
    columns: list[np.ndarray], centre: np.ndarray, scale: np.ndarray, n: int, degree: int
) -> np.ndarray:  # fmt: skip
    q = len(columns)
    z = np.empty((1 + q + (q * (q + 1) // 2 if degree == 2 else 0), n))
    z[0] = 1.0
    for j, column in enumerate(columns):
        np.subtract(column, centre[j], out=z[1 + j], dtype=np.float64)
        z[1 + j] /= scale[j]
        z[1 + j][~np.isfinite(z[1 + j])] = 0.0
    if degree == 2:
        following = 1 + q
        for i in range(q):
            np.multiply(z[1 + i], z[1 + i : 1 + q], out=z[following : following + q - i])
            following += q - i
    return z


def log_odds(coefficients: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Log odds against arm 0, arm 0's own zeros first (A, n)."""
    odds = coefficients @ z
    return np.concatenate([np.zeros((1, z.shape[1])), odds])


def fit_linear_start(
    rows: TrainingRows, preparation: Preparation, uses: np.ndarray, arms: int, signs: tuple[int, ...],
    ridge: float | None, workers: Collective,
) -> LinearStart:  # fmt: skip
    """Least squares by arm and multinomial logit of each fold, without the validation part.

    Parameters
    ----------
    uses : ndarray of bool, (K, K)
        Of :func:`~truelift.effects.panel.training_folds.training_folds`.
    signs : tuple of int, p
        Monotone covariates: 1 where an outcome's coefficient may not be negative, -1 where it
        may not be positive. A coefficient with the wrong sign is taken out.
    """
    own = np.zeros(preparation.width)
    own[1 : 1 + len(preparation.linear)] = [signs[j] for j in preparation.linear]
    return LinearStart(
        linear=preparation.linear,
        centre=preparation.centre,
        scale=preparation.scale,
        degree=preparation.degree,
        outcome=_least_squares(rows, preparation, uses, arms, own, ridge, workers),
        propensity=_logit(rows, preparation, uses, arms, ridge, workers),
    )


def _least_squares(
    rows: TrainingRows, preparation: Preparation, uses: np.ndarray, arms: int, signs: np.ndarray,
    ridge: float | None, workers: Collective,
) -> np.ndarray:  # fmt: skip
    width, outcomes, folds = len(signs), len(rows.outcome), len(uses)
    moments = np.zeros((folds, arms, width, width + outcomes))
    for here, z in design_chunks(rows, preparation):
        for (a, k, part), own in rows.segments_within(here):
            if part == 0:
                within = z[:, own.start - here.start : own.stop - here.start]
                both = np.concatenate([within, rows.outcome[:, own]])
                moments[k, a] += (within * rows.weight[own]) @ both.T
    moments = workers.sum(moments)
    result = np.zeros((folds, arms, outcomes, width))
    for k in range(folds):
        # Added up anew without fold k: a subtraction would leave traces of it in the last digit.
        without = moments[uses[k]].sum(axis=0)
        for a in range(arms):
            own = without[a, 0, 0] * ridge_per_unit(ridge, width - 1, without[a, 0, 0])
            penalty = own * (np.arange(width) > 0)
            matrix = without[a, :, :width] + np.diag(penalty)
            for j in range(outcomes):
                result[k, a, j] = _signed(matrix, without[a, :, width + j], signs)
    return result


def _signed(matrix: np.ndarray, right: np.ndarray, signs: np.ndarray) -> np.ndarray:
    kept = np.arange(len(right))
    while True:
        found = np.zeros(len(right))
        found[kept] = solve_symmetric(matrix[np.ix_(kept, kept)], right[kept])
        wrong = found * signs < 0
        if not wrong.any():
            return found
        kept = np.setdiff1d(kept, np.flatnonzero(wrong))


def _logit(
    rows: TrainingRows, preparation: Preparation, uses: np.ndarray, arms: int,
    ridge: float | None,
    workers: Collective,
) -> np.ndarray:  # fmt: skip
    """Newton on a few rows until it stands, then on all: mostly two steps on all."""
    width = preparation.width
    total = workers.sum(np.array([float(len(rows.arm))]))[0]
    few = drawn(rows.hashes, min(1.0, _START_ROWS / max(total, 1.0)), salt=3)
    found = np.zeros((len(uses), arms - 1, width))
    if arms == 1:
        return found
    for use in ([few] if total > 4 * _START_ROWS else []) + [np.ones(len(few), bool)]:
        found = _newton(rows, preparation, found, uses, use, ridge, workers)
    return found


def _newton(
    rows: TrainingRows, preparation: Preparation, start: np.ndarray, uses: np.ndarray,
    use: np.ndarray, ridge: float | None, workers: Collective,
) -> np.ndarray:  # fmt: skip
    folds, free, width = start.shape
    best, value = start.copy(), np.full(folds, np.inf)
    point, active = start.copy(), np.ones(folds, bool)
    penalised = np.tile(np.arange(width) > 0, free)
    for _ in range(_MOST_STEPS):
        sums = workers.sum(_logit_sums(rows, preparation, point, uses, use, active))
        for k in np.flatnonzero(active):
            count, loss = sums[k, :2]
            if count == 0:
                active[k] = False
                continue
            flat = point[k].ravel()
            penalty = ridge_per_unit(ridge, width - 1, count) * penalised
            objective = loss / count + 0.5 * penalty @ flat**2
            if objective > value[k] + 1e-12:
                point[k] = 0.5 * (best[k] + point[k])
                continue
            ascent = sums[k, 2 : 2 + free * width] / count - penalty * flat
            hessian = sums[k, 2 + free * width :].reshape(free * width, -1) / count
            step = solve_symmetric(hessian + np.diag(penalty), ascent)
            best[k], value[k] = point[k], objective
            point[k] = point[k] + step.reshape(free, width)
            if ascent @ step < _ENOUGH:
                best[k], active[k] = point[k], False
        if not active.any():
            break
    return best


def _logit_sums(
    rows: TrainingRows, preparation: Preparation, point: np.ndarray, uses: np.ndarray,
    use: np.ndarray, active: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """For each fold: weight, loss, ascent, Hessian over the training rows of the folds it uses."""
    folds, free, width = point.shape
    size = free * width
    sums = np.zeros((folds, 2 + size + size * size))
    for here, z in design_chunks(rows, preparation):
        for (arm, fold, part), own in rows.segments_within(here):
            fitted = np.flatnonzero(active & uses[:, fold])
            if part or not len(fitted):
                continue
            within, weight = z[:, own.start - here.start : own.stop - here.start], rows.weight[own]
            if not use[own].all():
                within, weight = within[:, use[own]], weight[use[own]]
            for k in fitted:
                odds = log_odds(point[k], within)
                norm = _log_sum(odds)
                share = np.exp(odds - norm)[1:]
                sums[k, 0] += weight.sum()
                sums[k, 1] += weight @ (norm - odds[arm])
                is_arm = arm == np.arange(1, free + 1)[:, None]
                sums[k, 2 : 2 + size] += ((weight * (is_arm - share)) @ within.T).ravel()
                hessian = np.empty((free, width, free, width))
                for a in range(free):
                    for b in range(a, free):
                        curvature = weight * share[a] * ((a == b) - share[b])
                        hessian[a, :, b] = (within * curvature) @ within.T
                        hessian[b, :, a] = hessian[a, :, b].T
                sums[k, 2 + size :] += hessian.ravel()
    return sums


def _log_sum(odds: np.ndarray) -> np.ndarray:
    """Logarithm of the sum of exponentials of the rows (n,)."""
    top = odds.max(axis=0)
    return np.asarray(top + np.log(np.exp(odds - top).sum(axis=0)))
