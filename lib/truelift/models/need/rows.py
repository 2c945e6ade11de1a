"""Steps of users as arrays: what was shown before each, and what was then seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, eq=False)
class NeedRows:
    """Steps of whole users, each user's in the order of time.

    Parameters
    ----------
    starts : ndarray of int64, users + 1
        Where the steps of each user begin, and where the last one's end.
    inputs : ndarray of int32, n
        Level of what was shown before the step.
    codes : ndarray of int32, n x C
        Levels of categorical columns; -1: not known.
    counts : ndarray, n x P
        Columns of counts; NaN: not known.
    numbers : ndarray, n x G
        Columns of numbers; NaN: not known.
    shown : ndarray, n x m
        Inputs as numbers, for states that are numbers; no columns where they are levels.
    """

    starts: np.ndarray
    inputs: np.ndarray
    codes: np.ndarray
    counts: np.ndarray
    numbers: np.ndarray
    shown: np.ndarray

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def users(self) -> int:
        """How many."""
        return len(self.starts) - 1

    def of_users(self, chosen: np.ndarray) -> NeedRows:
        """The steps of some users, by their numbers."""
        sizes = np.diff(self.starts)[chosen]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rows = np.repeat(self.starts[chosen] - starts[:-1], sizes) + np.arange(starts[-1])
        return NeedRows(
            starts, self.inputs[rows], self.codes[rows], self.counts[rows], self.numbers[rows],
            self.shown[rows],
        )  # fmt: skip


def joined(parts: Sequence[NeedRows]) -> NeedRows:
    """The users of several parts, one part after the other."""
    sizes = np.concatenate([np.diff(part.starts) for part in parts])
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    rest = [np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(NeedRows)[1:]]
    return NeedRows(starts, *rest)
