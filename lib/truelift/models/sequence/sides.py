"""Side features of an interaction as small codes, told the same way in a table and in a request.

Code 0 is unknown for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from truelift.errors import DataError

# As in gold.sequences: more than 34 years.
LONGEST_GAP = 31


@dataclass(frozen=True)
class SideCodes:
    """What a caller outside the lake needs to give interactions their codes.

    Parameters
    ----------
    event_types : tuple of str
        ``event_types[i]`` has code ``i + 1``.
    categories : numpy.ndarray of int32, shape (items + 1,), or None
        Category code by item index.
    """

    event_types: tuple[str, ...] = ()
    categories: np.ndarray | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """Number of codes (0, unknown, among them) of each feature that is known."""
        sizes = {}
        if self.event_types:
            sizes["event_type"] = len(self.event_types) + 1
        if self.categories is not None:
            sizes["category"] = int(self.categories.max(initial=0)) + 1
        return sizes

    def same_codes(self, other: SideCodes) -> bool:
        """Whether both tell the same codes."""
        ours, theirs = self.categories, other.categories
        if self.event_types != other.event_types:
            return False
        if ours is None or theirs is None:
            return ours is theirs
        return bool(np.array_equal(ours, theirs))

    def features(
        self,
        names: Sequence[str],
        items: np.ndarray,
        offsets: np.ndarray,
        times: np.ndarray,
        event_types: Sequence[str],
    ) -> Mapping[str, np.ndarray]:
        """The named features of interactions.

        Parameters
        ----------
        names : sequence of str
        items : numpy.ndarray of int32, shape (n,)
        offsets : numpy.ndarray of int64, shape (users + 1,)
        times : numpy.ndarray of int64, shape (n,)
            Microseconds since the epoch; 0 where it is not known.
        event_types : sequence of str, length n
            Empty text where it is not known.

        Raises
        ------
        DataError
            For a feature that cannot be told from these.
        """
        return {name: self._feature(name, items, offsets, times, event_types) for name in names}

    def _feature(
        self,
        name: str,
        items: np.ndarray,
        offsets: np.ndarray,
        times: np.ndarray,
        event_types: Sequence[str],
    ) -> np.ndarray:
        if name == "category" and self.categories is not None:
            return self.categories[items].astype(np.int32)
        if name == "event_type":
            code = {key: i for i, key in enumerate(self.event_types, start=1)}
            return np.array([code.get(e, 0) for e in event_types], dtype=np.int32)
        if name == "gap_bucket":
            return gap_buckets(times, offsets)
        raise DataError(
            f"Side feature {name}: the model's package cannot tell it from a request; train "
            "without it (sequence.histories.side_features), or again with a newer truelift."
        )


def gap_buckets(times: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Time since the user's interaction before as ``1 + floor(log2(1 + seconds))``.

    Parameters
    ----------
    times : numpy.ndarray of int64, shape (n,)
        Microseconds since the epoch, non-decreasing within a user; 0 where it is not known.
    offsets : numpy.ndarray of int64, shape (users + 1,)

    Returns
    -------
    numpy.ndarray of int32, shape (n,)
        0 for a user's first interaction and where a time is not known.
    """
    found = np.zeros(len(times), dtype=np.int32)
    if len(times) < 2:
        return found
    seconds = np.maximum(np.diff(times), 0) // 1_000_000
    # The exponent of frexp is exact where log2 may round up.
    found[1:] = np.minimum(np.frexp((seconds + 1).astype(np.float64))[1], LONGEST_GAP)
    found[1:][(times[1:] == 0) | (times[:-1] == 0)] = 0
    first = offsets[:-1]
    found[first[first < len(times)]] = 0
    return found
