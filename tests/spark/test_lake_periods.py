"""Spark names periods as Arrow does."""

from __future__ import annotations

import datetime
import random

import pyarrow as pa
import pytest

from truelift.lake.periods import UNITS, period_column, period_of

EDGES = [
    *("1969-12-31 23:59:59.999999", "1970-01-01 00:00:00", "2016-02-29 12:00:00"),
    *("2018-12-31 00:00:00", "2021-01-01 00:00:00", "2021-01-03 23:59:59.999999"),
    *("2017-03-26 01:30:00", "2017-10-29 01:30:00", "1905-06-07 08:09:10.000011"),
    *("2262-04-12 00:00:00.000001", "2299-12-31 23:59:59.999999"),
]


def moments():
    chance = random.Random(5)
    some = [datetime.datetime.fromisoformat(text) for text in EDGES]
    start = datetime.datetime(1950, 1, 1)
    return some + [
        start + datetime.timedelta(seconds=chance.randrange(3_000_000_000)) for _ in range(200)
    ]


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns", "Pacific/Auckland"])
def test_spark_gives_the_names_that_arrow_gives(spark, zone):
    from pyspark.sql import functions as F

    times = pa.array(moments(), pa.timestamp("us")).cast(pa.int64())
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        frame = spark.createDataFrame([(t,) for t in times.to_pylist()], "t bigint")
        named = frame.select(*(period_column(F.timestamp_micros("t"), u).alias(u) for u in UNITS))
        rows = named.collect()
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)
    for unit in UNITS:
        assert [row[unit] for row in rows] == period_of(times, unit).to_pylist()
