"""What experiments and tests leave behind, in forms that JSON can hold: no arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from truelift.effects.telling import notebook
from truelift.effects.telling.figures import p_text, with_interval
from truelift.inference.hypotheses import HypothesisTest
from truelift.inference.sample_ratio import SampleRatio

if TYPE_CHECKING:
    import pandas as pd


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
            with_interval(f"{e.outcome}, {e.arm} against {e.versus}, {e.method}", e)
            for e in self.estimates
        ]
        return notebook.one_sentence(self.sentence(), ("Contrast", "Estimate", "Interval"), rows)

    def to_pandas(self) -> pd.DataFrame:
        """One row an estimate."""
        import pandas as pd

        return pd.DataFrame([asdict(e) for e in self.estimates])
