"""How a budget is spent: the keys of the YAML files of ``truelift allocate``."""

from __future__ import annotations

from dataclasses import dataclass, field

from truelift.policy.options import RewardOptions
from truelift.settings.checks import require


@dataclass(frozen=True)
class AllocateOptions:
    """How a budget is spent (``truelift allocate``).

    Parameters
    ----------
    reward : RewardOptions
    budget : float, optional
        In the units of the costs, for all units together.
    capacity : int, optional
        In place of it: units that may get another arm than the control. Gains are then net of costs.
    points : int
        Budgets of the path that are told, in equal steps up to where nothing is left that gains.
    exclude : dict of str to str
        By arm, a column whose units with a number other than zero may not have it.
    limit_by : str, optional
        The column by whose levels ``floors`` and ``caps`` hold.
    floors, caps : dict of str to float
        By level, the least and the largest share of its units that get another arm than the control.
    exploration : float
        Share of units that get one of their allowed arms by lot. Its cost comes out of the budget.
    confidence : float
    unit, cluster, treatment : str
        Columns of the panel, as the effects had them.
    """

    reward: RewardOptions = field(default_factory=RewardOptions)
    budget: float | None = None
    capacity: int | None = None
    points: int = 10
    exclude: dict[str, str] = field(default_factory=dict)
    limit_by: str | None = None
    floors: dict[str, float] = field(default_factory=dict)
    caps: dict[str, float] = field(default_factory=dict)
    exploration: float = 0.0
    confidence: float = 0.95
    unit: str = "unit_id"
    cluster: str = "user_key"
    treatment: str = "treated"

    def __post_init__(self) -> None:
        one = (self.budget is None) != (self.capacity is None)
        found = [name for name in ("budget", "capacity") if getattr(self, name) is not None]
        require(one, "budget, capacity", found or "neither", "one of the two")
        amount = self.budget if self.capacity is None else self.capacity
        require(amount is not None and amount > 0, found[0], amount, "a number above zero")
        require(2 <= self.points <= 50, "points", self.points, "2 to 50")
        require(0 <= self.exploration < 1, "exploration", self.exploration, "0 or more, below 1")
        require(0 < self.confidence < 1, "confidence", self.confidence, "above 0 and below 1")
        for key in ("floors", "caps"):
            for level, share in getattr(self, key).items():
                require(0 <= share <= 1, f"{key}.{level}", share, "a share between 0 and 1")
        both = {v for v in self.floors if self.floors[v] > self.caps.get(v, 1.0)}
        require(not both, "floors", sorted(both), "no floor above its cap")
        named = self.limit_by is not None or not (self.floors or self.caps)
        require(named, "limit_by", self.limit_by, "the column that floors and caps are by")
