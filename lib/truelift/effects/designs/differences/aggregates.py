"""Effects by cohort and period, and averages of them, with the influence of the cohorts' sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from truelift.effects.designs.differences.timeline import Cell, Timeline

#: Clusters of the treated, and of those compared with, below which a cell's error cannot be told.
FEWEST = 2
# What is left of a difference, and of a variance, as a share of what cancels, that is rounding alone.
_ROUNDING, _OF_SQUARES = 1e-13, 1e-14


@dataclass(frozen=True, eq=False)
class Averages:
    """Linear combinations of cells.

    Parameters
    ----------
    values : ndarray, m
    rows : ndarray, m x lines
        Times a cluster's sums: its influence.
    """

    values: np.ndarray
    rows: np.ndarray

    def covariance(self, cross: np.ndarray, clusters: int) -> np.ndarray:
        """Clustered, with the factor G / (G - 1); zero where nothing but rounding is left of it."""
        found = self.rows @ cross @ self.rows.T
        sizes = ((np.abs(self.rows) @ np.abs(cross)) * np.abs(self.rows)).sum(axis=1)
        nothing = np.diag(found) <= _OF_SQUARES * sizes
        found[nothing], found[:, nothing] = 0.0, 0.0
        return (found + found.T) / 2 * clusters / (clusters - 1)


def cell_effects(total: np.ndarray, held: np.ndarray, timeline: Timeline, outcome: int) -> Averages:
    """ATT(g, t): the mean difference of the cohort less that of the units compared with.

    It is nan where either lie in fewer than two clusters, whose error nothing tells.
    """
    cells = timeline.cells
    values, rows = np.zeros(len(cells)), np.zeros((len(cells), len(total)))
    for i in range(len(cells)):
        at = timeline.place(i, outcome)
        treated, moved, control, drift = total[at : at + 4]
        if min(held[at], held[at + 2]) < FEWEST:
            values[i] = np.nan
            continue
        apart, size = moved / treated - drift / control, abs(moved / treated) + abs(drift / control)
        values[i] = apart if abs(apart) > _ROUNDING * size else 0.0
        rows[i, at : at + 4] = (
            -moved / treated**2, 1 / treated, drift / control**2, -1 / control,
        )  # fmt: skip
    return Averages(values, rows)


@dataclass(frozen=True)
class Average:
    """An average of cells, by the sizes of their cohorts.

    Parameters
    ----------
    name : str
        The estimand.
    population : str
    cells : tuple of int
        Positions of the cells.
    event : float or None
        Of an event study: periods since the treatment began.
    """

    name: str
    population: str
    cells: tuple[int, ...]
    event: int | None = None


def averages_of(timeline: Timeline, usable: np.ndarray, told: Sequence[str]) -> Iterator[Average]:
    """Overall, by periods since the treatment, by cohort, by period; of cells that could be estimated.

    Parameters
    ----------
    timeline : Timeline
    usable : ndarray of bool
        By cell.
    told : sequence of str
        Periods in words.
    """
    cells = list(enumerate(timeline.cells))
    cells = [(i, c) for i, c in cells if usable[i]]
    after = [(i, c) for i, c in cells if not c.before]

    def those(found: list[tuple[int, Cell]]) -> tuple[int, ...]:
        return tuple(i for i, _ in found)

    if after:
        yield Average("overall ATT", "all cohorts after their treatment", those(after))
    for event in sorted({c.period - c.cohort for _, c in cells}):
        mine = [(i, c) for i, c in cells if c.period - c.cohort == event]
        when = _since(event)
        yield Average("event study", when, those(mine), event)
    for cohort in timeline.cohorts:
        mine = [(i, c) for i, c in after if c.cohort == cohort]
        if mine:
            yield Average("cohort ATT", f"units treated from {told[cohort]} on", those(mine))
    for period in range(len(timeline.periods)):
        mine = [(i, c) for i, c in after if c.period == period]
        if mine:
            yield Average("period ATT", f"all treated in {told[period]}", those(mine))


def _since(event: int) -> str:
    if event == 0:
        return "the period in which the treatment began"
    noun = "period" if abs(event) == 1 else "periods"
    return f"{abs(event)} {noun} {'after' if event > 0 else 'before'} the treatment began"


def averaged(
    wanted: Sequence[Average], cells: Averages, total: np.ndarray, timeline: Timeline
) -> Averages:
    """The averages with weights that are the cohorts' shares, whose own error counts too."""
    values, rows = np.zeros(len(wanted)), np.zeros((len(wanted), len(total)))
    for m, average in enumerate(wanted):
        places = [timeline.cohorts.index(timeline.cells[i].cohort) for i in average.cells]
        sizes = total[places]
        weights = sizes / sizes.sum()
        mine = list(average.cells)
        values[m] = weights @ cells.values[mine]
        rows[m] = weights @ cells.rows[mine]
        for i, place in zip(mine, places, strict=True):
            rows[m, place] += (cells.values[i] - values[m]) / sizes.sum()
    return Averages(values, rows)
