"""The first pass over all rows: Gram matrices a fold and arm, one Newton step's sums, checks.

Everything that the outcome models, the naive difference and the balance table need is in the
Gram matrices of ``z = (1, x, y)``; all outcomes share them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.effects.columns import PanelColumns, Scale, number_column
from truelift.effects.normal_equations import centred, complements, dependent_columns
from truelift.effects.propensity import loss_sums
from truelift.effects.start import Start
from truelift.errors import DataError


@dataclass(frozen=True, eq=False)
class MomentsKernel:
    """Sums of a bucket; only its own fold's part of each array is not zero."""

    columns: PanelColumns
    start: Start
    folds: int

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> dict[str, np.ndarray]:
        """Gram matrices by fold and arm, Newton sums at the start, counts for the checks."""
        fold, p, width = bucket % self.folds, self._p, 1 + self._p + self._outcomes
        gram = np.zeros((self.folds, 2, width, width))
        loss = np.zeros(self.folds)
        ascent = np.zeros((self.folds, 1 + p))
        hessian = np.zeros((self.folds, 1 + p, 1 + p))
        bad = np.zeros(width)
        odd = np.zeros(1)
        highest = np.full((2, p), -np.inf)
        for batch in batches:
            block = np.empty((width, batch.num_rows))
            block[0] = 1.0
            self.start.covariates.rows(batch, block[1 : 1 + p])
            self.start.outcomes.rows(batch, block[1 + p :])
            treated = number_column(batch, self.columns.treatment)
            bad += np.append(_not_finite(block[1:]), _not_finite(treated[None]))
            is_treated, is_control = treated == 1.0, treated == 0.0
            odd += batch.num_rows - is_treated.sum() - is_control.sum()
            with np.errstate(invalid="ignore", over="ignore"):  # refused by the checks later
                for arm, member in enumerate((is_control, is_treated)):
                    part = block[:, member]
                    gram[fold, arm] += part @ part.T
                sums = loss_sums(block[: 1 + p], treated, self.start.coefficients)
            loss[fold] += sums[0]
            ascent[fold] += sums[1]
            hessian[fold] += sums[2]
            if batch.num_rows:
                np.maximum(highest[0], block[1 : 1 + p].max(axis=1), out=highest[0])
                np.maximum(highest[1], -block[1 : 1 + p].min(axis=1), out=highest[1])
        return {
            "gram": gram,
            "loss": loss,
            "ascent": ascent,
            "hessian": hessian,
            "bad": bad,
            "odd": odd,
            "max_value": highest,
        }

    @property
    def _p(self) -> int:
        return len(self.columns.covariates)

    @property
    def _outcomes(self) -> int:
        return len(self.columns.outcomes)


def _not_finite(rows: np.ndarray) -> np.ndarray:
    # A sum is finite unless a value is not (or a sum overflows, which is looked at again).
    sums = rows.sum(axis=1)
    if np.isfinite(sums).all():
        return np.zeros(len(rows))
    return np.count_nonzero(~np.isfinite(rows), axis=1).astype(float)


@dataclass(frozen=True, eq=False)
class Moments:
    """The first pass, checked and with columns that say nothing taken out.

    Parameters
    ----------
    columns : PanelColumns
        With the covariates that are kept.
    covariates, outcomes : Scale
        Of the kept columns.
    gram : ndarray, K x 2 x (1 + p + J) x (1 + p + J)
        By fold and arm (0 control, 1 treated).
    loss, rows : ndarray, K
    ascent : ndarray, K x (1 + p)
    hessian : ndarray, K x (1 + p) x (1 + p)
        Newton sums of each fold's complement at ``start``.
    start : ndarray, 1 + p
    exact_start : bool
        Whether ``start`` is the point at which the Newton sums were taken; False where a
        column with a coefficient was dropped.
    dropped : dict of str to str
        Dropped covariates and why.
    """

    columns: PanelColumns
    covariates: Scale
    outcomes: Scale
    gram: np.ndarray
    loss: np.ndarray
    ascent: np.ndarray
    hessian: np.ndarray
    rows: np.ndarray
    start: np.ndarray
    exact_start: bool
    dropped: dict[str, str]

    @property
    def arm_rows(self) -> np.ndarray:
        """Control and treated units."""
        return self.gram[:, :, 0, 0].sum(axis=0)

    @property
    def variances(self) -> np.ndarray:
        """Overall variance of each kept covariate, in the scale of the kernels."""
        _, covariance = centred(self.gram.sum(axis=(0, 1)))
        return np.diag(covariance)[: len(self.columns.covariates)].copy()


