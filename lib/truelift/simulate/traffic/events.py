"""Events of a block as columns of numbers, before they become text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

VIEW, CART, PURCHASE = 0, 1, 2
NO_DIRT = NO_BOT = -1
NO_NUMBER = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class Events:
    """Events, one array a column, all of one length.

    Attributes
    ----------
    number : ndarray of int64
        Of the event in its block; makes the event id.
    user : ndarray of int64
        Of the user in the whole traffic.
    session : ndarray of int64
        Number of the session in which the user was, from 0.
    time, received : ndarray of int64
        Microseconds since 1970, UTC.
    item : ndarray of int64
    kind : ndarray of int64
        View, cart or purchase.
    quantity : ndarray of int64
        Pieces, or ``NO_NUMBER``.
    cents : ndarray of int64
        Price of a piece, or ``NO_NUMBER``.
    agent, campaign, page : ndarray of int64
        Places in the lists of :mod:`truelift.simulate.traffic.text`.
    dirt, bot : ndarray of int64
        Places in ``DIRT_KINDS`` and ``BOT_KINDS``; -1 for neither.
    """

    number: np.ndarray
    user: np.ndarray
    session: np.ndarray
    time: np.ndarray
    received: np.ndarray
    item: np.ndarray
    kind: np.ndarray
    quantity: np.ndarray
    cents: np.ndarray
    agent: np.ndarray
    campaign: np.ndarray
    page: np.ndarray
    dirt: np.ndarray
    bot: np.ndarray

    def __len__(self) -> int:
        return len(self.number)

    def take(self, places: np.ndarray) -> Events:
        """The rows at some places."""
        return Events(**{f.name: getattr(self, f.name)[places] for f in fields(self)})

    def changed(self, **columns: Any) -> Events:
        """The same rows with other columns; a scalar fills its column."""
        full = {k: np.broadcast_to(v, len(self)).astype(np.int64) for k, v in columns.items()}
        return replace(self, **full)


def concatenated(parts: Sequence[Events]) -> Events:
    """All rows of the parts, in order."""
    names = [f.name for f in fields(Events)]
    return Events(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """Where each of some adjacent groups begins."""
    return np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)


def places_in(lengths: np.ndarray) -> np.ndarray:
    """The place of each row in its group, from 0."""
    return np.arange(lengths.sum()) - np.repeat(starts_of(lengths), lengths)


def running_start(begins: np.ndarray) -> np.ndarray:
    """For each row the last place at or before it where ``begins`` is true (row 0 must)."""
    return np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
