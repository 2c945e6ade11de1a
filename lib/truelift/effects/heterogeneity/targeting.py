"""Whom to treat: targeting curves, their areas, and a table of top shares, with intervals.

Ranks, and so the rule "treat the top share", are within folds, each by its own model; statistics
are averaged over folds by weight. Clusters do not cross folds, so the folds' variances add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.arrays.distributions import stats
from truelift.effects.heterogeneity.blocks import ClusterProducts, ScoredBlock, State
from truelift.effects.heterogeneity.rank_cells import RankCells
from truelift.effects.heterogeneity.rank_weights import AREAS, rank_table
from truelift.effects.heterogeneity.results import JointTest, Targeting, TargetingRow, Term
from truelift.effects.heterogeneity.wald import ClusteredInference


@dataclass(frozen=True, eq=False)
class TargetingCurves:
    """Statistics of every fold, and the tables of their influence functions.

    Parameters
    ----------
    cells : RankCells
    fractions : tuple of float
    weight : ndarray, K
        Zero in a fold without forecasts.
    estimate : ndarray, K x m
    score_weight, offset : ndarray, K x m x B
    largest_tie : float
        Largest share of a fold's weight in one cell.
    """

    cells: RankCells
    fractions: tuple[float, ...]
    weight: np.ndarray
    estimate: np.ndarray
    score_weight: np.ndarray
    offset: np.ndarray
    largest_tie: float


def targeting_curves(
    cells: RankCells, sketch: State, fractions: tuple[float, ...]
) -> TargetingCurves:
    """Curves from a :class:`~.rank_cells.SketchPart`'s state."""
    folds, size = sketch["weight"].shape
    quantities = len(AREAS) + 2 * len(fractions)
    weight = sketch["weight"].sum(axis=1)
    estimate = np.zeros((folds, quantities))
    score_weight = np.zeros((folds, quantities, size))
    offset = np.zeros((folds, quantities, size))
    used = np.flatnonzero(weight > 0)
    for k in used:
        table = rank_table(
            sketch["weight"][k], sketch["score"][k], float(sketch["units"][k]), fractions
        )
        estimate[k], score_weight[k], offset[k] = table.estimate, table.score_weight, table.offset
    ties = sketch["weight"][used].max(axis=1) / weight[used]
    largest = float(ties.max()) if len(used) else 0.0
    return TargetingCurves(cells, fractions, weight, estimate, score_weight, offset, largest)


@dataclass(frozen=True)
class TargetingPart:
    """Cluster products of the influence functions of all statistics, by fold.

    Parameters
    ----------
    forecast : str
    curves : TargetingCurves
    """

    forecast: str
    curves: TargetingCurves

    def begin(self, fold: int) -> _TargetingTally:
        """A fresh tally."""
        return _TargetingTally(self.curves, fold)


class _TargetingTally:
    def __init__(self, curves: TargetingCurves, fold: int):
        self._cells, self._fold = curves.cells, fold
        self._weight, self._offset = curves.score_weight[fold], curves.offset[fold]
        folds, quantities = curves.estimate.shape
        self._products = ClusterProducts(quantities, fold, folds)

    def add(self, block: ScoredBlock, cate: np.ndarray) -> None:
        cell = self._cells.of(cate, self._fold)
        influence = self._weight.take(cell, axis=1)
        influence *= block.score
        influence -= self._offset.take(cell, axis=1)
        if block.weight is not None:
            influence *= block.weight
        self._products.add(block.cluster, influence)

    def finish(self) -> State:
        return self._products.finish()


def targeting(
    curves: TargetingCurves,
    state: State,
    confidence: float,
    sequential: JointTest | None = None,
) -> Targeting:
    """Curves with clustered intervals; ``state`` is that of :class:`TargetingPart`."""
    inference = ClusteredInference(int(state["clusters"].sum()), confidence)
    total = curves.weight.sum()
    estimate = curves.weight @ curves.estimate / total
    covariance = inference.correction * state["products"].sum(axis=0) / total**2
    variance = np.diag(covariance)
    areas = [inference.term(n, estimate[i], variance[i]) for i, n in enumerate(AREAS)]
    count = len(curves.fractions)

    def term(name: str, place: int, by: float) -> Term:
        return inference.term(name, by * estimate[place], by**2 * variance[place])

    rows = []
    for i, q in enumerate(curves.fractions):
        effect, contrast = len(AREAS) + i, len(AREAS) + count + i
        rows.append(
            TargetingRow(
                fraction=q,
                effect=term("effect", effect, 1.0),
                against_average=term("against average", contrast, 1.0),
                value=term("value", effect, q),
                against_random=term("against random", contrast, q),
            )
        )
    return Targeting(
        autoc=areas[0],
        qini=areas[1],
        auuc=areas[2],
        rows=tuple(rows),
        covariance=covariance[len(AREAS) :, len(AREAS) :],
        largest_tie=curves.largest_tie,
        clusters=inference.clusters,
        sequential=sequential,
    )


def sequential_test(curves: TargetingCurves, state: State) -> JointTest:
    """One-sided test that forecasts rank effects, from models fitted on earlier folds.

    Each fold's AUTOC on its standard error, added up and divided by the root of the number of
    folds: given the folds before it each ratio has mean zero and variance one where effects do
    not vary, so the sum is standard normal (Wager 2024, arXiv 2405.05534).
    """
    variance = state["products"][:, 0, 0]
    clusters = state["clusters"]
    used = (clusters > 1) & (variance > 0)
    hypothesis = "AUTOC is not above zero (models of earlier folds)"
    degrees = (float(np.count_nonzero(used)), np.inf)
    if not used.any():
        return JointTest(hypothesis, np.nan, degrees, np.nan)
    corrected = variance[used] * clusters[used] / (clusters[used] - 1)
    ratios = curves.estimate[used, 0] * curves.weight[used] / np.sqrt(corrected)
    statistic = float(ratios.sum() / np.sqrt(len(ratios)))
    return JointTest(hypothesis, statistic, degrees, float(stats.norm.sf(statistic)))
