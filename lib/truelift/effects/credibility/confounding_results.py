"""Results on unobserved confounding: bounds, contours, benchmarks, E-values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from truelift.arrays.distributions import stats
from truelift.effects.credibility.wording import of
from truelift.effects.telling.figures import compact

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class OmittedVariableBounds:
    """What the estimate could be if a confounder of an assumed strength were left out.

    Parameters
    ----------
    estimand, outcome, contrast : str
    estimate, standard_error : float
        In the outcome's units.
    cf_y, cf_d, rho : float
        The assumed confounder: share of the outcome's residual variance it explains, share of the
        Riesz representer's mean square it adds, correlation of the two.
    lower, upper : float
        Bounds of the true effect.
    ci_lower, ci_upper : float
        Their confidence bounds, each on its own side at level ``confidence``.
    robustness_value, robustness_value_confident : float
        RV and RVa: the strength ``cf_y = cf_d`` that brings the bound, or its confidence bound,
        to ``null``.
    null, confidence : float
    sigma2, nu2 : float
        Residual variance of the outcome; mean square of the Riesz representer.
    """

    estimand: str
    outcome: str
    contrast: str
    estimate: float
    standard_error: float
    cf_y: float
    cf_d: float
    rho: float
    lower: float
    upper: float
    ci_lower: float
    ci_upper: float
    robustness_value: float
    robustness_value_confident: float
    null: float
    confidence: float
    sigma2: float
    nu2: float

    def with_chance(self, lower: float, upper: float) -> tuple[float, float]:
        """Where the effect could lie with such a confounder *and* by chance.

        ``[lower, upper]`` is the estimate's sampling interval. It is moved outwards on either side
        by as much as the confounder may hide, so the range is never narrower than the interval.
        """
        hidden = self.estimate - self.lower, self.upper - self.estimate
        return min(self.ci_lower, lower - hidden[0]), max(self.ci_upper, upper + hidden[1])

    def __repr__(self) -> str:
        target = "zero" if self.null == 0 else f"{self.null:g}"
        half = float(stats.norm.ppf(0.5 + self.confidence / 2)) * self.standard_error
        lower, upper = self.with_chance(self.estimate - half, self.estimate + half)
        confident = self.robustness_value_confident
        bound = (
            f", and {confident:.1%} to bring its {self.confidence:.0%} confidence bound there"
            if confident > 0
            else "; its confidence bound is there without one"
        )
        return (
            f"{of(self.estimand, self.outcome, self.contrast)}: an unobserved confounder would "
            f"need to explain at least {self.robustness_value:.1%} of the residual variance of "
            f"both treatment and outcome to bring the estimate ({compact(self.estimate)}) "
            f"to {target}{bound}. With one that explains {self.cf_y:.3g} of the outcome and "
            f"{self.cf_d:.3g} of the treatment (rho {self.rho:g}) the effect lies, chance "
            f"included, between {compact(lower)} and {compact(upper)}."
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row."""
        import pandas as pd

        return pd.DataFrame([asdict(self)])


@dataclass(frozen=True)
class CovariateBenchmark:
    """How strong a confounder a group of observed covariates would be, had it been left out.

    Parameters
    ----------
    covariates : str
        The group's name.
    cf_y, cf_d, rho : float
        The group's strength in the terms of :class:`OmittedVariableBounds`.
    change : float
        Estimate without the group minus estimate with it.
    """

    covariates: str
    cf_y: float
    cf_d: float
    rho: float
    change: float

    def __repr__(self) -> str:
        return (
            f"A confounder as strong as {self.covariates} would explain {self.cf_y:.2%} of what is "
            f"left of the outcome and {self.cf_d:.2%} of the treatment (rho {self.rho:.2g}); "
            f"leaving {self.covariates} out changes the estimate by {self.change:.4g}."
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row."""
        import pandas as pd

        return pd.DataFrame([asdict(self)])


@dataclass(frozen=True)
class EValue:
    """The least risk ratio with treatment and outcome that would explain the effect away.

    Parameters
    ----------
    outcome : str
    ratio : float
        The effect as a risk ratio.
    point, interval : float
        E-value of the estimate, and of the end of its interval nearer to no effect (1 if the
        interval holds it).
    measure : str
        ``'risk ratio'`` or ``'standardised difference'`` (an approximate risk ratio).
    """

    outcome: str
    ratio: float
    point: float
    interval: float
    measure: str

    def __repr__(self) -> str:
        about = "" if self.measure == "risk ratio" else "about "
        subject = f"Effect on {self.outcome}" if self.outcome else "Effect"
        return (
            f"{subject}, risk ratio {about}{self.ratio:.3g}: an unobserved confounder that goes "
            f"with both treatment and outcome by risk ratios of {self.point:.3g} each, beyond the "
            "covariates, could explain the estimate away, a weaker one could not; for the "
            f"interval it takes {self.interval:.3g}."
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row."""
        import pandas as pd

        return pd.DataFrame([asdict(self)])
