"""Spark's alternating least squares as a baseline: fitted by Spark, folded in by NumPy.

Implicit feedback (Hu, Koren & Volinsky, ICDM 2008) with the penalty scaled by the number of a
user's items (Zhou et al., AAIM 2008), as ``pyspark.ml.recommendation.ALS`` has it. Only the
items' factors leave Spark: a user's are one least-squares step from the user's history, the
same that Spark takes, so they follow the history to any later time, and what travels to the
evaluation has the size of the catalogue and not of the users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from truelift.models.sequence.histories import Histories

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from truelift.lake import ScanPlan

NAME = "Spark ALS (untuned)"
_USERS_A_BLOCK = 50_000


@dataclass(frozen=True)
class FactorOptions:
    """The small setting of the baseline.

    Parameters
    ----------
    rank : int
        Length of a factor.
    iterations : int
    penalty : float
        Spark's ``regParam``.
    confidence : float
        Spark's ``alpha``: weight of one interaction beside one that was not seen.
    """

    rank: int = 32
    iterations: int = 8
    penalty: float = 0.1
    confidence: float = 10.0


@dataclass(frozen=True)
class Factors:
    """Scores from the items' factors and a user's history.

    Parameters
    ----------
    items : numpy.ndarray, shape (items + 1, rank)
        Row ``i`` is item ``i``; an item without interactions has zeros.
    options : FactorOptions
    """

    items: np.ndarray
    options: FactorOptions

    def users(self, histories: Histories) -> np.ndarray:
        """The users' factors, shape (n, rank).

        With ``r`` interactions with an item and ``c = alpha r``, the solution of
        ``(Y'Y + sum c y y' + penalty n I) x = sum (1 + c) y`` over the user's ``n`` items.
        """
        base = self.items.T.astype(np.float64) @ self.items
        found = np.zeros((len(histories), self.items.shape[1]))
        for user in range(len(histories)):
            mine = histories.items[histories.offsets[user] : histories.offsets[user + 1]]
            if len(mine) == 0:
                continue
            item, times = np.unique(mine, return_counts=True)
            rows = self.items[item].astype(np.float64)
            extra = self.options.confidence * times
            left = base + (rows.T * extra) @ rows
            left.flat[:: len(base) + 1] += self.options.penalty * len(item)
            found[user] = np.linalg.solve(left, rows.T @ (1.0 + extra))
        return found

    def scores(self, histories: Histories) -> np.ndarray:
        """Scores of all items for each user, shape (n, items + 1)."""
        result = np.empty((len(histories), len(self.items)), dtype=np.float32)
        # Row by row: one product for all would round by the size of the batch.
        for row, factor in zip(result, self.users(histories).astype(np.float32), strict=True):
            np.matmul(self.items, factor, out=row)
        return result


@dataclass(frozen=True)
class InteractionKernel:
    """``user, item, times`` of the training part of one bucket.

    Parameters
    ----------
    split : object
        Its ``training(histories)`` says what may be learned from.
    buckets : int
        One more than the largest bucket.
    """

    split: Any
    buckets: int

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """Users are numbered by place and bucket: 32 bits, as ALS asks, and no table of keys."""
        histories = self.split.training(
            Histories.from_arrow(tables["sequences"].sort_by("user_key"))
        )
        span = int(histories.items.max(initial=0)) + 1
        cells, times = np.unique(histories.owner * span + histories.items, return_counts=True)
        user, item = np.divmod(cells, span)
        return pa.table(
            {
                "user": (user * self.buckets + bucket).astype(np.int32),
                "item": item.astype(np.int32),
                "times": times.astype(np.float32),
            }
        )


def fit_factors(
    spark: SparkSession,
    plan: ScanPlan,
    split: Any,
    items: int,
    seed: int,
    options: FactorOptions | None = None,
) -> Factors:
    """Fit on the training part with ``pyspark.ml``.

    Parameters
    ----------
    spark : SparkSession
    plan : ScanPlan
        ``gold.sequences`` with ``user_key``, the lists and ``bucket``.
    split : object
        As for :class:`InteractionKernel`.
    items, seed : int
    options : FactorOptions, optional

    Returns
    -------
    Factors
    """
    from pyspark.ml.recommendation import ALS

    from truelift.lake.kernels import map_buckets

    chosen = options or FactorOptions()
    kernel = InteractionKernel(split, max(plan.by_bucket(), default=0) + 1)
    schema = "user int, item int, times float"
    rows = map_buckets(spark, kernel, {"sequences": plan}, schema).cache()
    # By the data alone: how blocks are cut decides how sums round.
    blocks = min(10, 1 + plan.rows // _USERS_A_BLOCK)
    try:
        model = ALS(
            rank=chosen.rank,
            maxIter=chosen.iterations,
            regParam=chosen.penalty,
            alpha=chosen.confidence,
            implicitPrefs=True,
            userCol="user",
            itemCol="item",
            ratingCol="times",
            seed=seed,
            numUserBlocks=blocks,
            numItemBlocks=blocks,
        ).fit(rows)
        table = model.itemFactors.toArrow()
    finally:
        rows.unpersist()
    result = np.zeros((items + 1, chosen.rank), dtype=np.float32)
    values = table.column("features").combine_chunks()
    flat = (values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values).flatten()
    result[table.column("id").to_numpy()] = flat.to_numpy().reshape(-1, chosen.rank)
    return Factors(result, chosen)
