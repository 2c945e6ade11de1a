"""What is to be evaluated: the columns of a bandit log, and the rules (policies: :mod:`~.candidates`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from truelift.errors import ConfigError
from truelift.policy.off_policy.candidates import ChanceTable, PolicySpec
from truelift.policy.off_policy.estimators import ESTIMATORS, UNGROUPED, Layout
from truelift.policy.off_policy.support import SupportLimits
from truelift.registries import LEARNERS
from truelift.settings.learner_choice import LearnerChoice

PSEUDO = "pas-if"
SELECTIONS = ("mse", "slope", PSEUDO, *ESTIMATORS)
MODELS = ("auto", "additive", "by action")
#: How rows of several loggers are weighted: by the mixture of all, by the row's own logger, or by it and
#: each logger's estimate by its effective rows, or by its precision.
BALANCED, NAIVE, EFFECTIVE, WEIGHTED = LOGGER_WEIGHTS = (
    "balanced", "naive", "effective", "weighted",
)  # fmt: skip
#: How weights of groups are come by.
KNOWN, LEARNED = "known", "learned"


@dataclass(frozen=True)
class GroupTable:
    """Groups of actions, such as categories of items, for weights of groups in place of actions.

    Parameters
    ----------
    table : str
        ``URI[@VERSION]``, a row an action.
    action : str
        Column of the table.
    group : str or tuple of str
        Columns of the table: a group for each combination of their values, or numbers of an embedding.
    clusters : int, optional
        How many groups are made of these numbers, by k-means.
    propensity : str, optional
        The column *of the log* with the chance that it took an action of the logged action's group;
        without it the chances of all actions have to be known (``propensity_table``,
        ``propensity_by``), or weights of groups learned.
    weights : str
        ``'known'``, or ``'learned'`` from the weights of the logged actions (:mod:`~.group_weights`).
    """

    table: str
    action: str = "action"
    group: tuple[str, ...] | str = "group"
    clusters: int | None = None
    propensity: str | None = None
    weights: str = KNOWN

    def __post_init__(self) -> None:
        if not self.columns:
            raise ConfigError("groups.group: found none, expected columns of the table of actions.")
        if self.clusters is not None and self.clusters < 2:
            raise ConfigError(f"groups.clusters: found {self.clusters}, expected two or more.")
        if self.weights not in (KNOWN, LEARNED):
            raise ConfigError(
                f"groups.weights: found {self.weights!r}, expected {KNOWN} or {LEARNED}."
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the table, what groups are made of."""
        return (self.group,) if isinstance(self.group, str) else self.group

    @property
    def learned(self) -> bool:
        """Whether weights of groups are learned."""
        return self.weights == LEARNED


@dataclass(frozen=True)
class Loggers:
    """Several policies that wrote the log, such as the rounds of a loop.

    Parameters
    ----------
    column : str
        Which of them wrote a row.
    propensities : mapping of str to str
        By its name, the column of the chance with which *it* would have taken the logged action, in
        every row, whoever wrote it.
    weights : str
        ``'balanced'``, by the chance of the mixture of all; ``'naive'``, by the chance of the row's own
        logger; ``'weighted'``, by it too, and each logger's estimate counts by its precision (all three of
        Agarwal et al. 2017); ``'effective'``, or by the rows that its weights are worth
        (:mod:`~.loggers`).
    """

    column: str
    propensities: dict[str, str]
    weights: str = BALANCED

    def __post_init__(self) -> None:
        if self.weights not in LOGGER_WEIGHTS:
            raise ConfigError(
                f"loggers.weights: found {self.weights!r}, expected one of {', '.join(LOGGER_WEIGHTS)}."
            )
        if not self.propensities:
            raise ConfigError(
                "loggers.propensities: found none, expected a column of chances by logger."
            )


