"""Overlap of the arms and balance of the covariates, from the sums of the scores pass."""

from __future__ import annotations

import numpy as np

from truelift.effects.moments import Moments
from truelift.effects.normal_equations import centred
from truelift.effects.results import CovariateBalance, OverlapSummary
from truelift.effects.scoring.sums import BINS, odds_edges


def overlap_summaries(state: dict[str, np.ndarray], moments: Moments) -> dict[str, OverlapSummary]:
    """Histogram, effective sample sizes, balance and clipped shares of every arm and the control.

    Parameters
    ----------
    state : dict of ndarray
        Of :class:`~truelift.effects.scoring.sums.ScoreSumsKernel`.
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
        Counts of units by g, in the bins of :func:`~.scoring.sums.odds_edges`.
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
    weights = state["weights"][..., 0]
    weighted = state["weighted_features"] / np.where(weights > 0, weights, 1.0)[..., None]
    (mean0, cov0), (mean1, cov1) = (centred(moments.gram[:, arm].sum(axis=0)) for arm in (0, a))
    pooled = np.sqrt(np.clip((np.diag(cov0) + np.diag(cov1))[:p] / 2, 0.0, None))
    overall = np.sqrt(np.clip(moments.variances, 0.0, None))
    # Constant within both arms and different between them: the overall spread is the measure.
    spread = np.where(pooled > 1e-9 * overall, pooled, overall)
    spread = np.where(spread > 0, spread, 1.0)
    before = (mean1 - mean0)[:p] / spread
    after = (weighted[a, 0] - weighted[0, 0]) / spread
    after_att = (mean1[:p] - weighted[a, 1]) / spread
    return tuple(
        CovariateBalance(name, float(b), float(w), float(t))
        for name, b, w, t in zip(moments.design.names, before, after, after_att, strict=True)
    )
