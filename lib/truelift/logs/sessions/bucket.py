"""One bucket's events, encoded and cut: what the rows of sessions and of events share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.texts import Codes, encode
from truelift.arrays.times import microseconds
from truelift.logs.sessions.boundaries import SortedEvents
from truelift.logs.sessions.identity import session_ids, text_hashes
from truelift.logs.sessions.splits import sessions_of
from truelift.settings import SessionOptions


@dataclass(frozen=True)
class CutBucket:
    """Events of a bucket and their sessions; arrays have one member an event of the input."""

    users: Codes
    time: np.ndarray
    given: Codes
    items: Codes
    quantity: np.ndarray
    value: np.ndarray
    cuts: SortedEvents
    respect: bool

    @property
    def firsts(self) -> np.ndarray:
        """Row of each session's first event."""
        return self.cuts.order[self.cuts.starts]

    @property
    def lasts(self) -> np.ndarray:
        """Row of each session's last event."""
        return self.cuts.order[self.cuts.lasts]

    def session_ids(self) -> pa.Array:
        """Id of each session."""
        first = self.firsts
        hashes = text_hashes(self.users.values)[self.users.codes[first]]
        if not self.respect:
            return session_ids(hashes, self.time[first])
        # Row -1, of events without an id, is the empty text's.
        given = text_hashes(pa.concat_arrays([self.given.values, pa.array([""], pa.string())]))
        return session_ids(hashes, self.time[first], given[self.given.codes[first]])


def cut_bucket(
    events: pa.Table, options: SessionOptions, ties: tuple[np.ndarray, ...] = ()
) -> CutBucket:
    """Encode and cut a bucket's events.

    Parameters
    ----------
    events : pyarrow.Table
        With :func:`~truelift.logs.sessions.kernel.event_columns`.
    options : SessionOptions
    ties : tuple of ndarray
        What decides after item, value and quantity among events at one moment.

    Raises
    ------
    ValueError
        For a null user or time, which the step before rejects.
    """
    if events["user_key"].null_count:
        raise ValueError("user_key holds nulls; clean rejects them before sessions are made")
    users, time = encode(events["user_key"]), microseconds(events["event_time"])
    given, items = encode(events["source_session"]), encode(events["item_id"])
    quantity, value = _numbers(events["quantity"]), _numbers(events["value"])
    context = events["context"] if "campaign" in options.split_on else None
    order = (items.codes, value, quantity, *ties)
    cuts = sessions_of(users, time, given, options, context, order)
    return CutBucket(users, time, given, items, quantity, value, cuts, options.given == "respect")


def texts_at(column: Codes, rows: np.ndarray) -> pa.Array:
    """Texts of a column at some rows; null where it has none."""
    codes = column.codes[rows]
    return column.values.take(pa.array(codes, mask=codes < 0)).cast(pa.string())


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Doubles with NaN for null."""
    return column.combine_chunks().cast(pa.float64()).to_numpy(zero_copy_only=False)
