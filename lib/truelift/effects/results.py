"""What the effect step leaves behind: estimates with intervals, overlap, balance, verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from truelift.effects.credibility.assessment import Credibility
from truelift.effects.designs.differences.results import TrendCheck
from truelift.effects.designs.instrument.results import InstrumentCheck
from truelift.effects.designs.synthetic.results import SyntheticCheck
from truelift.effects.experiment.results import Experiment, OutcomeTest
from truelift.effects.heterogeneity.varying import VaryingEffect
from truelift.effects.scores.kinds.kind import kind_of
from truelift.effects.support.summaries import OverlapSummary
from truelift.effects.support.supported import Support, any_supported
from truelift.effects.telling import notebook, sentences

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Estimate:
    """One estimand of one outcome, with its interval.

    Parameters
    ----------
    estimand : str
        ``'ATE'``, ``'ATT'``, ``'APO'`` (an arm's mean), ...; its row in the registry says the rest
        (:func:`~truelift.effects.scores.kinds.kind.kind_of`).
    outcome : str
        Column of the panel.
    estimate, standard_error : float
        In the outcome's units (a relative lift is a share); the standard error is clustered by
        user.
    ci_lower, ci_upper : float
        Bounds of the interval at level ``confidence``.
    p_value : float or None
        Two-sided, against no effect; None for a level (an arm's mean, a policy's value).
    n, clusters : int
        Units and clusters used.
    confidence : float
        Level of the interval, for example 0.95.
    method : str
        How the number was made.
    arm, versus : str
        The arm (or policy), and what it is compared with; ``versus`` is empty for a level.
    population : str
        Whom the average is over.
    band_lower, band_upper : float or None
        Bounds that hold for all estimates of this estimand at once, over arms, groups and
        outcomes; None where there is one only.
    adjusted_p_value : float or None
        Adjusted for looking at all of them (step-down max-t; Holm's where the test is one-sided
        or holds at every look).
    alternative : str
        ``'two-sided'``; ``'greater'`` or ``'less'`` where the p-values test one side.
    bound : float or None
        Of a one-sided test: the lower bound (``'greater'``) or the upper one (``'less'``) at level
        ``confidence``. The interval stays two-sided.
    anytime : bool
        Whether interval, bound and p-values hold at every look, however often one looks.
    degrees_of_freedom : float or None
        Of Student's t; fewer than G - 1 where few clusters decide.
    """

    estimand: str
    outcome: str
    estimate: float
    standard_error: float
    ci_lower: float
    ci_upper: float
    p_value: float | None
    n: int
    clusters: int
    confidence: float
    method: str
    arm: str = ""
    versus: str = ""
    population: str = "all units"
    band_lower: float | None = None
    band_upper: float | None = None
    adjusted_p_value: float | None = None
    alternative: str = "two-sided"
    bound: float | None = None
    anytime: bool = False
    degrees_of_freedom: float | None = None

    def __repr__(self) -> str:
        test = "" if self.p_value is None else f"p {self.p_value:.3g}, "
        return (
            f"Estimate({self.named}: {self.estimate:.4g} "
            f"[{self.ci_lower:.4g}, {self.ci_upper:.4g}] at {self.confidence:.0%}, "
            f"se {self.standard_error:.4g}, {test}n {self.n:,}, "
            f"{self.clusters:,} clusters)"
        )

    @property
    def named(self) -> str:
        """Estimand, arms, population and outcome in words."""
        arms = f" of {self.arm}" if self.arm else ""
        arms += f" against {self.versus}" if self.versus else ""
        told = "" if self.population == "all units" else f" ({self.population})"
        return f"{self.estimand}{arms} on {self.outcome}{told}"

    def sentence(self, unit: str = "") -> str:
        """The estimate as a sentence; ``unit`` says what its numbers count."""
        return sentences.sentence(self, unit)

    def one_sided(self) -> str:
        """The bound of a one-sided test in words; empty where none was asked for."""
        return sentences.one_sided(self)


@dataclass(frozen=True)
class Caution:
    """A finding that weakens a conclusion, or takes its support away.

    Parameters
    ----------
    text : str
        Whole sentences: what was found, where, and what to do.
    stops : bool
        Whether the effects that it concerns may not be called supported.
    estimands, arms, outcomes : tuple of str
        Those that it concerns; empty for all.
    """

    text: str
    stops: bool = False
    estimands: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()

    def concerns(self, estimand: str, arm: str, outcome: str | None) -> bool:
        """Whether it is about this estimand, arm (empty: any) and outcome (None: any)."""
        return (
            (not self.estimands or estimand in self.estimands)
            and (not self.arms or not arm or arm in self.arms)
            and (not self.outcomes or outcome is None or outcome in self.outcomes)
        )


@dataclass(frozen=True)
class Finding:
    """What a look of another package found.

    Parameters
    ----------
    look : str
        Its name.
    sentences : tuple of str
        Read out with the other checks.
    figures : dict of str to float
        Numbers, by what they are.
    """

    look: str
    sentences: tuple[str, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Design:
    """How the treatment came about, and what the specification calls things.

    Parameters
    ----------
    treatment, cluster : str
        Their columns, as the specification names them; empty where they are not known.
    assignment : str
        ``'randomised'`` where every arm's chance is one known number, ``'known chances'`` where
        chances are columns, the name of another design (``'instrument'``), else ``'observed'``.
    chances : dict of str to str
        By arm, the known number or its column.
    measured_in : dict of str to str
        By outcome, what its numbers count, such as ``'dollars a customer in a week'``.
    labels : dict of str to str
        What a ``subject`` and a ``treatment`` are called, in the singular.
    """

    treatment: str = ""
    cluster: str = ""
    assignment: str = "observed"
    chances: dict[str, str] = field(default_factory=dict)
    measured_in: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EffectsResult:
    """Every estimate of one panel, with what is needed to judge it.

    Parameters
    ----------
    estimates : tuple of Estimate
    arms : dict of str to int
        Units by arm, the control first.
    overlaps : dict of str to OverlapSummary
        By arm after the control, against the control.
    folds : int
        Cross-fitting folds.
    n, clusters : int
        Units and users of the panel.
    nuisance : dict of str to float
        Out-of-fold quality of the nuisance models.
    table : str
        Name of the panel table.
    table_version : int
        Its pinned Delta version.
    verdict : str
        ``support`` in words, for readers (:func:`~truelift.effects.support.supported.verdict`).
    covariates : int
        Features that the nuisance models use.
    dropped : dict of str to str
        Features that were left out, and why.
    support : tuple of Support
        The verdict on each estimand; with several arms, on each estimand and arm.
    followed : tuple of Estimate
        The ATE at several clip levels and within several trimming thresholds.
    learner : str
        How the nuisances were fitted.
    run_id : str
        MLflow's run, where there is one.
    tests : tuple of OutcomeTest
        Those that the options asked for.
    experiment : Experiment, optional
        Where the treatment was randomised.
    heterogeneity : tuple of VaryingEffect
        By outcome and arm, how the effect varies.
    credibility : Credibility, optional
        Every check of every effect.
    not_made : dict of str to str
        What was asked for and could not be made, and why.
    cautions : tuple of Caution
        What checks of the data found; see :func:`truelift.effects.support.cautions.with_cautions`.
    design : Design
        How the treatment came about, and what its columns are called.
    selection : str
        Which rows of the table were looked at, where not all were.
    asked : tuple of str
        Estimands that what was asked for is judged as; the verdict is about these.
    findings : tuple of Finding
        Of looks that other packages bring.
    instruments : tuple of InstrumentCheck
        By outcome, how strong the instruments are and what they say at any strength.
    trends : tuple of TrendCheck
        By outcome, what differences before a treatment say of parallel trends.
    synthetic : tuple of SyntheticCheck
        By estimand and outcome, what a synthetic control rests on.
    """

    estimates: tuple[Estimate, ...]
    arms: dict[str, int]
    overlaps: dict[str, OverlapSummary]
    folds: int
    n: int
    clusters: int
    nuisance: dict[str, float]
    table: str
    table_version: int
    verdict: str
    covariates: int = 0
    dropped: dict[str, str] = field(default_factory=dict)
    support: tuple[Support, ...] = ()
    followed: tuple[Estimate, ...] = ()
    learner: str = "linear"
    run_id: str = ""
    tests: tuple[OutcomeTest, ...] = ()
    experiment: Experiment | None = None
    heterogeneity: tuple[VaryingEffect, ...] = ()
    credibility: Credibility | None = None
    not_made: dict[str, str] = field(default_factory=dict)
    cautions: tuple[Caution, ...] = ()
    design: Design = field(default_factory=Design)
    selection: str = ""
    asked: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    instruments: tuple[InstrumentCheck, ...] = ()
    trends: tuple[TrendCheck, ...] = ()
    synthetic: tuple[SyntheticCheck, ...] = ()

    @property
    def overlap(self) -> OverlapSummary:
        """That of the first arm after the control: the only one where there are two arms."""
        return next(iter(self.overlaps.values()))

    @property
    def treated(self) -> int:
        """Units that are not in the control arm."""
        return sum(list(self.arms.values())[1:])

    @property
    def supported(self) -> bool:
        """Whether the data support the ATE or the ATT of any arm, as far as they were asked for."""
        return any_supported(self.support, self.asked)

    def judged(self, estimand: str, *arms: str) -> bool:
        """Whether the data support an estimand for all of these arms; without any, for every arm.

        One that has no verdict of its own is supported where anything is.
        """
        found = [s.supported for s in self.support if s.concerns(estimand, arms)]
        return all(found) if found else self.supported

    def supports(self, estimate: Estimate) -> bool | None:
        """Whether the data support this estimate; None for what is no effect.

        Means of arms, groups, lifts and policies ask of the data what the ATE does, and a
        contrast of two treated arms asks it of both.
        """
        kind = kind_of(estimate.estimand)
        if not kind.judged_as:
            return None
        touched = () if kind.of_policy else (estimate.arm, estimate.versus)
        arms = [arm for arm in touched if arm in self.overlaps] or list(self.overlaps)
        return self.judged(kind.judged_as, *arms) and not any(
            c.stops and c.concerns(name, arm, estimate.outcome)
            for c in self.cautions
            for name in {kind.judged_as, estimate.estimand}
            for arm in [arm for arm in touched if arm in self.arms] or [""]
        )

    def __repr__(self) -> str:
        lines = "".join(f"\n  {e!r}" for e in self.estimates)
        arms = ", ".join(f"{units:,} {arm}" for arm, units in self.arms.items())
        return (
            f"EffectsResult({self.n:,} units ({arms}) of {self.clusters:,} "
            f"clusters, {self.folds} folds, {self.learner}, {self.table} version "
            f"{self.table_version}{lines}\n  {self.verdict})"
        )

    def summary(self) -> str:
        """The verdict, then at most a screen of sentences, then what it means for a decision."""
        return sentences.summary(self)

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        """The same with a table of all estimates, for notebooks."""
        return notebook.markup(self)

    def to_pandas(self) -> pd.DataFrame:
        """The estimates, one row an estimand and outcome."""
        import pandas as pd

        return pd.DataFrame([asdict(e) for e in self.estimates])
