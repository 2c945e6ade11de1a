"""What a session looks like after each of its events, as numbers for a dense network.

Computed from the prefix of the session inside the window, so that training and scoring see the
same: a session that began before the window counts from the window's beginning.
"""

from __future__ import annotations

import numpy as np

from truelift.models.sequence.batches import Batch


def feature_count(actions: int) -> int:
    """Number of features for so many kinds of events."""
    return 2 * (actions + 1) + 5


def session_features(batch: Batch, actions: int) -> np.ndarray:
    """Features after each entry of a batch, shape (entries, feature_count(actions)).

    In order: log counts by kind of event (code 0, unknown, among them), the kind of the last
    event as zeros and a one, and the logs of 1 plus: events so far, distinct items so far,
    seconds since the event before, seconds since the session's first event; then a constant 1
    that tells an event from the beginning of a history, where all is 0.

    Parameters
    ----------
    batch : Batch
        Entries in time order within their window; with ``event_type`` and ``sessions``.
    actions : int
        Kinds of events; higher codes count as unknown.
    """
    entries = len(batch.items)
    if entries == 0:
        return np.zeros((0, feature_count(actions)), np.float32)
    kinds = batch.features["event_type"]
    kinds = np.where((kinds >= 0) & (kinds <= actions), kinds, 0)
    opens = np.r_[True, (np.diff(batch.rows) != 0) | (np.diff(batch.sessions) != 0)]
    session = np.cumsum(opens) - 1
    first = np.flatnonzero(opens)[session]
    last = np.eye(actions + 1)[kinds]
    counts = _so_far(last, first)
    # The first entry of each (session, item) pair is a new distinct item.
    pairs = np.stack([session, batch.items], axis=1)
    fresh = np.zeros((entries, 1))
    fresh[np.unique(pairs, axis=0, return_index=True)[1]] = 1.0
    seconds = batch.times / 1e6
    before = np.maximum(np.arange(entries) - 1, first)
    logs = np.log1p(
        np.column_stack(
            [
                counts,
                np.arange(entries) - first + 1,
                _so_far(fresh, first),
                seconds - seconds[before],
                seconds - seconds[first],
            ]
        )
    )
    kinds_wide = actions + 1
    return np.column_stack(
        [logs[:, :kinds_wide], last, logs[:, kinds_wide:], np.ones(entries)]
    ).astype(np.float32)


def _so_far(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Sums from each entry's session start up to the entry."""
    total = np.cumsum(values, axis=0)
    return total - total[first] + values[first]
