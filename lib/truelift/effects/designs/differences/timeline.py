"""Periods and cohorts of a panel over time, and which cells of them are compared with what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Cell:
    """A cohort in a period, compared with a base period; all are positions among periods."""

    cohort: int
    period: int
    base: int

    @property
    def before(self) -> bool:
        """Whether the treatment had not begun."""
        return self.period < self.cohort


@dataclass(frozen=True, eq=False)
class Timeline:
    """Periods, cohorts and what is compared.

    Parameters
    ----------
    periods : ndarray
        Ascending.
    cohorts : tuple of int
        Positions of the periods in which treatments begin, after the first.
    never : bool
        Whether only units that are never treated are compared with, not those that are not treated yet.
    anticipation : int
        Periods before the treatment in which it may act already.
    """

    periods: np.ndarray
    cohorts: tuple[int, ...]
    never: bool
    anticipation: int = 0

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells: after the treatment against the last period before it, before it against the last one."""
        found = []
        for cohort in self.cohorts:
            last = cohort - 1 - self.anticipation
            for period in range(len(self.periods)):
                if period > last >= 0:
                    found.append(Cell(cohort, period, last))
                elif 0 < period <= last:
                    found.append(Cell(cohort, period, period - 1))
        return tuple(found)

    def codes(self, begins: np.ndarray) -> np.ndarray:
        """The cohort of each row as a position among periods; beyond the last for never.

        Units whose treatment begins after the last period, but so soon that it may act within them, are the
        position after the last; units that nothing acts on are ``anticipation`` further.
        """
        soon = self.anticipation * np.diff(self.periods).max()
        never = ~np.isfinite(begins) | (begins <= 0) | (begins > self.periods[-1] + soon)
        found = np.searchsorted(self.periods, np.where(never, 0.0, begins))
        return np.where(never, len(self.periods) + self.anticipation, found)

    @property
    def codes_end(self) -> int:
        """One more than the largest of :meth:`codes`."""
        return len(self.periods) + self.anticipation + 1

    def controls(self, cell: Cell, cohort: np.ndarray) -> np.ndarray:
        """Which units a cell is compared with."""
        until = max(cell.period, cell.base) + self.anticipation
        untreated = cohort >= len(self.periods) if self.never else cohort != cell.cohort
        return untreated & (cohort > until)

    def place(self, cell: int, outcome: int = 0) -> int:
        """The first of a cell's four lines of sums."""
        return len(self.cohorts) + 4 * (len(self.cells) * outcome + cell)

    def afterwards(self) -> list[int]:
        """The cells after a treatment began."""
        return [i for i, cell in enumerate(self.cells) if not cell.before]
