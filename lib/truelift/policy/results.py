"""What learning a policy and spending a budget leave behind."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Figure:
    """A number with its interval.

    Parameters
    ----------
    name : str
    estimate, standard_error : float
    ci_lower, ci_upper : float
        Of this number alone.
    band_lower, band_upper : float
        Of all numbers of its family at once.
    """

    name: str
    estimate: float
    standard_error: float
    ci_lower: float
    ci_upper: float
    band_lower: float
    band_upper: float

    def __str__(self) -> str:
        return f"{self.name} {self.estimate:.4g} [{self.ci_lower:.4g}, {self.ci_upper:.4g}]"


@dataclass(frozen=True)
class GroupFigures:
    """How a policy treats one group.

    Parameters
    ----------
    column, level : str
    share : Figure
        Of its units that get another arm than the control.
    gain : Figure
        Reward a unit, less that of the control for all of the group.
    regret : Figure
        Reward a unit of the one arm that would be best for all of the group, less that of the policy.
    regret_to : str
        That arm.
    """

    column: str
    level: str
    share: Figure
    gain: Figure
    regret: Figure
    regret_to: str


@dataclass(frozen=True)
class PolicyResult:
    """A learned policy and what it is worth on units that did not choose it.

    Parameters
    ----------
    method, outcome : str
    arms : tuple of str
        The control first.
    table : str
    table_version : int
    n, clusters, folds : int
    rule : tuple of str
        The policy of all units, in sentences.
    drawing : tuple of str
        Its tree as lines, if it is one.
    value : Figure
        Reward a unit: mean over folds' policies, each on the fold that it has not seen.
    in_sample : float
        Reward a unit of the policy of all units on the units that chose it.
    share, cost : Figure
        Units that get another arm than the control; cost a unit.
    gains : tuple of Figure
        The value less that of giving everyone one arm, by arm.
    exploration : float
    exploring : Figure
        The value with that share of units treated by lot.
    groups : tuple of GroupFigures
    notes : tuple of str
    confidence : float
    """

    method: str
    outcome: str
    arms: tuple[str, ...]
    table: str
    table_version: int
    n: int
    clusters: int
    folds: int
    rule: tuple[str, ...]
    drawing: tuple[str, ...]
    value: Figure
    in_sample: float
    share: Figure
    cost: Figure
    gains: tuple[Figure, ...]
    exploration: float
    exploring: Figure
    groups: tuple[GroupFigures, ...] = ()
    notes: tuple[str, ...] = ()
    confidence: float = 0.95

    @property
    def optimism(self) -> float:
        """In-sample value less the value out of fold."""
        return self.in_sample - self.value.estimate

    def to_pandas(self) -> pd.DataFrame:
        """One row a number."""
        import pandas as pd

        rows = [self.value, self.share, self.cost, self.exploring, *self.gains]
        return pd.DataFrame([{f.name: getattr(row, f.name) for f in fields(row)} for row in rows])

    def summary(self) -> str:
        """The policy and its worth, in sentences."""
        level = f"{self.confidence:.0%}"
        lines = [
            f"A policy for {self.outcome} ({self.method}) from {self.n:,} units of {self.table}, "
            f"{self.clusters:,} clusters.",
            *(f"  {line}" for line in (self.drawing or self.rule)),
            f"Worth a unit, on units that did not choose it: {_told(self.value)} ({level} interval). "
            f"On the units that chose it: {self.in_sample:.4g}, of which {self.optimism:.4g} is optimism.",
            f"It gives {100 * self.share.estimate:.1f}% of the units another arm than {self.arms[0]}, "
            f"at a cost of {self.cost.estimate:.4g} a unit.",
        ]
        for gain in self.gains:
            lines.append(f"  Better than {gain.name} for all by {_told(gain)}.")
        if self.exploration:
            lines.append(
                f"With {self.exploration:.0%} of the units by lot: {_told(self.exploring)}; their logs can "
                "be evaluated."
            )
        for group in self.groups:
            lines.append(
                f"  {group.column} {group.level}: {100 * group.share.estimate:.1f}% treated, gain "
                f"{_banded(group.gain)}, regret to {group.regret_to} for all {_banded(group.regret)}."
            )
        return "\n".join([*lines, *self.notes])

    def __repr__(self) -> str:
        return self.summary()


def _told(figure: Figure) -> str:
    return f"{figure.estimate:.4g} [{figure.ci_lower:.4g}, {figure.ci_upper:.4g}]"


def _banded(figure: Figure) -> str:
    return f"{figure.estimate:.4g} [{figure.band_lower:.4g}, {figure.band_upper:.4g}]"