@dataclass(frozen=True)
class Distribution:
    """What is to be told of the rewards beside their mean.

    Parameters
    ----------
    quantiles : tuple of float
        Shares of the rewards.
    cvar : tuple of float
        Shares of the lowest rewards, whose mean is told.
    """

    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    cvar: tuple[float, ...] = (0.1,)

    def __post_init__(self) -> None:
        for key in ("quantiles", "cvar"):
            shares = getattr(self, key)
            if not all(0 < s < 1 for s in shares) or len(set(shares)) < len(shares):
                raise ConfigError(
                    f"distribution.{key}: found {list(shares)}, expected different shares between 0 and 1."
                )


@dataclass(frozen=True)
class BanditSpec:
    """A bandit log's columns and what is asked of it.

    Parameters
    ----------
    action : str
    rewards : tuple of str
        Numeric columns; higher is better.
    policies : mapping of str to PolicySpec
    user : str, optional
        Rows that share it may be dependent; without it every row stands for itself.
    propensity : str, optional
        The column of the chance with which the logged action was taken.
    propensity_table : ChanceTable, optional
        In place of it.
    propensity_by : tuple of str, optional
        In place of both: columns; chances are the shares of the actions among rows that are alike
        in them (none: among all rows).
    propensity_model : LearnerChoice, optional
        In place of all three: a learner of effects that estimates them from the context
        (:mod:`~.estimated_chances`).
    loggers : Loggers, optional
        In place of all of these, for a log of several policies: by default a row's propensity is that of
        their mixture (balanced weights, Agarwal et al. 2017), so that what one of them never did is
        supported by another.
    context : tuple of str
        Columns that the reward model may use: numbers as they are, texts by hash.
    position : str, optional
        The place in a list, which the reward model uses too.
    slate : str, optional
        The column that rows of one list share, a row a slot: values of whole lists are told, too. Needs
        ``position``; propensities are those of a slot's action given the slots before it.
    actions : tuple of str
        All actions that there are, where some were never logged.
    groups : GroupTable, optional
        Of the actions; brings the estimators whose weights are those of groups.
    distribution : Distribution, optional
        Quantiles of the rewards, and the mean of the lowest share.
    estimators : tuple of str
    tuning : mapping of str to tuple of float
        By estimator, tuning values in place of the default ones.
    select : str
        How one estimate a policy is chosen: ``'mse'``, ``'slope'``, ``'pas-if'``, or an estimator's name.
    reward_model : LearnerChoice
        ``'additive'``, ``'by action'``, or ``'auto'``: by action where that is small; or a learner of
        effects (:mod:`~.learned_rewards`).
    folds : int
    confidence : float
    margin : float
        A policy ships only if it is better than the present one by more than this, by the lower
        bound of the difference.
    reward_range : tuple of float
        The least and the greatest reward there can be; taken from the rewards where they are all 0
        or 1.
    limits : SupportLimits
    anytime : bool
        Bounds that hold at every look.
    half_width : float, optional
        What an exploration plan is to reach; a tenth of the present value by default.
    band_draws, seed : int
    """

    action: str
    rewards: tuple[str, ...]
    policies: dict[str, PolicySpec]
    user: str | None = None
    propensity: str | None = None
    propensity_table: ChanceTable | None = None
    propensity_by: tuple[str, ...] | None = None
    propensity_model: LearnerChoice | None = None
    loggers: Loggers | None = None
    context: tuple[str, ...] = ()
    position: str | None = None
    slate: str | None = None
    actions: tuple[str, ...] = ()
    groups: GroupTable | None = None
    distribution: Distribution | None = None
    estimators: tuple[str, ...] = UNGROUPED
    tuning: dict[str, tuple[float, ...]] = field(default_factory=dict)
    select: str = "mse"
    reward_model: LearnerChoice = field(default_factory=lambda: LearnerChoice("auto"))
    folds: int = 5
    confidence: float = 0.95
    margin: float = 0.0
    reward_range: tuple[float, ...] = ()
    limits: SupportLimits = field(default_factory=SupportLimits)
    anytime: bool = False
    half_width: float | None = None
    band_draws: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        ways = [
            self.propensity, self.propensity_table, self.propensity_by is not None, self.loggers,
            self.propensity_model,
        ]  # fmt: skip
        if sum(bool(way) for way in ways) != 1:
            raise ConfigError(
                f"propensity: found {sum(bool(w) for w in ways)} ways to know the log's propensities, "
                "expected one: propensity (a column), propensity_table, propensity_by (columns within "
                "which the actions' shares are taken), propensity_model (estimated from the context), or loggers "
                "(several policies)."
            )
        self._check_estimated()
        if self.slate and self.loggers and self.apart > 1:
            raise ConfigError(
                f"loggers.weights: found {self.loggers.weights!r} beside slate, expected balanced or naive: "
                "values of lists are not weighted by logger."
            )
        if self.distribution and self.loggers and self.apart > 1:
            raise ConfigError(
                f"loggers.weights: found {self.loggers.weights!r} beside distribution, expected balanced or "
                "naive: quantiles are taken over all rows and not weighted by logger."
            )
        if self.slate and not self.position:
            raise ConfigError(
                "slate: found without position; expected the column of the slot, too."
            )
        if self.slate and not self.user:
            object.__setattr__(self, "user", self.slate)  # each list stands for itself
        for key in ("rewards", "policies", "estimators"):
            if not getattr(self, key):
                raise ConfigError(f"{key}: found none, expected at least one.")
        if self.select not in SELECTIONS:
            raise ConfigError(
                f"select: found {self.select!r}, expected one of {', '.join(SELECTIONS)}."
            )
        if self.select == PSEUDO and self.loggers and self.apart > 1:
            raise ConfigError(
                f"select: found {PSEUDO!r} beside loggers.weights {self.loggers.weights!r}, expected balanced or "
                "naive: splits of a log are not weighted by logger."
            )
        if self.select in ESTIMATORS and self.select not in self.estimators:
            raise ConfigError(f"select: found {self.select!r}, which estimators does not have.")
        self._check_model()
        if not 0 < self.confidence < 1:
            raise ConfigError(f"confidence: found {self.confidence:g}, expected between 0 and 1.")
        if self.folds < 2:
            raise ConfigError(f"folds: found {self.folds}, expected at least 2.")
        if self.margin < 0:
            raise ConfigError(f"margin: found {self.margin:g}, expected zero or more.")
        if self.reward_range and not (
            len(self.reward_range) == 2 and self.reward_range[0] < self.reward_range[1]
        ):
            raise ConfigError(
                f"reward_range: found {list(self.reward_range)}, expected the least and the greatest "
                "reward, such as [0, 1]."
            )
        for name, grid in self.tuning.items():
            _check_grid(name, grid)
        self._check_groups(Layout(1, self.estimators, self.tuning))

    @property
    def learns(self) -> bool:
        """Whether rewards are predicted by a learner of effects."""
        return self.reward_model.name not in MODELS

    def _check_estimated(self) -> None:
        if self.propensity_model is None:
            return
        key = "propensity_model"
        choice = LearnerChoice.of(self.propensity_model, key)
        object.__setattr__(self, key, choice)
        if choice.name not in LEARNERS.names:
            raise ConfigError(
                f"{key}: found {choice.name!r}, expected one of {', '.join(LEARNERS.names)}."
            )
        if not self.context:
            raise ConfigError(f"{key}: found without context, expected what the log chose by.")
        for beside in ("slate", "groups"):
            if getattr(self, beside):
                raise ConfigError(
                    f"{key}: found beside {beside}, expected logged propensities: those of a list's slots "
                    "and of groups are not estimated."
                )

    def _check_model(self) -> None:
        choice = LearnerChoice.of(self.reward_model, "reward_model")
        object.__setattr__(self, "reward_model", choice)
        if not self.learns:
            if choice.own:
                raise ConfigError(
                    f"reward_model: found {', '.join(choice.own)} beside {choice.name!r}, which has no options."
                )
            return
        if choice.name not in LEARNERS.names:
            known = ", ".join((*MODELS, *LEARNERS.names))
            raise ConfigError(f"reward_model: found {choice.name!r}, expected one of {known}.")
        if self.slate:
            raise ConfigError(
                f"reward_model: found {choice.name!r} beside slate, expected {', '.join(MODELS)}: lists have "
                "ridge models of their own."
            )

    def _check_groups(self, layout: Layout) -> None:
        if self.groups is None:
            if layout.needs_groups:
                named = ", ".join(n for n in self.estimators if ESTIMATORS[n].group is not None)
                raise ConfigError(
                    f"estimators: found {named} without groups; expected groups: {{table: URI}}, a "
                    "table with a row an action and its group."
                )
            return
        if self.estimators == UNGROUPED:
            object.__setattr__(self, "estimators", tuple(ESTIMATORS))
        known = self.propensity_table or self.propensity_by is not None
        if self.groups.learned:
            if known or self.groups.propensity:
                raise ConfigError(
                    "groups.weights: found learned though the chances of groups are known; leave it out, for what "
                    "is known has no error."
                )
            if self.apart > 1:
                assert self.loggers is not None
                raise ConfigError(
                    f"groups.weights: found learned beside loggers.weights {self.loggers.weights!r}, expected "
                    "balanced or naive."
                )
            return
        if bool(known) == bool(self.groups.propensity):
            raise ConfigError(
                "groups.propensity: "
                + (
                    "found a column though the chances of all actions are known; leave it out."
                    if known
                    else "found none, expected the column with the log's chance of the logged action's "
                    "group, for the log has the chance of the logged action alone; or weights: learned."
                )
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Of the policies."""
        return tuple(self.policies)

    @property
    def apart(self) -> int:
        """Loggers whose sums are kept apart: all where each has an estimate of its own, else one."""
        several = self.loggers
        kept = several is not None and several.weights in (EFFECTIVE, WEIGHTED)
        return len(several.propensities) if several and kept else 1

    def columns(self) -> tuple[str, ...]:
        """All columns of the log that are read, each once."""
        optional = [c for c in (self.user, self.propensity, self.position, self.slate) if c]
        table = self.propensity_table.by if self.propensity_table else ()
        several = self.loggers
        logged = (several.column, *several.propensities.values()) if several else ()
        of_groups = [c for c in [self.groups.propensity if self.groups else None] if c]
        of_policies = (c for policy in self.policies.values() for c in policy.columns)
        every = (
            self.action, *self.rewards, *optional, *self.context, *table, *logged,
            *(self.propensity_by or ()), *of_groups, *of_policies,
        )  # fmt: skip
        return tuple(dict.fromkeys(every))

    def layout(self) -> Layout:
        """The sums to be kept; policies known by the logged action alone take no reward model."""
        apart = self.apart
        return Layout(len(self.policies) * apart, self.estimators, self.tuning, apart)


def _check_grid(name: str, grid: tuple[float, ...]) -> None:
    row = ESTIMATORS.get(name)
    known: Mapping[str, bool] = {n: e.tuned is not None for n, e in ESTIMATORS.items()}
    if row is None or row.tuned is None:
        tuned = ", ".join(n for n, has in known.items() if has)
        raise ConfigError(f"tuning: found {name!r}, expected some of {tuned}.")
    most = 1.0 if row.unshrunk == 0.0 else float("inf")
    if not grid or len(set(grid)) < len(grid) or not all(0 <= value <= most for value in grid):
        limit = "from 0 to 1" if most == 1.0 else "of zero or more"
        raise ConfigError(f"tuning.{name}: found {list(grid)}, expected different numbers {limit}.")
