"""What the effect step leaves behind: estimates with intervals, overlap, balance, verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Estimate:
    """One estimand of one outcome, with its interval.

    Parameters
    ----------
    estimand : str
        ``'ATE'``, ``'ATT'`` or ``'naive difference'``.
    outcome : str
        Column of the panel.
    estimate, standard_error : float
        In the outcome's units; the standard error is clustered by user.
    ci_lower, ci_upper : float
        Bounds of the interval at level ``confidence``.
    p_value : float
        Two-sided, against no effect.
    n, clusters : int
        Units and clusters used.
    confidence : float
        Level of the interval, for example 0.95.
    method : str
        How the number was made.
    """

    estimand: str
    outcome: str
    estimate: float
    standard_error: float
    ci_lower: float
    ci_upper: float
    p_value: float
    n: int
    clusters: int
    confidence: float
    method: str

    def __repr__(self) -> str:
        return (
            f"Estimate({self.estimand} on {self.outcome}: {self.estimate:.4g} "
            f"[{self.ci_lower:.4g}, {self.ci_upper:.4g}] at {self.confidence:.0%}, "
            f"se {self.standard_error:.4g}, p {self.p_value:.3g}, n {self.n:,}, "
            f"{self.clusters:,} clusters)"
        )


@dataclass(frozen=True)
class CovariateBalance:
    """Standardised mean difference of one covariate between the arms.

    Parameters
    ----------
    covariate : str
    smd_before, smd_after : float
        (treated mean - control mean) / pooled standard deviation, before and after weighting
        by the inverse propensity, as the ATE does.
    smd_after_att : float, optional
        The same with the controls weighted by the odds of treatment, as the ATT does.
    """

    covariate: str
    smd_before: float
    smd_after: float
    smd_after_att: float | None = None


@dataclass(frozen=True)
class OverlapSummary:
    """How alike the arms are, as far as the propensity shows it.

    Parameters
    ----------
    bin_edges : tuple of float
        Edges of the propensity histogram, one more than there are bins.
    treated_counts, control_counts : tuple of int
        Units a bin in each arm.
    clipped_share : float
        Share of the units whose propensity was clipped.
    effective_sample_size_treated, effective_sample_size_control : float
        (sum of weights)^2 / sum of squared weights in each arm, with the ATE's weights.
    balance : tuple of CovariateBalance
    treated_clipped_share : float
        Share of the treated whose propensity was clipped from above; for them no control
        counts enough, which is what matters to the ATT.
    effective_sample_size_control_att : float, optional
        The same of the controls with the ATT's weights.
    """

    bin_edges: tuple[float, ...]
    treated_counts: tuple[int, ...]
    control_counts: tuple[int, ...]
    clipped_share: float
    effective_sample_size_treated: float
    effective_sample_size_control: float
    balance: tuple[CovariateBalance, ...]
    treated_clipped_share: float = 0.0
    effective_sample_size_control_att: float | None = None

    def __repr__(self) -> str:
        return (
            f"OverlapSummary({self.clipped_share:.2%} clipped, effective sample size "
            f"{self.effective_sample_size_treated:,.0f} treated and "
            f"{self.effective_sample_size_control:,.0f} control, "
            f"{len(self.balance)} covariates)"
        )

    def to_pandas(self) -> pd.DataFrame:
        """The balance table, one row a covariate."""
        import pandas as pd

        names = ["covariate", "smd_before", "smd_after", "smd_after_att"]
        return pd.DataFrame([asdict(b) for b in self.balance], columns=names)


@dataclass(frozen=True)
class EffectsResult:
    """Every estimate of one panel, with what is needed to judge it.

    Parameters
    ----------
    estimates : tuple of Estimate
    overlap : OverlapSummary
    folds : int
        Cross-fitting folds.
    n, clusters, treated : int
        Units, users and treated units of the panel.
    nuisance : dict of str to float
        Out-of-fold quality of the nuisance models.
    table : str
        Name of the panel table.
    table_version : int
        Its pinned Delta version.
    verdict : str
        ``'supported ...'`` or ``'not supported by the data ...'``, with the reasons; see
        :func:`truelift.effects.verdict.verdict`.
    covariates : int
        Covariates that the nuisance models use.
    dropped : dict of str to str
        Covariates that were left out, and why.
    support : dict of str to str
        The verdict on each estimand.
    """

    estimates: tuple[Estimate, ...]
    overlap: OverlapSummary
    folds: int
    n: int
    clusters: int
    treated: int
    nuisance: dict[str, float]
    table: str
    table_version: int
    verdict: str
    covariates: int = 0
    dropped: dict[str, str] = field(default_factory=dict)
    support: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = "".join(f"\n  {e!r}" for e in self.estimates)
        return (
            f"EffectsResult({self.n:,} units ({self.treated:,} treated) of {self.clusters:,} "
            f"clusters, {self.folds} folds, {self.table} version {self.table_version}{lines}\n"
            f"  {self.verdict})"
        )

    def to_pandas(self) -> pd.DataFrame:
        """The estimates, one row an estimand and outcome."""
        import pandas as pd

        return pd.DataFrame([asdict(e) for e in self.estimates])
