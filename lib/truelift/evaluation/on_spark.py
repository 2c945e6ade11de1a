"""A comparison of rankers bucket by bucket on Spark.

A task reads a bucket's histories, scores them with models that its worker builds once, and
returns sums of whole numbers, so the driver's memory does not grow with the users and the
figures are those of an evaluation on one machine, to the last bit where the scores are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import DataError
from truelift.evaluation import champion, items_together, session_neighbours
from truelift.evaluation.baselines import count_actions, count_known
from truelift.evaluation.comparison import Comparison, add_part, add_strangers
from truelift.evaluation.evaluator import Evaluator
from truelift.evaluation.items_together import Neighbours, PairCounts
from truelift.evaluation.sums import State
from truelift.lake.kernels import map_buckets, sum_buckets
from truelift.models.sequence.histories import Histories
from truelift.models.sequence.package import ModelPackage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from truelift.lake import ScanPlan

# Models that a worker keeps.
_KEPT = 4
_LOADED: dict[str, Any] = {}
# Sums of this many numbers are added up by Spark before the driver sees them.
_LARGE_STATE = 4_000_000


@dataclass(frozen=True)
class PackagedRanker:
    """A packaged model that travels as bytes and is built once a process.

    Parameters
    ----------
    package : bytes
    index : numpy.ndarray of int32
        The model's index of each item (:func:`~truelift.evaluation.champion.item_index`).
    """

    package: bytes
    index: np.ndarray

    def scores(self, histories: Histories) -> np.ndarray:
        """Scores of all items for each user, shape (n, items + 1)."""
        name = hashlib.sha256(self.package + self.index.tobytes()).hexdigest()
        if name not in _LOADED:
            from truelift.models.runtime import start_tensorflow

            while len(_LOADED) >= _KEPT:
                _LOADED.pop(next(iter(_LOADED)))
            start_tensorflow()
            _LOADED[name] = champion.ranker_of(ModelPackage.from_bytes(self.package), self.index)
        return np.asarray(_LOADED[name].scores(histories))


def _histories(batches: Iterable[pa.RecordBatch]) -> Histories | None:
    """A bucket's histories by user key: how files lie must not matter."""
    found = list(batches)
    return Histories.from_arrow(pa.Table.from_batches(found).sort_by("user_key")) if found else None


@dataclass(frozen=True)
class CountKernel:
    """The counts of :meth:`Comparison.count` for one bucket; keys are ``part/name``."""

    split: Any
    items: int
    latest: int
    classifies: bool

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        """Counts of the bucket's users."""
        histories = _histories(batches)
        if histories is None:
            return None
        count = count_actions if self.classifies else count_known
        latest = np.array([self.latest], dtype=np.int64)
        found = count(lambda: [histories], self.split, self.items, lambda own, name: latest)
        return {f"{part}/{name}": c for part, of in found.items() for name, c in of.items()}


@dataclass(frozen=True)
class LatestKernel:
    """Time of the latest training event of one bucket."""

    split: Any

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        """The bucket's latest time, which combines by maximum."""
        histories = _histories(batches)
        if histories is None:
            return None
        return {"max_latest": np.array(self.split.training(histories).times.max(initial=0))}


@dataclass(frozen=True)
class EvaluationKernel:
    """Sums of an evaluator over the users of one bucket."""

    evaluator: Evaluator
    split: Any
    part: str
    classifies: bool

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        """Evaluate the bucket's users."""
        histories = _histories(batches)
        if histories is None:
            return None
        state = self.evaluator.layout.zeros()
        add_part(self.evaluator, state, self.split, self.part, histories, self.classifies)
        return state


@dataclass(frozen=True)
class PairKernel:
    """Pairs of items of one bucket, as rows."""

    split: Any
    items: int
    step: str
    each: int

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """``item, pair, times`` of the training part."""
        histories = Histories.from_arrow(tables["sequences"].sort_by("user_key"))
        learned = [self.split.training(histories)]
        found = items_together.count_pairs(learned, self.items, self.step, self.each)
        item = found.pairs // (self.items + 1)
        return pa.table({"item": item, "pair": found.pairs, "times": found.counts})


@dataclass(frozen=True)
class SessionKernel:
    """The latest sessions of one bucket, as rows."""

    split: Any

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """``key, time, items`` of the training part."""
        histories = Histories.from_arrow(tables["sequences"].sort_by("user_key"))
        found = session_neighbours.collect([self.split.training(histories)])
        offsets = pa.array(np.concatenate([[0], np.cumsum(found.sizes)]), pa.int32())
        items = pa.ListArray.from_arrays(offsets, pa.array(found.items, pa.int64()))
        return pa.table({"key": found.keys, "time": found.times, "items": items})


