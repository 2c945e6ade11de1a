"""Registered rankers on a table of labels by lot (``sequence.evaluation.table``), scored bucket by bucket.

The table's rows are held by the driver, as every figure over all of them asks for; histories and scores of catalogues never are. The
log's own figures are of at most :data:`LOGGED` users, by a hash of their keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.keys import hash_keys
from truelift.errors import DataError
from truelift.evaluation.baselines import ALL_TIME, Popularity
from truelift.evaluation.by_lot import (
    LabelledPairs,
    below,
    by_rows,
    by_weights,
    cells_of_log,
    fresh,
)
from truelift.evaluation.by_lot_results import LotEvaluation, LotFigure
from truelift.evaluation.by_lot_rows import KEY, LotRows
from truelift.evaluation.unbiased import MEASURES, Judged
from truelift.models.sequence.histories import Histories

if TYPE_CHECKING:
    from collections.abc import Iterator

    from truelift.evaluation.evaluator import Ranker
    from truelift.job import Job
    from truelift.lake import ScanPlan
    from truelift.lake.states import State

#: Users of the log that its own figures are of, at most.
LOGGED = 20_000


@dataclass(frozen=True)
class TrainingCounts:
    """How often each item is in the training part of a bucket."""

    split: Any
    items: int

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        """Counts of the bucket."""
        found = list(batches)
        if not found:
            return None
        known = self.split.training(Histories.from_arrow(pa.Table.from_batches(found)))
        return {"items": np.bincount(known.items, minlength=self.items + 1).astype(np.int64)}


@dataclass(frozen=True, eq=False)
class LotKernel:
    """Scores of a bucket's rows: by lot, and of its own log.

    Parameters
    ----------
    rankers : mapping of str to Ranker
    split : Split
    items : int
    rows : LotRows
    limit : int
        Users whose hash is below it stand for the log.
    seed : int
    part : str
        Of the split, that the log's figures are of.
    """

    rankers: Mapping[str, Ranker]
    split: Any
    items: int
    rows: LotRows
    limit: int
    seed: int
    part: str = "test"

    @property
    def schema(self) -> pa.Schema:
        """A row judges, or (negative) says why not: ``kind`` 0 by lot, 1 of the log, 2 left out."""
        plain = [
            ("kind", pa.int32()),
            ("user", pa.int64()),
            ("item", pa.int64()),
            ("label", pa.bool_()),
        ]
        return pa.schema([*plain, *((f"s{n}", pa.float64()) for n in range(len(self.rankers)))])

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """The bucket's rows."""
        histories = Histories.from_arrow(tables["sequences"].sort_by("user_key"))
        past = self.split.training(histories)
        past = past.take(_last_with_a_past(past))
        place = {key: n for n, key in enumerate(past.users.tolist())}
        of_user = np.array([place.get(key, -1) for key in self.rows.users.tolist()], np.int64)
        mine = np.flatnonzero(of_user[self.rows.owner] >= 0)
        asked = LabelledPairs(
            of_user[self.rows.owner[mine]], self.rows.items[mine], self.rows.labels[mine]
        )
        rows, left = fresh(asked, past, self.items)
        hashes = hash_keys(pa.array(past.users.tolist(), pa.string())) >> np.uint64(1)
        parts = [self._scored(0, past, rows, hashes)]
        test = getattr(self.split, self.part)(histories)
        own = hash_keys(pa.array(test[0].users.tolist(), pa.string())) >> np.uint64(1)
        some = own < np.uint64(self.limit)
        if some.any():
            drawn = test[0].take(some), test[1].take(some)
            parts.append(
                self._scored(1, drawn[0], cells_of_log(drawn, self.items, self.seed), own[some])
            )
        gone = [left["known"], left["repeated"], left["contradicted"]]
        zero = np.zeros(len(gone))
        parts.append(
            pa.table(
                [
                    np.full(len(gone), 2),
                    np.arange(len(gone)),
                    gone,
                    np.zeros(len(gone), bool),
                    *[zero] * len(self.rankers),
                ],
                self.schema.names,
            ).cast(self.schema)
        )
        return pa.concat_tables(parts)

    def _scored(
        self, kind: int, histories: Histories, cells: LabelledPairs, users: np.ndarray
    ) -> pa.Table:
        scores = [below(r, histories, cells.users, cells.items) for r in self.rankers.values()]
        count = len(cells.users)
        columns = [
            np.full(count, kind),
            users[cells.users].astype(np.int64),
            cells.items,
            cells.labels,
            *scores,
        ]
        return pa.table(columns, self.schema.names).cast(self.schema)


def _last_with_a_past(histories: Histories) -> np.ndarray:
    """One row a user, that with the latest interaction, of those who have any (n)."""
    full = np.diff(histories.offsets) > 0
    best: dict[str, int] = {}
    for row in np.flatnonzero(full):
        user, last = histories.users[row], histories.times[histories.offsets[row + 1] - 1]
        if user not in best or last >= histories.times[histories.offsets[best[user] + 1] - 1]:
            best[user] = int(row)
    chosen = np.zeros(len(histories), bool)
    chosen[list(best.values())] = True
    return chosen


