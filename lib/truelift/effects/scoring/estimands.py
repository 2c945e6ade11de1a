"""Estimands as combinations of ratios of sums, and all their estimates with one covariance.

With T the sums over all units, an estimate is ``sum_r c_r N_r'T / D_r'T``. Its influence on a
cluster with sums S is ``a'S``, ``a = sum_r c_r (N_r - (N_r'T / D_r'T) D_r) / D_r'T``, so with
``C = sum S S'`` over clusters the covariance matrix of all estimates is ``A C A'``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from truelift.effects.scoring.layout import Key, ScoreLayout


@dataclass(frozen=True)
class Ratio:
    """``coefficient * (sum of numerator lines) / (line of the denominator)``.

    Parameters
    ----------
    numerator : tuple of (Key, float)
        Lines and their signs.
    denominator : Key
    coefficient : float
    """

    numerator: tuple[tuple[Key, float], ...]
    denominator: Key
    coefficient: float = 1.0


@dataclass(frozen=True)
class Estimand:
    """What is estimated, by name, and how it is made of sums.

    Parameters
    ----------
    name : str
        ``'ATE'``, ``'ATT'``, ``'ATO'``, ``'APO'``, ``'GATE'``, ``'policy value'``,
        ``'naive difference'``, ...
    outcome : int
        Position of the outcome.
    terms : tuple of Ratio
    arm, versus : str
        The arm, and the arm that it is compared with (empty for a mean).
    population : str
        Whom the average is over, in words.
    level : bool
        Whether it is a level (in the outcome's own origin), not a difference.
    """

    name: str
    outcome: int
    terms: tuple[Ratio, ...]
    arm: str = ""
    versus: str = ""
    population: str = "all units"
    level: bool = False


@dataclass(frozen=True, eq=False)
class ClusterMoments:
    """Sums of the cluster sums S and of S S', and the number of clusters.

    Parameters
    ----------
    total : ndarray, S
    cross : ndarray, S x S
    clusters : int
    """

    total: np.ndarray
    cross: np.ndarray
    clusters: int


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
    """Clustered covariance matrix of the estimates, with the factor G / (G - 1)."""
    groups = moments.clusters
    found = rows @ moments.cross @ rows.T
    return (found + found.T) * (0.5 * groups / max(groups - 1, 1))


def contrast(
    name: str, keys: Iterable[tuple[Key, float]], denominator: Key, outcome: int, **words: str
) -> Estimand:
    """An estimand of one ratio."""
    return Estimand(name, outcome, (Ratio(tuple(keys), denominator),), **words)  # type: ignore[arg-type]
