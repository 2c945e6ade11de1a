"""What further looks leave behind, in forms that JSON can hold: no arrays."""

from __future__ import annotations

from collections.abc import Sequence
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
from truelift.effects.telling.figures import figure, p_text, places_of
from truelift.inference.hypotheses import HypothesisTest
from truelift.inference.sample_ratio import SampleRatio

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
            [_shown(g.name, g) for g in self.groups],
        )

    def to_pandas(self) -> pd.DataFrame:
        """The groups, one row each."""
        import pandas as pd

        table = pd.DataFrame([asdict(group) for group in self.groups])
        table["share"] = self.shares
        table["band_lower"], table["band_upper"] = self.band_lower, self.band_upper
        return table


@dataclass(frozen=True)
class OutcomeTest:
    """A test that the spec asked for, of one arm's effect on one outcome."""

    estimand: str
    outcome: str
    arm: str
    versus: str
    test: HypothesisTest

    def sentence(self) -> str:
        """The decision as a sentence."""
        said = self.test.alternative
        shown = (
            f"it is shown that the {said}" if self.test.rejected else f"not shown that the {said}"
        )
        return (
            f"{self.estimand} of {self.arm} against {self.versus} on {self.outcome}: {shown} "
            f"(one-sided {p_text(self.test.p_value)} at level {self.test.level:g})."
        )


@dataclass(frozen=True)
class ExperimentEstimate:
    """One contrast of a randomised experiment by one method.

    Parameters
    ----------
    method : str
        ``'difference in means'``, ``'CUPED'`` or ``'learner-adjusted'`` (the ATE).
    outcome, arm, versus : str
    estimate, standard_error, ci_lower, ci_upper : float
        In the outcome's units; clustered.
    p_value : float
    degrees_of_freedom : float
    minimum_detectable_effect : float
        Smallest effect that a test at level ``1 - confidence`` finds in 80 of 100 such experiments.
    design_effect : float or None
        The variance by what it would be without clusters.
    """

    method: str
    outcome: str
    arm: str
    versus: str
    estimate: float
    standard_error: float
    ci_lower: float
    ci_upper: float
    p_value: float
    degrees_of_freedom: float
    minimum_detectable_effect: float
    design_effect: float | None = None


@dataclass(frozen=True)
class Experiment:
    """A randomised experiment: three ways to estimate it, and whether its arms have their sizes.

    Parameters
    ----------
    estimates : tuple of ExperimentEstimate
    sample_ratio : SampleRatio
    assigned : str
        What was assigned, and so is counted: ``'clusters'``, or ``'units'`` where most clusters
        have units in several arms.
    """

    estimates: tuple[ExperimentEstimate, ...]
    sample_ratio: SampleRatio
    assigned: str

    def sentence(self, arms: Sequence[str] = ()) -> str:
        """Sizes of the arms, as a sentence; ``arms`` are their names, the control first."""
        ratio = self.sample_ratio
        names = [f" {arm}" for arm in arms] or [""] * len(ratio.observed)
        found = ", ".join(f"{o:,}{name}" for o, name in zip(ratio.observed, names, strict=True))
        expected = ", ".join(f"{e:,.1f}" for e in ratio.expected)
        verdict = (
            "The arms do not have the sizes that were promised, which puts the assignment or "
            "the logging in doubt"
            if ratio.mismatch
            else "The arms have the sizes that were promised"
        )
        return (
            f"{verdict}: {found} ({self.assigned}), expected {expected} ({p_text(ratio.p_value)})."
        )

    def _repr_html_(self) -> str:
        """The sizes and every method's estimate, for notebooks."""
        rows = [
            _shown(f"{e.outcome}, {e.arm} against {e.versus}, {e.method}", e)
            for e in self.estimates
        ]
        return notebook.one_sentence(self.sentence(), ("Contrast", "Estimate", "Interval"), rows)

    def to_pandas(self) -> pd.DataFrame:
        """One row an estimate."""
        import pandas as pd

        return pd.DataFrame([asdict(e) for e in self.estimates])


def _shown(name: str, e: Term | ExperimentEstimate) -> tuple[str, str, str]:
    """A row of a notebook's table: a name, an estimate, its interval."""
    places = places_of(e.standard_error, e.ci_lower, e.ci_upper)
    bounds = f"{figure(e.ci_lower, places)} to {figure(e.ci_upper, places)}"
    return name, figure(e.estimate, places, signed=True), bounds
