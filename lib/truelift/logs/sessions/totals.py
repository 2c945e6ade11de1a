"""Totals of sessions: sums, distinct values, counts by value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import Codes, encode
from truelift.logs.sessions.boundaries import SortedEvents

# Up to so many cells an event, pairs are counted in a table in place of a sort.
_CELLS = 4


@dataclass(frozen=True)
class Pairs:
    """Distinct (session, value) pairs in order, and how often each occurs.

    Attributes
    ----------
    session, code, counts : ndarray of int64, shape (pairs,)
    values : pyarrow.Array
        What the codes stand for, in the order of the texts.
    sessions : int
        Number of sessions, those without a pair included.
    """

    session: np.ndarray
    code: np.ndarray
    counts: np.ndarray
    values: pa.Array
    sessions: int

    def distinct(self) -> np.ndarray:
        """Distinct values per session."""
        return np.bincount(self.session, minlength=self.sessions)

    def count_of(self, wanted: np.ndarray) -> np.ndarray:
        """Events per session whose value is wanted; ``wanted`` is bool, shape (values,)."""
        chosen = wanted[self.code]
        counts = np.zeros(self.sessions, dtype=np.int64)
        np.add.at(counts, self.session[chosen], self.counts[chosen])
        return counts

    def lists(self) -> pa.ListArray:
        """Distinct values of each session."""
        return pa.ListArray.from_arrays(self._offsets(), self._texts())

    def maps(self) -> pa.MapArray:
        """Events per value of each session."""
        return pa.MapArray.from_arrays(
            self._offsets(), self._texts(), pa.array(self.counts, pa.int32())
        )

    def _texts(self) -> pa.Array:
        return self.values.take(pa.array(self.code)).cast(pa.string())

    def _offsets(self) -> pa.Array:
        return pa.array(np.concatenate([[0], np.cumsum(self.distinct())]), pa.int32())


def pairs_of(cuts: SortedEvents, column: Codes) -> Pairs:
    """Distinct values of a column of events, session by session."""
    found = distinct_pairs(cuts.session, column.codes[cuts.order], column.size)
    return Pairs(*found, column.values, len(cuts.starts))


def label_pairs(cuts: SortedEvents, column: pa.ChunkedArray) -> Pairs:
    """Distinct members of a list column of events, session by session."""
    lists = column.combine_chunks()
    flat, parents = encode(lists.flatten()), np.asarray(pc.list_parent_indices(lists))
    session_of_row = np.empty(len(cuts.order), dtype=np.int64)
    session_of_row[cuts.order] = cuts.session
    found = distinct_pairs(session_of_row[parents], flat.codes, flat.size)
    return Pairs(*found, flat.values, len(cuts.starts))


def distinct_pairs(
    session: np.ndarray, codes: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct (session, code) pairs in order, and how often each occurs; code -1 is left out."""
    known = codes >= 0
    if not known.all():
        session, codes = session[known], codes[known]
    width = max(size, 1)
    pairs = session * np.int64(width) + codes
    cells = (int(session.max(initial=-1)) + 1) * width
    if cells <= _CELLS * len(pairs):
        table = np.bincount(pairs, minlength=cells)
        pairs = np.flatnonzero(table)
        counts = table[pairs]
    else:
        pairs, counts = np.unique(pairs, return_counts=True)
    return pairs // width, pairs % width, counts


def sums(cuts: SortedEvents, numbers: np.ndarray) -> np.ndarray:
    """Sum per session in canonical order; missing numbers (NaN) count as nothing."""
    if not len(cuts.starts):
        return np.empty(0)
    ordered = numbers[cuts.order]
    return np.add.reduceat(np.where(np.isnan(ordered), 0.0, ordered), cuts.starts)
