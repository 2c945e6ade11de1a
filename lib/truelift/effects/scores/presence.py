"""Who is there: clusters of every arm in every cell and behind every policy, and how outcomes spread.

An arm that no cluster, or a single one, has in a cell leaves nothing to tell a standard error from. The
sums of scores do not show it: there the outcome regressions stand in for the units that are missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from truelift.effects.scores.layout import ScoreLayout
from truelift.effects.scores.quantities import UnitBlock
from truelift.inference.clusters import Summands


@dataclass(frozen=True)
class PresenceLines:
    """Lines that are summed by cluster beside the layout's, only to see in which clusters they are.

    Parameters
    ----------
    layout : ScoreLayout
    start : int
        Place of the first of them.
    """

    layout: ScoreLayout
    start: int

    def __len__(self) -> int:
        return self.layout.arms * (sum(self.layout.cells) + self.layout.policies)

    def summands(self, units: UnitBlock) -> Iterator[Summands]:
        """One for each unit: in its cell and arm, and in each policy that chooses its arm."""
        arms, first = self.layout.arms, self.start
        one = np.ones((1, len(units.arm)))
        for levels, cell in zip(self.layout.cells, units.cells, strict=False):
            code = np.where(cell < 0, -1, cell * arms + units.arm)
            yield Summands(one, first + np.arange(levels * arms)[:, None], code)
            first += levels * arms
        for chosen in units.policies[: self.layout.policies]:
            code = np.where(chosen == units.arm, units.arm, -1)
            yield Summands(one, first + np.arange(arms)[:, None], code)
            first += arms


class PresenceTally:
    """Counts of rows, and the range of every outcome by cell and arm."""

    def __init__(self, layout: ScoreLayout):
        self._layout = layout
        parts = 1 + sum(layout.cells)
        self._highest = np.full((2, layout.outcomes, parts * layout.arms), -np.inf)
        self._homeless = np.zeros(len(layout.cells))
        self._chosen = np.zeros((layout.policies, layout.arms))

    def add(self, units: UnitBlock) -> None:
        """Add a block of units."""
        arms, known = self._layout.arms, units.arm >= 0
        self._spread(units.arm, units.outcome, known)
        first = 1
        for g, levels in enumerate(self._layout.cells):
            cell = units.cells[g]
            self._homeless[g] += np.count_nonzero(cell < 0)
            self._spread((first + cell) * arms + units.arm, units.outcome, known & (cell >= 0))
            first += levels
        for s, chosen in enumerate(units.policies[: self._layout.policies]):
            self._chosen[s] += np.bincount(chosen[chosen >= 0], minlength=arms)

    def _spread(self, place: np.ndarray, outcome: np.ndarray, kept: np.ndarray) -> None:
        for j, values in enumerate(outcome):
            np.maximum.at(self._highest[0, j], place[kept], values[kept])
            np.maximum.at(self._highest[1, j], place[kept], -values[kept])

    def finish(self) -> dict[str, np.ndarray]:
        """``homeless`` (rows without a cell, by group column), ``chosen``, ``max_outcome``."""
        return {
            "homeless": self._homeless,
            "chosen": self._chosen,
            "max_outcome": self._highest,
        }


@dataclass(frozen=True, eq=False)
class Presence:
    """What the scores pass saw of cells, policies and outcomes.

    Parameters
    ----------
    cells : tuple of ndarray
        By group column: clusters with a unit of the arm in the cell (levels x A).
    cell_clusters : tuple of ndarray
        By group column: clusters with a unit in the cell (levels).
    followed : ndarray, S x A
        Clusters with a unit that has the arm a and for which the policy chooses a.
    chosen : ndarray, S x A
        Units for which a policy chooses an arm.
    homeless : ndarray
        Rows without a value, by group column.
    lowest, highest : ndarray, J x (1 + cells) x A
        Range of each outcome: of all units, then cell by cell over all group columns.
    """

    cells: tuple[np.ndarray, ...]
    cell_clusters: tuple[np.ndarray, ...]
    followed: np.ndarray
    chosen: np.ndarray
    homeless: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray

    @staticmethod
    def of(sums: dict[str, np.ndarray], layout: ScoreLayout) -> Presence:
        """From the state of the scores pass."""
        present, arms, cells, start = sums["present"], layout.arms, [], 0
        for levels in layout.cells:
            cells.append(present[start : start + levels * arms].reshape(levels, arms))
            start += levels * arms
        inside = np.split(sums["cell_clusters"], np.cumsum(layout.cells)[:-1]) if cells else []
        shape = (layout.outcomes, 1 + sum(layout.cells), arms)
        return Presence(
            cells=tuple(cells),
            cell_clusters=tuple(inside),
            followed=present[start:].reshape(layout.policies, arms),
            chosen=sums["chosen"],
            homeless=sums["homeless"],
            lowest=-sums["max_outcome"][1].reshape(shape),
            highest=sums["max_outcome"][0].reshape(shape),
        )

    def constant(self, outcome: int, place: int | None = None) -> bool:
        """Whether an outcome has one value among all units, or among those of one cell."""
        part = 0 if place is None else 1 + place
        return bool(self.lowest[outcome, part].min() >= self.highest[outcome, part].max())

    def place(self, group: int, level: int) -> int:
        """The number of a cell, over all group columns."""
        return sum(len(clusters) for clusters in self.cells[:group]) + level
