"""What an experiment's arms differ by: arm means of an outcome, and contrasts of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ContrastEstimate:
    """One contrast of arm means.

    Parameters
    ----------
    name : str
    estimate, standard_error, ci_lower, ci_upper : float
        In the units of the sums.
    p_value : float
        Two-sided, against no effect.
    degrees_of_freedom : float
        Of Student's t: Welch and Satterthwaite's over the arms if clusters were assigned, else
        G - 1; less one for each covariate.
    design_effect : float
        The variance by what it would be if all units were clusters of their own.
    effective_clusters : float
        For a difference of an arm and the control (Carter, Schnepel & Steigerwald 2017), else NaN.
    """

    name: str
    estimate: float
    standard_error: float
    ci_lower: float
    ci_upper: float
    p_value: float
    degrees_of_freedom: float
    design_effect: float
    effective_clusters: float


@dataclass(frozen=True, eq=False)
class ExperimentResult:
    """Arm means of one outcome, with contrasts.

    Parameters
    ----------
    method : str
    means, covariance : ndarray, A and A x A
        For :mod:`~truelift.inference.contrasts`, bands and ratios.
    theta : ndarray, P
        Coefficients of the covariates; empty for a difference in means.
    contrasts : tuple of ContrastEstimate
    clusters : int
    confidence : float
    """

    method: str
    means: np.ndarray
    covariance: np.ndarray
    theta: np.ndarray
    contrasts: tuple[ContrastEstimate, ...]
    clusters: int
    confidence: float

    def __repr__(self) -> str:
        lines = "".join(
            f"\n  {c.name}: {c.estimate:.4g} [{c.ci_lower:.4g}, {c.ci_upper:.4g}], "
            f"p {c.p_value:.3g}"
            for c in self.contrasts
        )
        return (
            f"ExperimentResult({self.method}, {self.clusters:,} clusters, "
            f"{self.confidence:.0%}{lines})"
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row a contrast."""
        import pandas as pd

        return pd.DataFrame([asdict(c) for c in self.contrasts])
