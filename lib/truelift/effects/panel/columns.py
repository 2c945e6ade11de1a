"""Which column of a table plays which part, checked against the columns that are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from truelift.effects.panel.arms import Levels, arms_of, label_in, label_of
from truelift.effects.panel.parts import (
    as_number,
    check_parts,
    covariates_of,
    distinct_names,
    unit_of,
)
from truelift.errors import ConfigError, DataError
from truelift.settings import EffectOptions

MOST_CELLS = 200
#: In place of the control's known propensity: what the other arms leave.
REST = "1 - the rest"

ValuesOf = Callable[[tuple[str, ...]], dict[str, list[Any]]]

# A block of this many numbers stays in the cache of a core and costs 16 MB.
_BLOCK_NUMBERS = 2_000_000


@dataclass(frozen=True)
class PanelColumns:
    """Columns of a panel by the part they play.

    Parameters
    ----------
    arms : Levels
        The treatment and its arms, the control first.
    outcomes, covariates : tuple of str
        Numeric columns.
    categories : tuple of str
        Covariates that are encoded.
    cluster : str
        Rows that share it may be dependent.
    unit : str
        Names the row; the cluster column where the table has no unit column.
    weight : str, optional
        Positive numbers.
    groups : tuple of Levels
        Columns whose cells get effects of their own.
    propensity : tuple of (str or float)
        By arm, a known chance or the column that holds it; empty if it is to be estimated.
    policies : tuple of (str, Levels or int)
        Name, and the column of the arms that it chooses or the one arm.
    second_cluster : str, optional
        A column whose values cut across the clusters; rows that share it may be dependent too.
    other_arms : tuple
        Values of the treatment that are no arms: their rows are to be left out.
    """

    arms: Levels
    outcomes: tuple[str, ...]
    covariates: tuple[str, ...]
    categories: tuple[str, ...]
    cluster: str
    unit: str
    weight: str | None = None
    groups: tuple[Levels, ...] = ()
    propensity: tuple[str | float, ...] = ()
    policies: tuple[tuple[str, Levels | int], ...] = ()
    second_cluster: str | None = None
    other_arms: tuple[Any, ...] = ()

    def numbers(self) -> tuple[str, ...]:
        """Covariates, outcomes, weight: all that must be finite numbers."""
        return (*self.covariates, *self.outcomes, *([self.weight] if self.weight else []))

    def of_propensity(self) -> tuple[str, ...]:
        """What a Newton step reads."""
        weight = [self.weight] if self.weight else []
        return distinct_names(*self.covariates, *self.categories, *weight, self.arms.column)

    def of_moments(self) -> tuple[str, ...]:
        """What the first pass reads."""
        return distinct_names(*self.numbers(), *self.categories, self.arms.column)

    def of_scores(self) -> tuple[str, ...]:
        """What the sums of scores need."""
        groups = (levels.column for levels in self.groups)
        known = (p for p in self.propensity if isinstance(p, str) and p != REST)
        chosen = (p.column for _, p in self.policies if isinstance(p, Levels))
        second = [self.second_cluster] if self.second_cluster else []
        return distinct_names(*self.of_moments(), self.cluster, *second, *groups, *known, *chosen)

    def of_rows(self) -> tuple[str, ...]:
        """What rows of scores need: the unit's name too."""
        return distinct_names(*self.of_scores(), self.unit)

    def batch_rows(self) -> int:
        """Rows a block, so that its numbers take about 16 MB whatever the width."""
        width = 2 + len(self.of_moments())
        return int(np.clip(_BLOCK_NUMBERS // width, 2048, 65536))


def is_randomised(columns: PanelColumns) -> bool:
    """Whether every arm's chance is one known number."""
    return bool(columns.propensity) and all(
        isinstance(part, float) or part == REST for part in columns.propensity
    )


def panel_columns(
    schema: pa.Schema, options: EffectOptions, table: str, values_of: ValuesOf
) -> PanelColumns:
    """The columns that ``options`` names, found in ``schema``, and their levels.

    Covariates are all numeric columns that begin with ``x_`` unless the options list others; an
    empty list means none.

    Parameters
    ----------
    schema : pyarrow.Schema
    options : EffectOptions
    table : str
        Its name, for messages.
    values_of : callable
        Distinct values by column, of the columns that it is given.

    Raises
    ------
    TableError
        If a column is missing or is not numeric where a number is needed.
    DataError
        If one column plays two parts, for example an outcome that is also a covariate, or the
        arms cannot be told.
    """
    covariates, categories = covariates_of(schema, options), tuple(options.features.categorical)
    check_parts(schema, options, table)
    unit = unit_of(schema, options)
    chosen = {n: c for n, c in options.policies.items() if c in schema.names}
    found = values_of((options.treatment, *options.groups))
    arms = arms_of(
        options.treatment, found[options.treatment], options.arms, options.control, table
    )
    others = tuple(value for value in found[options.treatment] if value not in arms.values)
    return PanelColumns(
        arms=arms,
        outcomes=options.outcomes,
        covariates=covariates,
        categories=categories,
        cluster=options.cluster,
        unit=unit,
        weight=options.weight,
        groups=tuple(_cells(name, found[name], table) for name in options.groups),
        propensity=_propensity_by_arm(options, arms, others),
        policies=tuple(
            (name, _choice(name, choice, arms, chosen, table))
            for name, choice in options.policies.items()
        ),
        second_cluster=options.second_cluster,
        other_arms=others,
    )


def _cells(name: str, values: Sequence[object], table: str) -> Levels:
    if len(values) > MOST_CELLS:
        raise DataError(
            f"{table}: the group column {name!r} has {len(values):,} distinct values, at most "
            f"{MOST_CELLS} are possible. Merge levels, or cut a number into ranges."
        )
    return Levels(name, tuple(sorted(values)))


def _propensity_by_arm(
    options: EffectOptions, arms: Levels, others: tuple[Any, ...]
) -> tuple[str | float, ...]:
    """The chances of the arms; where some arms are left out, those given one of the others."""
    if not options.nuisances.propensity:
        return ()
    left_out = [label_of(value) for value in others]
    ours = {
        n: text for n, text in options.nuisances.propensity.items() if label_in(n, left_out) is None
    }
    if len(ours) < len(options.nuisances.propensity):
        numbers = {n: as_number(text) for n, text in ours.items()}
        if any(number is None for number in numbers.values()) or len(ours) < len(arms.labels):
            raise ConfigError(
                f"effects.nuisances.propensity: {', '.join(sorted(set(options.nuisances.propensity) - set(ours)))} is "
                "not among effects.arms, so chances are needed that a unit has an arm given that "
                f"it has one of {', '.join(arms.labels)}: a number for each, or columns of such."
            )
        total = sum(number or 0.0 for number in numbers.values())
        ours = {n: str((number or 0.0) / total) for n, number in numbers.items()}
    known = {label_in(label, arms.labels): text for label, text in ours.items()}
    if surplus := [n for n in ours if label_in(n, arms.labels) is None]:
        raise ConfigError(
            f"effects.nuisances.propensity: {', '.join(sorted(surplus))} is no arm; the arms are "
            f"{', '.join(arms.labels)}. Put a label in quotes where YAML reads something else in it."
        )
    if len(known) < len(ours):
        raise ConfigError(
            f"effects.nuisances.propensity: {', '.join(ours)} name one arm twice; the arms are "
            f"{', '.join(arms.labels)}."
        )
    missing = [label for label in arms.labels if label not in known]
    if missing and not (missing == [arms.labels[0]] and len(arms.labels) == 2):
        raise ConfigError(
            f"effects.nuisances.propensity: {', '.join(missing)} is missing; give every arm's chance, a "
            "number or a column."
        )
    parts: list[str | float] = []
    for label in arms.labels:
        text = known.get(label)
        number = None if text is None else as_number(text)
        parts.append(REST if text is None else (text if number is None else number))
    return tuple(parts)


def _choice(
    name: str, choice: str, arms: Levels, chosen: dict[str, str], table: str
) -> Levels | int:
    if name in chosen:
        return Levels(choice, arms.values)
    label = label_in(choice, arms.labels)
    if label is None:
        raise ConfigError(
            f"effects.policies.{name}: found {choice!r}, which is neither a column of {table} nor "
            f"an arm ({', '.join(arms.labels)})."
        )
    return arms.labels.index(label)


def number_column(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """One column as float64; a null is NaN."""
    column = batch.column(batch.schema.get_field_index(name))
    if column.type != pa.float64():
        column = column.cast(pa.float64(), safe=False)
    return column.to_numpy(zero_copy_only=False)


def weight_column(batch: pa.RecordBatch, name: str | None) -> np.ndarray | None:
    """The weights, or None where every unit counts the same."""
    return None if name is None else number_column(batch, name)


@dataclass(frozen=True, eq=False)
class Scale:
    """Fixed centres and scales of numeric columns: kernels work on ``(x - centre) / scale``.

    They only keep sums small. What is estimated does not depend on them.
    """

    names: tuple[str, ...]
    centre: np.ndarray
    scale: np.ndarray

    def rows(self, batch: pa.RecordBatch, into: np.ndarray) -> np.ndarray:
        """Standardised columns as the rows of ``into`` (columns x rows)."""
        factor = 1.0 / self.scale
        for j, name in enumerate(self.names):
            np.subtract(number_column(batch, name), self.centre[j], out=into[j])
            into[j] *= factor[j]
        return into

    def keeping(self, names: tuple[str, ...]) -> Scale:
        """Centres and scales of some of the columns."""
        index = [self.names.index(n) for n in names]
        return Scale(names, self.centre[index], self.scale[index])

    def __iter__(self) -> Iterator[tuple[str, float, float]]:
        yield from zip(self.names, self.centre.tolist(), self.scale.tolist(), strict=True)
