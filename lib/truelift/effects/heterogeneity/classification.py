"""Who is affected most and least: covariate means of the outer quantile groups.

Classification analysis (CLAN) of Chernozhukov, Demirer, Duflo & Fernandez-Val. A mean is a ratio
of sums over clusters, ``X / N``; its clustered error needs the sums of ``X X``, ``X N`` and
``N N``, so the pass needs no means beforehand. A task holds 2p + 2 numbers a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.effects.heterogeneity.blocks import ScoredBlock, State
from truelift.effects.heterogeneity.quantile_groups import Grouping
from truelift.effects.heterogeneity.results import ClassificationAnalysis
from truelift.effects.heterogeneity.wald import ClusteredInference
from truelift.inference.clusters import ClusterSums


@dataclass(frozen=True)
class ClassificationPart:
    """Sums of covariates over the least and most affected, and their cluster products.

    Parameters
    ----------
    forecast : str
    grouping : Grouping
    covariates : tuple of int
        Rows of x that are described.
    """

    forecast: str
    grouping: Grouping
    covariates: tuple[int, ...]

    def begin(self, fold: int) -> _ClassificationTally:
        """A fresh tally."""
        return _ClassificationTally(self, fold)


class _ClassificationTally:
    def __init__(self, part: ClassificationPart, fold: int):
        self._part, self._fold = part, fold
        self._sums = ClusterSums(2 * (1 + len(part.covariates)))

    def add(self, block: ScoredBlock, cate: np.ndarray) -> None:
        group = self._part.grouping.of(cate, self._fold)
        outer = np.flatnonzero((group == 0) | (group == len(self._part.grouping.mean) - 1))
        w = block.weights[outer]
        low = w * (group[outer] == 0)
        values = np.concatenate(
            [np.ones((1, len(outer))), block.x[list(self._part.covariates)][:, outer]]
        )
        self._sums.add(block.cluster[outer], np.concatenate([values * low, values * (w - low)]))

    def finish(self) -> State:
        keys, flat = self._sums.finish()
        sums = flat.reshape(2, len(flat) // 2, len(keys))  # least and most; weight and covariates
        count, of = sums[:, 0], sums[:, 1:]
        return {
            "total": sums.sum(axis=2),
            "xx": np.einsum("ajc,bjc->abj", of, of),
            "xn": np.einsum("ajc,bc->abj", of, count),
            "nn": count @ count.T,
        }


def classification(
    part: ClassificationPart,
    state: State,
    names: tuple[str, ...],
    clusters: int,
    confidence: float,
) -> ClassificationAnalysis:
    """Means of the outer groups and their differences, with clustered errors.

    Parameters
    ----------
    part : ClassificationPart
    state : dict
        What it added up.
    names : tuple of str
        Of all covariates, in the order of x.
    clusters : int
        Clusters of all groups.
    confidence : float
    """
    inference = ClusteredInference(clusters, confidence)
    weight, sums = state["total"][:, 0], state["total"][:, 1:]
    mean = sums / weight[:, None]
    # Products of the cluster sums of (X - mean N), for every pair of groups.
    products = (
        state["xx"]
        - state["xn"] * mean[None]
        - state["xn"].transpose(1, 0, 2) * mean[:, None]
        + state["nn"][:, :, None] * mean[:, None] * mean[None]
    )
    covariance = inference.correction * products / np.outer(weight, weight)[:, :, None]
    labels = [names[c] for c in part.covariates]
    between = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]

    def terms(values: np.ndarray, variance: np.ndarray) -> tuple:
        rows = zip(labels, values, variance, strict=True)
        return tuple(inference.term(label, value, v) for label, value, v in rows)

    return ClassificationAnalysis(
        most=terms(mean[1], covariance[1, 1]),
        least=terms(mean[0], covariance[0, 0]),
        difference=terms(mean[1] - mean[0], between),
    )
