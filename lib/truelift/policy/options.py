"""What a policy is learned or a budget spent by: the keys of the YAML files of docs/policy-learning.md."""

from __future__ import annotations

from dataclasses import dataclass, field

from truelift.settings.checks import require

METHODS = ("tree", "linear", "threshold")
MOST_DEPTH = 6
MOST_BINS = 64


@dataclass(frozen=True)
class RewardOptions:
    """What an arm is worth to a unit, and which arms it may have.

    Parameters
    ----------
    outcome : str
        An outcome of the panel's scores.
    worth : float
        Of one more of the outcome, in the units of the costs; negative where less is better.
    costs : dict of str to str
        By arm, a number or a column of the panel; nothing for the others.
    cost_outcome : str, optional
        Another outcome of the scores, which counts money: what an arm does to it is what the arm costs,
        beside ``costs``.
    control : str, optional
        The arm that costs and gains are counted from; the control of the effects by default.
    arms : tuple of str
        Arms that may be chosen beside the control; all by default.
    """

    outcome: str = ""
    worth: float = 1.0
    costs: dict[str, str] = field(default_factory=dict)
    control: str | None = None
    arms: tuple[str, ...] = ()
    cost_outcome: str | None = None

    def __post_init__(self) -> None:
        other = self.cost_outcome is None or self.cost_outcome != self.outcome
        require(other, "cost_outcome", self.cost_outcome, "another outcome than reward.outcome")
        require(self.worth != 0, "worth", self.worth, "a number other than zero")


@dataclass(frozen=True)
class LearnOptions:
    """How a policy is learned (``truelift learn_policy``).

    Parameters
    ----------
    reward : RewardOptions
    covariates : tuple of str, optional
        Numbers that the policy may look at; all that begin with ``x_`` by default.
    categorical : tuple of str
        Texts that it may look at: one cut a level.
    method : str
        ``'tree'``, ``'linear'`` or ``'threshold'``.
    depth, bins, min_leaf : int
        Of a tree: cuts on a way, codes of a covariate, units of a leaf.
    exploration : float
        Share of units that get an arm by lot, all arms alike; so the logs of the policy can be evaluated.
    groups : tuple of str
        Columns by whose levels treatment, gain and regret are told.
    confidence : float
    unit, cluster, treatment : str
        Columns of the panel, as the effects had them.
    """

    reward: RewardOptions = field(default_factory=RewardOptions)
    covariates: tuple[str, ...] | None = None
    categorical: tuple[str, ...] = ()
    method: str = "tree"
    depth: int = 2
    bins: int = 32
    min_leaf: int = 100
    exploration: float = 0.0
    groups: tuple[str, ...] = ()
    confidence: float = 0.95
    unit: str = "unit_id"
    cluster: str = "user_key"
    treatment: str = "treated"

    def __post_init__(self) -> None:
        require(self.method in METHODS, "method", self.method, f"one of {', '.join(METHODS)}")
        require(0 <= self.depth <= MOST_DEPTH, "depth", self.depth, f"0 to {MOST_DEPTH}")
        require(3 <= self.bins <= MOST_BINS, "bins", self.bins, f"3 to {MOST_BINS}")
        require(self.min_leaf >= 1, "min_leaf", self.min_leaf, "at least 1")
        require(0 <= self.exploration < 1, "exploration", self.exploration, "0 or more, below 1")
        require(0 < self.confidence < 1, "confidence", self.confidence, "above 0 and below 1")
