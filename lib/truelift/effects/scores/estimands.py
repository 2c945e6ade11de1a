"""All estimates of estimands that are combinations of ratios of sums, with one covariance.

With T the sums over all units, an estimate is ``sum_r c_r N_r'T / D_r'T``. Its influence on a
cluster with sums S is ``a'S``, ``a = sum_r c_r (N_r - (N_r'T / D_r'T) D_r) / D_r'T``, so with
``C = sum S S'`` over clusters the covariance matrix of all estimates is ``A C A'``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from truelift.effects.scores.layout import ScoreLayout
from truelift.effects.scores.presence import Presence
from truelift.effects.scores.ratios import Estimand
from truelift.inference.small_samples import two_way_covariance


@dataclass(frozen=True)
class ClusterPrecision:
    """How far an estimate's plain clustered variance is to be trusted.

    Parameters
    ----------
    inflation : float
        Corrected standard error over the plain one, at least 1.
    effective_clusters : float
        G*, at most the number of clusters.
    fitting : float
        Share of the variance that fitted nuisances add; in ``inflation``.
    """

    inflation: float
    effective_clusters: float
    fitting: float = 0.0


@dataclass(frozen=True, eq=False)
class SecondWay:
    """Sums of S S' over the clusters of a second column, and over pairs of both ways' clusters.

    Parameters
    ----------
    cross, pair_cross : ndarray, S x S
    clusters, pairs : int
    """

    cross: np.ndarray
    pair_cross: np.ndarray
    clusters: int
    pairs: int


@dataclass(frozen=True, eq=False)
class ClusterMoments:
    """Sums of the cluster sums S and of S S', and the number of clusters.

    Parameters
    ----------
    total : ndarray, S
    cross : ndarray, S x S
    clusters : int
    precision : mapping of tuple to ClusterPrecision
        By :attr:`Estimand.key`; empty where no correction for few clusters is wanted.
    second : SecondWay, optional
        Where clusters of a second column cut across these.
    units : int, optional
        Units, whatever they weigh; by default the sum of their weights.
    presence : Presence, optional
        In which clusters arms, cells and policies have units.
    """

    total: np.ndarray
    cross: np.ndarray
    clusters: int
    precision: Mapping[tuple[str, int, str, str, str], ClusterPrecision] = field(
        default_factory=dict
    )
    second: SecondWay | None = None
    units: int | None = None
    presence: Presence | None = None

    def count(self, layout: ScoreLayout) -> int:
        """Units: a weight says how much one counts, not how many there are."""
        return round(self.total[layout.place("unit")]) if self.units is None else self.units

    @property
    def fewest_clusters(self) -> int:
        """Clusters of the way that has fewer."""
        return self.clusters if self.second is None else min(self.clusters, self.second.clusters)

    def precision_of(self, estimand: Estimand) -> ClusterPrecision:
        """That of the estimand; an ATE within clip levels or trimming has that of the ATE.

        A cell of a group has no more clusters than lie in it.
        """
        plain = ClusterPrecision(1.0, float(self.clusters))
        of_all = replace(estimand, population="all units")
        found = self.precision.get(estimand.key, self.precision.get(of_all.key, plain))
        fewest = min(found.effective_clusters, float(self.fewest_clusters))
        found = replace(found, effective_clusters=fewest)
        bottom = estimand.terms[0].denominator if estimand.terms else ()
        if self.presence is None or not bottom or bottom[0] != "cell":
            return found
        inside = float(self.presence.cell_clusters[int(bottom[1])][int(bottom[2])])
        return replace(found, effective_clusters=min(found.effective_clusters, inside))


def influence_rows(
    total: np.ndarray, layout: ScoreLayout, estimands: Sequence[Estimand]
) -> tuple[np.ndarray, np.ndarray]:
    """Estimates, and the matrix whose rows times a cluster's sums are its influence on them.

    Returns
    -------
    estimates : ndarray, m
        In the scale of the kernels; nan where a denominator is zero.
    rows : ndarray, m x S
    """
    values, rows = np.zeros(len(estimands)), np.zeros((len(estimands), len(layout)))
    for i, estimand in enumerate(estimands):
        for term in estimand.terms:
            bottom = layout.place(*term.denominator)
            if total[bottom] == 0:
                values[i], rows[i] = np.nan, np.nan
                continue
            ratio = 0.0
            for key, sign in term.numerator:
                place = layout.place(*key)
                ratio += sign * total[place] / total[bottom]
                rows[i, place] += term.coefficient * sign / total[bottom]
            values[i] += term.coefficient * ratio
            rows[i, bottom] -= term.coefficient * ratio / total[bottom]
    return values, rows


def covariance(rows: np.ndarray, moments: ClusterMoments) -> np.ndarray:
    """Clustered covariance matrix of the estimates, with the factor G / (G - 1).

    In two ways it is ``V1 + V2 - V12``, each with its own factor, made positive semi-definite
    (:func:`~truelift.inference.small_samples.two_way_covariance`) without a change to the variances; one that
    came out negative is the larger of the two one-way variances.
    """
    first = _one_way(rows, moments.cross, moments.clusters)
    if moments.second is None:
        return first
    second = _one_way(rows, moments.second.cross, moments.second.clusters)
    both = _one_way(rows, moments.second.pair_cross, moments.second.pairs)
    plain = np.diag(first) + np.diag(second) - np.diag(both)
    wanted = np.where(plain > 0, plain, np.maximum(np.diag(first), np.diag(second)))
    mended = two_way_covariance(first, second, both).covariance
    kept = np.diag(mended) > 0
    scale = np.sqrt(np.where(kept, wanted / np.where(kept, np.diag(mended), 1.0), 0.0))
    return mended * np.outer(scale, scale) + np.diag(np.where(kept, 0.0, wanted))


def _one_way(rows: np.ndarray, cross: np.ndarray, groups: int) -> np.ndarray:
    found = rows @ cross @ rows.T
    return (found + found.T) * (0.5 * groups / max(groups - 1, 1))
