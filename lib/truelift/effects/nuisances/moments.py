"""The first pass over all rows: Gram matrices a fold and arm, one Newton step's sums, checks.

Everything that the outcome models, the naive difference and the balance table need is in the
Gram matrices of ``z = (1, x, y)``; all outcomes share them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from truelift.effects.nuisances.propensity import loss_sums
from truelift.effects.panel.columns import PanelColumns, Scale, number_column, weight_column
from truelift.effects.panel.design import Design
from truelift.effects.panel.start import Start
from truelift.errors import DataError
from truelift.inference.normal_equations import centred, complements, dependent_columns
from truelift.lake.conditions import quoted


@dataclass(frozen=True, eq=False)
class MomentsKernel:
    """Sums of a bucket; only its own fold's part of each array is not zero."""

    columns: PanelColumns
    start: Start
    folds: int

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> dict[str, np.ndarray]:
        """Gram matrices by fold and arm, Newton sums at the start, counts for the checks."""
        columns, design, outcomes = self.columns, self.start.design, self.start.outcomes
        fold, p, arms = bucket % self.folds, len(design), len(columns.arms.values)
        width, size = 1 + p + len(outcomes.names), (arms - 1) * (1 + p)
        gram = np.zeros((self.folds, arms, width, width))
        loss = np.zeros(self.folds)
        ascent = np.zeros((self.folds, size))
        hessian = np.zeros((self.folds, size, size))
        units = np.zeros((self.folds, arms))
        bad = np.zeros(len(columns.numbers()))
        odd = np.zeros(2)
        highest = np.full((2, p), -np.inf)
        open_to_doubt = np.arange(p)  # features that have not been seen to vary
        fits = not columns.propensity
        for batch in batches:
            block = np.empty((width, batch.num_rows))
            block[0] = 1.0
            design.rows(batch, block[1 : 1 + p], fold)
            outcomes.rows(batch, block[1 + p :])
            arm, weight = columns.arms.codes(batch), weight_column(batch, columns.weight)
            odd[0] += np.count_nonzero(arm < 0)
            odd[1] += 0 if weight is None else np.count_nonzero(weight <= 0)
            with np.errstate(invalid="ignore", over="ignore"):  # refused by the checks later
                added = np.zeros((arms, width, width))
                for a in range(arms):
                    own = np.flatnonzero(arm == a)
                    part = block[:, own]
                    units[fold, a] += len(own)
                    weighted = part if weight is None else part * weight[own]
                    added[a] = weighted @ part.T
                gram[fold] += added
                whole = bool(np.isfinite(added.sum()))
                if fits:
                    sums = loss_sums(block[: 1 + p], arm, self.start.coefficients, weight)
                    loss[fold] += sums[0]
                    ascent[fold] += sums[1]
                    hessian[fold] += sums[2]
            # A row without an arm is in no Gram matrix.
            if not whole or (arm < 0).any() or weight is not None:
                bad += self._not_finite(batch)
            if batch.num_rows and len(open_to_doubt):
                lines = block[1 + open_to_doubt]
                most = np.stack([lines.max(axis=1), -lines.min(axis=1)])
                highest[:, open_to_doubt] = np.maximum(highest[:, open_to_doubt], most)
                open_to_doubt = np.flatnonzero(~(highest.sum(axis=0) > 0))
        return {
            "gram": gram,
            "loss": loss,
            "ascent": ascent,
            "hessian": hessian,
            "units": units,
            "bad": bad,
            "odd": odd,
            "max_value": highest,
        }

    def _not_finite(self, batch: pa.RecordBatch) -> np.ndarray:
        """Values that are not finite, by number column; a missing covariate may have a feature."""
        counts = []
        for name in self.columns.numbers():
            values = number_column(batch, name)
            fine = np.abs(values) < 1e100  # squares of larger ones cannot be added up
            if name in self.start.design.missing:
                fine |= np.isnan(values)
            counts.append(np.count_nonzero(~fine))
        return np.array(counts, dtype=float)


@dataclass(frozen=True, eq=False)
class Moments:
    """The first pass, checked and with features that say nothing taken out.

    Parameters
    ----------
    columns : PanelColumns
    design : Design
        With the features that are kept.
    outcomes : Scale
    gram : ndarray, K x A x (1 + p + J) x (1 + p + J)
        By fold and arm.
    units : ndarray, K x A
        Units by fold and arm; a weighted unit counts once.
    loss, rows : ndarray, K
    ascent : ndarray, K x (A - 1)(1 + p)
    hessian : ndarray, K x (A - 1)(1 + p) x (A - 1)(1 + p)
        Newton sums of each fold's complement at ``start``.
    start : ndarray, (A - 1) x (1 + p)
    exact_start : bool
        Whether ``start`` is the point at which the Newton sums were taken; False where a
        feature with a coefficient was dropped.
    dropped : dict of str to str
        Dropped features and why.
    left_out : dict of str to int
        Outcomes that are not looked at, for so many rows have no finite value of them.
    """

    columns: PanelColumns
    design: Design
    outcomes: Scale
    gram: np.ndarray
    units: np.ndarray
    loss: np.ndarray
    ascent: np.ndarray
    hessian: np.ndarray
    rows: np.ndarray
    start: np.ndarray
    exact_start: bool
    dropped: dict[str, str]
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def arm_units(self) -> np.ndarray:
        """Units of each arm (A)."""
        return self.units.sum(axis=0)

    @property
    def units_without(self) -> np.ndarray:
        """Units of each arm outside each fold (K x A): those that its models are fitted on."""
        return complements(self.units)

    @property
    def variances(self) -> np.ndarray:
        """Overall variance of each kept feature, in the scale of the kernels."""
        _, covariance = centred(self.gram.sum(axis=(0, 1)))
        return np.diag(covariance)[: len(self.design)].copy()


