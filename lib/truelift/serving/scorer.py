"""Ranked items for histories, from a packaged model: what Spark tasks and MLflow both call."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from truelift.models.runtime import start_tensorflow
from truelift.models.sequence.histories import Histories, joined
from truelift.models.sequence.package import ModelPackage
from truelift.serving.batching import Together
from truelift.serving.ranking import rank

# Users scored at once; bounds memory at this number times the vocabulary.
CHUNK = 512
_LOADED: dict[str, Scorer] = {}


@dataclass(frozen=True)
class Scorer:
    """A model ready to rank, and the keys of what it ranks.

    Parameters
    ----------
    ranker : object
        Gives scores of all items for a batch of histories.
    keys : tuple of str
        Key of index ``i`` at place ``i - 1``: of an item, or the action of a classifier.
    side_features : tuple of str
        What the model reads of a history beside items.
    """

    ranker: Any
    keys: tuple[str, ...]
    side_features: tuple[str, ...] = ()

    @classmethod
    def from_package(cls, package: ModelPackage) -> Scorer:
        """Build the Keras model; starts TensorFlow if it is not running."""
        start_tensorflow()
        from truelift.models.sequence.scoring import SequenceRanker

        model, keys = package.build(), package.labels
        ranker = SequenceRanker(model, len(keys), package.max_length, package.step)
        return cls(ranker, keys, tuple(model.side_features))

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

    def top_of_request(
        self, histories: Histories, count: int, seen_items: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`top`, scored together with what other threads ask for meanwhile."""
        if not 0 < len(histories) <= CHUNK:
            return self.top(histories, count, seen_items)
        best, value = rank(self._together(histories), histories, count, seen_items)
        return best, value.astype(np.float64)

    @cached_property
    def _together(self) -> Together[Histories, np.ndarray]:
        return Together(self._scores_of_all, len, CHUNK)

    def _scores_of_all(self, requests: Sequence[Histories]) -> list[np.ndarray]:
        scores = self.ranker.scores(joined(requests))
        return np.split(scores, np.cumsum([len(r) for r in requests])[:-1])


def loaded(package_bytes: bytes) -> Scorer:
    """The scorer of a package; built once a process, for workers that serve many tasks."""
    name = hashlib.sha256(package_bytes).hexdigest()
    if name not in _LOADED:
        _LOADED.clear()
        _LOADED[name] = Scorer.from_package(ModelPackage.from_bytes(package_bytes))
    return _LOADED[name]
