"""Trends that are parallel given covariates alone: what covariates foresee of differences, and of cohorts.

The effect on cohort g in period t is the mean of ``(w_1 - w_0)(dY - m(X))``: w_1 are shares of the cohort, w_0 of the
units that it is compared with, weighted by their odds of being in the cohort given X, and m is the regression of the
differences of the latter on X. It is right where either m or the odds are (Sant'Anna & Zhao 2020). Both are cross-fitted
by bucket; m by ridge regression from sums, and the odds of all cells from one multinomial logistic model of the
cohorts, so that odds against several cohorts together are consistent with those against each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.effects.designs.differences.timeline import Cell, Timeline
from truelift.effects.designs.differences.units import (
    DifferenceColumns,
    PanelUnits,
    units_of_bucket,
)
from truelift.effects.designs.ranges import BATCH_ROWS
from truelift.effects.nuisances.propensity import (
    PropensityFit,
    arm_probabilities,
    loss_sums,
    propensity_penalty,
)
from truelift.effects.panel.source import PanelSource, State
from truelift.inference.normal_equations import (
    centred,
    complements,
    ridge_coefficients,
    ridge_per_unit,
)
from truelift.progress import Tell
from truelift.settings import EffectOptions


@dataclass(frozen=True, eq=False)
class Adjustment:
    """Cross-fitted models of cohorts and differences.

    Parameters
    ----------
    timeline : Timeline
    classes : ndarray of int, C
        Codes of cohorts; the first is the reference of the log odds.
    cohorts : ndarray, K x (C - 1) x (1 + p)
        Log odds; row k was fitted without fold k.
    changes : ndarray, K x J x cells x (1 + p)
        Of differences among the units that a cell is compared with.
    clip : float
        Distance to one that is left to a chance of being treated.
    converged : bool
    """

    timeline: Timeline
    classes: np.ndarray
    cohorts: np.ndarray
    changes: np.ndarray
    clip: float
    converged: bool

    def of(self, units: PanelUnits, bucket: int) -> Fitted:
        """The models that have not seen the bucket's fold, at its units."""
        fold = bucket % len(self.cohorts)
        chances = arm_probabilities(self.cohorts[fold], units.features)
        return Fitted(self, chances, self.changes[fold], units.features)


@dataclass(frozen=True, eq=False)
class Fitted:
    """What the models of one fold say of n units; ``chances`` is C x n."""

    models: Adjustment
    chances: np.ndarray
    changes: np.ndarray
    features: np.ndarray

    def odds(self, cell: Cell) -> tuple[np.ndarray, np.ndarray]:
        """Odds of being in the cell's cohort rather than among those it is compared with, and whether they are cut."""
        classes = self.models.classes
        own = self.chances[classes == cell.cohort].sum(axis=0)
        other = self.chances[self.models.timeline.controls(cell, classes)].sum(axis=0)
        both = own + other
        chance = np.where(both > 0, own / np.where(both > 0, both, 1.0), 0.5)
        cut = chance > 1.0 - self.models.clip
        chance = np.minimum(chance, 1.0 - self.models.clip)
        return chance / (1.0 - chance), cut

    def foreseen(self, outcome: int, cell: int) -> np.ndarray:
        """The difference that covariates foresee without the treatment."""
        return self.changes[outcome, cell] @ self.features


