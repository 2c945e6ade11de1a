"""An estimand as a combination of ratios of sums over units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from truelift.effects.scores.layout import Key

#: The denominator of what is averaged over all units.
UNIT: Key = ("unit",)


@dataclass(frozen=True)
class Ratio:
    """``coefficient * (sum of numerator lines) / (line of the denominator)``.

    Parameters
    ----------
    numerator : tuple of (Key, float)
        Lines and their signs.
    denominator : Key
    coefficient : float
    """

    numerator: tuple[tuple[Key, float], ...]
    denominator: Key
    coefficient: float = 1.0


@dataclass(frozen=True)
class Estimand:
    """What is estimated, by name, and how it is made of sums.

    Parameters
    ----------
    name : str
        ``'ATE'``, ``'ATT'``, ``'ATO'``, ``'APO'``, ``'GATE'``, ``'policy value'``,
        ``'naive difference'``, ...
    outcome : int
        Position of the outcome.
    terms : tuple of Ratio
    arm, versus : str
        The arm, and the arm that it is compared with (empty for a mean).
    population : str
        Whom the average is over, in words.
    level : bool
        Whether it is a level (in the outcome's own origin), not a difference.
    """

    name: str
    outcome: int
    terms: tuple[Ratio, ...]
    arm: str = ""
    versus: str = ""
    population: str = "all units"
    level: bool = False

    @property
    def key(self) -> tuple[str, int, str, str, str]:
        """What tells it from all others of a run."""
        return (self.name, self.outcome, self.arm, self.versus, self.population)


def contrast(
    name: str, keys: Iterable[tuple[Key, float]], denominator: Key, outcome: int, **words: str
) -> Estimand:
    """An estimand of one ratio."""
    return Estimand(name, outcome, (Ratio(tuple(keys), denominator),), **words)  # type: ignore[arg-type]
