"""Behaviour strictly before an instant, as the numbers that explain who is treated.

Every function here takes rows and an instant, and looks only at rows before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.texts import codes_among
from truelift.arrays.times import MICROSECONDS_PER_DAY
from truelift.features.timelines import BucketEvents, Timeline, segment_counts, segment_sums

BEHAVIOUR = (
    "x_recency_days",
    "x_tenure_days",
    "x_visits_lookback",
    "x_log_visits_total",
    "x_spend_lookback",
    "x_log_spend_lookback",
    "x_log_spend_total",
    "x_mean_basket",
    "x_spend_trend",
    "x_log_distinct_items",
)


@dataclass(frozen=True, eq=False)
class History:
    """The rows of one bucket that covariates are made of.

    Parameters
    ----------
    events : BucketEvents
    sessions : Timeline
        Session starts of ``events.users``.
    categories : np.ndarray of int, shape (events,)
        Category code of each event, -1 for none of the chosen ones.
    category_count : int
        Number of chosen categories.
    new_item : np.ndarray of bool, shape (events,)
        True where the user meets the item for the first time.
    """

    events: BucketEvents
    sessions: Timeline
    categories: np.ndarray
    category_count: int
    new_item: np.ndarray


def behaviour_before(
    history: History, start: int, lookback: int
) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """Recency, frequency, spend, trend, breadth and category shares before ``start``.

    Parameters
    ----------
    history : History
    start : int
        Microseconds since epoch; only rows strictly before it are used.
    lookback : int
        Length of the recent window in microseconds.

    Returns
    -------
    behaviour : dict of str to np.ndarray, each of shape (users,)
        The columns :data:`BEHAVIOUR`; meaningful for users with an event before ``start``.
    shares : list of np.ndarray
        For each category the share of the user's events, in [0, 1].

    Notes
    -----
    ``x_spend_trend`` compares the recent half of the lookback with the whole of it:
    ``slog(2 * spend_half) - slog(spend_lookback)``, with ``slog(v) = sign(v) log(1 + |v|)``,
    which is zero for an even pace.
    """
    line, visits = history.events.timeline, history.sessions
    first, now = line.offsets[:-1], line.before(start)
    recent, half = line.before(start - lookback), line.before(start - lookback // 2)
    last_time = np.append(line.times, start)[np.maximum(now - 1, 0)]
    first_time = np.append(line.times, start)[first]
    value = history.events.value
    spend_total = segment_sums(value, first, now)
    spend_lookback = segment_sums(value, recent, now)
    spend_half = segment_sums(value, half, now)
    visits_now = visits.before(start)
    visits_total = (visits_now - visits.offsets[:-1]).astype(float)
    visits_lookback = (visits_now - visits.before(start - lookback)).astype(float)
    distinct = segment_counts(history.new_item, first, now)
    events = np.maximum(now - first, 1)
    behaviour = {
        "x_recency_days": (start - last_time) / MICROSECONDS_PER_DAY,
        "x_tenure_days": (start - first_time) / MICROSECONDS_PER_DAY,
        "x_visits_lookback": visits_lookback,
        "x_log_visits_total": np.log1p(visits_total),
        "x_spend_lookback": spend_lookback,
        "x_log_spend_lookback": signed_log(spend_lookback),
        "x_log_spend_total": signed_log(spend_total),
        "x_mean_basket": spend_total / np.maximum(visits_total, 1),
        "x_spend_trend": signed_log(2 * spend_half) - signed_log(spend_lookback),
        "x_log_distinct_items": np.log1p(distinct),
    }
    shares = [
        segment_counts(history.categories == code, first, now) / events
        for code in range(history.category_count)
    ]
    return behaviour, shares


def outcomes_within(
    history: History, start: int, end: int, outcomes: Sequence[str]
) -> dict[str, np.ndarray]:
    """Spend and visits of each user in ``[start, end)``.

    A visit is a session that starts in the window.
    """
    line, visits = history.events.timeline, history.sessions
    known = {
        "spend": lambda: segment_sums(history.events.value, line.before(start), line.before(end)),
        "visits": lambda: (visits.before(end) - visits.before(start)).astype(float),
    }
    return {f"y_{name}": known[name]() for name in outcomes}


def signed_log(values: np.ndarray) -> np.ndarray:
    """``sign(v) log(1 + |v|)``: log1p that also takes the negative sums of refunds."""
    return np.sign(values) * np.log1p(np.abs(values))


@dataclass(frozen=True, eq=False)
class Exposures:
    """Who received which campaign: rows of ``gold.exposures`` for the users of a bucket.

    Parameters
    ----------
    user : np.ndarray of int, shape (rows,)
    campaign : np.ndarray of int, shape (rows,)
        Code of the campaign among the panel's, -1 for others.
    start, end : np.ndarray of int64, shape (rows,)
        Windows, half-open.
    responses : Timeline
        Times of the users' responses (redemptions, clicks) to any campaign.
    """

    user: np.ndarray
    campaign: np.ndarray
    start: np.ndarray
    end: np.ndarray
    responses: Timeline

    def received(self, campaign: int) -> np.ndarray:
        """1 for each user who received the campaign of that code, else 0; shape (users,)."""
        return np.minimum(self._count(self.campaign == campaign), 1).astype(np.int32)

    def before(self, start: int) -> dict[str, np.ndarray]:
        """Earlier campaigns, those of them still running at ``start``, and responses."""
        earlier = self.start < start
        answered = self.responses.before(start) - self.responses.offsets[:-1]
        return {
            "x_earlier_campaigns": self._count(earlier).astype(float),
            "x_running_campaigns": self._count(earlier & (self.end > start)).astype(float),
            "x_log_earlier_responses": np.log1p(answered),
        }

    def _count(self, rows: np.ndarray) -> np.ndarray:
        return np.bincount(self.user[rows], minlength=self.responses.users)


EXPOSURE_HISTORY = ("x_earlier_campaigns", "x_running_campaigns", "x_log_earlier_responses")


@dataclass(frozen=True)
class AttributeLevels:
    """The levels of a user attribute that get a column, and whether a missing column is due.

    The most frequent level is the reference: it has no column.
    """

    name: str
    levels: tuple[str, ...]
    has_missing: bool


def attribute_indicators(
    attributes: pa.MapArray,
    owner: np.ndarray,
    users: int,
    chosen: Sequence[AttributeLevels],
) -> list[np.ndarray]:
    """One-hot columns of user attributes, a missing indicator last for each attribute.

    Parameters
    ----------
    attributes : pa.MapArray
        Attribute name to level, one map a profile row.
    owner : np.ndarray of int, shape (profile rows,)
        User code of each row, -1 for users not asked for.
    users : int
    chosen : sequence of AttributeLevels

    Returns
    -------
    list of np.ndarray, each of shape (users,)
        For each attribute its levels' columns, then its missing column where it has one.
    """
    offsets = attributes.offsets.to_numpy()
    row_user = np.repeat(owner, np.diff(offsets))
    keys = attributes.keys.slice(offsets[0], offsets[-1] - offsets[0])
    values = attributes.items.slice(offsets[0], offsets[-1] - offsets[0])
    name_code = codes_among(keys, pa.array([each.name for each in chosen], pa.string()))
    columns: list[np.ndarray] = []
    for place, each in enumerate(chosen):
        mine = (name_code == place) & (row_user >= 0)
        level = codes_among(values.filter(pa.array(mine)), pa.array(each.levels, pa.string()))
        user = row_user[mine]
        columns += [_flags(user[level == code], users) for code in range(len(each.levels))]
        if each.has_missing:
            columns.append(1.0 - _flags(user, users))
    return columns


def _flags(user: np.ndarray, users: int) -> np.ndarray:
    flags = np.zeros(users)
    flags[user] = 1.0
    return flags