def make_moments(
    state: dict[str, np.ndarray], columns: PanelColumns, start: Start, table: str
) -> Moments:
    """Check the first pass and drop constant and collinear covariates.

    Raises
    ------
    DataError
        If there are no rows, values that are not finite, a treatment that is not 0 or 1, or
        only one arm.
    """
    _check(state, columns, start, table)
    p = len(columns.covariates)
    total = state["gram"].sum(axis=(0, 1))
    _, covariance = centred(total)
    constant = (state["max_value"][0] + state["max_value"][1]) == 0
    covariance = covariance[:p, :p] * ~constant[:, None] * ~constant[None]
    dropped = {columns.covariates[j]: "constant" for j in np.flatnonzero(constant)}
    for j in dependent_columns(covariance):
        dropped[columns.covariates[j]] = "a linear combination of the covariates before it"
    kept = tuple(n for n in columns.covariates if n not in dropped)
    index = np.array([0, *(1 + columns.covariates.index(n) for n in kept)], dtype=int)
    gone = np.setdiff1d(np.arange(1 + p), index)
    wide = np.concatenate([index, np.arange(1 + p, len(total))])
    return Moments(
        columns=columns.keeping(kept),
        covariates=start.covariates.keeping(kept),
        outcomes=start.outcomes,
        gram=state["gram"][:, :, wide[:, None], wide[None]],
        loss=complements(state["loss"]),
        ascent=complements(state["ascent"])[:, index],
        hessian=complements(state["hessian"])[:, index[:, None], index[None]],
        rows=complements(state["gram"][:, :, 0, 0].sum(axis=1)),
        start=start.coefficients[index],
        exact_start=not np.any(start.coefficients[gone]),
        dropped=dropped,
    )


def _check(state: dict[str, np.ndarray], columns: PanelColumns, start: Start, table: str) -> None:
    if not state or state["gram"][:, :, 0, 0].sum() + state["odd"][0] == 0:
        raise DataError(
            f"{table} has no rows, so there is nothing to estimate. Check the panel's campaigns, "
            "windows and sample."
        )
    bad = dict(zip(columns.numeric(), state["bad"], strict=True))
    if found := {name: int(count) for name, count in bad.items() if count}:
        listed = ", ".join(f"{name!r} in {count:,} rows" for name, count in found.items())
        raise DataError(
            f"{table} has values that are missing or not finite: {listed}; expected a number in "
            "every row. Fill them and add a missing indicator, or leave the column out."
        )
    if state["odd"][0]:
        raise DataError(
            f"{table}, treatment {columns.treatment!r}: {int(state['odd'][0]):,} rows are neither "
            f"0 nor 1 (found values such as {', '.join(f'{v:g}' for v in start.treatment_values)})"
            ". Expected two arms, 0 for control and 1 for treated."
        )
    control, treated = (int(n) for n in state["gram"][:, :, 0, 0].sum(axis=0))
    if not control or not treated:
        raise DataError(
            f"{table}, treatment {columns.treatment!r}: found {treated:,} treated and {control:,} "
            "control units; an effect needs both arms."
        )
    folds = np.count_nonzero(state["gram"][:, :, 0, 0].sum(axis=1))
    if folds < 2:
        raise DataError(
            f"{table}: its rows lie in {folds} of {len(state['gram'])} cross-fitting folds (fold "
            "= bucket % effects.folds); expected at least 2. Partition it into more buckets, or "
            "use more users."
        )
