"""Overlap, balance and the verdict on whether the data support an effect."""

from __future__ import annotations

import numpy as np

from truelift.effects.moments import Moments
from truelift.effects.normal_equations import centred
from truelift.effects.results import CovariateBalance, OverlapSummary
from truelift.effects.scores import BINS

#: Largest share of units whose propensity may be clipped.
MAX_CLIPPED_SHARE = 0.05
#: Smallest effective sample size of an arm, as a share of its units.
MIN_EFFECTIVE_SHARE = 0.10
#: Largest standardised mean difference after weighting: above the first the estimate leans on
#: the outcome models alone (Rubin 2001), above the second it is mentioned (Austin 2009).
MAX_SMD = 0.25
NOTED_SMD = 0.10


def overlap_summary(state: dict[str, np.ndarray], moments: Moments) -> OverlapSummary:
    """Histogram, effective sample sizes, balance and the clipped share."""
    weights = state["weights"]
    effective = weights[:, 0] ** 2 / np.where(weights[:, 1] > 0, weights[:, 1], 1.0)
    return OverlapSummary(
        bin_edges=tuple(float(b) for b in np.linspace(0.0, 1.0, BINS + 1)),
        treated_counts=tuple(int(c) for c in state["histogram"][1]),
        control_counts=tuple(int(c) for c in state["histogram"][0]),
        clipped_share=float(state["clipped"][0] / moments.arm_rows.sum()),
        effective_sample_size_treated=float(effective[1]),
        effective_sample_size_control=float(effective[0]),
        balance=_balance(state["weighted_covariates"] / weights[:, :1], moments),
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
    return tuple(
        CovariateBalance(name, float(b), float(a))
        for name, b, a in zip(moments.columns.covariates, before, after, strict=True)
    )


def verdict(overlap: OverlapSummary, treated: int, control: int, converged: bool) -> str:
    """``'supported ...'`` or ``'not supported by the data: ...'`` with every reason."""
    reasons = []
    if not converged:
        reasons.append(
            "the propensity model did not converge, as happens when covariates tell the arms apart"
        )
    if overlap.clipped_share > MAX_CLIPPED_SHARE:
        reasons.append(
            f"{overlap.clipped_share:.1%} of the propensities are clipped (at most "
            f"{MAX_CLIPPED_SHARE:.0%} allowed)"
        )
    for arm, size, units in (
        ("treated", overlap.effective_sample_size_treated, treated),
        ("control", overlap.effective_sample_size_control, control),
    ):
        if size < MIN_EFFECTIVE_SHARE * units:
            reasons.append(
                f"the weighted {arm} arm is worth {size:,.0f} of its {units:,} units (at least "
                f"{MIN_EFFECTIVE_SHARE:.0%} needed)"
            )
    worst = max(overlap.balance, key=lambda b: abs(b.smd_after), default=None)
    if worst is not None and abs(worst.smd_after) > MAX_SMD:
        reasons.append(
            f"{worst.covariate} differs by {abs(worst.smd_after):.2f} standard deviations after "
            f"weighting (at most {MAX_SMD} allowed)"
        )
    if reasons:
        return f"not supported by the data: {'; '.join(reasons)}."
    if worst is not None and abs(worst.smd_after) > NOTED_SMD:
        return (
            f"supported, with care: {worst.covariate} still differs by "
            f"{abs(worst.smd_after):.2f} standard deviations after weighting."
        )
    return "supported: the arms overlap, and weighting balances the covariates."
