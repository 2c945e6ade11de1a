"""Which groups and days the primary metric's effect is broken down by, and one pass for each."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from truelift.effects.panel.arms import label_of
from truelift.effects.panel.source import PanelSource
from truelift.errors import DataError
from truelift.experiments.analysis.breakdowns import breakdown_of, thin_cells
from truelift.experiments.analysis.kernels import CellsKernel, State
from truelift.experiments.analysis.layout import MOST_LEVELS, Layout, Scaling
from truelift.experiments.analysis.results import Breakdown
from truelift.experiments.spec import ExperimentSpec
from truelift.inference.experiments import ExperimentSums
from truelift.progress import Tell


def broken_down(
    read: Callable[..., State],
    source: PanelSource,
    spec: ExperimentSpec,
    layout: Layout,
    scaling: Scaling,
    caps: dict[str, float],
    moments: State,
    progress: Tell,
) -> tuple[tuple[Breakdown, ...], tuple[str, ...]]:
    """Effects by the specification's dimensions and over time, and what has no effect in them.

    Parameters
    ----------
    read : callable
        From a kernel to its sums over all rows.
    source : PanelSource
    spec : ExperimentSpec
    layout : Layout
    scaling : Scaling
    caps : dict of str to float
        Where winsorised metrics are cut.
    moments : State
    progress : callable

    Raises
    ------
    DataError
        For a dimension with too many values.
    """
    metric = spec.metric(spec.decides)
    if metric.kind in ("quantile", "answer"):
        return (), ()
    place = layout.places[spec.decides].ratio
    factor, centre = scaling.ratio(place)
    below = float(scaling.scale[place[1] - 1]) if place[1] else 1.0
    own = CellsKernel(
        spec, "", scale=(centre, float(scaling.scale[place[0] - 1]), below),
        cap=caps.get(spec.decides, np.inf),
    )  # fmt: skip
    wanted: list[tuple[str, CellsKernel, tuple[str, ...]]] = []
    if spec.dimensions:
        values = source.distinct(list(spec.dimensions))
        for name in spec.dimensions:
            levels = tuple(label_of(value) for value in values[name])
            check_levels(len(levels), name, source.name)
            held = tuple(values[name])
            wanted.append(("group", replace(own, column=name, levels=held), levels))
    last, first = float(moments["max_time"][0]), -float(moments["max_time"][1])
    if spec.time and last > first:
        start, width, parts = _parts(spec, first, last)
        over = replace(own, column=spec.time, start=start, width=width, parts=parts)
        wanted.append(("time", over, _part_names(start, width, parts)))
        if spec.exposed:
            count = min(spec.periods, int(last - first) + 1)
            since = replace(own, column=spec.time, since=spec.exposed, parts=count)
            wanted.append(("since", since, tuple(f"day {i}" for i in range(count))))
    found: list[Breakdown] = []
    thin: list[str] = []
    for kind, kernel, names in wanted:
        progress(f"the effect by {kernel.since or kernel.column}")
        sums = ExperimentSums.from_state(read(kernel), 0)
        column = kernel.since or kernel.column
        part = breakdown_of(spec, column, kind, names, sums, factor)
        found += [part] if part is not None else []
        if kind == "group" and (bare := thin_cells(names, sums)):
            thin.append(thin_in_words(column, bare, len(names)))
    return tuple(found), tuple(thin)


def check_levels(count: int, name: str, table: str) -> None:
    """Refuse a dimension with too many values.

    Raises
    ------
    DataError
    """
    if not 0 < count <= MOST_LEVELS:
        raise DataError(
            f"{table}, column {name!r} (dimensions): found {count:,} values, "
            f"expected 1 to {MOST_LEVELS}. Group the rare ones."
        )


def thin_in_words(column: str, bare: Sequence[str], count: int) -> str:
    """That some of the groups have no effect."""
    named = ", ".join(bare[:5]) + (f" and {len(bare) - 5} more" if len(bare) > 5 else "")
    return (
        f"Not made: the effect by {column} in {len(bare)} of {count} groups ({named}): an arm "
        f"has fewer than two clusters there. Group the rare ones."
    )


def _parts(spec: ExperimentSpec, first: float, last: float) -> tuple[float, float, int]:
    """Start, days and number of parts of whole days, as many as asked for at most."""
    start = float(np.floor(first))
    total = int(np.floor(last) - start) + 1
    width = -(-total // spec.periods)
    return start, float(width), -(-total // width)


def _part_names(start: float, width: float, parts: int) -> tuple[str, ...]:
    days = [start + i * width for i in range(parts)]
    if not 3650 <= start <= 100_000:  # numbers of days, not dates
        return tuple(f"day {day:g}" for day in days)
    begin = datetime.date(1970, 1, 1)
    return tuple((begin + datetime.timedelta(days=day)).isoformat() for day in days)
