"""Scan plans over small Delta tables written without Spark."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from truelift.errors import TableError
from truelift.lake import scan
from truelift.lake.log import recent_commits
from truelift.lake.scan import ScanPlan, make_plan, read_unit


@pytest.fixture
def events(tmp_path):
    uri = str(tmp_path / "events")
    rows = pa.table(
        {
            "user_key": ["a", "b", "c", "d"],
            "value": [1.0, 2.0, 3.0, 4.0],
            "bucket": pa.array([0, 0, 1, 2], pa.int32()),
        }
    )
    write_deltalake(uri, rows, partition_by=["bucket"])
    return uri


def read_all(plan: ScanPlan) -> pa.Table:
    return pa.concat_tables([read_unit(plan, unit) for unit in plan.units])


def test_a_plan_lists_every_row_once(events):
    plan = make_plan("silver.events", events)
    assert plan.rows == 4
    assert sorted(read_all(plan)["user_key"].to_pylist()) == ["a", "b", "c", "d"]


def test_partition_columns_come_back_with_their_type(events):
    table = read_all(make_plan("silver.events", events, ["bucket", "value"]))
    assert table.schema == pa.schema([("bucket", pa.int32()), ("value", pa.float64())])
    assert sorted(table["bucket"].to_pylist()) == [0, 0, 1, 2]


def test_a_plan_stays_at_its_version_when_the_table_moves_on(events):
    plan = make_plan("silver.events", events)
    more = pa.table({"user_key": ["e"], "value": [5.0], "bucket": pa.array([1], pa.int32())})
    write_deltalake(events, more, mode="append")
    assert plan.version == 0
    assert read_all(plan).num_rows == 4
    assert make_plan("silver.events", events, version=0).units == plan.units
    assert make_plan("silver.events", events).rows == 5


def test_units_are_grouped_by_bucket(events):
    groups = make_plan("silver.events", events).by_bucket()
    assert {bucket: sum(u.rows for u in units) for bucket, units in groups.items()} == {
        0: 2,
        1: 1,
        2: 1,
    }


def test_a_plan_survives_the_way_through_json(events):
    plan = make_plan("silver.events", events, ["user_key"])
    again = ScanPlan.from_json(plan.to_json())
    assert again == plan
    assert read_all(again).equals(read_all(plan))


def test_a_large_file_is_cut_into_its_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(scan, "SPLIT_BYTES", 0)
    uri = str(tmp_path / "t")
    write_deltalake(uri, pa.table({"n": list(range(10))}))
    (file,) = (tmp_path / "t").glob("*.parquet")
    pq.write_table(pa.table({"n": list(range(10))}), file, row_group_size=4)
    plan = make_plan("t", uri)
    assert [(u.row_group, u.rows) for u in plan.units] == [(0, 4), (1, 4), (2, 2)]
    assert read_all(plan)["n"].to_pylist() == list(range(10))


def test_a_column_that_an_older_file_lacks_is_null(tmp_path):
    uri = str(tmp_path / "t")
    write_deltalake(uri, pa.table({"n": [1]}))
    write_deltalake(uri, pa.table({"n": [2], "m": ["x"]}), mode="append", schema_mode="merge")
    rows = read_all(make_plan("t", uri)).to_pylist()
    assert sorted(rows, key=lambda r: r["n"]) == [{"n": 1, "m": None}, {"n": 2, "m": "x"}]


def test_a_missing_table_or_column_is_named(events, tmp_path):
    with pytest.raises(TableError, match=r"no table silver\.events"):
        make_plan("silver.events", str(tmp_path / "nowhere"))
    with pytest.raises(TableError, match=r"no column 'price'.*user_key"):
        make_plan("silver.events", events, ["price"])


def test_commits_of_other_writers_carry_no_fingerprint(events):
    (commit,) = recent_commits(events)
    assert (commit.version, commit.fingerprint) == (0, None)