def missing_covariates(state: dict[str, np.ndarray], columns: PanelColumns) -> tuple[str, ...]:
    """Covariates in which the first pass met values that are not finite."""
    bad = dict(zip(columns.numbers(), state["bad"], strict=True)) if state else {}
    return tuple(name for name in columns.covariates if bad.get(name))


def broken_outcomes(state: dict[str, np.ndarray], columns: PanelColumns) -> dict[str, int]:
    """Outcomes without a finite value in some rows, where others are whole: those to leave out."""
    bad = dict(zip(columns.numbers(), state["bad"], strict=True)) if state else {}
    found = {name: int(bad[name]) for name in columns.outcomes if bad.get(name)}
    return found if len(found) < len(columns.outcomes) else {}


def make_moments(
    state: dict[str, np.ndarray], columns: PanelColumns, start: Start, table: str
) -> Moments:
    """Check the first pass and drop constant and collinear features.

    Raises
    ------
    DataError
        If there are no rows, values that are not finite, a treatment that is null, or
        only one arm.
    """
    _check(state, columns, table)
    names = start.design.names
    p, others = len(names), len(columns.arms.values) - 1
    total = state["gram"].sum(axis=(0, 1))
    _, covariance = centred(total)
    constant = (state["max_value"][0] + state["max_value"][1]) == 0
    covariance = covariance[:p, :p] * ~constant[:, None] * ~constant[None]
    dropped = {names[j]: "constant" for j in np.flatnonzero(constant)}
    for j in dependent_columns(covariance):
        dropped[names[j]] = "a linear combination of the covariates before it"
    left = [j for j in range(p) if names[j] not in dropped]
    index = np.array([0, *(1 + j for j in left)], dtype=int)
    gone = np.setdiff1d(np.arange(1 + p), index)
    wide = np.concatenate([index, np.arange(1 + p, len(total))])
    flat = (np.arange(others)[:, None] * (1 + p) + index).ravel()
    return Moments(
        columns=columns,
        design=start.design.keeping(tuple(names[j] for j in left)),
        outcomes=start.outcomes,
        gram=state["gram"][:, :, wide[:, None], wide[None]],
        units=state["units"],
        loss=complements(state["loss"]),
        ascent=complements(state["ascent"])[:, flat],
        hessian=complements(state["hessian"])[:, flat[:, None], flat[None]],
        rows=complements(state["gram"][:, :, 0, 0].sum(axis=1)),
        start=start.coefficients[:, index],
        exact_start=not np.any(start.coefficients[:, gone]),
        dropped=dropped,
    )


def _check(state: dict[str, np.ndarray], columns: PanelColumns, table: str) -> None:
    if not state or state["units"].sum() + state["odd"][0] == 0:
        raise DataError(
            f"{table} has no rows, so there is nothing to estimate. Check effects.filter, or the "
            "panel's occasions, windows and sample."
        )
    bad = dict(zip(columns.numbers(), state["bad"], strict=True))
    if found := {name: int(count) for name, count in bad.items() if count}:
        listed = ", ".join(f"{name!r} in {count:,} rows" for name, count in found.items())
        raise DataError(
            f"{table} has values that are missing or not finite: {listed}; expected a number in "
            "every row. Fill them, leave the column out, or leave such rows out with "
            f"effects.filter: {quoted(next(iter(found)))} is not null (and < 1e100 where it is infinite); "
            "effects.features.missing=indicator fills covariates that are null."
        )
    if nulls := int(state["odd"][0]):
        raise DataError(
            f"{table}, treatment {columns.arms.column!r}: {nulls:,} rows are null; expected one "
            f"of {', '.join(columns.arms.labels)} in every row. Leave these rows out with "
            f"effects.filter: {quoted(columns.arms.column)} is not null."
        )
    if weightless := int(state["odd"][1]):
        raise DataError(
            f"{table}, weight {columns.weight!r}: {weightless:,} rows are zero or negative; "
            "expected positive weights. Leave these rows out with effects.filter: "
            f"{quoted(str(columns.weight))} > 0."
        )
    units = state["units"].sum(axis=0)
    counts = ", ".join(f"{n:,.0f} {a}" for a, n in zip(columns.arms.labels, units, strict=True))
    if (units == 0).any():
        raise DataError(
            f"{table}, treatment {columns.arms.column!r}: found {counts} rows; an effect needs "
            "units in every arm."
        )
    folds = state["units"]
    filled = np.count_nonzero(folds.sum(axis=1))
    if filled < 2:
        raise DataError(
            f"{table} has rows in {filled} of {len(folds)} cross-fitting folds (fold = bucket % "
            f"{len(folds)}), expected at least 2. Use more users or more buckets."
        )
    without = complements(folds)
    for k, a in np.argwhere((without == 0) & (folds.sum(axis=1)[:, None] > 0)):
        raise DataError(
            f"{table}: all rows with {columns.arms.column!r} = {columns.arms.labels[a]!r} lie in "
            f"fold {k} (fold = bucket % {len(folds)}), so no model of that arm can be fitted "
            "without it. Use more users or fewer folds."
        )
