"""Sums over clusters of powers of each estimand's own lines, for what few or unequal clusters cost.

With N and D a cluster's part of a ratio's numerator and denominator, its influence on the ratio
theta is ``psi = (N - theta D) / T`` and its share of the denominator ``h = D / T``, T over all
clusters. theta and T are known after the pass only; but sums of products of up to four of the Ns,
the Ds and the size s give every such sum of psi, h and s. They add up over buckets and take tens
of numbers an estimand.

* Without the cluster the estimate moves by ``-psi / (1 - h)``: the jackknife's variance (CR3, Bell &
  McCaffrey 2002) is ``(G - 1) / G * sum psi^2 / (1 - h)^2``, here with ``1 + 2 h + 3 h^2`` in place of
  ``(1 - h)^-2``, which is 1% off at h = 0.15.
* Carter, Schnepel & Steigerwald (2017): unequal clusters tell a variance as precisely as
  ``G* = (sum v)^2 / sum v^2`` equal ones, v a cluster's part of it. In place of a correlation that is
  guessed, ``v = a s + b s^2`` takes the a and b with which ``sum v = sum psi^2`` and
  ``sum v s = sum psi^2 s``: a is what a cluster's units have each, b what they share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from truelift.effects.scores.estimands import ClusterPrecision
from truelift.effects.scores.layout import Key, ScoreLayout
from truelift.effects.scores.ratios import Estimand

# Sizes whose squared coefficient of variation (by units) is below this are equal.
_EQUAL = 1e-9
# Numbers of a chunk of clusters: 8 MB.
_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class PowerLines:
    """Numerators and denominators of several estimands, those with equally many ratios together.

    Parameters
    ----------
    places : dict of int to tuple of int
        By number of ratios: places of the estimands among all.
    lines : dict of int to scipy.sparse.csr_matrix
        By number of ratios R: for each of m estimands 2 R + 1 combinations of the S summands, the
        numerator and the denominator of one ratio after the other, and the size: units of the
        cell of a GATE, of all others units ((2 R + 1) m x S).
    """

    places: dict[int, tuple[int, ...]]
    lines: dict[int, csr_matrix]

    @staticmethod
    def of(layout: ScoreLayout, estimands: Sequence[Estimand]) -> PowerLines:
        """Lines of all estimands."""
        places: dict[int, list[int]] = {}
        for i, estimand in enumerate(estimands):
            places.setdefault(len(estimand.terms), []).append(i)
        lines = {}
        for terms, members in places.items():
            values, rows, columns = [], [], []
            for m, i in enumerate(members):
                first = (2 * terms + 1) * m
                values.append(1.0)
                columns.append(layout.place(*size_of(estimands[i])))
                rows.append(first + 2 * terms)
                for r, term in enumerate(estimands[i].terms):
                    row = first + 2 * r
                    parts = [*term.numerator, (term.denominator, 1.0)]
                    values += [sign for _, sign in parts]
                    columns += [layout.place(*key) for key, _ in parts]
                    rows += [row] * len(term.numerator) + [row + 1]
            shape = ((2 * terms + 1) * len(members), len(layout))
            lines[terms] = csr_matrix((values, (rows, columns)), shape=shape)
        return PowerLines({terms: tuple(found) for terms, found in places.items()}, lines)

    def sums(self, by_cluster: np.ndarray) -> dict[str, np.ndarray]:
        """Second, third and fourth powers, by number of ratios R, of clusters' sums (S x G).

        Returns
        -------
        dict of str to ndarray
            ``R_second`` (m x pairs), ``R_third`` (m x pairs x 2 R + 1) and ``R_fourth``
            (m x pairs x pairs), with the pairs of lines in the order of ``triu_indices``.
        """
        found: dict[str, np.ndarray] = {}
        for terms, lines in self.lines.items():
            width = 2 * terms + 1
            members = lines.shape[0] // width
            first, second = np.triu_indices(width)
            state = {
                f"{terms}_second": np.zeros((members, len(first))),
                f"{terms}_third": np.zeros((members, len(first), width)),
                f"{terms}_fourth": np.zeros((members, len(first), len(first))),
            }
            step = max(_CHUNK // (members * (width + len(first))), 1)
            for start in range(0, by_cluster.shape[1], step):
                own = lines @ by_cluster[:, start : start + step]
                own = own.reshape(members, width, -1)
                pairs = own[:, first] * own[:, second]
                state[f"{terms}_second"] += pairs.sum(axis=2)
                state[f"{terms}_third"] += pairs @ own.transpose(0, 2, 1)
                state[f"{terms}_fourth"] += pairs @ pairs.transpose(0, 2, 1)
            found |= state
        return found


def cluster_precision(
    total: np.ndarray, clusters: int, layout: ScoreLayout, estimands: Sequence[Estimand],
    powers: dict[str, np.ndarray],
) -> tuple[ClusterPrecision, ...]:  # fmt: skip
    """What the sums of powers say of each estimand.

    Parameters
    ----------
    total : ndarray, S
        Sums over all clusters.
    clusters : int
        G.
    layout : ScoreLayout
    estimands : sequence of Estimand
        Those that the sums were made for.
    powers : dict of str to ndarray
        Of :meth:`PowerLines.sums`, added up over buckets.

    Returns
    -------
    tuple of ClusterPrecision
        One an estimand; 1 and G where its variance or its population is zero.
    """
    lines = PowerLines.of(layout, estimands)
    found = [ClusterPrecision(1.0, float(clusters))] * len(estimands)
    for terms, places in lines.places.items():
        for m, i in enumerate(places):
            influence, share = _influence_and_share(total, layout, estimands[i])
            if not np.all(np.isfinite(influence)):
                continue
            sums = tuple(powers[f"{terms}_{name}"][m] for name in ("second", "third", "fourth"))
            units = float(total[layout.place(*size_of(estimands[i]))])
            found[i] = _precision(influence, share, units, clusters, *sums)
    return tuple(found)


def size_of(estimand: Estimand) -> Key:
    """The line that says how large a cluster is."""
    bottom = estimand.terms[0].denominator
    return bottom if bottom[0] == "cell" else ("unit",)


def _influence_and_share(
    total: np.ndarray, layout: ScoreLayout, estimand: Estimand
) -> tuple[np.ndarray, np.ndarray]:
    """By ratio, psi and h as combinations of the estimand's lines (R x 2 R + 1 each)."""
    terms = estimand.terms
    influence, share = np.zeros((2, len(terms), 2 * len(terms) + 1))
    for r, term in enumerate(terms):
        bottom = total[layout.place(*term.denominator)]
        top = sum(sign * total[layout.place(*key)] for key, sign in term.numerator)
        with np.errstate(divide="ignore", invalid="ignore"):
            influence[r, 2 * r] = term.coefficient / bottom
            influence[r, 2 * r + 1] = -term.coefficient * top / bottom**2
            share[r, 2 * r + 1] = 1.0 / bottom
    return influence, share