def judged_on_table(
    job: Job,
    rows: LotRows,
    rankers: Mapping[str, Ranker],
    split: Any,
    item_keys: tuple[str, ...],
    plan: ScanPlan,
) -> LotEvaluation:
    """Rankers and popularity on the table of the settings.

    Parameters
    ----------
    job : Job
    rows : LotRows
    rankers : mapping of str to Ranker
        By name; they travel to Spark's workers.
    split : Split
        Histories are those of its training part, that nothing after has a place in.
    item_keys : tuple of str
    plan : ScanPlan
        ``gold.sequences`` with ``bucket``.

    Raises
    ------
    DataError
        If no row can judge.
    """
    from pyspark.sql.pandas.types import from_arrow_schema

    options, size = job.settings.sequence.evaluation, len(item_keys)
    popularity = training_counts(job, split, size, plan)
    everyone = {**rankers, ALL_TIME: Popularity(popularity)}
    kernel = LotKernel(everyone, split, size, rows, _limit(plan), job.settings.seed)
    job.progress.update("ranking for labels by lot")
    made = job.lake.map_buckets(
        kernel, {"sequences": plan}, from_arrow_schema(kernel.schema)
    ).toArrow()
    return told(made, tuple(everyone), rows, popularity, options.top_k, options.table or "")


def _limit(plan: ScanPlan) -> int:
    """Below which the hashes of about :data:`LOGGED` users are."""
    return min(int(min(LOGGED / max(plan.rows, 1), 1.0) * 2**63), 2**63 - 1)


def training_counts(job: Job, split: Any, items: int, plan: ScanPlan) -> np.ndarray:
    """How often each item is in the training part, over all users (items + 1)."""
    found = job.lake.sum_buckets(TrainingCounts(split, items), {"sequences": plan}, 2**31 - 1)
    return np.asarray(found["items"], float)


def judged_on_validation(
    job: Job,
    rankers: Mapping[str, Ranker],
    split: Any,
    items: int,
    plan: ScanPlan,
    inverse: np.ndarray,
) -> dict[str, dict[str, Judged]]:
    """What the log's validation part says of rankers, what was taken weighted by inverse chances (items + 1).

    As many cells count as positive as negative; empty where the part cannot say.
    """
    from pyspark.sql.pandas.types import from_arrow_schema

    nothing = np.zeros(0, np.int64)
    rows = LotRows(np.zeros(0, object), nothing, nothing, nothing.astype(bool), 0)
    kernel = LotKernel(rankers, split, items, rows, _limit(plan), job.settings.seed, "validation")
    made = job.lake.map_buckets(
        kernel, {"sequences": plan}, from_arrow_schema(kernel.schema)
    ).toArrow()
    cells, scores = _cells(_ordered(made), 1, tuple(rankers))
    return {name: by_weights(cells, own, inverse, 0.5) for name, own in scores.items()}


def _ordered(made: pa.Table) -> pa.Table:
    return made.sort_by([(name, "ascending") for name in made.column_names])


def _cells(
    ordered: pa.Table, kind: int, names: tuple[str, ...]
) -> tuple[LabelledPairs, dict[str, np.ndarray]]:
    own = ordered.filter(pc.equal(ordered["kind"], kind))
    labels = own["label"].to_numpy(zero_copy_only=False).astype(bool)
    pairs = LabelledPairs(own["user"].to_numpy(), own["item"].to_numpy(), labels)
    return pairs, {name: own[f"s{n}"].to_numpy() for n, name in enumerate(names)}


def told(
    made: pa.Table,
    names: tuple[str, ...],
    rows: LotRows,
    popularity: np.ndarray,
    top_k: int,
    table: str,
) -> LotEvaluation:
    """Figures of the kernel's rows, in an order of their own, so that no layout moves a bit.

    Raises
    ------
    DataError
        If no row can judge.
    """
    ordered = _ordered(made)
    by_lot, scores = _cells(ordered, 0, names)
    of_log, log_scores = _cells(ordered, 1, names)
    gone = ordered.filter(pc.equal(ordered["kind"], 2))
    left = np.bincount(gone["user"].to_numpy(), gone["item"].to_numpy(), 3).astype(int)
    if not len(by_lot.labels) or by_lot.labels.all() or not by_lot.labels.any():
        raise DataError(
            f"{KEY}: {len(by_lot.labels):,} rows are of users with a history and an item that it does not have, with "
            "labels of one kind alone; expected both kinds."
        )
    share = float(by_lot.labels.mean())
    figures, inverse = [], 1 / np.maximum(popularity, 1.0)
    for name in names:
        known = by_rows(by_lot, scores[name], top_k)
        log: Mapping[str, Judged] = by_weights(of_log, log_scores[name], inverse, share)
        for measure in MEASURES:
            own, other = known[measure], log.get(measure)
            figures.append(
                LotFigure(name, measure, own.value, own.lower, own.upper)
                if other is None
                else LotFigure(
                    name,
                    measure,
                    own.value,
                    own.lower,
                    own.upper,
                    other.value,
                    other.lower,
                    other.upper,
                )
            )
    judging = len(by_lot.labels)
    return LotEvaluation(
        table, judging, len(np.unique(by_lot.users)), int(left[0]), int(left[1]), int(left[2]),
        len(rows.owner) + rows.unread - judging - int(left.sum()), int((by_lot.items == 0).sum()),
        len(np.unique(of_log.users)), tuple(figures),
    )  # fmt: skip
