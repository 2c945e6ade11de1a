"""What to estimate, and how: the section ``effects``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from truelift.registries import ESTIMANDS, LEARNERS, LOOKS
from truelift.settings.chances import check_chances
from truelift.settings.checks import require
from truelift.typed import from_plain

if TYPE_CHECKING:
    from truelift.effects.nuisances.learners.learner import Learner

SMALL_SAMPLES = ("cr1", "jackknife")
ALTERNATIVES = ("two-sided", "greater", "less")


@dataclass(frozen=True)
class EffectOptions:
    """What to estimate on a panel, and how; docs/effects.md explains every key.

    ``table`` is a Delta or Parquet table (``URI`` or ``URI@version``) in place of ``gold.panel``.
    ``filter`` is a condition on its rows (:mod:`truelift.lake.conditions`): others are left out.
    ``arms`` and ``control`` are labels of the treatment's values; without them every value is an
    arm and the smallest the control. Rows of arms that ``arms`` does not list are left out.
    Without ``covariates`` all columns that begin with ``x_`` are; an empty list means none.
    ``propensity`` gives a number or a column by arm where the chances are known. ``policies`` maps
    a name to an arm, or to a column that holds arms.

    ``categorical`` names how categories are coded: ``one_hot`` up to ``one_hot_levels`` levels,
    ``hash`` into ``hash_size`` slots, ``target`` by the other folds' outcomes and arms, which the
    former two turn to where levels are more. ``target_prior`` is how many units the mean of all
    counts in a level, by default as the variances say.

    ``heterogeneity`` and ``credibility`` ask for further passes: with whom the effect is larger,
    and how fragile it is. ``heterogeneity_learner`` forecasts the effects of units.
    ``negative_controls`` are outcomes that must show no effect;
    ``leave_out`` is a column whose levels are left out one by one; ``benchmark_covariates`` are
    yardsticks for a confounder. ``pre_outcomes`` names, by outcome, its column from before a
    randomised assignment. ``non_inferiority_margin`` is the largest loss that is acceptable, by
    outcome; negative for outcomes of which less is better. ``measured_in`` says, by outcome, what
    its numbers count (``dollars a customer``), for page and sentences; a data set's layer may say it of
    more outcomes than are estimated.

    ``ridge`` is the penalty on squared standardised coefficients; none stands for features over
    the units that a model is fitted on. ``small_samples`` says how standard errors allow for few
    or unequal clusters, ``alternative`` what p-values test, ``anytime`` whether intervals hold at
    every look, and ``anytime_tightest_at`` at how many clusters they are then tightest.
    """

    table: str | None = None
    filter: str | None = None
    treatment: str = "treated"
    arms: tuple[str, ...] = ()
    control: str | None = None
    outcomes: tuple[str, ...] = ("y_spend", "y_visits")
    covariates: tuple[str, ...] | None = None
    categorical: dict[str, str] = field(default_factory=dict)
    one_hot_levels: int = 20
    hash_size: int = 32
    target_size: int = 2**19
    target_prior: float | None = None
    missing: str = "indicator"
    expansion: str = "none"
    cluster: str = "user_key"
    second_cluster: str | None = None
    unit: str = "unit_id"
    weight: str | None = None
    groups: tuple[str, ...] = ()
    propensity: dict[str, str] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    estimands: tuple[str, ...] = ("ATE", "ATT", "ATO", "naive difference")
    contrasts: str = "control"
    learner: str = "linear"
    boosting: dict[str, Any] = field(default_factory=dict)
    neural: dict[str, Any] = field(default_factory=dict)
    learners: dict[str, dict[str, Any]] = field(default_factory=dict)
    calibration: bool = False
    folds: int = 5
    clip: float = 0.01
    clip_levels: tuple[float, ...] = (0.001, 0.01, 0.05, 0.1)
    ridge: float | None = None
    confidence: float = 0.95
    small_samples: str = "jackknife"
    alternative: str = "two-sided"
    anytime: bool = False
    anytime_tightest_at: int = 10_000
    simultaneous: bool = True
    band_draws: int = 20_000
    seed: int = 7
    min_clusters_per_arm: int = 20
    max_newton_steps: int = 8
    tolerance: float = 1e-8
    start_rows: int = 20000
    heterogeneity: bool = False
    heterogeneity_learner: str = "linear"
    quantile_groups: int = 5
    top_fractions: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    credibility: bool = False
    looks: tuple[str, ...] = ()
    placebos: int = 100
    negative_controls: tuple[str, ...] = ()
    leave_out: str | None = None
    benchmark_covariates: tuple[str, ...] = ()
    pre_outcomes: dict[str, str] = field(default_factory=dict)
    non_inferiority_margin: dict[str, float] = field(default_factory=dict)
    measured_in: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        def need(name: str, fine: bool, expected: str) -> None:
            require(fine, f"effects.{name}", getattr(self, name), expected)

        check_chances("effects.propensity", self.propensity, self.arms)
        need("folds", self.folds >= 2, "at least 2")
        need("clip", 0 <= self.clip < 0.5, "a probability in [0, 0.5)")
        levels = all(0 <= c < 0.5 for c in self.clip_levels)
        need("clip_levels", levels, "probabilities in [0, 0.5)")
        need("second_cluster", self.second_cluster != self.cluster, "another column than cluster")
        need("small_samples", self.small_samples in SMALL_SAMPLES, f"one of {SMALL_SAMPLES}")
        need("alternative", self.alternative in ALTERNATIVES, f"one of {ALTERNATIVES}")
        tightest = self.anytime_tightest_at
        need("anytime_tightest_at", tightest >= 100, "at least 100 clusters")
        margins_at_once = not (self.anytime and self.non_inferiority_margin)
        need("anytime", margins_at_once, "false beside effects.non_inferiority_margin: one look")
        need("ridge", self.ridge is None or self.ridge >= 0, "a number from 0 on, or none")
        need("confidence", 0.5 < self.confidence < 1, "a level in (0.5, 1)")
        need("outcomes", len(self.outcomes) > 0, "at least one outcome")
        need("missing", self.missing in ("indicator", "refuse"), "'indicator' or 'refuse'")
        expansions = ("none", "squares", "interactions")
        need("expansion", self.expansion in expansions, f"one of {expansions}")
        need(
            "contrasts", self.contrasts in ("control", "all"), "'control' or 'all' (pairs of arms)"
        )
        need("estimands", len(self.estimands) > 0, f"some of {', '.join(ESTIMANDS.names)}")
        for name in self.estimands:
            for option, expected in ESTIMANDS.row(name, "effects.estimands").asks.items():
                known = f"{expected}, for {name!r} is among effects.estimands"
                need(option, bool(getattr(self, option)), known)
        codings = set(self.categorical.values()) <= {"one_hot", "hash", "target"}
        need("categorical", codings, "'one_hot', 'hash' or 'target' by column")
        need("one_hot_levels", self.one_hot_levels >= 1, "at least 1")
        need("hash_size", self.hash_size >= 1, "at least 1")
        need("target_size", 2 <= self.target_size <= 2**20, "from 2 to 1048576 slots")
        prior = self.target_prior is None or self.target_prior > 0
        need("target_prior", prior, "a number of units above 0, or none")
        need("band_draws", self.band_draws >= 1000, "at least 1000")
        self._check_learners()
        for name in self.looks:
            LOOKS.row(name, "effects.looks")
        need("quantile_groups", self.quantile_groups >= 2, "at least 2")
        shares = len(self.top_fractions) > 0 and all(0 < q <= 1 for q in self.top_fractions)
        need("top_fractions", shares, "shares in (0, 1]")
        need("placebos", self.placebos >= 0, "at least 0")
        sums = not self.benchmark_covariates or self.learner == "linear"
        need("benchmark_covariates", sums, "none unless effects.learner is 'linear'")
        for name in ("negative_controls", "pre_outcomes", "non_inferiority_margin"):
            among = set(getattr(self, name)) <= set(self.outcomes)
            need(name, among, f"outcomes among effects.outcomes ({', '.join(self.outcomes)})")
        margins = all(margin != 0 for margin in self.non_inferiority_margin.values())
        need("non_inferiority_margin", margins, "margins other than zero")

    def of_learner(self, learner: Learner) -> Any:
        """The options of a learner, of its own type; None where it has none.

        Raises
        ------
        ConfigError
            For an unknown key or a value that cannot be.
        """
        if learner.options is None:
            return None
        ours = {"effects.boosting": self.boosting, "effects.neural": self.neural}
        key = learner.key or f"effects.learners.{learner.name}"
        return from_plain(learner.options, ours.get(key, self.learners.get(learner.name, {})), key)

    def _check_learners(self) -> None:
        """Parse the options of every learner that has some, or is asked for."""
        chosen = LEARNERS.row(self.learner, "effects.learner")
        forecasts = LEARNERS.row(self.heterogeneity_learner, "effects.heterogeneity_learner")
        if forecasts.forecast is None and forecasts.name != "linear":
            able = [row.name for row in LEARNERS if row.forecast or row.name == "linear"]
            expected = f"one of {', '.join(able)}, which forecast effects"
            require(False, "effects.heterogeneity_learner", forecasts.name, expected)
        asked = {row.name: row for row in (chosen, forecasts)}
        if self.boosting:
            asked |= {"boosting": LEARNERS.row("boosting")}
        if self.neural:
            asked |= {"neural": LEARNERS.row("neural")}
        for name in self.learners:
            row = asked.setdefault(name, LEARNERS.row(name, "effects.learners"))
            expected = f"nothing here: the options of {name} stand under {row.key}"
            require(not row.key, f"effects.learners.{name}", self.learners[name], expected)
            expected = "nothing: this learner has no options"
            require(
                row.options is not None, f"effects.learners.{name}", self.learners[name], expected
            )
        for row in asked.values():
            self.of_learner(row)
