"""Histories as a caller outside the lake has them: raw keys in lists, one row a history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from truelift.errors import DataError
from truelift.models.sequence.histories import Histories
from truelift.models.sequence.sides import SideCodes

COLUMNS = ("items", "sessions", "times", "event_types")
_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class RequestReader:
    """Turns rows of a request into histories of a model.

    Parameters
    ----------
    item_keys : tuple of str
        The model's vocabulary; keys outside it are left out.
    sides : SideCodes
    side_features : tuple of str
        What the model reads beside items.
    """

    item_keys: tuple[str, ...]
    sides: SideCodes
    side_features: tuple[str, ...] = ()

    def histories(self, columns: Mapping[str, Sequence[Any]]) -> Histories:
        """Read the rows.

        Parameters
        ----------
        columns : mapping of str to sequence
            ``items``, and where the caller has them ``sessions`` (without: each item is a
            session of its own), ``times`` (ISO texts or seconds since the epoch) and
            ``event_types``; a row may leave an optional list out (None, NaN, empty). Rows are
            sorted by session and time; an item counts once in a session, as in
            ``gold.sequences``.

        Raises
        ------
        DataError
            Names the row and column that is wrong, and what was expected.
        """
        index = self._index
        offsets, items, sessions, times, types = [0], [], [], [], []
        for row, given in enumerate(columns["items"]):
            keys = _listed(given, row, "items", _is_key, "item ids (text or whole numbers)")
            own = {name: _optional(columns, name, row, len(keys)) for name in COLUMNS[1:]}
            session = own["sessions"]
            moment = _moments(own["times"], row)
            known = [
                (
                    place if session is None else int(session[place]),
                    0 if moment is None else moment[place],
                    place,
                    index[str(key)],
                )
                for place, key in enumerate(keys)
                if str(key) in index
            ]
            if session is not None or moment is not None:
                known.sort(key=lambda found: found[:3])
            taken: set[tuple[int, int]] = set()
            for number, time, place, item in known:
                if session is not None:
                    if (number, item) in taken:
                        continue
                    taken.add((number, item))
                items.append(item)
                sessions.append(number)
                times.append(time)
                kind = own["event_types"]
                types.append("" if kind is None else str(kind[place]))
            offsets.append(len(items))
        bounds = np.array(offsets, dtype=np.int64)
        array, moments = np.array(items, dtype=np.int32), np.array(times, dtype=np.int64)
        return Histories(
            users=np.arange(len(offsets) - 1).astype(str).astype(object),
            offsets=bounds,
            items=array,
            times=moments,
            sessions=np.array(sessions, dtype=np.int64),
            features=self.sides.features(self.side_features, array, bounds, moments, types),
        )

    def known(self, columns: Mapping[str, Sequence[Any]]) -> list[int]:
        """How many of each row's items the model knows, once :meth:`histories` has read them.

        Keys are compared to the letter: ``A-17`` is not ``a-17``. Whoever sends ids of another
        spelling gets the list of someone without a history, and sees it by this.
        """
        index = self._index
        return [sum(str(key) in index for key in given) for given in columns["items"]]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {key: i for i, key in enumerate(self.item_keys, start=1)}


def _optional(
    columns: Mapping[str, Sequence[Any]], name: str, row: int, length: int
) -> list[Any] | None:
    """A row's list, or None where it has none; as long as the row's items."""
    given = columns[name][row] if name in columns else None
    if given is None or (isinstance(given, float) and np.isnan(given)):
        return None
    check, expected = _CHECKS[name]
    found = _listed(given, row, name, check, expected)
    if found and len(found) != length:
        raise DataError(
            f"Row {row}: found {length} items and {len(found)} {name}, expected as many; leave "
            f"'{name}' out where it is not known."
        )
    return found or None


def _listed(
    given: Any, row: int, name: str, check: Callable[[Any], bool], expected: str
) -> list[Any]:
    if isinstance(given, np.ndarray):
        given = given.tolist()
    if not isinstance(given, (list, tuple)):
        raise DataError(f"Row {row}, {name}: found {_short(given)}, expected a list of {expected}.")
    for place, value in enumerate(given):
        if not check(value):
            raise DataError(
                f"Row {row}, {name}[{place}]: found {_short(value)}, expected {expected}."
            )
    return list(given)


def _moments(times: list[Any] | None, row: int) -> list[int] | None:
    if times is None:
        return None
    if all(isinstance(t, (*_INTEGERS, float)) for t in times):
        # Python's own whole numbers, for those of 32 bits would overflow.
        plain = [int(t) if isinstance(t, _INTEGERS) else t for t in times]
        return [int(t * _MICROSECONDS) for t in plain]
    try:
        read = pd.to_datetime([str(t) for t in times], utc=True, format="ISO8601")
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"Row {row}, times: {str(error).splitlines()[0]} Expected ISO texts such as 2024-05-01T12:00:00Z, or "
            "seconds since the epoch, one kind in a row."
        ) from error
    return list((read.as_unit("us").asi8).tolist())


# Whoever predicts in Python hands over NumPy's numbers, too.
_INTEGERS: Any = (int, np.integer)


def _is_key(value: Any) -> bool:
    return type(value) is str or (isinstance(value, _INTEGERS) and not isinstance(value, bool))


def _is_whole(value: Any) -> bool:
    return isinstance(value, _INTEGERS) and not isinstance(value, bool) and abs(value) < 2**31


def _is_time(value: Any) -> bool:
    if isinstance(value, str):
        return True
    # 1e11 seconds are the year 5138; what is larger is milliseconds or worse.
    if not isinstance(value, (int, float, np.integer)) or isinstance(value, bool):
        return False
    number: Any = value
    return bool(abs(number) < 1e11)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_CHECKS = {
    "sessions": (_is_whole, "whole numbers"),
    "times": (_is_time, "ISO texts or seconds since the epoch"),
    "event_types": (_is_text, "names of event types"),
}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
