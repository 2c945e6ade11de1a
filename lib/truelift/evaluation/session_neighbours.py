"""Session kNN: what came in the sessions most like the one at hand.

V-SkNN of Ludewig & Jannach, "Evaluation of session-based recommendation algorithms" (2018), as
its authors' code has it. Of a current session of ``L`` events, an item counts with the weight
``w_i = l / L`` of its last place ``l``. Among the :data:`SAMPLED` latest sessions ``n`` that
share an item with it, those ``k`` are neighbours whose similarity
``sim(n) = sum_{i shared} w_i / |distinct items at hand|`` is largest, and an item's score is
``sum_n sim(n) / a(n) [item in n]``, where the latest shared item lies ``a(n)`` events back. The
items at hand are scored like any others, so that it can say "the same again".

A session is never its own neighbour. Memory is bounded: the latest :data:`MOST_SESSIONS`
sessions are kept, with their last :data:`LONGEST` events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from truelift.models.sequence.histories import Histories

NAME = "session kNN"
SAMPLED = 1_000
MOST_SESSIONS = 200_000
LONGEST = 200
# Events of the session at hand that are looked at, the latest.
AT_HAND = 50


@dataclass(frozen=True)
class Sessions:
    """Sessions as sets of items.

    Parameters
    ----------
    keys : numpy.ndarray of int64, shape (n,)
        A hash of user and session number (:func:`session_key`).
    times : numpy.ndarray of int64, shape (n,)
        Of each session's last event.
    sizes : numpy.ndarray of int64, shape (n,)
    items : numpy.ndarray of int64, shape (sizes.sum(),)
        Distinct items of each session, one session after the other.
    """

    keys: np.ndarray
    times: np.ndarray
    sizes: np.ndarray
    items: np.ndarray

    def latest(self, most: int) -> Sessions:
        """The ``most`` latest sessions, the latest first; of equals the smaller key."""
        order = np.lexsort((self.keys, -self.times))[:most]
        begins = np.cumsum(self.sizes) - self.sizes
        return Sessions(
            self.keys[order],
            self.times[order],
            self.sizes[order],
            self.items[_ranges(begins[order], self.sizes[order])],
        )


def session_key(user: object, session: int) -> int:
    """A number for a session, the same on every rank and machine."""
    digest = hashlib.blake2b(f"{user}\x1f{session}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def collect(shards: Iterable[Histories]) -> Sessions:
    """The latest sessions of all histories of some shards (of the training part)."""
    total = Sessions(*(np.zeros(0, dtype=np.int64) for _ in range(4)))
    for histories in shards:
        opens = np.flatnonzero(histories.session_starts())
        if len(opens) == 0:
            continue
        closes = np.append(opens[1:], len(histories.items))
        owner = histories.owner[opens]
        keys = [
            session_key(histories.users[u], int(s))
            for u, s in zip(owner, histories.sessions[opens], strict=True)
        ]
        begins = np.maximum(opens, closes - LONGEST)
        sizes = closes - begins
        number = np.repeat(np.arange(len(opens)), sizes)
        span = int(histories.items.max()) + 1
        cells = np.unique(number * span + histories.items[_ranges(begins, sizes)])
        found, items = np.divmod(cells, span)
        total = joined([
            total,
            Sessions(
                np.array(keys, dtype=np.int64),
                histories.times[closes - 1].astype(np.int64),
                np.bincount(found, minlength=len(opens)).astype(np.int64),
                items.astype(np.int64),
            ),
        ]).latest(MOST_SESSIONS)  # fmt: skip
    return total


def joined(parts: Iterable[Sessions]) -> Sessions:
    """The sessions of all parts."""
    held = list(parts)
    return Sessions(
        *(
            np.concatenate([getattr(p, name) for p in held])
            for name in ("keys", "times", "sizes", "items")
        )
    )


@dataclass(frozen=True)
class SessionNeighbours:
    """Scores of what was in the sessions most like the latest one of a history.

    Parameters
    ----------
    sessions : Sessions
        The latest first.
    popularity : numpy.ndarray, shape (items + 1,)
        Decides between items that no neighbour has.
    neighbours : int
        Sessions that score.
    """

    sessions: Sessions
    popularity: np.ndarray
    neighbours: int

    @classmethod
    def fit(cls, sessions: Sessions, popularity: np.ndarray, neighbours: int) -> SessionNeighbours:
        """Keep what can be a neighbour of anyone."""
        return cls(sessions.latest(MOST_SESSIONS), popularity, neighbours)

    @cached_property
    def _begins(self) -> np.ndarray:
        return np.cumsum(self.sessions.sizes) - self.sessions.sizes

    @cached_property
    def _with_item(self) -> tuple[np.ndarray, np.ndarray]:
        """Where each item's sessions begin, and the sessions by item, the latest first."""
        session = np.repeat(np.arange(len(self.sessions.keys)), self.sessions.sizes)
        order = np.argsort(self.sessions.items, kind="stable")
        counts = np.bincount(self.sessions.items, minlength=len(self.popularity))
        return np.concatenate([[0], np.cumsum(counts)]), session[order]

    def scores(self, histories: Histories) -> np.ndarray:
        """Scores of all items for each user, shape (n, items + 1)."""
        # Far below any similarity, so that popularity can only break ties.
        start = 1e-9 * self.popularity / (self.popularity.max(initial=0.0) + 1.0)
        found = np.tile(start, (len(histories), 1))
        opens = histories.session_starts()
        for user in range(len(histories)):
            low, high = int(histories.offsets[user]), int(histories.offsets[user + 1])
            if low == high:
                continue
            begin = low + int(np.flatnonzero(opens[low:high])[-1])
            key = session_key(histories.users[user], int(histories.sessions[begin]))
            at_hand = histories.items[max(begin, high - AT_HAND) : high]
            found[user] += self._of_session(at_hand, key)
        return found

    def _of_session(self, at_hand: np.ndarray, own: int) -> np.ndarray:
        """Scores for the items of one session, in their order, latest last."""
        # Distinct items, the latest first, with the events since their last place.
        items, back = np.unique(at_hand[::-1], return_index=True)
        order = np.argsort(back)
        items, back = items[order], back[order]
        bounds, by_item = self._with_item
        begins = bounds[items]
        # The latest sessions with any of them are among the latest with each; one may be its own.
        sizes = np.minimum(bounds[items + 1] - begins, SAMPLED + 1)
        shared = by_item[_ranges(begins, sizes)]
        of = np.repeat(np.arange(len(items)), sizes)
        sessions, first, inverse = np.unique(shared, return_index=True, return_inverse=True)
        weights = (len(at_hand) - back) / len(at_hand)
        similarity = np.bincount(inverse.ravel(), weights[of], minlength=len(sessions))
        nearest = np.flatnonzero(self.sessions.keys[sessions] != own)[:SAMPLED]
        nearest = nearest[np.argsort(-similarity[nearest], kind="stable")][: self.neighbours]
        value = similarity[nearest] / len(items) / (1.0 + back[of[first[nearest]]])
        chosen = sessions[nearest]
        lengths = self.sessions.sizes[chosen]
        scored = self.sessions.items[_ranges(self._begins[chosen], lengths)]
        return np.bincount(scored, np.repeat(value, lengths), minlength=len(self.popularity))


def _ranges(begins: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The places ``begin, begin + 1, ..`` of several stretches, end to end."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(begins - (ends - sizes), sizes)
