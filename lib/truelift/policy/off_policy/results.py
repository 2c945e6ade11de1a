"""What is left of an evaluation: every estimate, the chosen ones, the verdicts, what may ship."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from truelift.policy.off_policy.support import UNSUPPORTED, ExplorationPlan, Support

if TYPE_CHECKING:
    import pandas as pd

#: What a command ends with where the log supports no policy.
UNSUPPORTED_EXIT = 3


@dataclass(frozen=True)
class PolicyEstimate:
    """One estimate of what a policy earns a row.

    Parameters
    ----------
    policy, reward, estimator : str
    tuning : float, optional
    estimate, standard_error : float
        Clustered by user.
    ci_lower, ci_upper : float
        Of this estimate alone; with few events an interval of their own (:mod:`~.intervals`).
    band_lower, band_upper : float, optional
        Of all policies and estimators together, each at its best tuning value.
    degrees_of_freedom : float
    mean_squared_error : float
        Estimated; see :mod:`~.selection`.
    selected : bool
        Whether the rule of the specification takes it.
    pseudo_error : float, optional
        Mean squared error on splits of the log, where the rule is PAS-IF (:mod:`~.pseudo`).
    """

    policy: str
    reward: str
    estimator: str
    tuning: float | None
    estimate: float
    standard_error: float
    ci_lower: float
    ci_upper: float
    band_lower: float | None
    band_upper: float | None
    degrees_of_freedom: float
    mean_squared_error: float
    selected: bool
    pseudo_error: float | None = None


@dataclass(frozen=True)
class PolicyValue:
    """What a policy earns, alone and beside the present one on the same rows: what decides.

    It is told by an estimator without bias, whatever was selected.

    Parameters
    ----------
    policy, reward, estimator : str
    value, value_lower, value_upper : float
        A row, with its interval.
    difference, standard_error : float
        Of the policy's value less the present one's.
    ci_lower, ci_upper : float
    band_lower : float
        Lower bound of the difference that holds for all policies together.
    anytime_lower : float, optional
        One that holds at every look; from a hundred users on.
    bernstein_lower : float, optional
        A lower bound of the *value* that needs no normal distribution, of clipped IPS.
    ships : bool
    reason : str
    """

    policy: str
    reward: str
    estimator: str
    value: float
    value_lower: float
    value_upper: float
    difference: float
    standard_error: float
    ci_lower: float
    ci_upper: float
    band_lower: float
    anytime_lower: float | None
    bernstein_lower: float | None
    ships: bool
    reason: str


@dataclass(frozen=True)
class ListEstimate:
    """One estimate of what a policy that fills lists earns a list.

    Parameters
    ----------
    policy, reward, estimator : str
    estimate, standard_error : float
        Clustered by user.
    ci_lower, ci_upper : float
    difference, difference_lower, difference_upper : float
        Less what the log's lists earned, on the same lists.
    """

    policy: str
    reward: str
    estimator: str
    estimate: float
    standard_error: float
    ci_lower: float
    ci_upper: float
    difference: float
    difference_lower: float
    difference_upper: float


@dataclass(frozen=True)
class DistributionEstimate:
    """A quantile of the rewards under a policy, or the mean of the lowest of them.

    Parameters
    ----------
    policy, reward : str
    quantity : str
        ``'quantile'`` or ``'CVaR'``.
    share : float
        Of the rewards, from the lowest on.
    estimate : float
    standard_error : float, optional
        Of a mean, clustered by user; a quantile has an interval only.
    ci_lower, ci_upper, band_lower, band_upper : float, optional
        Of this alone, and of all policies and quantities together; None where there is no bound.
    difference, difference_lower, difference_upper : float, optional
        Less that of the present policy, on the same rows; of a quantile without bounds where its interval has none.
    """

    policy: str
    reward: str
    quantity: str
    share: float
    estimate: float
    standard_error: float | None
    ci_lower: float | None
    ci_upper: float | None
    band_lower: float | None
    band_upper: float | None
    difference: float | None = None
    difference_lower: float | None = None
    difference_upper: float | None = None


@dataclass(frozen=True)
class LoggerShare:
    """What the rows of one of several loggers say of a policy alone, and what they count.

    Parameters
    ----------
    policy, reward, estimator, logger : str
    estimate, standard_error : float
        From its rows alone.
    share : float
        Of the logger in the estimate that decides; 0 where its rows do not support the policy.
    """

    policy: str
    reward: str
    estimator: str
    logger: str
    estimate: float
    standard_error: float
    share: float


@dataclass(frozen=True)
class PresentValue:
    """What the policy that wrote the log earned a row."""

    reward: str
    estimate: float
    standard_error: float
    ci_lower: float
    ci_upper: float


@dataclass(frozen=True)
class PoliciesResult:
    """Values of policies from a bandit log.

    Parameters
    ----------
    table, table_version : str, int
    rows, users, actions : int
    present : tuple of PresentValue
        By reward.
    estimates : tuple of PolicyEstimate
        The whole sweep.
    values : tuple of PolicyValue
    support : tuple of Support
        By policy.
    plans : tuple of ExplorationPlan
        Of policies that the log does not support.
    confidence, margin : float
    propensities, reward_model : str
        How they were come by.
    select : str
    folds : int
    run_id : str
    lists : tuple of ListEstimate
        Where the log has lists.
    list_worth : tuple of float
        How many lists of the policy the log's lists are worth, by policy, by the weights of whole lists.
    loggers : tuple of LoggerShare
        Where several loggers have estimates of their own.
    distribution : tuple of DistributionEstimate
        Where it was asked for, of the present policy first.
    groups : str
        How actions were put into groups; empty where they were not.
    """

    table: str
    table_version: int
    rows: int
    users: int
    actions: int
    present: tuple[PresentValue, ...]
    estimates: tuple[PolicyEstimate, ...]
    values: tuple[PolicyValue, ...]
    support: tuple[Support, ...]
    plans: tuple[ExplorationPlan, ...]
    confidence: float
    margin: float
    propensities: str
    reward_model: str
    select: str
    folds: int
    run_id: str = ""
    lists: tuple[ListEstimate, ...] = ()
    list_worth: tuple[float, ...] = ()
    loggers: tuple[LoggerShare, ...] = ()
    distribution: tuple[DistributionEstimate, ...] = ()
    groups: str = ""

    @property
    def supported(self) -> bool:
        """Whether the log supports any of the policies."""
        return any(s.verdict != UNSUPPORTED for s in self.support)

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return 0 if self.supported else UNSUPPORTED_EXIT

    def selected(self, policy: str, reward: str) -> PolicyEstimate | None:
        """The estimate that the rule of the specification takes."""
        found = (e for e in self.estimates if (e.policy, e.reward) == (policy, reward))
        return next((e for e in found if e.selected), None)

    def value(self, policy: str, reward: str) -> PolicyValue | None:
        """What decides on a policy; None where no estimate could be made."""
        found = (v for v in self.values if (v.policy, v.reward) == (policy, reward))
        return next(found, None)

    def verdict(self, policy: str) -> Support:
        """What the log has of a policy."""
        return next(s for s in self.support if s.policy == policy)

    def to_pandas(self) -> pd.DataFrame:
        """One row an estimate."""
        import pandas as pd

        table = pd.DataFrame([vars(e) for e in self.estimates])
        names = [f.name for f in fields(PolicyEstimate)]
        table = table.reindex(columns=names)
        table["support"] = [self.verdict(name).verdict for name in table["policy"]]
        return table

    def summary(self) -> str:
        """The policies in sentences, then the sweep of every one."""
        from truelift.policy.off_policy.telling import told

        return told(self)

    def __repr__(self) -> str:
        return self.summary()
