"""How effects are estimated: the sections of ``effects``, one for each room of ``truelift.effects``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from truelift.settings.checks import needs
from truelift.settings.learner_choice import LearnerChoice

SMALL_SAMPLES = ("cr1", "jackknife")
ALTERNATIVES = ("two-sided", "greater", "less")


@dataclass(frozen=True)
class FeatureSection:
    """How covariates become features: the section ``effects.features``.

    ``categorical`` names how categories are coded: ``one_hot`` up to ``one_hot_levels`` levels,
    ``hash`` into ``hash_size`` slots, ``target`` by the other folds' outcomes and arms, which the
    former two turn to where levels are more. ``target_prior`` is how many units the mean of all
    counts in a level, by default as the variances say. ``missing`` says what becomes of covariates
    that are null (``indicator`` or ``refuse``), ``expansion`` adds squares or products.
    """

    categorical: dict[str, str] = field(default_factory=dict)
    one_hot_levels: int = 20
    hash_size: int = 32
    target_size: int = 2**19
    target_prior: float | None = None
    missing: str = "indicator"
    expansion: str = "none"

    def __post_init__(self) -> None:
        need = needs("effects.features", self)
        codings = set(self.categorical.values()) <= {"one_hot", "hash", "target"}
        need("categorical", codings, "'one_hot', 'hash' or 'target' by column")
        need("one_hot_levels", self.one_hot_levels >= 1, "at least 1")
        need("hash_size", self.hash_size >= 1, "at least 1")
        need("target_size", 2 <= self.target_size <= 2**20, "from 2 to 1048576 slots")
        prior = self.target_prior is None or self.target_prior > 0
        need("target_prior", prior, "a number of units above 0, or none")
        need("missing", self.missing in ("indicator", "refuse"), "'indicator' or 'refuse'")
        expansions = ("none", "squares", "interactions")
        need("expansion", self.expansion in expansions, f"one of {expansions}")


@dataclass(frozen=True)
class NuisanceSection:
    """Propensities and outcome regressions: the section ``effects.nuisances``.

    ``learner`` is a name, or a mapping with a name and options of its own; ``learners`` holds, by
    name, options that count wherever that learner is used (``stack`` grows the trees of
    ``boosting``). ``propensity`` gives a number or a column by arm where the chances are known.
    ``ridge`` is the penalty on squared standardised coefficients; none stands for features over
    the units that a model is fitted on.
    """

    learner: LearnerChoice = field(default_factory=LearnerChoice)
    learners: dict[str, dict[str, Any]] = field(default_factory=dict)
    propensity: dict[str, str] = field(default_factory=dict)
    calibration: bool = False
    folds: int = 5
    ridge: float | None = None
    max_newton_steps: int = 8
    tolerance: float = 1e-8
    start_rows: int = 20000

    def __post_init__(self) -> None:
        key = "effects.nuisances"
        object.__setattr__(self, "learner", LearnerChoice.of(self.learner, f"{key}.learner"))
        need = needs(key, self)
        need("folds", self.folds >= 2, "at least 2")
        need("ridge", self.ridge is None or self.ridge >= 0, "a number from 0 on, or none")


@dataclass(frozen=True)
class SupportSection:
    """Whom the data can say something about: the section ``effects.support``.

    Propensities are kept between ``clip`` and 1 - ``clip``; ``clip_levels`` are tried beside it.
    """

    clip: float = 0.01
    clip_levels: tuple[float, ...] = (0.001, 0.01, 0.05, 0.1)
    min_clusters_per_arm: int = 20

    def __post_init__(self) -> None:
        need = needs("effects.support", self)
        need("clip", 0 <= self.clip < 0.5, "a probability in [0, 0.5)")
        levels = all(0 <= c < 0.5 for c in self.clip_levels)
        need("clip_levels", levels, "probabilities in [0, 0.5)")


@dataclass(frozen=True)
class InferenceSection:
    """Standard errors, intervals and tests: the section ``effects.inference``.

    ``small_samples`` says how standard errors allow for few or unequal clusters, ``alternative``
    what p-values test, ``anytime`` whether intervals hold at every look, and
    ``anytime_tightest_at`` at how many clusters they are then tightest. ``simultaneous`` asks for
    bands over all estimates, by ``band_draws`` draws.
    """

    confidence: float = 0.95
    small_samples: str = "jackknife"
    alternative: str = "two-sided"
    anytime: bool = False
    anytime_tightest_at: int = 10_000
    simultaneous: bool = True
    band_draws: int = 20_000

    def __post_init__(self) -> None:
        need = needs("effects.inference", self)
        need("confidence", 0.5 < self.confidence < 1, "a level in (0.5, 1)")
        need("small_samples", self.small_samples in SMALL_SAMPLES, f"one of {SMALL_SAMPLES}")
        need("alternative", self.alternative in ALTERNATIVES, f"one of {ALTERNATIVES}")
        need("anytime_tightest_at", self.anytime_tightest_at >= 100, "at least 100 clusters")
        need("band_draws", self.band_draws >= 1000, "at least 1000")


@dataclass(frozen=True)
class HeterogeneitySection:
    """With whom the effect is larger: the section ``effects.heterogeneity``.

    ``enabled`` asks for it (further passes); ``true`` in the section's place does too. ``learner``
    forecasts the effects of units: a name, or a mapping with a name and options.
    """

    enabled: bool = False
    learner: LearnerChoice = field(default_factory=LearnerChoice)
    quantile_groups: int = 5
    top_fractions: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

    def __post_init__(self) -> None:
        key = "effects.heterogeneity"
        object.__setattr__(self, "learner", LearnerChoice.of(self.learner, f"{key}.learner"))
        need = needs(key, self)
        need("quantile_groups", self.quantile_groups >= 2, "at least 2")
        shares = len(self.top_fractions) > 0 and all(0 < q <= 1 for q in self.top_fractions)
        need("top_fractions", shares, "shares in (0, 1]")

    def __bool__(self) -> bool:
        return self.enabled


@dataclass(frozen=True)
class CredibilitySection:
    """How fragile the effect is: the section ``effects.credibility``.

    ``enabled`` asks for it (a further pass); ``true`` in the section's place does too.
    ``negative_controls`` are outcomes that must show no effect; ``leave_out`` is a column whose
    levels are left out one by one; ``benchmark_covariates`` are yardsticks for a confounder.
    """

    enabled: bool = False
    placebos: int = 100
    negative_controls: tuple[str, ...] = ()
    leave_out: str | None = None
    benchmark_covariates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        needs("effects.credibility", self)("placebos", self.placebos >= 0, "at least 0")

    def __bool__(self) -> bool:
        return self.enabled


@dataclass(frozen=True)
class DifferencesSection:
    """Differences over time (``design: did``): the section ``effects.differences``.

    ``time`` is the column of periods, ``compared_with`` whom a cohort is compared with: units that are
    ``not_yet_treated`` in the period, or ``never_treated``. ``anticipation`` is the number of periods before
    the treatment in which it may act already.
    """

    time: str | None = None
    compared_with: str = "not_yet_treated"
    anticipation: int = 0

    def __post_init__(self) -> None:
        need = needs("effects.differences", self)
        known = self.compared_with in ("not_yet_treated", "never_treated")
        need("compared_with", known, "'not_yet_treated' or 'never_treated'")
        need("anticipation", self.anticipation >= 0, "a number of periods from 0 on")


@dataclass(frozen=True)
class RobustSection:
    """Means without the weight of tails: the section ``effects.robust``.

    ``winsorise`` is the share of outcomes that is cut at either end, ``huber`` the cut of Huber's location in
    standard deviations of a normal outcome (1.345 is usual).
    """

    winsorise: float | None = None
    huber: float | None = None

    def __post_init__(self) -> None:
        need = needs("effects.robust", self)
        share = self.winsorise is None or 0 < self.winsorise < 0.5
        need("winsorise", share, "a share in (0, 0.5), such as 0.01")
        need("huber", self.huber is None or self.huber > 0, "a number above 0, such as 1.345")

    def __bool__(self) -> bool:
        return self.winsorise is not None or self.huber is not None


@dataclass(frozen=True)
class BoundsSection:
    """What is known where nothing identifies: the section ``effects.bounds``.

    ``enabled`` (or another key) asks for bounds without any assumption. ``range`` gives the
    least and the greatest value that an outcome can have; those that were seen by default. ``assume`` names
    ``monotone_response`` (the treatment lowers nobody's outcome) and ``monotone_selection`` (the treated would have
    had no less than the others in either arm).
    """

    enabled: bool = False
    range: dict[str, tuple[float, float]] = field(default_factory=dict)
    assume: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        need = needs("effects.bounds", self)
        known = set(self.assume) <= {"monotone_response", "monotone_selection"}
        need("assume", known, "'monotone_response' or 'monotone_selection'")
        rising = all(low < high for low, high in self.range.values())
        need("range", rising, "the least and the greatest value, by outcome")

    def __bool__(self) -> bool:
        return self.enabled or bool(self.range or self.assume)


@dataclass(frozen=True)
class ExperimentSection:
    """What only a randomised assignment allows: the section ``effects.experiment``.

    ``pre_outcomes`` names, by outcome, its column from before the assignment.
    ``non_inferiority_margin`` is the largest loss that is acceptable, by outcome; negative for
    outcomes of which less is better.
    """

    pre_outcomes: dict[str, str] = field(default_factory=dict)
    non_inferiority_margin: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        margins = all(margin != 0 for margin in self.non_inferiority_margin.values())
        need = needs("effects.experiment", self)
        need("non_inferiority_margin", margins, "margins other than zero")
