"""Chains of events, and what a change of some periods can do to them.

A *chain* is a run of one user's events without a gap greater than the timeout. However
sessions are split further (day, campaign, longest duration), what happens in a chain depends
on nothing outside of it. So a change in some periods of time touches the chains that come
within the timeout of these periods, and no others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import encode
from truelift.arrays.times import microseconds
from truelift.lake.periods import period_bounds
from truelift.logs.sessions.boundaries import sort_and_find_gaps


@dataclass(frozen=True)
class Intervals:
    """Disjoint stretches of time in order, half-open, microseconds."""

    starts: np.ndarray
    ends: np.ndarray

    @staticmethod
    def of(periods: Iterable[str], unit: str) -> Intervals:
        """Periods, joined where one follows the other."""
        joined: list[list[int]] = []
        for start, end in sorted({period_bounds(period, unit) for period in periods}):
            if joined and joined[-1][1] == start:
                joined[-1][1] = end
            else:
                joined.append([start, end])
        starts, ends = np.array(joined, dtype=np.int64).reshape(-1, 2).T
        return Intervals(starts.copy(), ends.copy())

    def __len__(self) -> int:
        return len(self.starts)

    def near(self, first: np.ndarray, last: np.ndarray, margin: int) -> np.ndarray:
        """Whether ``[first - margin, last + margin]`` meets any of the stretches."""
        if not len(self):
            return np.zeros(len(first), dtype=bool)
        number = np.searchsorted(self.ends, first - margin, side="right")
        starts = np.append(self.starts, np.iinfo(np.int64).max)
        return starts[number] <= last + margin

    def number_of(self, time: np.ndarray) -> np.ndarray:
        """Number of the stretch that holds each moment; -1 for none."""
        number = np.searchsorted(self.starts, time, side="right") - 1
        inside = number >= 0
        inside[inside] = time[inside] < self.ends[number[inside]]
        return np.where(inside, number, -1)


@dataclass(frozen=True)
class Chains:
    """Chains of a bucket's events.

    Attributes
    ----------
    order : ndarray of int64, shape (events,)
        Rows of the input by user and time.
    number : ndarray of int64, shape (events,)
        Chain of each event, in that order.
    users : pyarrow.Array of string
        The users; ``user`` counts from 0 in it.
    user, first, last : ndarray of int64, shape (chains,)
        User, first and last microsecond of each chain.
    """

    order: np.ndarray
    number: np.ndarray
    users: pa.Array
    user: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @staticmethod
    def of(events: pa.Table, timeout: int) -> Chains:
        """Chains by ``user_key`` and ``event_time``; ``timeout`` in microseconds."""
        users, time = encode(events["user_key"]), microseconds(events["event_time"])
        order, jumps = sort_and_find_gaps(users.codes, time, timeout)
        starts = np.flatnonzero(jumps)
        lasts = np.append(starts[1:], len(order))[: len(starts)] - 1
        rows = order[starts]
        return Chains(
            order, np.cumsum(jumps) - 1, users.values,
            users.codes[rows], time[rows], time[order[lasts]],
        )  # fmt: skip

    def rows(self, chosen: np.ndarray) -> np.ndarray:
        """Rows of the input that lie in chosen chains, as a mask over the input."""
        mask = np.zeros(len(self.order), dtype=bool)
        mask[self.order] = chosen[self.number]
        return mask

    def cover(self, chosen: np.ndarray, user_key: pa.ChunkedArray, time: np.ndarray) -> np.ndarray:
        """Whether a chosen chain of the user holds each moment."""
        known = self.users.cast(user_key.type)
        codes = pc.index_in(user_key, value_set=known).fill_null(-1)
        user = np.concatenate([self.user[chosen], codes.to_numpy()])
        moment = np.concatenate([self.first[chosen], time])
        chains = int(chosen.sum())
        asked = np.arange(len(user)) >= chains
        order = np.lexsort((asked, moment, user))
        # The last chain at or before each place in this order.
        last_chain = np.maximum.accumulate(np.where(asked[order], -1, np.arange(len(order))))
        chain = order[np.maximum(last_chain, 0)]
        rows = order
        inside = (last_chain >= 0) & asked[rows] & (user[chain] == user[rows])
        ends = np.append(self.last[chosen], 0)
        inside &= moment[rows] <= ends[np.minimum(chain, chains)]
        found = np.zeros(len(user), dtype=bool)
        found[rows] = inside
        return found[chains:]
