"""Overlap of the arms and balance of the covariates, from the sums of the scores pass."""

from __future__ import annotations

import numpy as np

from truelift.effects.moments import Moments
from truelift.effects.normal_equations import centred
from truelift.effects.results import CovariateBalance, OverlapSummary
from truelift.effects.scores import BINS


def overlap_summary(state: dict[str, np.ndarray], moments: Moments) -> OverlapSummary:
    """Histogram, effective sample sizes, balance and clipped shares.

    Parameters
    ----------
    state : dict of ndarray
        Of :class:`~truelift.effects.scores.ScoreSumsKernel`.
    moments : Moments
    """
    weights = state["weights"]
    effective = weights[:, 0] ** 2 / np.where(weights[:, 1] > 0, weights[:, 1], 1.0)
    _, treated = moments.arm_rows
    return OverlapSummary(
        bin_edges=tuple(float(b) for b in np.linspace(0.0, 1.0, BINS + 1)),
        treated_counts=tuple(int(c) for c in state["histogram"][1]),
        control_counts=tuple(int(c) for c in state["histogram"][0]),
        clipped_share=float(state["clipped"][0] / moments.arm_rows.sum()),
        effective_sample_size_treated=float(effective[1]),
        effective_sample_size_control=float(effective[0]),
        balance=_balance(state["weighted_covariates"] / weights[:, :1], moments),
        treated_clipped_share=float(state["clipped"][1] / treated),
        effective_sample_size_control_att=float(effective[2]),
    )


def _balance(weighted_means: np.ndarray, moments: Moments) -> tuple[CovariateBalance, ...]:
    p = len(moments.columns.covariates)
    (mean0, cov0), (mean1, cov1) = (centred(moments.gram[:, arm].sum(axis=0)) for arm in (0, 1))
    pooled = np.sqrt(np.clip((np.diag(cov0) + np.diag(cov1))[:p] / 2, 0.0, None))
    overall = np.sqrt(np.clip(moments.variances, 0.0, None))
    # Constant within both arms and different between them: the overall spread is the measure.
    spread = np.where(pooled > 1e-9 * overall, pooled, overall)
    spread = np.where(spread > 0, spread, 1.0)
    before = (mean1 - mean0)[:p] / spread
    after = (weighted_means[1] - weighted_means[0]) / spread
    after_att = (mean1[:p] - weighted_means[2]) / spread
    return tuple(
        CovariateBalance(name, float(b), float(a), float(t))
        for name, b, a, t in zip(moments.columns.covariates, before, after, after_att, strict=True)
    )
