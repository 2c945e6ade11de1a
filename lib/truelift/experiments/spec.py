"""What is fixed before an experiment begins: metrics, arms, looks, and the rule that decides.

One specification serves all three commands: design, assignment and analysis.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from truelift.errors import ConfigError
from truelift.experiments.baseline import Baseline
from truelift.experiments.metrics import Guardrail, Metric, among
from truelift.inference.arguments import checked_share
from truelift.inference.critical_values import ALTERNATIVES
from truelift.inference.group_sequential import SPENDING
from truelift.settings.chances import are_chances

CORRECTIONS = ("dunnett", "bonferroni", "none")
METHODS = ("none", "anytime", *SPENDING)
SEVERAL_ARMS = ("refuse", "drop")
ENDS = ("stop", "hold")
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Looks:
    """When the experiment may be looked at.

    Parameters
    ----------
    method : str
        ``'none'``: once, at the end; ``'obrien_fleming'`` or ``'pocock'``: at planned looks, by a
        spending function; ``'anytime'``: whenever one likes.
    planned : int
        Looks that the design counts on, equally spaced; an analysis may look at other times.
    units : int, optional
        Units at the last look, over all arms. What the design says, if it is not set.
    """

    method: str = "none"
    planned: int = 1
    units: int | None = None

    def __post_init__(self) -> None:
        among(self.method, METHODS, "looks.method")
        if self.planned < 1 or (self.units is not None and self.units < 2):
            raise ConfigError(
                f"looks: found {self.planned} planned looks and {self.units} units, expected at least "
                "one look and two units."
            )

    @property
    def grouped(self) -> bool:
        """Whether looks are planned and share the level."""
        return self.method in SPENDING


@dataclass(frozen=True)
class DesignOptions:
    """What the design is made for; of ``effect``, ``units`` and ``power`` one follows from the others.

    Parameters
    ----------
    baseline : Baseline
        The primary metric without a treatment.
    effect : float, optional
        The smallest effect that should be found, in the metric's units.
    lift : float, optional
        The same as a share of the baseline.
    units : int, optional
        Units that there will be, over all arms.
    power : float
        Wanted chance to find the effect.
    take_up : float
        Share of the treated arm that the treatment reaches; what is found is diluted by it.
    units_per_day : float, optional
        Units that enter the experiment each day, for its duration.
    most_days : float, optional
        A design that takes longer is refused.
    """

    baseline: Baseline = field(default_factory=Baseline)
    effect: float | None = None
    lift: float | None = None
    units: int | None = None
    power: float = 0.8
    take_up: float = 1.0
    units_per_day: float | None = None
    most_days: float | None = None

    def __post_init__(self) -> None:
        checked_share(self.power, "design.power")
        if not 0 < self.take_up <= 1:
            raise ConfigError(
                f"design.take_up: found {self.take_up}, expected above 0 and up to 1."
            )
        if self.effect is not None and self.lift is not None:
            raise ConfigError("design: found both effect and lift, expected one of them.")
        for name in ("effect", "lift"):
            if getattr(self, name) == 0:
                raise ConfigError(
                    f"design.{name}: found 0; nothing finds no effect. Say how small."
                )
        for name in ("units", "units_per_day", "most_days"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"design.{name}: found {value}, expected a number above 0.")


@dataclass(frozen=True)
class AssignmentOptions:
    """Who gets which arm.

    Parameters
    ----------
    salt : str
        Another salt is another draw; the experiment's name by default.
    traffic : float
        Share of the eligible units that take part; raising it keeps those who do.
    strata : tuple of str
        Columns within whose cells the arms are balanced.
    block : int
        Units of a permuted block; 0 assigns each by its hash alone. Strata take blocks.
    layer : str
        Experiments of one layer take disjoint shares of it, and so exclude each other.
    layer_from, layer_to : float
        The experiment's share of the layer.
    holdout : str
        Name of a holdout whose units take part in nothing.
    holdout_share : float
    """

    salt: str = ""
    traffic: float = 1.0
    strata: tuple[str, ...] = ()
    block: int = 0
    layer: str = ""
    layer_from: float = 0.0
    layer_to: float = 1.0
    holdout: str = ""
    holdout_share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.traffic <= 1:
            raise ConfigError(
                f"assignment.traffic: found {self.traffic}, expected above 0 and up to 1."
            )
        if not 0 <= self.layer_from < self.layer_to <= 1:
            raise ConfigError(
                f"assignment: the layer from {self.layer_from} to {self.layer_to}; expected rising "
                "shares from 0 to 1."
            )
        if (self.layer_from > 0 or self.layer_to < 1) and not self.layer:
            raise ConfigError("assignment.layer_from and layer_to are shares of a layer: name it.")
        if not 0 <= self.holdout_share < 1 or (self.holdout_share > 0 and not self.holdout):
            raise ConfigError(
                f"assignment.holdout_share: found {self.holdout_share} of the holdout "
                f"{self.holdout!r}, expected a share below 1 of a holdout with a name."
            )
        if self.block < 0 or self.block > 1000:
            raise ConfigError(f"assignment.block: found {self.block}, expected 0 to 1000.")


@dataclass(frozen=True)
class DecisionRule:
    """What is done, fixed before the first look.

    Parameters
    ----------
    ship_above : float
        The lower end of the primary metric's interval has to be above it, in its own units and in
        the good direction.
    least_units : int
        Fewer units decide nothing.
    at_end : str
        What an experiment comes to that ends without an answer: ``'stop'`` or ``'hold'``.
    sample_ratio_level : float
        A p-value of the arms' sizes below it stops every "ship".
    """

    ship_above: float = 0.0
    least_units: int = 0
    at_end: str = "stop"
    sample_ratio_level: float = 0.001

    def __post_init__(self) -> None:
        among(self.at_end, ENDS, "decision.at_end")
        checked_share(self.sample_ratio_level, "decision.sample_ratio_level")


@dataclass(frozen=True)
class ExperimentSpec:
    """An experiment.

    Parameters
    ----------
    name : str
    unit : tuple of str
        Columns that together name what is assigned: a user, a school, a region and an hour.
    cluster : str
        Column that errors are clustered by; holds whole units. The unit by default.
    arm : str
        Column of the arms, for the analysis.
    arms : dict of str to float
        Promised share of each arm.
    control : str
    metrics : dict of str to Metric
    primary : str
        The metric that decides; the only one by default.
    guardrails : dict of str to Guardrail
        By metric.
    level : float
    alternative : str
        ``'two-sided'``, or ``'greater'`` where only a gain counts (in the good direction).
    correction : str
        For several arms: ``'dunnett'``, ``'bonferroni'`` or ``'none'``.
    looks : Looks
    design : DesignOptions
    assignment : AssignmentOptions
    decision : DecisionRule
    dimensions : tuple of str
        Columns by whose values the primary metric is shown.
    time : str
        Column of days or instants, for the effect over time.
    exposed : str
        Column with the time of a unit's first exposure, for how the effect changes after it (novelty).
    periods : int
        Parts of the time at most.
    several_arms : str
        Units in two arms: ``'refuse'``, or ``'drop'`` them, which is said.
    """

    name: str
    unit: tuple[str, ...] | str
    metrics: dict[str, Metric]
    arms: dict[str, float] = field(default_factory=lambda: {"control": 0.5, "treated": 0.5})
    control: str = "control"
    cluster: str = ""
    arm: str = "arm"
    primary: str = ""
    guardrails: dict[str, Guardrail] = field(default_factory=dict)
    level: float = 0.05
    alternative: str = "two-sided"
    correction: str = "dunnett"
    looks: Looks = field(default_factory=Looks)
    design: DesignOptions = field(default_factory=DesignOptions)
    assignment: AssignmentOptions = field(default_factory=AssignmentOptions)
    decision: DecisionRule = field(default_factory=DecisionRule)
    dimensions: tuple[str, ...] = ()
    time: str = ""
    exposed: str = ""
    periods: int = 14
    several_arms: str = "refuse"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"name: found {self.name!r}, expected letters, digits and any of '_.-'."
            )
        checked_share(self.level, "level")
        among(self.alternative, ALTERNATIVES[:2], "alternative")
        among(self.correction, CORRECTIONS, "correction")
        among(self.several_arms, SEVERAL_ARMS, "several_arms")
        if not self.units_of or not all(self.units_of):
            raise ConfigError("unit: found none, expected the column of what is assigned.")
        self._check_arms()
        self._check_metrics()
        if self.exposed and not self.time:
            raise ConfigError(
                "exposed: the time after an exposure takes time, the rows' own column."
            )
        if not 2 <= self.periods <= 60:
            raise ConfigError(f"periods: found {self.periods}, expected 2 to 60.")

    def _check_arms(self) -> None:
        if len(self.arms) < 2 or self.control not in self.arms:
            raise ConfigError(
                f"arms: found {', '.join(self.arms) or 'none'} with the control {self.control!r}, "
                "expected at least two, one of which is the control."
            )
        if not are_chances(tuple(self.arms.values())):
            raise ConfigError(
                f"arms: found the shares {self.arms}, expected numbers above 0 that add up to 1."
            )

    def _check_metrics(self) -> None:
        if not self.metrics:
            raise ConfigError("metrics: found none, expected at least one.")
        if not self.primary and len(self.metrics) > 1:
            raise ConfigError(
                f"primary: found none, expected the metric that decides, of {', '.join(self.metrics)}."
            )
        for key, name in (("primary", self.primary), *(("guardrails", g) for g in self.guardrails)):
            if name and name not in self.metrics:
                raise ConfigError(
                    f"{key}: found {name!r}, expected one of the metrics {', '.join(self.metrics)}."
                )
        if any(metric.kind == "answer" for metric in self.metrics.values()):
            self._check_answers()

    def _check_answers(self) -> None:
        if not self.cluster and len(self.units_of) > 1:
            raise ConfigError(
                f"cluster: found none and the unit {', '.join(self.units_of)}, expected the one column that errors "
                "are clustered by, for a metric is of the kind answer."
            )
        if self.several_arms == "drop":
            raise ConfigError(
                "several_arms: found 'drop' beside a metric of the kind answer, expected 'refuse': leave units in "
                "two arms out of the table."
            )

    @property
    def units_of(self) -> tuple[str, ...]:
        """Columns that name the unit."""
        return (self.unit,) if isinstance(self.unit, str) else self.unit

    @property
    def labels(self) -> tuple[str, ...]:
        """The arms, the control first."""
        return (self.control, *(arm for arm in self.arms if arm != self.control))

    @property
    def shares(self) -> tuple[float, ...]:
        """Their promised shares, in that order."""
        return tuple(self.arms[arm] for arm in self.labels)

    @property
    def decides(self) -> str:
        """The primary metric's name."""
        return self.primary or next(iter(self.metrics))

    @property
    def two_sided(self) -> bool:
        """Whether a loss counts as found, too."""
        return self.alternative == "two-sided"

    def metric(self, name: str) -> Metric:
        """A metric with its column filled in."""
        found = self.metrics[name]
        return found if found.column else replace(found, column=name)
