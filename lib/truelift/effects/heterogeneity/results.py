"""What is found on how effects vary: frozen results with tables."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Term:
    """One number with its interval.

    Parameters
    ----------
    name : str
    estimate, standard_error : float
        The standard error is clustered.
    ci_lower, ci_upper : float
    p_value : float
        Two-sided, against ``null``; NaN where the standard error is zero and nothing is tested.
    null : float
    """

    name: str
    estimate: float
    standard_error: float
    ci_lower: float
    ci_upper: float
    p_value: float
    null: float = 0.0

    def __repr__(self) -> str:
        return (
            f"{self.name}: {self.estimate:.4g} [{self.ci_lower:.4g}, {self.ci_upper:.4g}], "
            f"se {self.standard_error:.4g}, p {self.p_value:.3g}"
        )


@dataclass(frozen=True)
class JointTest:
    """A test of several restrictions at once.

    Parameters
    ----------
    hypothesis : str
        What is tested, in words.
    statistic : float
        F, or t where one number is tested.
    degrees : tuple of float
        Degrees of freedom: of the numerator and of the clusters.
    p_value : float
    """

    hypothesis: str
    statistic: float
    degrees: tuple[float, float]
    p_value: float

    def __repr__(self) -> str:
        return f"{self.hypothesis}: statistic {self.statistic:.3g}, p {self.p_value:.3g}"


def _table(terms: tuple[Term, ...]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([asdict(t) for t in terms])


def _lines(*items: object) -> str:
    return "".join(f"\n  {item!r}" for item in items)


@dataclass(frozen=True, eq=False)
class BestLinearPredictor:
    """The best linear predictor of the CATE on chosen features.

    Parameters
    ----------
    terms : tuple of Term
        Intercept and slopes.
    covariance : ndarray, (1 + q) x (1 + q)
        Clustered, of the estimates.
    joint : JointTest
        That all slopes are zero.
    clusters : int
    """

    terms: tuple[Term, ...]
    covariance: np.ndarray
    joint: JointTest
    clusters: int

    def __repr__(self) -> str:
        return f"BestLinearPredictor({self.clusters:,} clusters{_lines(*self.terms, self.joint)})"

    def to_pandas(self) -> pd.DataFrame:
        """One row a coefficient."""
        return _table(self.terms)


@dataclass(frozen=True)
class Calibration:
    """Whether the forecasts of the CATE are right on average and in how they differ.

    Parameters
    ----------
    average : Term
        The average effect of the units that have a forecast.
    mean_forecast : Term
        Average effect / average forecast; 1 if forecasts are right on average (tested).
    differential_forecast : Term
        Slope of the score on forecasts within folds; 1 if differences between forecasts are
        right, 0 (tested) if they say nothing.
    calibrated : JointTest
        That the slope is 1.
    clusters : int
    """

    average: Term
    mean_forecast: Term
    differential_forecast: Term
    calibrated: JointTest
    clusters: int

    @property
    def terms(self) -> tuple[Term, ...]:
        """The three coefficients."""
        return self.average, self.mean_forecast, self.differential_forecast

    def __repr__(self) -> str:
        return f"Calibration({self.clusters:,} clusters{_lines(*self.terms, self.calibrated)})"

    def to_pandas(self) -> pd.DataFrame:
        """One row a coefficient."""
        return _table(self.terms)


@dataclass(frozen=True, eq=False)
class QuantileGroups:
    """Average effects of groups by quantile of the forecast effect (sorted GATEs).

    Parameters
    ----------
    groups : tuple of Term
        The least affected first.
    shares : tuple of float
        Share of the weight in each group; equal but for ties.
    covariance : ndarray, Q x Q
        Clustered, for simultaneous bands.
    difference : Term
        Most less least affected.
    equal : JointTest
        That all groups have one effect.
    monotone : JointTest
        That effects do not fall from group to group: the smallest t of the steps, Bonferroni.
    clusters : int
    """

    groups: tuple[Term, ...]
    shares: tuple[float, ...]
    covariance: np.ndarray
    difference: Term
    equal: JointTest
    monotone: JointTest
    clusters: int

    def __repr__(self) -> str:
        lines = _lines(*self.groups, self.difference, self.equal, self.monotone)
        return f"QuantileGroups({len(self.groups)} groups, {self.clusters:,} clusters{lines})"

    def to_pandas(self) -> pd.DataFrame:
        """One row a group."""
        table = _table(self.groups)
        table.insert(1, "share", self.shares)
        return table


@dataclass(frozen=True)
class ClassificationAnalysis:
    """Who is affected most and least: covariate means of the outer groups (CLAN).

    Parameters
    ----------
    most, least, difference : tuple of Term
        By covariate, in standardised units; the difference is most less least.
    """

    most: tuple[Term, ...]
    least: tuple[Term, ...]
    difference: tuple[Term, ...]

    def __repr__(self) -> str:
        ordered = sorted(self.difference, key=lambda t: -abs(t.estimate))
        return f"ClassificationAnalysis(most less least affected{_lines(*ordered[:10])})"

    def to_pandas(self) -> pd.DataFrame:
        """One row a covariate."""
        import pandas as pd

        rows = [
            {
                "covariate": m.name, "most": m.estimate, "most_se": m.standard_error,
                "least": s.estimate, "least_se": s.standard_error, "difference": d.estimate,
                "ci_lower": d.ci_lower, "ci_upper": d.ci_upper, "p_value": d.p_value,
            }
            for m, s, d in zip(self.most, self.least, self.difference, strict=True)
        ]  # fmt: skip
        return pd.DataFrame(rows)


@dataclass(frozen=True)
class TargetingRow:
    """What treating the units with the highest forecasts brings.

    Parameters
    ----------
    fraction : float
        Share of the units (their weight) that is treated.
    effect : Term
        Average effect among them.
    against_average : Term
        That less the average effect of all: the targeting operator characteristic (TOC).
    value : Term
        Gain a unit of the whole population: ``fraction * effect``; the uplift curve.
    against_random : Term
        The value less that of treating the same share at random.
    """

    fraction: float
    effect: Term
    against_average: Term
    value: Term
    against_random: Term

    def __repr__(self) -> str:
        return (
            f"top {self.fraction:.0%}: effect {self.effect.estimate:.4g} "
            f"[{self.effect.ci_lower:.4g}, {self.effect.ci_upper:.4g}], value "
            f"{self.value.estimate:.4g}, against random {self.against_random.estimate:.4g} "
            f"[{self.against_random.ci_lower:.4g}, {self.against_random.ci_upper:.4g}]"
        )


@dataclass(frozen=True, eq=False)
class Targeting:
    """How well the forecasts say whom to treat.

    Parameters
    ----------
    autoc, qini : Term
        Areas under the TOC, weighted 1 and by the fraction: rank-weighted average treatment
        effects (RATE). Zero if the order of the forecasts says nothing.
    auuc : Term
        Area under the uplift curve.
    rows : tuple of TargetingRow
        By fraction.
    covariance : ndarray, 2f x 2f
        Clustered, of the f effects and then of the f differences from the average, for
        simultaneous bands around the curves.
    sequential : JointTest, optional
        That AUTOC is not above zero, with forecasts that are fitted on earlier folds only; this
        test keeps its level where effects do not vary.
    largest_tie : float
        Largest share of a fold's weight whose forecasts were not told apart.
    clusters : int
    """

    autoc: Term
    qini: Term
    auuc: Term
    rows: tuple[TargetingRow, ...]
    covariance: np.ndarray
    largest_tie: float
    clusters: int
    sequential: JointTest | None = None

    def __repr__(self) -> str:
        test = () if self.sequential is None else (self.sequential,)
        lines = _lines(self.autoc, self.qini, self.auuc, *test, *self.rows)
        return f"Targeting({self.clusters:,} clusters{lines})"

    def to_pandas(self) -> pd.DataFrame:
        """One row a fraction: estimates and bounds of effect, TOC, value and gain on random."""
        import pandas as pd

        names = ("effect", "against_average", "value", "against_random")
        return pd.DataFrame([_flat(row, names) for row in self.rows])


def _flat(row: TargetingRow, names: tuple[str, ...]) -> dict[str, float]:
    flat = {"fraction": row.fraction}
    for name in names:
        term: Term = getattr(row, name)
        flat[name] = term.estimate
        flat[f"{name}_se"] = term.standard_error
        flat[f"{name}_lower"] = term.ci_lower
        flat[f"{name}_upper"] = term.ci_upper
    return flat


@dataclass(frozen=True)
class Heterogeneity:
    """All that is found on how one effect varies.

    Parameters
    ----------
    best_linear : BestLinearPredictor
    calibration : Calibration
    quantile_groups : QuantileGroups
    classification : ClassificationAnalysis
    targeting : Targeting
    """

    best_linear: BestLinearPredictor
    calibration: Calibration
    quantile_groups: QuantileGroups
    classification: ClassificationAnalysis
    targeting: Targeting

    def __repr__(self) -> str:
        return (
            "Heterogeneity("
            f"differential forecast {self.calibration.differential_forecast!r}; "
            f"most less least affected {self.quantile_groups.difference!r}; "
            f"{self.targeting.autoc!r})"
        )
