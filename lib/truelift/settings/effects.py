"""What to estimate, and how: the section ``effects``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from truelift.errors import ConfigError
from truelift.older_names import sectioned
from truelift.registries import ESTIMANDS, LEARNERS, LOOKS
from truelift.settings.chances import check_chances
from truelift.settings.checks import needs, require
from truelift.settings.effect_sections import (
    BoundsSection,
    CredibilitySection,
    DifferencesSection,
    ExperimentSection,
    FeatureSection,
    HeterogeneitySection,
    InferenceSection,
    NuisanceSection,
    RobustSection,
    SupportSection,
)
from truelift.settings.panel_spec import check_labels
from truelift.typed import from_plain

if TYPE_CHECKING:
    from truelift.effects.nuisances.learners.learner import Learner

_LEARNERS = "effects.nuisances.learners"
#: What is estimated where nothing is asked for by name.
ADJUSTED = ("ATE", "ATT", "ATO", "naive difference")


@sectioned(
    "effects",
    "features",
    "nuisances",
    "support",
    "inference",
    "heterogeneity",
    "credibility",
    "experiment",
    boosting="nuisances.learners.boosting",
    neural="nuisances.learners.neural",
    heterogeneity_learner="heterogeneity.learner",
)
@dataclass(frozen=True)
class EffectOptions:
    """What to estimate on a panel, and how; docs/effects.md explains every key.

    What is asked stands here, how it is answered in a section for each room. ``table`` is a Delta or
    Parquet table (``URI`` or ``URI@version``) in place of ``gold.panel``.
    ``filter`` is a condition on its rows (:mod:`truelift.lake.conditions`): others are left out.
    ``arms`` and ``control`` are labels of the treatment's values; without them every value is an
    arm and the smallest the control. Rows of arms that ``arms`` does not list are left out.
    Without ``covariates`` all columns that begin with ``x_`` are; an empty list means none.
    ``policies`` maps a name to an arm, or to a column that holds arms. ``looks`` names those of
    other packages. ``quantiles`` are levels at which an outcome's distributions under the arms are compared. ``shrink`` is a group
    column (or the treatment) whose effects are drawn towards each other.
    ``instrument`` names columns that move the treatment, and the outcomes through it
    alone: effects are then of those whom they move. ``mediators`` are columns through which a share of the
    effect is asked, ``front_door`` columns that carry all of it. ``graph`` is a
    causal graph's file (or lines of arrows) whose claims are tested on the same rows. ``design: did`` takes differences over time, with
    ``treatment`` the period in which it begins; ``synthetic`` is for a few treated units. ``measured_in`` says, by outcome, what
    its numbers count (``dollars a customer``), for page and sentences; a data set's layer may say it of
    more outcomes than are estimated. ``labels`` says what a ``subject`` and a ``treatment`` are called.

    Every option of a section may also be given here by its own name, as before there were sections
    (``confidence=0.9``): for one release, with a message.
    """

    table: str | None = None
    filter: str | None = None
    treatment: str = "treated"
    arms: tuple[str, ...] = ()
    control: str | None = None
    outcomes: tuple[str, ...] = ("y_spend", "y_visits")
    covariates: tuple[str, ...] | None = None
    cluster: str = "user_key"
    second_cluster: str | None = None
    unit: str = "unit_id"
    weight: str | None = None
    groups: tuple[str, ...] = ()
    policies: dict[str, str] = field(default_factory=dict)
    estimands: tuple[str, ...] = ADJUSTED
    contrasts: str = "control"
    looks: tuple[str, ...] = ()
    quantiles: tuple[float, ...] = ()
    shrink: str | None = None
    design: str | None = None
    instrument: tuple[str, ...] | str = ()
    mediators: tuple[str, ...] | str = ()
    front_door: tuple[str, ...] | str = ()
    graph: str | None = None
    measured_in: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    seed: int = 7
    features: FeatureSection = field(default_factory=FeatureSection)
    nuisances: NuisanceSection = field(default_factory=NuisanceSection)
    support: SupportSection = field(default_factory=SupportSection)
    inference: InferenceSection = field(default_factory=InferenceSection)
    heterogeneity: HeterogeneitySection = field(default_factory=HeterogeneitySection)
    credibility: CredibilitySection = field(default_factory=CredibilitySection)
    experiment: ExperimentSection = field(default_factory=ExperimentSection)
    differences: DifferencesSection = field(default_factory=DifferencesSection)
    robust: RobustSection = field(default_factory=RobustSection)
    bounds: BoundsSection = field(default_factory=BoundsSection)

    def __post_init__(self) -> None:
        need = needs("effects", self)
        levels = all(0 < level < 1 for level in self.quantiles)
        distinct = len(set(self.quantiles)) == len(self.quantiles)
        need(
            "quantiles", levels and distinct, "different levels in (0, 1), such as [0.1, 0.5, 0.9]"
        )
        for key in ("instrument", "mediators", "front_door"):
            if isinstance(named := getattr(self, key), str):
                object.__setattr__(self, key, (named,))
        chances_of = () if self.instrument else self.arms
        check_chances("effects.nuisances.propensity", self.nuisances.propensity, chances_of)
        need("second_cluster", self.second_cluster != self.cluster, "another column than cluster")
        need("outcomes", len(self.outcomes) > 0, "at least one outcome")
        check_labels("effects.labels", self.labels)
        need(
            "contrasts", self.contrasts in ("control", "all"), "'control' or 'all' (pairs of arms)"
        )
        need("estimands", len(self.estimands) > 0, f"some of {', '.join(ESTIMANDS.names)}")
        if self.shrink and self.shrink != self.treatment and not self.design_name:
            # The effects that are drawn towards each other are those of its cells.
            groups = dict.fromkeys([*self.groups, self.shrink])
            object.__setattr__(self, "groups", tuple(groups))
            asked = dict.fromkeys([*self.estimands, "GATE"])
            object.__setattr__(self, "estimands", tuple(asked))
        self._check_design()
        for name in self.estimands:
            for option, expected in ESTIMANDS.row(name, "effects.estimands").asks.items():
                known = f"{expected}, for {name!r} is among effects.estimands"
                need(option, bool(getattr(self, option)), known)
        for name in self.looks:
            LOOKS.row(name, "effects.looks")
        self._check_learners()
        self._check_sections()

    @property
    def design_name(self) -> str:
        """What effects are told by, where it is not adjustment, such as ``'instrument'``; else empty."""
        if self.instrument:
            return "instrument"
        return "front_door" if self.front_door else self.design or ""

    @property
    def design_estimands(self) -> tuple[str, ...]:
        """Estimands of the design that are asked for by name; none where the design chooses."""
        return () if self.estimands == ADJUSTED else self.estimands

    def of_learner(self, learner: Learner, forecasts: bool = False) -> Any:
        """The options of a learner, of its own type; None where it has none.

        Parameters
        ----------
        learner : Learner
        forecasts : bool
            Of the one that forecasts effects (``effects.heterogeneity.learner``), not nuisances.

        Raises
        ------
        ConfigError
            For an unknown key or a value that cannot be.
        """
        if learner.options is None:
            return None
        section = learner.key.rpartition(".")[2] or learner.name
        shared, key = self.nuisances.learners.get(section, {}), f"{_LEARNERS}.{section}"
        room = "heterogeneity" if forecasts else "nuisances"
        choice = getattr(self, room).learner
        # Stacking has no options but those of the trees that it stacks.
        same = choice.name == learner.name or LEARNERS.row(choice.name).key == learner.key != ""
        if not (same and choice.own):
            return from_plain(learner.options, shared, key)
        here = f"effects.{room}.learner"
        try:
            return from_plain(learner.options, {**shared, **choice.own}, here)
        except ConfigError as error:  # the options' own checks name the place that all may use
            raise ConfigError(str(error).replace(key, here)) from None

    def _check_design(self) -> None:
        """Estimands that go with the design, and nothing beside it that it does not have."""
        need = needs("effects", self)
        known = self.design in (None, "did", "synthetic")
        need("design", known, "'did' or 'synthetic', or no such key")
        keys = [key for key in ("instrument", "front_door", "design") if getattr(self, key)]
        if len(keys) > 1:
            need(keys[-1], False, f"no such key beside effects.{keys[0]}")
        if not keys:
            return
        design = keys[0]
        asks = {name: ESTIMANDS.row(name).asks for name in ESTIMANDS.names}
        # Estimands of one design name it, where a key has several.
        own = [
            name
            for name, asked in asks.items()
            if design in asked and (design != "design" or asked[design] == repr(self.design))
        ]
        fits = set(self.design_estimands) <= set(own)
        need("estimands", fits, f"some of {', '.join(own)} beside effects.{design}, or no such key")
        need("second_cluster", self.second_cluster is None, f"none beside effects.{design}")
        need("contrasts", self.contrasts == "control", f"no such key beside effects.{design}")
        for key in ("quantiles", "mediators", "shrink", "robust", "bounds"):
            need(key, not getattr(self, key), f"no such key beside effects.{design}")
        for key in () if self.front_door else ("arms", "control"):
            need(
                key,
                not getattr(self, key),
                f"no such key beside effects.{design}: it compares none",
            )
        if self.design:
            time = self.differences.time
            needs("effects.differences", self.differences)(
                "time", bool(time), "the column of periods"
            )
        if self.design == "synthetic":
            none = f"no such key beside effects.design: {self.design}"
            adjusted = bool(self.covariates) or bool(self.features.categorical)
            need(
                "covariates", not adjusted, f"{none}: a mix is like the treated in outcomes before"
            )
            need("weight", self.weight is None, none)
            own_cluster = f"{self.unit!r}, as effects.unit, beside effects.design: synthetic"
            need("cluster", self.cluster == self.unit, f"{own_cluster}: placebos are of units")
            two_sided = self.inference.alternative == "two-sided"
            needs("effects.inference", self.inference)(
                "alternative", two_sided, "'two-sided' beside effects.design: synthetic"
            )
        if self.design == "did":
            linear = self.nuisances.learner.name == "linear"
            needs("effects.nuisances", self.nuisances)(
                "learner", linear, "'linear' beside effects.design: did, which adjusts by it"
            )
            known = bool(self.nuisances.propensity)
            needs("effects.nuisances", self.nuisances)(
                "propensity", not known, "no such key beside effects.design: did"
            )
        at_once = f"false beside effects.{design}: one look"
        needs("effects.inference", self.inference)("anytime", not self.inference.anytime, at_once)

    def _check_learners(self) -> None:
        """Parse the options of every learner that has some, or is asked for."""
        chosen = self.nuisances.learner
        LEARNERS.row(chosen.name, "effects.nuisances.learner")
        key = "effects.heterogeneity.learner"
        forecasts = LEARNERS.row(self.heterogeneity.learner.name, key)
        if forecasts.forecast is None and forecasts.name != "linear":
            able = [row.name for row in LEARNERS if row.forecast or row.name == "linear"]
            expected = f"one of {', '.join(able)}, which forecast effects"
            require(False, key, forecasts.name, expected)
        self._parse(chosen.name, "effects.nuisances.learner", chosen.own)
        self._parse(forecasts.name, key, self.heterogeneity.learner.own, forecasts=True)
        for name, given in self.nuisances.learners.items():
            self._parse(name, f"{_LEARNERS}.{name}", given)

    def _parse(self, name: str, key: str, given: dict[str, Any], forecasts: bool = False) -> None:
        row = LEARNERS.row(name, key if key.endswith("learner") else _LEARNERS)
        takes = row.options is not None or not given
        require(takes, key, given, "nothing: this learner has no options")
        own = row.key.rpartition(".")[2] or name
        shares = own == name or not key.startswith(_LEARNERS)
        require(shares, key, given, f"nothing here: the options of {name} stand under {row.key}")
        self.of_learner(row, forecasts)

    def _check_sections(self) -> None:
        """What an option of one section says about another's."""
        need = needs("effects.experiment", self.experiment)
        margins = self.experiment.non_inferiority_margin
        at_once = not (self.inference.anytime and margins)
        expected = "false beside effects.experiment.non_inferiority_margin: one look"
        needs("effects.inference", self.inference)("anytime", at_once, expected)
        for key in ("quantiles", "mediators", "robust", "bounds"):
            expected = f"false beside effects.{key}: one look"
            at_once = not (self.inference.anytime and getattr(self, key))
            needs("effects.inference", self.inference)("anytime", at_once, expected)
        among = f"outcomes among effects.outcomes ({', '.join(self.outcomes)})"
        for name in ("pre_outcomes", "non_inferiority_margin"):
            need(name, set(getattr(self.experiment, name)) <= set(self.outcomes), among)
        named = set(self.bounds.range) <= set(self.outcomes)
        needs("effects.bounds", self.bounds)("range", named, among)
        need = needs("effects.credibility", self.credibility)
        controls = set(self.credibility.negative_controls) <= set(self.outcomes)
        need("negative_controls", controls, among)
        linear = self.nuisances.learner.name == "linear"
        sums = not self.credibility.benchmark_covariates or linear
        need("benchmark_covariates", sums, "none unless effects.nuisances.learner is 'linear'")
