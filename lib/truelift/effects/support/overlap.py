"""Overlap of the arms and balance of the covariates, from the sums of the scores pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.effects.nuisances.moments import Moments
from truelift.effects.scores.sums import BINS, odds_edges
from truelift.effects.support.summaries import CovariateBalance, OverlapSummary
from truelift.effects.support.verdict import LOG_ODDS
from truelift.inference.normal_equations import centred


def overlap_summaries(state: dict[str, np.ndarray], moments: Moments) -> dict[str, OverlapSummary]:
    """Histogram, effective sample sizes, balance and clipped shares of every arm and the control.

    Parameters
    ----------
    state : dict of ndarray
        Of :class:`~truelift.effects.scores.sums.ScoreSumsKernel`.
    moments : Moments
    """
    labels = moments.columns.arms.labels
    return {label: _of_arm(state, moments, a) for a, label in enumerate(labels) if a}


def _of_arm(state: dict[str, np.ndarray], moments: Moments, a: int) -> OverlapSummary:
    weights = state["weights"]
    effective = weights[..., 0] ** 2 / np.where(weights[..., 1] > 0, weights[..., 1], 1.0)
    units = moments.arm_units
    threshold, outside = trim_threshold(state["odds"][a])
    return OverlapSummary(
        bin_edges=tuple(float(b) for b in np.linspace(0.0, 1.0, BINS + 1)),
        treated_counts=tuple(int(c) for c in state["histogram"][a, 0]),
        control_counts=tuple(int(c) for c in state["histogram"][a, 1]),
        clipped_share=float(state["clipped"][a, 0] / units.sum()),
        effective_sample_size_treated=float(effective[a, 0]),
        effective_sample_size_control=float(effective[0, 0]),
        balance=_balance(state, moments, a),
        balance_of_squares=_balance_of_squares(state, moments, a),
        balance_of_index=_balance_of_index(state, moments, a),
        treated_clipped_share=float(state["clipped"][a, 1] / units[a]),
        effective_sample_size_control_att=float(effective[a, 1]),
        trim_threshold=threshold,
        trimmed_share=outside,
    )


def trim_threshold(odds: np.ndarray) -> tuple[float, float]:
    """The threshold of Crump, Hotz, Imbens & Mitnik (2009), and the share of units outside it.

    With ``g = 1/e_a + 1/e_0``, the set ``g <= 1 / (t (1 - t))`` has the smallest variance bound
    where ``1 / (t (1 - t)) = 2 E[g | g <= 1 / (t (1 - t))]``; nothing is trimmed if the largest g
    does not exceed ``2 E[g]``.

    Parameters
    ----------
    odds : ndarray
        Counts of units by g, in the bins of :func:`~truelift.effects.scores.sums.odds_edges`.
    """
    edges = odds_edges()
    middle = np.concatenate([[edges[0]], np.sqrt(edges[1:] * edges[:-1])])
    counts, sums = np.cumsum(odds), np.cumsum(odds * middle)
    means = sums / np.where(counts > 0, counts, 1.0)
    last = int(np.flatnonzero(odds)[-1]) if odds.any() else 0
    if edges[last] <= 2 * means[last]:
        return 0.0, 0.0
    allowed = np.flatnonzero(edges <= 2 * means)
    cut = int(allowed[-1]) if len(allowed) else 0
    threshold = 0.5 - np.sqrt(max(0.25 - 1.0 / edges[cut], 0.0))
    return float(threshold), float(1.0 - counts[cut] / counts[-1])


def _balance(
    state: dict[str, np.ndarray], moments: Moments, a: int
) -> tuple[CovariateBalance, ...]:
    p = len(moments.design)
    (mean0, cov0), (mean1, cov1) = (centred(moments.gram[:, arm].sum(axis=0)) for arm in (0, a))
    means = np.stack([mean0[:p], mean1[:p]])
    variances = np.stack([np.diag(cov0)[:p], np.diag(cov1)[:p]])
    overall = np.sqrt(np.clip(moments.variances, 0.0, None))
    powers = _Powers.of(state, 0, slice(p))
    return _rows(moments.design.names, state, moments, a, means, variances, overall, powers)


def _balance_of_squares(
    state: dict[str, np.ndarray], moments: Moments, a: int
) -> tuple[CovariateBalance, ...]:
    """The same for the squares of the features about their centres: how wide the arms are."""
    names = moments.design.names
    squares = tuple(f"{name} squared" for name in names)
    rows = _from_powers(squares, state, moments, a, 1, slice(len(names)))
    return tuple(row for name, row in zip(names, rows, strict=True) if not _is_product(name))


def _balance_of_index(state: dict[str, np.ndarray], moments: Moments, a: int) -> CovariateBalance:
    """The same for the log odds of the arm against the control (Rubin 2001)."""
    place = len(moments.design) + a - 1
    (row,) = _from_powers((LOG_ODDS,), state, moments, a, 0, slice(place, place + 1))
    return row


def _from_powers(
    names: tuple[str, ...], state: dict[str, np.ndarray], moments: Moments, a: int, degree: int,
    columns: slice,
) -> tuple[CovariateBalance, ...]:  # fmt: skip
    """Rows of features (``degree`` 0) or of their squares (1), with moments from their powers."""
    found = state["feature_powers"][..., columns]
    units = moments.gram[:, :, 0, 0].sum(axis=0)
    by_arm = found / np.where(units > 0, units, 1.0)[:, None]
    whole = found.sum(axis=1) / units.sum()
    means, squares = by_arm[degree, [0, a]], by_arm[2 * degree + 1, [0, a]]
    variances = np.clip(squares - means**2, 0.0, None)
    overall = np.sqrt(np.clip(whole[2 * degree + 1] - whole[degree] ** 2, 0.0, None))
    powers = _Powers.of(state, degree, columns)
    return _rows(names, state, moments, a, means, variances, overall, powers)


def _is_product(feature: str) -> bool:
    """Whether a feature of the design is a square or a product itself."""
    return feature.endswith("^2") or " x " in feature


@dataclass(frozen=True, eq=False)
class _Powers:
    """Sums of a feature f, A x 2 x p: with the weights, and of f and f^2 with their squares."""

    weighted: np.ndarray
    heavy: np.ndarray
    heavy_squares: np.ndarray

    @staticmethod
    def of(state: dict[str, np.ndarray], degree: int, columns: slice) -> _Powers:
        """Those of some features (``degree`` 0) or of their squares (1)."""
        weighted = state["weighted_squares" if degree else "weighted_features"]
        heavy = state["squared_weights"][[degree, 2 * degree + 1]][..., columns]
        return _Powers(weighted[..., columns], *heavy)


def _rows(
    names: tuple[str, ...], state: dict[str, np.ndarray], moments: Moments, a: int,
    means: np.ndarray, variances: np.ndarray, overall: np.ndarray, powers: _Powers,
) -> tuple[CovariateBalance, ...]:  # fmt: skip
    """Differences before and after weighting, with standard errors.

    ``means`` and ``variances`` (2 x p) are those of the control and of arm a as they are. The
    variance of a weighted mean is ``sum w^2 (f - mean)^2 / (sum w)^2``, or, where that is larger,
    what it would be if the arm spread as the population does that the weights aim at: of a rare
    indicator that few units of an arm happen to have, the arm itself shows too little. Both times
    the design effect.
    """
    sums, squares = state["weights"][..., 0], state["weights"][..., 1]
    sums = np.where(sums > 0, sums, 1.0)[..., None]
    weighted = powers.weighted / sums
    around = powers.heavy_squares - 2.0 * weighted * powers.heavy
    of_means = np.clip(around + weighted**2 * squares[..., None], 0.0, None) / sums**2
    pooled = np.sqrt(np.clip(variances.mean(axis=0), 0.0, None))
    # Constant within both arms and different between them: the overall spread is the measure.
    spread = np.where(pooled > 1e-9 * overall, pooled, overall)
    spread = np.where(spread > 0, spread, 1.0)
    # The treated units stand for themselves in the ATT.
    own = np.clip(variances[1], 0.0, None) / max(moments.arm_units[a], 1.0)
    # Shares of the target's variance that the weighted means of the two arms have.
    shares = squares / sums[..., 0] ** 2
    aimed = overall**2 * (shares[a, 0] + shares[0, 0])
    aimed_att = np.clip(variances[1], 0.0, None) * shares[0, 1] + own
    effect = np.sqrt(design_effect(state))
    lines = (
        (means[1] - means[0]) / spread,
        (weighted[a, 0] - weighted[0, 0]) / spread,
        (means[1] - weighted[a, 1]) / spread,
        effect * np.sqrt(np.maximum(of_means[a, 0] + of_means[0, 0], aimed)) / spread,
        effect * np.sqrt(np.maximum(own + of_means[a, 1], aimed_att)) / spread,
    )
    return tuple(
        CovariateBalance(name, *(float(line[j]) for line in lines)) for j, name in enumerate(names)
    )


def design_effect(state: dict[str, np.ndarray]) -> float:
    """By how much clusters that share their arm blow up the variance of a balance, at least 1.

    That of the sums of ``1[D = a] - e_a`` by cluster over that of independent units. A covariate
    that varies within clusters has less: its standard error is taken too large, not too small.
    """
    alone = float(state["surprise_squares"][0])
    together = float(state["surprise_by_cluster"][0])
    return max(together / alone, 1.0) if alone > 0 else 1.0
