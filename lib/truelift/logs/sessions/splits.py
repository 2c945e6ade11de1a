"""Where sessions begin: gaps, calendar days, campaigns, a longest duration, or given ids."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.texts import Codes, encode
from truelift.arrays.times import MICROSECONDS
from truelift.logs.sessions.boundaries import SortedEvents, sort_and_find_gaps
from truelift.settings import SessionOptions

_DAY = 86_400 * MICROSECONDS


def sessions_of(
    users: Codes,
    time: np.ndarray,
    given: Codes,
    options: SessionOptions,
    context: pa.ChunkedArray | None = None,
    ties: tuple[np.ndarray, ...] = (),
) -> SortedEvents:
    """Cut events into sessions.

    Parameters
    ----------
    users, given : Codes
        User and given session id of each event.
    time : ndarray of int64, shape (events,)
        Microseconds.
    options : SessionOptions
        Events at one moment are never cut apart, whatever it says. With ``given: respect``
        an event with an id follows its id alone, and the others are cut as if it were not
        there.
    context : pyarrow.ChunkedArray of map<string, string>, optional
        Needed where a change of campaign splits.
    ties : tuple of ndarray
        As in :func:`~truelift.logs.sessions.boundaries.sort_and_find_gaps`.

    Returns
    -------
    SortedEvents
        By user and start.
    """
    timeout = options.timeout_seconds * MICROSECONDS
    respect = options.given == "respect"
    group = users.codes
    if respect:
        group = group * np.int64(given.size + 1) + given.codes + 1
    order, jumps = sort_and_find_gaps(group, time, timeout, ties)
    first = jumps
    if set(options.split_on) - {"gap"}:
        campaign = campaign_codes(context, options.campaign_key) if context is not None else None
        first = _further_splits(jumps, time[order], options, campaign, order)
    if respect:
        ordered = group[order]
        held = given.codes[order] >= 0
        first = first & ~held
        first[1:] |= ordered[1:] != ordered[:-1]
        first[:1] = True
    cuts = SortedEvents(order, np.flatnonzero(first), np.cumsum(first) - 1)
    return _by_user_and_start(cuts, users.codes, time) if respect else cuts


def campaign_codes(context: pa.ChunkedArray, key: str) -> np.ndarray:
    """Campaign of each event as an integer; -1 where the context has none, or a blank one."""
    maps = context.combine_chunks()
    codes = np.full(len(maps), -1, dtype=np.int64)
    # Keys of all events in one array: several times faster than a look-up map by map.
    offsets = np.asarray(maps.offsets)
    hits = np.flatnonzero(np.asarray(pc.equal(maps.keys, key), dtype=bool))
    hits = hits[(hits >= offsets[0]) & (hits < offsets[-1])]
    found = encode(maps.items.take(pa.array(hits)))
    blank = found.size > 0 and found.values[0].as_py() == ""
    rows = np.searchsorted(offsets, hits, side="right") - 1
    codes[rows[::-1]] = (
        np.where(found.codes == 0, -1, found.codes)[::-1] if blank else found.codes[::-1]
    )
    if maps.null_count:
        codes[np.asarray(maps.is_null(), dtype=bool)] = -1
    return codes


def local_days(time: np.ndarray, time_zone: str) -> np.ndarray:
    """Days since 1970-01-01 on the calendar of a time zone, daylight saving included."""
    if time_zone == "UTC":
        return time // _DAY
    moments = pa.array(time, pa.int64()).cast(pa.timestamp("us", tz=time_zone))
    return pc.local_timestamp(moments).cast(pa.int64()).to_numpy() // _DAY


def _further_splits(
    jumps: np.ndarray,
    time: np.ndarray,
    options: SessionOptions,
    campaign: np.ndarray | None,
    order: np.ndarray,
) -> np.ndarray:
    """The first events of sessions, where more than the gap cuts them; all in sorted order."""
    first = jumps.copy()
    if "day" in options.split_on:
        day = local_days(time, options.time_zone)
        first[1:] |= day[1:] != day[:-1]
    if "campaign" in options.split_on and len(time):
        if campaign is None:
            raise ValueError("sessions.split_on names campaign, so the events need their context")
        first |= _campaign_changes(jumps, time, campaign[order])
    if "max_duration" in options.split_on and options.max_duration_seconds is not None:
        _split_by_duration(first, time, options.max_duration_seconds * MICROSECONDS)
    return first


def _campaign_changes(jumps: np.ndarray, time: np.ndarray, campaign: np.ndarray) -> np.ndarray:
    """Events at which the campaign becomes another than the last known since the last gap.

    Of several campaigns at one moment the first by name counts.
    """
    begins = jumps.copy()
    begins[1:] |= time[1:] != time[:-1]
    moments = np.flatnonzero(begins)
    none = np.iinfo(np.int64).max
    of_moment = np.minimum.reduceat(np.where(campaign < 0, none, campaign), moments)
    known = of_moment != none
    numbers = np.arange(len(moments))
    last_known = np.maximum.accumulate(np.where(known, numbers, -1))
    before = np.concatenate([[-1], last_known[:-1]])
    chain_start = np.maximum.accumulate(np.where(jumps[moments], numbers, 0))
    changed = known & (before >= chain_start) & (of_moment != of_moment[before])
    changes = np.zeros(len(time), dtype=bool)
    changes[moments[changed]] = True
    return changes


def _split_by_duration(first: np.ndarray, time: np.ndarray, most: int) -> None:
    """Begin a session at each event that is more than ``most`` after its session's start."""
    starts = np.flatnonzero(first)
    ends = np.append(starts[1:], len(time))
    span = time[ends - 1] - time[starts] if len(starts) else starts
    too_long = span > most
    if not too_long.any():
        return
    starts, lengths, span = starts[too_long], (ends - starts)[too_long], span[too_long]
    # The long sessions on one line, too far apart for one to reach into the next.
    offsets = np.cumsum(lengths) - lengths
    places = np.arange(int(lengths.sum())) + np.repeat(starts - offsets, lengths)
    shift = np.cumsum(span + most + 1) - (span + most + 1)
    line = time[places] + np.repeat(shift - time[starts], lengths)
    following = memoryview(np.searchsorted(line, line + most, side="right"))
    cut, at = [], 0
    while at < len(line):  # one step a session
        cut.append(at)
        at = following[at]
    first[places[cut]] = True


def _by_user_and_start(cuts: SortedEvents, user: np.ndarray, time: np.ndarray) -> SortedEvents:
    """The same sessions, listed by user and start."""
    heads = cuts.order[cuts.starts]
    rank = np.lexsort((np.arange(len(heads)), time[heads], user[heads]))
    lengths = cuts.lengths[rank]
    starts = np.cumsum(lengths) - lengths
    within = np.arange(len(cuts.order)) - np.repeat(starts, lengths)
    order = cuts.order[np.repeat(cuts.starts[rank], lengths) + within]
    return SortedEvents(order, starts.astype(np.int64), np.repeat(np.arange(len(rank)), lengths))
