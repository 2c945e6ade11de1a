"""Evaluation as sums that add up, exactly, over users, shards, ranks and buckets.

What is kept of the users is, for each segment and metric, the sums and the cross-products of
the users' totals under all rankers: enough for means, clustered intervals and paired tests of
any two rankers, at a size that does not depend on the number of users.

Every summand is rounded to a multiple of ``2**-36`` and added as a whole number. Whole numbers
have one sum whatever the order, so one process, many ranks and a Spark cluster give the same
figures to the last bit. Totals stay exact up to 2**27 (134 million) evaluated users.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truelift.evaluation.segment_names import SEGMENTS

State = dict[str, np.ndarray]

UNIT = 2.0**36
# Metrics that are not within [0, 1] are divided by these before they are added.
SPAN = {"novelty": 64.0}
LOSS_SPAN = 64.0


@dataclass(frozen=True)
class Layout:
    """Which rankers and metrics the sums are of.

    Parameters
    ----------
    rankers : tuple of str
    metrics : tuple of (str, int or None)
        Name and cut-off.
    items : int
        Size of the catalogue; 0 where exposures are not counted.
    """

    rankers: tuple[str, ...]
    metrics: tuple[tuple[str, int | None], ...]
    items: int

    @property
    def spans(self) -> np.ndarray:
        """What each metric was divided by."""
        return np.array([SPAN.get(name, 1.0) for name, _ in self.metrics])

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Index pairs of the cross-products; 0 is the number of rows, 1.. the rankers."""
        return np.triu_indices(len(self.rankers) + 1)

    def zeros(self) -> State:
        """The sums of nobody."""
        segments, metrics, rankers = len(SEGMENTS), len(self.metrics), len(self.rankers)
        shapes = {
            "rows": (segments,),
            "users": (segments,),
            "left_out": (1,),
            "sum": (segments, metrics, rankers),
            "cross": (segments, metrics, len(self.pairs[0])),
            "exposure": (rankers, self.items + 1 if self.items else 0),
            "loss": (rankers,),
        }
        return {name: np.zeros(shape, dtype=np.int64) for name, shape in shapes.items()}


def whole(values: np.ndarray) -> np.ndarray:
    """Values as whole multiples of the unit."""
    return np.rint(np.asarray(values) * UNIT).astype(np.int64)


def add_rows(
    state: State, layout: Layout, segment: int, values: np.ndarray, clusters: np.ndarray
) -> None:
    """Add evaluated rows to a segment.

    Parameters
    ----------
    state : dict of str to numpy.ndarray
        Changed in place.
    layout : Layout
    segment : int
        Index into :data:`~truelift.evaluation.segment_names.SEGMENTS`.
    values : numpy.ndarray, shape (n, metrics, rankers)
        Within [0, 1] after division by :attr:`Layout.spans`.
    clusters : numpy.ndarray of int64, shape (n,)
        The user of each row; all rows of a user must come in one call.
    """
    if len(values) == 0:
        return
    _, starts, sizes = np.unique(clusters, return_index=True, return_counts=True)
    order = np.argsort(clusters, kind="stable")
    exact = whole(values / layout.spans[:, None])[order]
    # Places of the first row of each user after sorting.
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    totals = np.add.reduceat(exact, begins, axis=0) if len(starts) < len(values) else exact
    state["rows"][segment] += len(values)
    state["users"][segment] += len(sizes)
    state["sum"][segment] += totals.sum(axis=0)
    counts = np.broadcast_to(sizes[:, None, None].astype(float), (*totals.shape[:2], 1))
    vector = np.concatenate([counts, totals / UNIT], axis=2)
    for number, (one, other) in enumerate(zip(*layout.pairs, strict=True)):
        products = whole(vector[:, :, one] * vector[:, :, other])
        state["cross"][segment, :, number] += products.sum(axis=0)


def add_lists(state: State, ranker: int, top: np.ndarray) -> None:
    """Count the items of ranked lists; index 0 is an empty place."""
    width = state["exposure"].shape[1]
    state["exposure"][ranker] += np.bincount(top[top > 0], minlength=width)


def add_all(states: Sequence[State]) -> State:
    """The sums of all parts."""
    return {name: np.sum([s[name] for s in states], axis=0) for name in states[0]}