def _strongest(
    batches: Iterator[pa.RecordBatch], items: int, counts: np.ndarray, step: str, each: int
) -> Iterator[pa.RecordBatch]:
    """The neighbours to keep, of the items of one Spark partition."""
    found = [b for b in batches if b.num_rows]
    if not found:
        return
    table = pa.Table.from_batches(found)
    pairs = PairCounts.of(items, table["pair"].to_numpy(), table["times"].to_numpy())
    kept = pairs.strongest(each, items_together.similarity(pairs, counts, step))
    yield pa.record_batch({"pair": kept.pairs, "times": kept.counts})


class SparkComparison(Comparison):
    """A :class:`Comparison` whose passes over the users are Spark jobs.

    Parameters
    ----------
    spark : SparkSession
    plan : ScanPlan
        ``gold.sequences`` with ``bucket`` and what the models read.
    buckets : int
        Of the lake.
    split, items, options, seed, arrays, task
        As for :class:`Comparison`.
    """

    def __init__(
        self, spark: SparkSession, plan: ScanPlan, buckets: int, split: Any, items: int,
        options: Any, **others: Any,
    ) -> None:  # fmt: skip
        super().__init__(split, items, options, **others)
        self._spark, self._plan, self._buckets = spark, plan, buckets

    def _sum(self, kernel: Any, size: int = 0) -> State:
        # Beyond the lake's buckets, so that large states are added up in Spark first.
        buckets = max(self._buckets, 129) if size > _LARGE_STATE else self._buckets
        # A batch is a bucket's all: the kernels want whole users, and hold a bucket anyway.
        return sum_buckets(self._spark, kernel, {"sequences": self._plan}, buckets, 2**31 - 1)

    def _count(self) -> dict[str, dict[str, np.ndarray]]:
        latest = 0
        if getattr(self._split, "validation_start", None) is None:
            latest = int(self._sum(LatestKernel(self._split)).get("max_latest", 0))
        kernel = CountKernel(self._split, self._items, latest, self._classifies)
        found: dict[str, dict[str, np.ndarray]] = {}
        for key, counts in self._sum(kernel, 12 * self._items).items():
            part, name = key.split("/", 1)
            found.setdefault(part, {})[name] = counts
        if not found:
            raise DataError("gold.sequences: found no row, expected one a user.")
        return found

    def _sums(self, evaluator: Evaluator, part: str) -> State:
        kernel = EvaluationKernel(evaluator, self._split, part, self._classifies)
        size = len(evaluator.rankers) * (self._items + 1)
        found = self._sum(kernel, size)
        state = {n: np.array(v) for n, v in found.items()} if found else evaluator.layout.zeros()
        add_strangers(evaluator, state, self._split, part)
        return state

    def _fit_neighbours(self) -> Neighbours:
        step, each = self._sequence.histories.step, self._sequence.evaluation.neighbours
        counts = self.training_counts
        rows = map_buckets(
            self._spark,
            PairKernel(self._split, self._items, step, each),
            {"sequences": self._plan},
            "item bigint, pair bigint, times bigint",
        )
        task = partial(_strongest, items=self._items, counts=counts, step=step, each=each)
        kept = rows.repartition("item").mapInArrow(task, "pair bigint, times bigint").toArrow()
        pairs = PairCounts.of(self._items, kept["pair"].to_numpy(), kept["times"].to_numpy())
        return Neighbours.fit(pairs, counts, step, each)

    def _fit_sessions(self) -> session_neighbours.SessionNeighbours:
        from pyspark.sql import functions as F

        rows = map_buckets(
            self._spark,
            SessionKernel(self._split),
            {"sequences": self._plan},
            "key bigint, time bigint, items array<bigint>",
        )
        latest = rows.orderBy(F.desc("time"), "key").limit(session_neighbours.MOST_SESSIONS)
        kept = latest.toArrow()
        found = session_neighbours.Sessions(
            kept["key"].to_numpy(),
            kept["time"].to_numpy(),
            pc.list_value_length(kept["items"]).to_numpy().astype(np.int64),
            pc.list_flatten(kept["items"]).to_numpy(),
        )
        return session_neighbours.SessionNeighbours.fit(
            found, self.training_counts, self._sequence.evaluation.neighbours
        )
