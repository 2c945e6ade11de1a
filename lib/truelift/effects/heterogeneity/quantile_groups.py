"""Average effects by quantile of the forecast effect.

Sorted group average treatment effects (Chernozhukov, Demirer, Duflo & Fernandez-Val): units are
ranked within their fold by a forecast that has not seen the fold, cut into groups of equal
weight, and the scores averaged over all folds. The groups that came out are taken as given, as
a group column would be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.effects.heterogeneity.blocks import ClusterProducts, ScoredBlock, State
from truelift.effects.heterogeneity.rank_cells import RankCells, quantile_groups_of_cells
from truelift.effects.heterogeneity.results import QuantileGroups
from truelift.effects.heterogeneity.wald import ClusteredInference
from truelift.errors import DataError

# A variance below this share of the largest group's is a rounding error.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Grouping:
    """Quantile groups as a table of cells, with their weights and mean scores.

    Parameters
    ----------
    cells : RankCells
    of_cell : ndarray of int, K x B
        Group of each cell, 0 the least affected.
    weight, mean : ndarray, Q
    """

    cells: RankCells
    of_cell: np.ndarray
    weight: np.ndarray
    mean: np.ndarray

    def of(self, cate: np.ndarray, fold: int) -> np.ndarray:
        """Groups of forecasts (n)."""
        return self.of_cell[fold][self.cells.of(cate, fold)]


def cut_groups(cells: RankCells, sketch: State, groups: int) -> Grouping:
    """Groups of equal weight within folds, from a :class:`~.rank_cells.SketchPart`'s state.

    Raises
    ------
    DataError
        If a group is empty: the forecasts take too few values.
    """
    of_cell = quantile_groups_of_cells(sketch["weight"], groups)
    weight = np.bincount(of_cell.ravel(), sketch["weight"].ravel(), groups)
    score = np.bincount(of_cell.ravel(), sketch["score"].ravel(), groups)
    if np.any(weight <= 0):
        values = int(np.count_nonzero(sketch["weight"], axis=1).max())
        raise DataError(
            f"{int(np.sum(weight <= 0))} of {groups} quantile groups are empty: the forecast "
            f"effects take at most {values} distinct values in a fold. Ask for fewer groups, or "
            "give the CATE model more covariates."
        )
    return Grouping(cells, of_cell, weight, score / weight)


@dataclass(frozen=True)
class GroupsPart:
    """Cluster products of ``w 1(group g) (score - mean of g)`` and ``w 1(group g)``, by fold.

    Parameters
    ----------
    forecast : str
    grouping : Grouping
    """

    forecast: str
    grouping: Grouping

    def begin(self, fold: int) -> _GroupsTally:
        """A fresh tally."""
        return _GroupsTally(self.grouping, fold)


class _GroupsTally:
    def __init__(self, grouping: Grouping, fold: int):
        self._grouping, self._fold = grouping, fold
        self._products = ClusterProducts(2 * len(grouping.mean), fold, len(grouping.of_cell))

    def add(self, block: ScoredBlock, cate: np.ndarray) -> None:
        group = self._grouping.of(cate, self._fold)
        count = len(self._grouping.mean)
        values, rows = np.zeros((2 * count, len(group))), np.arange(len(group))
        values[group, rows] = block.weights * (block.score - self._grouping.mean[group])
        values[count + group, rows] = block.weights
        self._products.add(block.cluster, values)

    def finish(self) -> State:
        return self._products.finish()


def quantile_groups(grouping: Grouping, state: State, confidence: float) -> QuantileGroups:
    """Effects by group with their clustered covariance; ``state`` is of :class:`GroupsPart`.

    Raises
    ------
    DataError
        If a group lies in one cluster, or its scores do not vary: it has no standard error.
    """
    inference = ClusteredInference(int(state["clusters"].sum()), confidence)
    weight, mean = grouping.weight, grouping.mean
    count = len(mean)
    products = state["products"].sum(axis=0)
    covariance = inference.correction * products[:count, :count] / np.outer(weight, weight)
    alone = weight**2 < (1.0 + 1e-6) * np.diag(products)[count:]
    flat = np.diag(covariance) <= _ROUNDING * np.diag(covariance).max(initial=0.0)
    if np.any(alone | flat):
        raise DataError(
            f"{int(np.sum(alone | flat))} of {count} quantile groups lie in one cluster each, or have "
            "scores that do not vary, so they have no standard error. Ask for fewer groups, or use "
            "more clusters."
        )
    steps = np.diff(np.eye(count), axis=0)
    ends = np.zeros(count)
    ends[-1] += 1
    ends[0] -= 1
    step_covariance = steps @ covariance @ steps.T
    return QuantileGroups(
        groups=tuple(
            inference.term(f"group {g + 1} of {count}", mean[g], covariance[g, g])
            for g in range(count)
        ),
        shares=tuple(float(s) for s in weight / weight.sum()),
        covariance=covariance,
        difference=inference.term(
            "most less least affected", ends @ mean, ends @ covariance @ ends
        ),
        equal=inference.joint("all groups have one effect", steps @ mean, step_covariance),
        monotone=inference.not_below_zero(
            "effects do not fall from group to group", steps @ mean, step_covariance
        ),
        clusters=inference.clusters,
    )