def _precision(
    influence: np.ndarray, share: np.ndarray, units: float, clusters: int,
    second: np.ndarray, third: np.ndarray, fourth: np.ndarray,
) -> ClusterPrecision:  # fmt: skip
    whole = influence.sum(axis=0)
    both = _pair(whole, whole)
    plain = float(both @ second)
    if plain <= 0 or clusters < 2:
        return ClusterPrecision(1.0, float(clusters))
    without = 0.0
    for psi_r, h_r in zip(influence, share, strict=True):
        for psi_s, h_s in zip(influence, share, strict=True):
            psi = _pair(psi_r, psi_s)
            squares = _pair(h_r, h_r) + _pair(h_s, h_s) + _pair(h_r, h_s)
            without += float(psi @ second + psi @ third @ (h_r + h_s) + psi @ fourth @ squares)
    ratio = without / plain * ((clusters - 1) / clusters) ** 2
    size = np.eye(len(whole))[-1] / units
    square = _pair(size, size)
    sizes = np.array([1.0, square @ second, square @ third @ size, square @ fourth @ square])
    effective = _effective_clusters(plain, float(both @ third @ size), sizes)
    return ClusterPrecision(float(np.sqrt(max(ratio, 1.0))), min(effective, float(clusters)))


def _effective_clusters(plain: float, by_size: float, sizes: np.ndarray) -> float:
    """``(sum v)^2 / sum v^2`` from sums of s^1 .. s^4, of psi^2 and of psi^2 s."""
    first, squares, cubes, fourths = sizes
    spread = first * cubes - squares**2
    own = shared = 0.0
    if spread > _EQUAL * squares**2:
        own = (plain * cubes - by_size * squares) / spread
        shared = (by_size * first - plain * squares) / spread
    if shared <= 0:
        return float(first**2 / squares)
    own = max(own, 0.0)
    total = own * first + shared * squares
    return float(total**2 / (own**2 * squares + 2 * own * shared * cubes + shared**2 * fourths))


def _pair(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """``(one'u)(other'u)`` as a combination of the products of two of the u."""
    first, second = np.triu_indices(len(one))
    product = np.outer(one, other)
    return np.where(
        first == second, product[first, second], product[first, second] + product[second, first]
    )
