"""Ranked items for histories, from a packaged model: what Spark tasks and MLflow both call."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from truelift.errors import DataError
from truelift.models.histories import Histories
from truelift.models.package import ModelPackage
from truelift.models.runtime import start_tensorflow
from truelift.recommend.ranking import rank

# Users scored at once; bounds memory at this number times the vocabulary.
CHUNK = 512
_LOADED: dict[str, Scorer] = {}


@dataclass(frozen=True)
class Scorer:
    """A model ready to rank, and the keys of its items.

    Parameters
    ----------
    ranker : object
        Gives scores of all items for a batch of histories.
    item_keys : tuple of str
        Key of item index ``i`` at place ``i - 1``.
    """

    ranker: Any
    item_keys: tuple[str, ...]

    @classmethod
    def from_package(cls, package: ModelPackage) -> Scorer:
        """Build the Keras model; starts TensorFlow if it is not running."""
        start_tensorflow()
        from truelift.models.scoring import SequenceRanker

        items = len(package.item_keys)
        ranker = SequenceRanker(package.build(), items, package.max_length, package.step)
        return cls(ranker, package.item_keys)

    def top(
        self, histories: Histories, count: int, seen_items: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Best item indices and their scores, shape (n, count); index 0 is an empty place."""
        items, scores = [], []
        for start in range(0, len(histories), CHUNK):
            some = histories.slice(start, min(start + CHUNK, len(histories)))
            best, value = rank(self.ranker.scores(some), some, count, seen_items)
            items.append(best)
            scores.append(value)
        if not items:
            return np.zeros((0, count), dtype=np.int64), np.zeros((0, count))
        return np.concatenate(items), np.concatenate(scores).astype(np.float64)


def loaded(package_bytes: bytes) -> Scorer:
    """The scorer of a package; built once a process, for workers that serve many tasks."""
    name = hashlib.sha256(package_bytes).hexdigest()
    if name not in _LOADED:
        _LOADED.clear()
        _LOADED[name] = Scorer.from_package(ModelPackage.from_bytes(package_bytes))
    return _LOADED[name]


def histories_from_keys(
    item_keys: Sequence[str],
    items: Sequence[Sequence[str]],
    sessions: Sequence[Sequence[int] | None],
) -> Histories:
    """Histories from raw keys, as a caller outside the lake has them.

    Parameters
    ----------
    item_keys : sequence of str
        The model's vocabulary.
    items : sequence of sequences of str
        Keys in time order, one sequence a user; keys that the model does not know are left
        out.
    sessions : sequence of sequences of int, or None
        The session of each item, non-decreasing; None makes each item a session of its own.
    """
    index = {key: i for i, key in enumerate(item_keys, start=1)}
    kept_items: list[int] = []
    kept_sessions: list[int] = []
    offsets = [0]
    for user, keys in enumerate(items):
        numbers = sessions[user]
        own = range(len(keys)) if numbers is None or len(numbers) == 0 else numbers
        if len(own) != len(keys):
            raise DataError(
                f"Row {user}: found {len(keys)} items and {len(own)} session numbers, expected "
                "as many; leave 'sessions' empty to make each item a session."
            )
        known = sorted(
            ((int(s), index[str(k)]) for k, s in zip(keys, own, strict=True) if str(k) in index),
            key=lambda pair: pair[0],
        )
        kept_sessions += [s for s, _ in known]
        kept_items += [i for _, i in known]
        offsets.append(len(kept_items))
    return Histories(
        users=np.arange(len(items)).astype(str).astype(object),
        offsets=np.array(offsets, dtype=np.int64),
        items=np.array(kept_items, dtype=np.int32),
        times=np.zeros(len(kept_items), dtype=np.int64),
        sessions=np.array(kept_sessions, dtype=np.int32),
    )
