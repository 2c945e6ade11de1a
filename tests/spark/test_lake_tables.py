"""Idempotent writes, pinned reads and the two ways into a kernel, on a real session."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from truelift.errors import MachineError, TableError
from truelift.lake import Lake, bucket_column
from truelift.lake.kernels import added_in_groups, sum_buckets
from truelift.lake.states import pack_state, unpack_state
from truelift.lake.tables import TABLES, table_spec

SCORES = "unit_id string, user_key string, campaign string, treated int, x_a double"


def panel(spark, rows=1000, users=60, buckets=40):
    frame = spark.range(rows).selectExpr(
        "cast(id as string) unit_id",
        f"cast(id % {users} as string) user_key",
        "'c' campaign",
        "cast(id % 2 as int) treated",
        "cast(id as double) / 7 x_a",
    )
    return frame.withColumn("bucket", bucket_column("user_key", buckets))


class SumOfUnits:
    """Adds x_a up and counts rows, batch by batch."""

    def __call__(self, bucket, batches):
        rows, total = 0, 0.0
        for batch in batches:
            values = np.sort(batch.column("x_a").to_numpy())
            rows, total = rows + len(values), total + values.sum()
        return {"rows": np.array(rows), "sum": np.array(total), "max_bucket": np.array(bucket)}


class RowsByUser:
    """One row a user of the bucket, with the rows of both tables."""

    def __call__(self, bucket, tables):
        users = tables["panel"].group_by("user_key").aggregate([([], "count_all")])
        users = users.sort_by("user_key")
        return pa.table(
            {
                "user_key": users["user_key"],
                "rows": users["count_all"],
                "others": pa.repeat(tables["other"].num_rows, users.num_rows),
                "bucket": pa.repeat(bucket, users.num_rows),
            }
        )


USERS = "user_key string, rows bigint, others bigint, bucket int"


def rows_of(frame):
    return sorted(tuple(row) for row in frame.collect())


def test_replacing_with_the_same_fingerprint_writes_nothing(spark, lake):
    first = lake.replace("gold.panel", panel(spark), "one")
    again = lake.replace("gold.panel", panel(spark, rows=5), "one")
    assert (first.version, first.rows, first.skipped) == (0, 1000, False)
    assert (again.version, again.rows, again.skipped) == (0, 1000, True)
    assert lake.read("gold.panel").count() == 1000


def test_replacing_with_another_fingerprint_makes_a_version(spark, lake):
    lake.replace("gold.panel", panel(spark), "one")
    second = lake.replace("gold.panel", panel(spark, rows=5), "two")
    assert (second.version, second.rows) == (1, 5)
    assert lake.read("gold.panel").count() == 5
    assert lake.read("gold.panel", version=0).count() == 1000


def test_no_rows_over_no_rows_is_a_commit_with_a_fingerprint_too(spark, lake):
    versions = [lake.replace("gold.panel", panel(spark, 0), name).version for name in ("a", "b")]
    assert versions == [0, 1]
    again = lake.replace("gold.panel", panel(spark, 0), "b")
    assert (again.version, again.rows, again.skipped) == (1, 0, True)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_arrow_and_spark_read_the_same_types(spark, name):
    from pyspark.sql.pandas.types import to_arrow_schema

    spec = table_spec(name)
    assert to_arrow_schema(spec.schema()) == spec.arrow


def test_a_batch_is_appended_once_and_new_columns_join(spark, lake):
    def batch(column, value):
        schema = f"{column} string, {TABLES['bronze.events'].columns}"
        return spark.createDataFrame([(value, "f", 0, None, "b")], schema)

    first = lake.append("bronze.events", batch("x", "1"), "b1")
    repeat = lake.append("bronze.events", batch("x", "1"), "b1")
    second = lake.append("bronze.events", batch("y", "2"), "b2")
    late = lake.append("bronze.events", batch("x", "1"), "b1")
    assert [c.skipped for c in (first, repeat, second, late)] == [False, True, False, True]
    rows = lake.read("bronze.events").select("x", "y").collect()
    assert sorted(map(tuple, rows), key=str) == [("1", None), (None, "2")]


def test_rows_that_do_not_fit_the_table_are_refused_and_nothing_is_written(spark, lake):
    with pytest.raises(TableError, match=r"unit_id is missing.*bucket is bigint, expected int"):
        lake.replace("gold.panel", panel(spark).drop("unit_id").withColumn("bucket", _long()), "x")
    assert not lake.exists("gold.panel")


def _long():
    from pyspark.sql import functions as F

    return F.lit(1).cast("bigint")


def test_a_reader_of_a_pinned_version_does_not_see_later_writes(spark, lake):
    lake.replace("gold.panel", panel(spark), "one")
    plan = lake.plan("gold.panel", ["x_a", "bucket"])
    lake.replace("gold.panel", panel(spark, rows=3), "two")
    assert lake.sum_buckets(SumOfUnits(), {"panel": plan})["rows"] == 1000


def test_both_ways_into_a_kernel_give_the_same(spark, lake):
    lake.replace("gold.panel", panel(spark), "one")
    direct = lake.plan("gold.panel", ["user_key", "x_a", "bucket"])
    uri = lake.uri("gold.panel")
    # Deletion vectors appear: the files alone no longer say which rows live.
    spark.sql(f"ALTER TABLE delta.`{uri}` SET TBLPROPERTIES ('delta.enableDeletionVectors'=true)")
    rows = lake.plan("gold.panel", ["user_key", "x_a", "bucket"])
    assert (direct.direct, rows.direct) == (True, False)
    assert "deletionVectors" in rows.reason
    assert lake.sum_buckets(SumOfUnits(), {"panel": direct}) == lake.sum_buckets(
        SumOfUnits(), {"panel": rows}
    )
    plans = [{"panel": plan, "other": other} for plan in (direct, rows) for other in (direct, rows)]
    results = [rows_of(lake.map_buckets(RowsByUser(), plan, USERS)) for plan in plans]
    assert len(results[0]) == 60
    assert all(result == results[0] for result in results)


def test_sums_do_not_depend_on_files_tasks_or_the_second_stage(spark, lake):
    totals = []
    for layout, frame in enumerate(
        [
            panel(spark).coalesce(1),
            panel(spark).repartition(7),
            panel(spark).repartition(40, "bucket").sortWithinPartitions("x_a"),
        ]
    ):
        lake.replace("gold.panel", frame, f"layout-{layout}")
        plan = lake.plan("gold.panel", ["x_a", "bucket"])
        totals.append(lake.sum_buckets(SumOfUnits(), {"panel": plan}))
        totals.append(sum_buckets(spark, SumOfUnits(), {"panel": plan}, buckets=1000))
    assert {int(t["rows"]) for t in totals} == {1000}
    assert {int(t["max_bucket"]) for t in totals} == {int(totals[0]["max_bucket"])}
    np.testing.assert_allclose([t["sum"] for t in totals], 499500 / 7, rtol=1e-12)


def test_states_of_buckets_are_added_by_group_before_anyone_collects_them(spark):
    states = [(b, bytearray(pack_state({"n": np.array([b, 1.0])}))) for b in range(10) if b != 4]
    frame = spark.createDataFrame(states, "bucket int, state binary")
    rows = added_in_groups(frame, 3).collect()
    found = {row.bucket: unpack_state(bytes(row.state))["n"].tolist() for row in rows}
    assert found == {0: [18.0, 4.0], 1: [8.0, 2.0], 2: [15.0, 3.0]}


def test_a_batch_is_never_longer_than_asked_for(spark, lake):
    lake.replace("gold.panel", panel(spark, users=1).coalesce(1), "one")

    class LongestBatch:
        def __call__(self, bucket, batches):
            return {"max_rows": np.array(max(b.num_rows for b in batches))}

    plan = lake.plan("gold.panel", ["x_a", "bucket"])
    assert lake.sum_buckets(LongestBatch(), {"panel": plan}, batch_rows=100)["max_rows"] == 100


def test_a_table_without_buckets_is_refused_by_kernels(spark, lake):
    columns = TABLES["gold.effects"].columns
    rows = spark.createDataFrame([(None,) * len(columns.split(","))], columns)
    lake.replace("gold.effects", rows, "one")
    with pytest.raises(TableError, match="not partitioned by bucket"):
        lake.sum_buckets(SumOfUnits(), {"panel": lake.plan("gold.effects")})


def test_a_lake_that_cannot_be_written_is_named(make_settings, tmp_path):
    from dataclasses import replace

    (tmp_path / "file").write_text("x")
    with pytest.raises(MachineError, match="is a file, not a folder") as error:
        Lake.open(replace(make_settings(), lake=str(tmp_path / "file" / "lake")))
    assert error.value.exit_code == 2


def effects_of(lake, panel: str, *estimates: float):
    """Rows of ``gold.effects`` of a panel, empty but for their estimates."""
    schema = table_spec("gold.effects").schema()
    held = [{"panel": panel, "estimate": estimate} for estimate in estimates]
    return lake.spark.createDataFrame([tuple(h.get(n) for n in schema.names) for h in held], schema)


def test_a_panel_replaces_its_own_rows_and_leaves_those_of_others(lake):
    a, b = "gold.panel", "s3a://shop/it's a panel"
    name = "gold.effects"

    def put(panel, fingerprint, *estimates):
        rows = effects_of(lake, panel, *estimates)
        return lake.replace_part(name, rows, fingerprint, "panel", panel)

    def held():
        return sorted((r.panel, r.estimate) for r in lake.read(name).collect())

    # As an older version left it: one panel, not partitioned.
    effects_of(lake, a, 9.0).drop("bound").write.format("delta").save(lake.uri(name))
    put(a, "a1", 1.0, 2.0)
    put(b, "b1", 3.0)
    assert held() == [(a, 1.0), (a, 2.0), (b, 3.0)]
    again = put(a, "a1", 1.0, 2.0)
    assert again.skipped and lake.version(name) == 2
    put(a, "a2", 4.0)
    assert held() == [(a, 4.0), (b, 3.0)]
    assert put(b, "b1", 3.0).skipped
