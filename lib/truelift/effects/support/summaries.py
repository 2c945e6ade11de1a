"""How alike the arms are: overlap of propensities, balance of covariates."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


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
    error_after, error_after_att : float
        Standard errors of the two differences after weighting: what chance alone makes of them.
    """

    covariate: str
    smd_before: float
    smd_after: float
    smd_after_att: float | None = None
    error_after: float = 0.0
    error_after_att: float = 0.0


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
    trim_threshold : float
        Units with a propensity outside ``[threshold, 1 - threshold]`` cost more precision than
        they bring (Crump, Hotz, Imbens & Mitnik 2009); 0 where none do.
    trimmed_share : float
        Share of the units outside.
    balance_of_squares : tuple of CovariateBalance
        The same of the covariates' squares about their centres, which tell whether one arm spreads
        wider than the other: what a propensity that bends and was taken for straight leaves.
    balance_of_index : CovariateBalance, optional
        The same of the log odds of the arm against the control, as predicted: many small differences
        in one direction add up there.
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
    trim_threshold: float = 0.0
    trimmed_share: float = 0.0
    balance_of_squares: tuple[CovariateBalance, ...] = ()
    balance_of_index: CovariateBalance | None = None

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

        names = [field.name for field in fields(CovariateBalance)]
        return pd.DataFrame([asdict(b) for b in self.balance], columns=names)
