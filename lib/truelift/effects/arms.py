"""The arms of a treatment, and other columns whose values are few: labels and integer codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import DataError

MOST_ARMS = 20


@dataclass(frozen=True)
class Levels:
    """The values of a column that count, in the order of their codes.

    Parameters
    ----------
    column : str
    values : tuple
        As the column's type has them.
    """

    column: str
    values: tuple[Any, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The values as text."""
        return tuple(label_of(value) for value in self.values)

    def codes(self, batch: pa.RecordBatch) -> np.ndarray:
        """The code of each row; -1 for nulls and for values that are not listed.

        Returns
        -------
        ndarray of int64, n
        """
        column = batch.column(batch.schema.get_field_index(self.column))
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        wanted = pa.array(self.values, type=column.type)
        found = pc.fill_null(pc.index_in(column, value_set=wanted, skip_nulls=True), -1)
        return found.to_numpy(zero_copy_only=False).astype(np.int64)


def label_of(value: Any) -> str:
    """A value as people write it: whole numbers without a point, booleans as 0 and 1."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def arms_of(
    column: str, found: Sequence[Any], wanted: Sequence[str], control: str | None, table: str
) -> Levels:
    """The arms, the control first.

    Parameters
    ----------
    column : str
        The treatment.
    found : sequence
        Its distinct values that are not null.
    wanted : sequence of str
        Labels of the arms in their order; empty for all that there are, in ascending order.
    control : str or None
        Label of the control, where it is not the first.

    Raises
    ------
    DataError
        For fewer than two arms, too many, or a label that no row has.
    """
    by_label = {label_of(value): value for value in sorted(found)}
    labels = list(wanted) or list(by_label)
    if control is not None:
        labels = [control, *(label for label in labels if label != control)]
    if absent := [label for label in labels if label not in by_label]:
        raise DataError(
            f"{table}: no row has {column!r} = {', '.join(map(repr, absent))}; values found: "
            f"{_some(by_label)}. Set effects.arms and effects.control to values that there are."
        )
    if surplus := [label for label in by_label if label not in labels]:
        raise DataError(
            f"{table}: {column!r} has values that effects.arms does not list: {_some(surplus)}. "
            "List them too, or filter these rows out."
        )
    if len(labels) == 1:
        raise DataError(
            f"{table}: every row has {column!r} = {labels[0]!r}; an effect needs both arms, "
            "treated and control units."
        )
    if len(labels) > MOST_ARMS:
        raise DataError(
            f"{table}: {column!r} has {len(labels):,} distinct values ({_some(labels)}), at most "
            f"{MOST_ARMS} arms are possible. Is it a dose? Cut it into a few arms."
        )
    return Levels(column, tuple(by_label[label] for label in labels))


def _some(labels: Sequence[str] | dict[str, Any], most: int = 8) -> str:
    names = list(labels)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
