"""Aggregates of rows in a window of time, for all keys of a bucket at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import codes_among, sorted_codes, whole
from truelift.features.timelines import Timeline, segment_counts, segment_sums


@dataclass(frozen=True, eq=False)
class SourceRows:
    """Rows of one source and bucket, by key, time and values.

    Parameters
    ----------
    timeline : Timeline
        Times of each key's rows, in ticks.
    values : dict of str to np.ndarray, each of shape (rows,)
        Numbers (NaN where missing), or codes of texts (-1 where missing).
    """

    timeline: Timeline
    values: dict[str, np.ndarray]
    _previous_of: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, table: pa.Table, keys: pa.Array) -> SourceRows:
        """Rows of ``keys`` that have a time, in an order that the layout cannot change.

        Parameters
        ----------
        table : pa.Table
            ``key``, ``time`` (int64 ticks) and columns of values.
        keys : pa.Array
            Distinct keys; rows of others are left out.
        """
        key = codes_among(table["key"], keys)
        known = (key >= 0) & whole(table["time"]).is_valid().to_numpy(zero_copy_only=False)
        table, key = table.filter(pa.array(known)), key[known]
        time = whole(table["time"]).to_numpy(zero_copy_only=False).astype(np.int64)
        names = sorted(set(table.column_names) - {"key", "time"})
        values = {name: _numbers(table[name]) for name in names}
        order = np.lexsort((*values.values(), time, key))
        line = Timeline.of(key[order], time[order], len(keys))
        return cls(line, {name: column[order] for name, column in values.items()})

    def aggregate(
        self, how: str, value: str | None, window: tuple[int | None, int], start: int, scale: int
    ) -> np.ndarray:
        """One number a key, over its rows in a half-open window.

        Parameters
        ----------
        how : str
            ``count``, ``sum``, ``mean``, ``last``, ``count_distinct``, ``time_since_first`` or
            ``time_since_last``.
        value : str, optional
            Which values; a missing one adds nothing.
        window : tuple of (int or None, int)
            Ticks; None is the beginning of time.
        start : int
            The instant that times are counted back from.
        scale : int
            Ticks of a clock unit.

        Returns
        -------
        np.ndarray of float64, shape (keys,)
            Without rows: 0 for counts and sums, NaN for the others. ``last`` is the last value
            that is not missing, of several at one time the greatest.
        """
        low, high = self._bounds(window)
        if how == "count":
            return (high - low).astype(float)
        if how in ("time_since_first", "time_since_last"):
            place = low if how == "time_since_first" else high - 1
            return _where(high > low, (start - _at(self.timeline.times, place)) / scale)
        column = self.values[value or ""]
        if how == "count_distinct":
            return self._distinct(value or "", low, high)
        there = ~np.isnan(column)
        if how == "last":
            known = np.maximum.accumulate(np.where(there, np.arange(len(column)), -1))
            place = np.where(high > low, _at(known, high - 1), -1)
            return _where((high > low) & (place >= low), _at(column, place))
        sums = segment_sums(np.where(there, column, 0.0), low, high)
        if how == "sum":
            return sums
        counts = segment_counts(there, low, high)
        return _where(counts > 0, sums / np.maximum(counts, 1))

    def shares(
        self, codes: str, count: int, window: tuple[int | None, int]
    ) -> Iterator[np.ndarray]:
        """For each of the codes ``0..count`` the share of a key's rows in a window that have it.

        Yields
        ------
        np.ndarray of float64, shape (keys,)
            In [0, 1]; 0 without rows.
        """
        low, high = self._bounds(window)
        column = self.values[codes]
        for code in range(count):
            yield segment_counts(column == code, low, high) / np.maximum(high - low, 1)

    def _bounds(self, window: tuple[int | None, int]) -> tuple[np.ndarray, np.ndarray]:
        line = self.timeline
        low = line.offsets[:-1] if window[0] is None else line.before(window[0])
        return low, line.before(window[1])

    def _distinct(self, value: str, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Texts whose first row of the window is their key's first in it."""
        codes = self.values[value]
        if value not in self._previous_of:
            self._previous_of[value] = self._previous(codes)
        keys = np.repeat(np.arange(len(low)), high - low)
        # Place of each row of a window: its key's first place, and how far it is from it.
        begins = np.cumsum(high - low) - (high - low)
        place = low[keys] + np.arange(len(keys)) - begins[keys]
        new = (codes[place] >= 0) & (self._previous_of[value][place] < low[keys])
        return np.bincount(keys[new], minlength=len(low)).astype(float)

    def _previous(self, codes: np.ndarray) -> np.ndarray:
        """Place of the key's previous row of the same text; -1 where there is none."""
        key = np.repeat(np.arange(self.timeline.users), np.diff(self.timeline.offsets))
        order = np.lexsort((np.arange(len(codes)), codes, key))
        same = (key[order][1:] == key[order][:-1]) & (codes[order][1:] == codes[order][:-1])
        previous = np.full(len(codes), -1)
        previous[order[1:][same]] = order[:-1][same]
        return previous


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers as float64 with NaN for nulls; texts as the codes of their order."""
    if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
        return sorted_codes(column)[1]
    filled = pc.fill_null(whole(column).cast(pa.float64()), float("nan"))
    # Minus zero and zero are one value, lest the order of equal rows be left to chance.
    return filled.to_numpy(zero_copy_only=False) + 0.0


def _at(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Values at places, whatever stands for a place outside of the rows."""
    return np.append(values, 0)[np.clip(place, 0, len(values))]


def _where(condition: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(condition, values, np.nan)
