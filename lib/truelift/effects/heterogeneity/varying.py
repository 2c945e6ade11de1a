"""How one effect varies, in a form that JSON can hold: no arrays."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from truelift.effects.heterogeneity.results import (
    Calibration,
    ClassificationAnalysis,
    JointTest,
    TargetingRow,
    Term,
)
from truelift.effects.telling import notebook
from truelift.effects.telling.figures import figure, p_text, places_of, with_interval

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class VaryingEffect:
    """How the effect of one arm on one outcome varies, and whom it helps.

    Parameters
    ----------
    outcome, arm, versus : str
    groups : tuple of Term
        Average effects by quantile of the forecast effect, the least affected first, in the
        outcome's units.
    shares : tuple of float
        Share of the weight in each group.
    band_lower, band_upper : tuple of float
        Bounds that hold for all groups at once.
    difference : Term
        The most less the least affected.
    equal : JointTest
        That all groups have one effect.
    calibration : Calibration
        Whether forecasts are right.
    best_linear : tuple of Term
        Intercept and slopes on the features, in the outcome's units a standard deviation.
    joint : JointTest
        That all slopes are zero.
    classification : ClassificationAnalysis
        Means of the features in the outer groups, in standard deviations.
    autoc, qini, auuc : Term
        Areas under the targeting curves.
    targeting : tuple of TargetingRow
        What treating the top shares brings.
    toc_lower, toc_upper : tuple of float
        Bounds of the targeting curve, by row, that hold for all rows at once.
    clusters : int
        Those that have a forecast.
    confidence : float
    sequential : JointTest, optional
        That AUTOC is not above zero.
    learner : str
        Of the forecasts.
    """

    outcome: str
    arm: str
    versus: str
    groups: tuple[Term, ...]
    shares: tuple[float, ...]
    band_lower: tuple[float, ...]
    band_upper: tuple[float, ...]
    difference: Term
    equal: JointTest
    calibration: Calibration
    best_linear: tuple[Term, ...]
    joint: JointTest
    classification: ClassificationAnalysis
    autoc: Term
    qini: Term
    auuc: Term
    targeting: tuple[TargetingRow, ...]
    toc_lower: tuple[float, ...]
    toc_upper: tuple[float, ...]
    clusters: int
    confidence: float
    sequential: JointTest | None = None
    learner: str = "linear"

    @property
    def varies(self) -> bool:
        """Whether the order of the forecasts is shown to say who gains more."""
        test = self.sequential or self.equal
        return test.p_value < 1.0 - self.confidence

    def __repr__(self) -> str:
        return f"VaryingEffect({self.sentence()})"

    @property
    def outer_groups_differ(self) -> bool:
        """Whether the interval of the most less the least affected lies on one side of zero."""
        return self.difference.ci_lower > 0 or self.difference.ci_upper < 0

    def finding(self) -> str:
        """What test of the ranking and outer groups say together; they may disagree."""
        test = self.sequential or self.equal
        p, apart = p_text(test.p_value), self.outer_groups_differ
        if self.varies and (apart or self.sequential is None):
            return f"varies with what is known of a unit ({p})"
        if self.varies:
            return (
                f"varies with what is known of a unit ({p}), though the outer groups alone do not "
                "show it"
            )
        if apart and self.difference.estimate < 0:
            return (
                f"is not foretold: those with the highest forecasts have the smaller effect, so "
                f"the forecasts point the wrong way and must not be used ({p})"
            )
        if apart:
            return (
                f"may vary: the outer groups differ, yet the test of the whole ranking does not "
                f"confirm it ({p}). It is a hint, not a finding"
            )
        return f"is not shown to vary ({p})"

    def sentence(self) -> str:
        """What was found, as a sentence."""
        gap = self.difference
        places = places_of(gap.standard_error, gap.ci_lower, gap.ci_upper)
        high, low = (figure(g.estimate, places) for g in (self.groups[-1], self.groups[0]))
        return (
            f"The effect of {self.arm} against {self.versus} on {self.outcome} {self.finding()}: "
            f"the highest of {len(self.groups)} groups by forecast has {high}, the lowest {low}, "
            f"difference {figure(gap.estimate, places)} ({self.confidence:.0%} interval "
            f"{figure(gap.ci_lower, places)} to {figure(gap.ci_upper, places)})."
        )

    def _repr_html_(self) -> str:
        """The sentence and the groups, for notebooks."""
        return notebook.one_sentence(
            self.sentence(),
            ("Group", "Effect", "Interval"),
            [with_interval(g.name, g) for g in self.groups],
        )

    def to_pandas(self) -> pd.DataFrame:
        """The groups, one row each."""
        import pandas as pd

        table = pd.DataFrame([asdict(group) for group in self.groups])
        table["share"] = self.shares
        table["band_lower"], table["band_upper"] = self.band_lower, self.band_upper
        return table
