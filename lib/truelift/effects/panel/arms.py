"""The arms of a treatment, and other columns whose values are few: labels and integer codes."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import DataError
from truelift.lake.conditions import quoted

MOST_ARMS = 20
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_CONTROL = re.compile(
    r"^(no|non|not|none|nothing|without|off|false|never|nil|null)\b"
    r"|\b(control|controls|ctrl|ctl|placebo|sham|baseline|holdout|hold-?out|untreated|unexposed)\b"
    r"|\b(status quo|business as usual|bau)\b|^\D?0+([.,]0+)?(\D|$)"
)


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
        try:
            wanted = pa.array(self.values, type=column.type)
        except (pa.ArrowException, TypeError, ValueError):
            return self._codes_by_label(column)
        found = pc.fill_null(pc.index_in(column, value_set=wanted, skip_nulls=True), -1)
        return found.to_numpy(zero_copy_only=False).astype(np.int64)

    def _codes_by_label(self, column: pa.Array) -> np.ndarray:
        """Codes of values of another type that are written alike: texts of numbers, flags."""
        places = {label: code for code, label in enumerate(self.labels)}
        coded = column.dictionary_encode()
        names = (label_in(label_of(value), places) for value in coded.dictionary.to_pylist())
        codes = np.array([-1 if name is None else places[name] for name in names], np.int64)
        place = pc.fill_null(coded.indices, len(codes)).to_numpy(zero_copy_only=False)
        return np.append(codes, -1)[place]


def label_of(value: Any) -> str:
    """A value as people write it: whole numbers without a point, booleans as 0 and 1, days alone."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (float, decimal.Decimal)) and value == value and value % 1 == 0:
        return str(int(value))
    if isinstance(value, datetime.datetime):
        moment = value.replace(tzinfo=None)
        midnight = moment.time() == datetime.time.min
        return str(moment.date()) if midnight else moment.isoformat(sep=" ")
    return str(value)


def label_in(label: str, known: Collection[str]) -> str | None:
    """Which of the known labels is meant: the same text, number or truth value, in any case.

    A spec writes ``yes``, ``True`` or ``1.0`` where the values of a column are 0 and 1.
    """
    if label in known:
        return label
    for read in (_truth, _number, str.casefold):
        meant = read(label.strip())
        same = [name for name in known if meant is not None and read(name.strip()) == meant]
        if len(same) == 1:
            return same[0]
    return None


def _truth(label: str) -> bool | None:
    """YAML's and SQL's words for true and false; 1 and 0 are how such arms are labelled."""
    words = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}
    return words.get(label.casefold())


def _number(label: str) -> float | None:
    try:
        return float(label)
    except ValueError:
        return None


def looks_like_control(label: str) -> bool:
    """Whether people mean units without a treatment by such a label."""
    return _CONTROL.search(re.sub(r"[_\s]+", " ", label.strip().casefold())) is not None


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
        Values that it does not name are no arms.
    control : str or None
        Label of the control, where it is not the first.

    Raises
    ------
    DataError
        For fewer than two arms, too many, or a label that no row has.
    """
    by_label = {label_of(value): value for value in sorted(found)}
    if not by_label:
        raise DataError(
            f"{table}: there are no rows with a value of {column!r}, so there is nothing to "
            "compare. Check effects.filter and effects.treatment."
        )
    blank = [label for label in by_label if not label.strip()]
    if blank and (not wanted or not all(label.strip() for label in wanted)):
        raise DataError(
            f"{table}, treatment {column!r}: some rows are blank; expected a label in every row. Write "
            "one into them (none, for example), or leave them out with effects.filter: "
            f"{quoted(column)} not in ({', '.join(map(repr, blank))})."
        )
    known = {
        label: label_in(label, by_label) for label in (*wanted, *([control] if control else []))
    }
    if absent := [label for label, name in known.items() if name is None]:
        raise DataError(
            f"{table}: no row has {column!r} = {', '.join(map(repr, absent))}; values found: "
            f"{_some(by_label)}. Set effects.arms and effects.control to values that there are; "
            "put a label in quotes where YAML reads something else in it."
        )
    labels = list(dict.fromkeys(str(known[label]) for label in wanted)) or list(by_label)
    if control is not None:
        first = str(known[control])
        labels = [first, *(label for label in labels if label != first)]
    if len(labels) < 2:
        held = _some(by_label)
        raise DataError(
            f"{table}: every row has {column!r} = {held!r}; an effect needs both arms, treated "
            "and control units."
            if len(by_label) < 2
            else f"{table}: effects.arms names {labels[0]!r} alone, of the values {held} of "
            f"{column!r}; an effect needs both arms, treated and control units. Name another."
        )
    if len(labels) > MOST_ARMS:
        raise DataError(
            f"{table}: {column!r} has {len(labels):,} distinct values ({_some(labels)}), at most "
            f"{MOST_ARMS} arms are possible. Is it a dose? Cut it into a few arms. To compare some "
            "of the values, list them under effects.arms."
        )
    return Levels(column, tuple(by_label[label] for label in labels))


def _some(labels: Sequence[str] | dict[str, Any], most: int = 8) -> str:
    names = list(labels)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
