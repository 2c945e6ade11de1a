"""Results of the credibility checks; each is a sentence and, with ``to_pandas``, a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from truelift.effects.credibility.confounding_results import (
    CovariateBenchmark,
    EValue,
    OmittedVariableBounds,
)
from truelift.effects.credibility.stability_results import (
    FoldStability,
    HalfStability,
    LeaveOneGroupOut,
)
from truelift.effects.credibility.wording import of
from truelift.effects.telling.figures import compact

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CovariateBenchmark",
    "EValue",
    "FoldStability",
    "HalfStability",
    "LeaveOneGroupOut",
    "NegativeControl",
    "OmittedVariableBounds",
    "PlaceboTreatments",
    "RandomCommonCause",
]


@dataclass(frozen=True)
class PlaceboTreatments:
    """Effects of treatments that were drawn at random, and the real one among them.

    Parameters
    ----------
    outcome, contrast : str
    estimates, standard_errors : tuple of float
        Of the placebo treatments, in the outcome's units.
    rejected : int
        Placebos whose t-test rejects.
    expected_share, rejection_p_value : float
        Share that should be rejected, and the binomial p-value of the number that was.
    observed, observed_t : float
        Estimate and t of the real treatment in the placebos' own score (one outcome model for all
        arms), which is not the reported estimate.
    p_value : float
        Share of placebos with at least the real one's absolute t, the real one counted in.
    bin_edges : tuple of float
    bin_counts : tuple of int
        Histogram of the placebo estimates.
    level : str
        ``'cluster'`` or ``'unit'``: whose random numbers the draws are.
    by_propensity : bool
        Whether draws follow the fitted propensity; else fixed shares.
    clusters : int
    """

    outcome: str
    contrast: str
    estimates: tuple[float, ...]
    standard_errors: tuple[float, ...]
    rejected: int
    expected_share: float
    rejection_p_value: float
    observed: float
    observed_t: float
    p_value: float
    bin_edges: tuple[float, ...]
    bin_counts: tuple[int, ...]
    level: str
    by_propensity: bool
    clusters: int

    @property
    def rejected_share(self) -> float:
        """Share of the placebos whose t-test rejects."""
        return self.rejected / len(self.estimates) if self.estimates else 0.0

    @property
    def passed(self) -> bool:
        """Whether the number rejected is one that chance gives (1% level)."""
        return self.rejection_p_value >= 0.01

    def __repr__(self) -> str:
        return (
            f"{of('Effect', self.outcome, self.contrast)}: {self.rejected} of "
            f"{len(self.estimates)} placebo treatments are found significant, "
            f"{self.expected_share * len(self.estimates):.3g} expected"
            f"{'' if self.passed else ' (more or fewer than chance gives: the standard errors do not hold)'}"
            f". A |t| as large as the real treatment's, {abs(self.observed_t):.3g}, has "
            f"{self.p_value:.2%} of them, itself counted in. Placebos test the inference; they "
            "cannot show confounding."
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row a placebo treatment."""
        import pandas as pd

        return pd.DataFrame({"estimate": self.estimates, "standard_error": self.standard_errors})


@dataclass(frozen=True)
class RandomCommonCause:
    """How random covariates, added to all nuisance models, move the estimate.

    Parameters
    ----------
    outcome, contrast : str
    estimate, standard_error : float
    shifts : tuple of float
        A shift for every random covariate, in the outcome's units.
    """

    outcome: str
    contrast: str
    estimate: float
    standard_error: float
    shifts: tuple[float, ...]

    @property
    def largest(self) -> float:
        """The largest absolute shift."""
        return float(np.max(np.abs(self.shifts), initial=0.0))

    @property
    def passed(self) -> bool:
        """Whether no random covariate moves the estimate by half a standard error."""
        return self.largest <= 0.5 * self.standard_error

    def __repr__(self) -> str:
        share = self.largest / self.standard_error if self.standard_error > 0 else 0.0
        return (
            f"{of('ATE', self.outcome, self.contrast)}: each of {len(self.shifts)} random "
            f"covariates moves the estimate ({compact(self.estimate)}) by at most "
            f"{self.largest:.2g}, "
            f"{share:.1%} of its standard error"
            f"{'' if self.passed else ': the nuisance models follow noise'}."
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row a random covariate."""
        import pandas as pd

        return pd.DataFrame({"shift": self.shifts})


@dataclass(frozen=True)
class NegativeControl:
    """An outcome that must show no effect, and whether it does.

    Parameters
    ----------
    outcome, contrast : str
    estimate, standard_error, margin : float
        In the outcome's units; effects below the margin count as none.
    difference_p_value : float
        Two-sided, against no effect: small where there is one.
    equivalence_p_value : float
        Against an effect of at least the margin: small where there is none.
    level : float
        Of both tests.
    """

    outcome: str
    contrast: str
    estimate: float
    standard_error: float
    margin: float
    difference_p_value: float
    equivalence_p_value: float
    level: float

    @property
    def verdict(self) -> str:
        """``'effect found'``, ``'no effect'``, ``'negligible effect'`` or ``'undecided'``."""
        found, absent = (
            p < self.level for p in (self.difference_p_value, self.equivalence_p_value)
        )
        if found:
            return "negligible effect" if absent else "effect found"
        return "no effect" if absent else "undecided"

    def __repr__(self) -> str:
        meaning = {
            "effect found": "shows an effect that cannot be: the estimates are biased",
            "no effect": "shows no effect, as it should",
            "negligible effect": "shows an effect, but one smaller than the margin",
            "undecided": "decides nothing: too few data to tell no effect from one of the margin",
        }[self.verdict]
        return (
            f"Negative control {of(self.outcome, '', self.contrast)}: {self.estimate:.4g} (se "
            f"{self.standard_error:.3g}, margin {self.margin:.3g}) {meaning}; p "
            f"{self.difference_p_value:.2g} against no effect, {self.equivalence_p_value:.2g} "
            "against one of the margin."
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row."""
        import pandas as pd

        return pd.DataFrame([asdict(self) | {"verdict": self.verdict}])