@dataclass(frozen=True, eq=False)
class ChangeMomentsKernel:
    """By fold: ``grams`` of ``(1, x, dY)`` among those each cell is compared with, ``everyone`` of ``(1, x)``,
    and units by cohort: their weight, and their number.
    """

    columns: DifferenceColumns
    timeline: Timeline
    folds: int

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of one bucket."""
        line, fold = self.timeline, bucket % self.folds
        width = 1 + len(self.columns.design or ())
        outcomes = len(self.columns.outcomes)
        state = {
            "grams": np.zeros((self.folds, outcomes, len(line.cells), width + 1, width + 1)),
            "everyone": np.zeros((width, width)),
            "classes": np.zeros((self.folds, 2, line.codes_end)),
        }
        units = units_of_bucket(batches, self.columns, line)
        if units is None:
            return state
        units = units.of(units.cohort > 0)
        state["everyone"] += (units.features * units.weight) @ units.features.T
        for way, values in enumerate((units.weight, np.ones(len(units.cohort)))):
            state["classes"][fold, way] = np.bincount(
                units.cohort, weights=values, minlength=line.codes_end
            )
        for j in range(outcomes):
            for i, cell in enumerate(line.cells):
                change = units.filled[j, cell.period] - units.filled[j, cell.base]
                among = np.flatnonzero(np.isfinite(change) & line.controls(cell, units.cohort))
                block = np.concatenate([units.features[:, among], change[None, among]])
                state["grams"][fold, j, i] = (block * units.weight[among]) @ block.T
        return state


@dataclass(frozen=True, eq=False)
class CohortStepKernel:
    """Sums for a Newton step of the cohorts' model: every unit counts for each fold but its own."""

    columns: DifferenceColumns
    timeline: Timeline
    classes: np.ndarray
    coefficients: np.ndarray

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """Loss, ascent direction, Hessian and weight of each fold's complement."""
        folds, others, width = self.coefficients.shape
        size = others * width
        state = {
            "loss": np.zeros(folds),
            "ascent": np.zeros((folds, size)),
            "hessian": np.zeros((folds, size, size)),
        }
        units = units_of_bucket(batches, self.columns, self.timeline)
        if units is None:
            return state
        units = units.of(units.cohort > 0)
        order = np.argsort(self.classes)
        arm = order[np.searchsorted(self.classes, units.cohort, sorter=order)]
        for fold in range(folds):
            if fold != bucket % folds:
                found = loss_sums(units.features, arm, self.coefficients[fold], units.weight)
                for name, value in zip(("loss", "ascent", "hessian"), found, strict=True):
                    state[name][fold] += value
        return state


def adjustment_of(
    source: PanelSource, columns: DifferenceColumns, line: Timeline, options: EffectOptions,
    progress: Tell,
) -> Adjustment:  # fmt: skip
    """Fit both: one pass for differences, one a Newton step for cohorts.

    Parameters
    ----------
    source : PanelSource
    columns : DifferenceColumns
        With a design.
    line : Timeline
    options : EffectOptions
    progress : callable
    """
    assert columns.design is not None
    section, p = options.nuisances, len(columns.design)
    progress("a pass for what covariates foresee of differences")
    kernel = ChangeMomentsKernel(columns, line, section.folds)
    sums = source.sum(kernel, columns.names(), BATCH_ROWS)
    _, covariance = centred(sums["everyone"])
    variances = np.diag(covariance)
    grams = complements(sums["grams"])
    # Grams are weighted, and a penalty a unit asks for shares: the trace of weights stands for units.
    units = complements(sums["classes"]).sum(axis=2)
    ridge = ridge_per_unit(section.ridge, p, units[:, 1])
    changes = np.array(
        [
            [
                [
                    ridge_coefficients(gram, p, variances, _ridge(section.ridge, p, gram, fold))[0]
                    for gram in cells
                ]
                for cells in outcomes
            ]
            for outcomes, fold in zip(grams, units, strict=True)
        ]
    )
    classes, fit = _start(complements(sums["classes"])[:, 0], p)
    penalty = propensity_penalty(ridge, variances)
    while fit.remaining > section.tolerance and fit.steps < section.max_newton_steps:
        progress(f"a pass for the cohorts' chances: Newton step {fit.steps + 1}")
        step = CohortStepKernel(columns, line, classes, fit.coefficients)
        state = source.sum(step, columns.names(), BATCH_ROWS)
        fit = fit.step(state["loss"], state["ascent"], state["hessian"], units[:, 0], penalty)
    return Adjustment(
        line, classes, fit.coefficients, changes, options.support.clip,
        fit.remaining <= section.tolerance,
    )  # fmt: skip


def _ridge(chosen: float | None, features: int, gram: np.ndarray, fold: np.ndarray) -> float:
    """The penalty of a cell, whose units are its weight in units of the mean weight."""
    mean = fold[0] / fold[1] if fold[1] > 0 else 1.0
    return float(ridge_per_unit(chosen, features, np.array(gram[0, 0] / mean)))


def _start(weights: np.ndarray, features: int) -> tuple[np.ndarray, PropensityFit]:
    """Cohorts that have units, the largest first, and log odds that say its size alone (weights: K x codes)."""
    sizes = weights.sum(axis=0)
    classes = np.flatnonzero(sizes > 0)
    classes = classes[np.argsort(-sizes[classes], kind="stable")]
    start = np.zeros((len(weights), len(classes) - 1, 1 + features))
    shares = weights[:, classes] + 1e-3 * weights.sum(axis=1, keepdims=True)
    start[:, :, 0] = np.log(shares[:, 1:] / shares[:, :1])
    fit = PropensityFit(start, np.inf, 0, start, np.full(len(weights), np.inf))
    return classes, fit
