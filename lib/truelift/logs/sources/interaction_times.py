"""Instants of interactions that keep a file's order among equals."""

from __future__ import annotations

import numpy as np


def spread(users: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Move a user's later lines of one instant apart, by as little as keeps their order.

    Within a user, in the order of time and then of the lines, ``m'_i = max(m_i, m'_{i-1} + 1)``:
    fractions of seconds decide first, and only what is still equal goes by the lines.

    Parameters
    ----------
    users : numpy.ndarray of int64, shape (n,)
        A number for each line's user.
    moments : numpy.ndarray of int64, shape (n,)
        Microseconds since 1970, by line; users' lines may be in any order.

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
        Distinct within each user.
    """
    order = np.lexsort((np.arange(len(moments)), moments, users))
    user, moment = users[order], moments[order]
    if len(user) == 0:
        return moments
    opens = np.flatnonzero(np.append(True, user[1:] != user[:-1]))
    closes = np.append(opens[1:], len(user))
    level = np.append(False, (user[1:] == user[:-1]) & (moment[1:] == moment[:-1]))
    # Most users have no two lines of one instant, and nothing to move.
    for low, high in zip(opens, closes, strict=True):
        if level[low:high].any():
            number = np.arange(high - low)
            moment[low:high] = np.maximum.accumulate(moment[low:high] - number) + number
    found = np.empty_like(moment)
    found[order] = moment
    return found
