"""Which rows, arms and outcomes an estimation is about, and what is to be said of the choice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from truelift.effects.panel.arms import looks_like_control
from truelift.effects.panel.columns import PanelColumns, panel_columns
from truelift.effects.panel.source import PanelSource
from truelift.effects.results import Caution
from truelift.lake.conditions import condition_of, one_of, quoted
from truelift.settings import EffectOptions

_KEY = "effects.filter"


@dataclass(frozen=True, eq=False)
class Selection:
    """A panel's rows that count, and its columns.

    Parameters
    ----------
    source : PanelSource
        Without the rows that are left out.
    columns : PanelColumns
    conditions : tuple of str
        That its rows meet.
    rows : int or None
        Of the whole panel, where some may be left out.
    """

    source: PanelSource
    columns: PanelColumns
    conditions: tuple[str, ...] = ()
    rows: int | None = None

    def sentence(self, taken: int, options: EffectOptions) -> str:
        """What was taken of the panel; empty for all of it."""
        if self.rows is None:
            return ""
        why = [f"those with {options.filter}"] if options.filter else []
        if self.columns.other_arms:
            arms = ", ".join(self.columns.arms.labels)
            why.append(f"those of the arms {arms} ({len(self.columns.other_arms)} more left out)")
        return f"{taken:,} of {self.rows:,} rows are looked at: {' and '.join(why)}."


def selected(source: PanelSource, options: EffectOptions) -> Selection:
    """The rows and columns that the options ask for.

    Raises
    ------
    ConfigError, TableError, DataError
        As for :func:`~.columns.panel_columns`.
    """
    conditions: list[str] = []
    whole = source
    if options.filter:
        conditions.append(options.filter)
        condition_of(options.filter, _KEY).check(source.schema, _KEY, source.name)
        source = source.where(options.filter)
    columns = panel_columns(source.schema, options, source.name, source.distinct)
    if columns.other_arms:
        conditions.append(one_of(columns.arms.column, columns.arms.values))
        source = source.where(conditions[-1])
    rows = sum(whole.bucket_rows().values()) if conditions else None
    return Selection(source, columns, tuple(conditions), rows)


def without_outcomes(options: EffectOptions, gone: Sequence[str]) -> EffectOptions:
    """The options for the other outcomes."""
    experiment, credibility, bounds = options.experiment, options.credibility, options.bounds
    margins = experiment.non_inferiority_margin
    return replace(
        options,
        outcomes=tuple(n for n in options.outcomes if n not in gone),
        experiment=replace(
            experiment,
            pre_outcomes={n: c for n, c in experiment.pre_outcomes.items() if n not in gone},
            non_inferiority_margin={n: m for n, m in margins.items() if n not in gone},
        ),
        credibility=replace(
            credibility,
            negative_controls=tuple(n for n in credibility.negative_controls if n not in gone),
        ),
        bounds=replace(bounds, range={n: r for n, r in bounds.range.items() if n not in gone}),
    )


def control_caution(columns: PanelColumns, options: EffectOptions) -> list[Caution]:
    """A word where nobody said which arm is the control, and another looks more like it."""
    first, *others = columns.arms.labels
    if options.control is not None or options.arms or looks_like_control(first):
        return []
    likely = [label for label in others if looks_like_control(label)]
    if len(likely) != 1:
        return []
    text = (
        f"The control is {first!r}, the smallest value of {columns.arms.column!r}; {likely[0]!r} "
        f"looks like one. If it is, set effects.control to {likely[0]!r}: all effects here are "
        f"against {first!r}."
    )
    return [Caution(text)]


def spelt_arms(columns: PanelColumns) -> list[Caution]:
    """A word on arms whose labels differ in case and blanks alone: one arm spelt in several ways."""
    spelt: dict[str, list[str]] = {}
    for label in columns.arms.labels:
        spelt.setdefault(re.sub(r"[\s_-]+", " ", label).strip().casefold(), []).append(label)
    return [
        Caution(
            f"{', '.join(map(repr, labels))} of {columns.arms.column!r} count as different arms. If "
            "they are one, write them alike.",
            arms=tuple(labels),
        )
        for labels in spelt.values()
        if len(labels) > 1
    ]


def adjustment_caution(columns: PanelColumns) -> list[Caution]:
    """A word where nothing is adjusted for and nobody said that chances are known."""
    if columns.covariates or columns.categories or columns.propensity:
        return []
    text = (
        "Nothing is adjusted for, as `covariates: []` asks. The differences are effects only where "
        "the treatment was randomised; then give the chances under effects.nuisances.propensity."
    )
    return [Caution(text)]


def outcome_cautions(left_out: Mapping[str, int]) -> list[Caution]:
    """A word on every outcome that is not looked at because some rows have no value of it."""
    return [
        Caution(
            f"The outcome {name!r} is not looked at: {rows:,} rows have no finite value of it. To "
            f"look at the others alone, run it by itself with filter: {quoted(name)} is not null; "
            "that is fair only if the treatment does not change who has a value.",
            outcomes=(name,),
        )
        for name, rows in left_out.items()
    ]


def spelt_clusters(columns: PanelColumns, rows: Sequence[float]) -> list[Caution]:
    """A word on rows whose cluster is called "nan", "None" or the like, where there are several."""
    names = (columns.cluster, columns.second_cluster)
    return [
        Caution(
            f"{int(count):,} rows have a cluster called 'nan', 'None', 'null' or the like in "
            f"{name!r}, and count as one each of these. If they have none, leave them out with "
            f"effects.filter: {quoted(str(name))} not in ('nan', 'None'), in the spelling of your table."
        )
        for name, count in zip(names, rows, strict=True)
        if count > 1
    ]
