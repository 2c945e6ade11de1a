"""Subset stability: the estimate on random halves of the clusters, and fold by fold.

*Halves.* Cluster g is in half r by a coin of its hash. With nuisances held fixed the two halves'
estimates differ by about ``2 sum_g s_g a'S_g`` with signs s, whose variance is four times that of
the estimate, so ``z = (half - complement) / (2 se)`` is about standard normal, and independent
between halves given the data (half-sample replication, McCarthy 1969). The sum of the R squares
is compared with chi-square on R degrees of freedom. Its mean is 1 by construction as long as the
estimate is close to linear in the sums, so what it finds are ratios far from linear and errors of
bookkeeping; a few clusters that carry the estimate show in the range and in the largest z. It
says nothing on confounding, and nothing on dependence between clusters.

*Folds.* Each fold has nuisance models of its own and clusters of its own. Cochran's Q,
``sum (theta_k - mean)^2 / V_k`` with the inverse-variance mean, on K - 1 degrees of freedom,
tells whether the models of some folds lead elsewhere (Cochran 1954).
"""

from __future__ import annotations

import numpy as np

from truelift.arrays.distributions import stats
from truelift.effects.credibility.blocks import ContrastLines
from truelift.effects.credibility.draws import halves
from truelift.effects.credibility.results import FoldStability, HalfStability
from truelift.effects.credibility.target import Target

_PURPOSE = 3
_CHUNK = 8192


def half_sums(keys: np.ndarray, sums: np.ndarray, seed: int, count: int) -> np.ndarray:
    """Sums of the clusters' sums (lines x G) in every half, R x lines."""
    found = np.zeros((count, len(sums)))
    for begin in range(0, len(keys), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        found += (sums[:, part] @ halves(keys[part], seed, _PURPOSE, count)).T
    return found


def pair_products(sums: np.ndarray, lines: ContrastLines) -> np.ndarray:
    """For every estimate the sums over clusters of N^2, N D and D^2, estimates x 3."""
    found = np.zeros((len(lines.estimates()), 3))
    for e, estimate in enumerate(lines.estimates()):
        n, d = (sums[place] for place in lines.estimate(*estimate))
        found[e] = n @ n, n @ d, d @ d
    return found


def half_stability(
    half_total: np.ndarray,
    total: np.ndarray,
    lines: ContrastLines,
    standard_error: float,
    target: Target,
) -> HalfStability:
    """The estimates of random halves, and whether they scatter as the standard error says.

    Parameters
    ----------
    half_total : ndarray, R x lines
    total : ndarray, lines
    lines : ContrastLines
    standard_error : float
        Clustered, in the outcome's units.
    target : Target
    """
    top, bottom = lines.estimate(*target.place)
    scale = target.scale
    rest = total[None] - half_total
    usable = (half_total[:, bottom] > 0) & (rest[:, bottom] > 0)
    half_total, rest = half_total[usable], rest[usable]
    inside = scale * half_total[:, top] / half_total[:, bottom]
    outside = scale * rest[:, top] / rest[:, bottom]
    z = (inside - outside) / (2.0 * standard_error) if standard_error > 0 else 0.0 * inside
    dispersion = float(z @ z)
    return HalfStability(
        estimand=target.estimand,
        outcome=target.outcome_name,
        contrast=target.contrast_name,
        estimate=float(scale * total[top] / total[bottom]),
        standard_error=standard_error,
        estimates=tuple(inside.tolist()),
        dispersion=dispersion / max(len(z), 1),
        p_value=_two_sided_chi_square(dispersion, len(z)),
        most=float(np.max(np.abs(z), initial=0.0)),
    )


def _two_sided_chi_square(value: float, degrees: int) -> float:
    if degrees < 1:
        return 1.0
    tail = min(stats.chi2.sf(value, degrees), stats.chi2.cdf(value, degrees))
    return float(min(1.0, 2.0 * tail))


def fold_stability(
    fold_total: np.ndarray,
    fold_products: np.ndarray,
    fold_clusters: np.ndarray,
    lines: ContrastLines,
    target: Target,
) -> FoldStability:
    """Estimates by cross-fitting fold with their standard errors, and Cochran's Q.

    Parameters
    ----------
    fold_total : ndarray, K x lines
    fold_products : ndarray, K x estimates x 3
        Of :func:`pair_products`.
    fold_clusters : ndarray, K
    lines : ContrastLines
    target : Target
    """
    top, bottom = lines.estimate(*target.place)
    scale = target.scale
    place = lines.estimates().index(target.place)
    kept = np.flatnonzero((fold_clusters > 1) & (fold_total[:, bottom] > 0))
    below, groups = fold_total[kept, bottom], fold_clusters[kept]
    estimates = fold_total[kept, top] / below
    nn, nd, dd = fold_products[kept, place].T
    squares = np.maximum(nn - 2 * estimates * nd + estimates**2 * dd, 0.0)
    variances = groups / (groups - 1) * squares / below**2
    weights = np.divide(1.0, variances, out=np.zeros_like(variances), where=variances > 0)
    mean = weights @ estimates / weights.sum() if weights.sum() > 0 else 0.0
    q, degrees = float(weights @ (estimates - mean) ** 2), max(len(kept) - 1, 0)
    return FoldStability(
        estimand=target.estimand,
        outcome=target.outcome_name,
        contrast=target.contrast_name,
        folds=tuple(int(k) for k in kept),
        estimates=tuple((scale * estimates).tolist()),
        standard_errors=tuple((scale * np.sqrt(variances)).tolist()),
        q=q,
        p_value=float(stats.chi2.sf(q, degrees)) if degrees else 1.0,
    )
