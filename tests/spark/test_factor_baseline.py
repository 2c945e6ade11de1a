"""Spark's ALS and the fold-in are one step of the same algorithm."""

from __future__ import annotations

import numpy as np
from pyspark.ml.recommendation import ALS

from tests.unit.models.sequence.test_histories import histories
from truelift.evaluation.factors import FactorOptions, Factors


def test_folding_in_gives_the_users_factors_that_spark_fitted(spark):
    generator = np.random.default_rng(4)
    users = [generator.integers(1, 13, 9).tolist() for _ in range(10)]
    rows = [(u, i, float(items.count(i))) for u, items in enumerate(users) for i in set(items)]
    frame = spark.createDataFrame(rows, "user int, item int, times float")
    options = FactorOptions(rank=3, iterations=2, penalty=0.2, confidence=4.0)
    model = ALS(
        rank=3, maxIter=2, regParam=0.2, alpha=4.0, implicitPrefs=True, userCol="user",
        itemCol="item", ratingCol="times", seed=1, numUserBlocks=1, numItemBlocks=1,
    ).fit(frame)  # fmt: skip
    items = np.zeros((13, 3), dtype=np.float32)
    for row in model.itemFactors.collect():
        items[row.id] = row.features
    expected = np.array([r.features for r in model.userFactors.orderBy("id").collect()])
    steps = [[(item, t, t) for t, item in enumerate(u)] for u in users]
    found = Factors(items, options).users(histories(*steps))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-5)
