"""Raw files to bronze: as text, each file once, nothing lost without a count."""

from __future__ import annotations

import datetime
import json
import os

import pytest

from tests.spark.logs_source import held, rows_of, write_csv, write_dataset
from truelift.errors import SourceError
from truelift.lake.tables import schema_of, table_spec
from truelift.logs.clean import clean
from truelift.logs.ingest import ingest, raw_files
from truelift.logs.results import IngestResult
from truelift.logs.sampling import in_sample
from truelift.typed import from_plain

EVENTS = [f"user{n % 20},item{n % 7},2024-01-01 00:{n:02}:00,1,2.50" for n in range(60)]


@pytest.fixture(params=["by the driver", "by tasks"])
def own(tmp_path, make_settings, make_job, request, monkeypatch):
    """``own(*overrides)``: an ingest job of the CSV files under ``raw``."""
    if request.param == "by tasks":
        monkeypatch.setattr("truelift.logs.ingest.MOST_BYTES_HERE", 0)

    def make(*overrides, pattern="*.csv", **source):
        dataset = write_dataset(tmp_path, {"path": str(tmp_path / "raw" / pattern), **source})
        return make_job("ingest", make_settings(*overrides, dataset=dataset))

    return make


def result_of(job):
    ingest(job)
    return from_plain(IngestResult, job.results["IngestResult"])


def test_rows_arrive_as_text_with_file_row_and_batch(tmp_path, own):
    path = write_csv(tmp_path / "raw" / "a.csv", "007,x,2024-01-01,1.50,", "b,,noon,-,3")
    job = own()
    result = result_of(job)
    bronze = job.lake.read("bronze.events")
    assert rows_of(bronze, "u", "i", "t", "q", "v", "source_file", "source_row") == [
        ("007", "x", "2024-01-01", "1.50", "", path, 0),
        ("b", "", "noon", "-", "3", path, 1),
    ]
    assert {len(row.batch_id) for row in bronze.select("batch_id").collect()} == {24}
    (time,) = {row.micros for row in bronze.selectExpr("unix_micros(file_time) micros").collect()}
    assert time == os.stat(path).st_mtime_ns // 1000
    assert (result.files, result.rows_read, result.rows_written) == (1, 2, 2)


def test_second_ingest_changes_nothing_and_says_so(tmp_path, own):
    write_csv(tmp_path / "raw" / "a.csv", *EVENTS)
    first = own()
    ingest(first)
    version = first.lake.version("bronze.events")
    again = own()
    result = result_of(again)
    assert again.lake.version("bronze.events") == version
    assert (result.files, result.rows_read, result.rows_written) == (0, 0, 0)
    assert (result.rows_already_known, result.streams) == (60, {"events": 60})
    assert again.outputs == {"bronze.events": version}


def test_a_new_file_is_added_and_the_known_one_is_not_read_again(tmp_path, own):
    write_csv(tmp_path / "raw" / "a.csv", *EVENTS[:40])
    ingest(own())
    before = raw_files(own().settings)
    write_csv(tmp_path / "raw" / "b.csv", *(f"{line},x" for line in EVENTS[40:]),
              header="u,i,t,q,v,extra")  # fmt: skip
    job = own()
    result = result_of(job)
    assert (result.files, result.rows_written, result.rows_already_known) == (1, 20, 40)
    extra = held(job.lake, "bronze.events")["extra"]
    assert (len(extra), extra.null_count) == (60, 40)
    assert raw_files(job.settings) != before
    assert (result.new_columns, result.missing_columns) == (("events.extra",), ())


def test_the_manifest_is_a_table_with_a_row_a_file(tmp_path, own):
    names = [write_csv(tmp_path / "raw" / f"{n}.csv", *EVENTS[n : n + 2]) for n in range(3)]
    job = own()
    ingest(job)
    manifest = job.lake.read("ops.ingested_files")
    assert rows_of(manifest, "stream", "path", "rows", "sample_share") == [
        ("events", name, 2, 1.0) for name in names
    ]
    wanted = {f.name: f.dataType for f in table_spec("ops.ingested_files").schema()}
    assert {f.name: f.dataType for f in manifest.schema} == wanted


def test_an_ingest_that_died_after_bronze_is_taken_up_where_it_was(tmp_path, own, monkeypatch):
    write_csv(tmp_path / "raw" / "a.csv", *EVENTS[:40])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("truelift.logs.ingest.record", _die)
        ingest(own())
    write_csv(tmp_path / "raw" / "b.csv", *EVENTS[40:])
    job = own()
    result = result_of(job)
    assert (result.files, result.rows_written, result.rows_already_known) == (1, 20, 40)
    assert held(job.lake, "bronze.events").num_rows == 60
    assert held(job.lake, "ops.ingested_files").num_rows == 2


def test_a_run_that_dies_before_its_commit_leaves_nothing_that_counts(tmp_path, own, monkeypatch):
    write_csv(tmp_path / "raw" / "a.csv", *EVENTS)
    for name in ("append_files", "append_rows"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(f"truelift.logs.ingest.{name}", _die)
            patch.setattr("truelift.logs.ingest.MOST_BYTES_HERE", 0 if "files" in name else 2**20)
            ingest(own())
    job = own()
    assert result_of(job).rows_written == 60
    assert held(job.lake, "bronze.events").num_rows == 60


def _die(*_):
    raise KeyboardInterrupt


def test_driver_and_tasks_write_one_table_in_turn(tmp_path, own, monkeypatch):
    for number, limit in enumerate((0, 2**20, 0, 2**20)):
        monkeypatch.setattr("truelift.logs.ingest.MOST_BYTES_HERE", limit)
        extra = f"u,i,t,q,v,x{number}"
        write_csv(tmp_path / "raw" / f"{number}.csv", f"a,x,2024-01-01,1,1,{number}", header=extra)
        job = own()
        assert result_of(job).rows_written == 1
    bronze = job.lake.read("bronze.events")
    assert rows_of(bronze, "x0", "x1", "x2", "x3") == [
        tuple(str(n) if n == place else None for n in range(4)) for place in range(4)
    ]
    assert held(job.lake, "ops.ingested_files").num_rows == 4


def test_a_delta_table_gives_the_files_that_an_append_adds(tmp_path, own, spark):
    schema = "u string, i int, t timestamp, q int, v decimal(9,2)"
    row = "'a' u, 1 i, timestamp'2024-01-01' t, 1 q, cast(2.50 as decimal(9,2)) v"
    for count in (2, 3):
        frame = spark.range(count).selectExpr(*row.split(", ")).to(schema_of(schema))
        frame.write.format("delta").mode("append").partitionBy("q").save(str(tmp_path / "raw"))
        job = own(pattern=".", format="delta")
        assert result_of(job).rows_written == count
    bronze = held(job.lake, "bronze.events")
    assert set(rows_of(bronze, "u", "i", "t", "q", "v")) == {
        ("a", "1", "2024-01-01 00:00:00.000000Z", "1", "2.50")
    }
    assert bronze.num_rows == 5


def test_a_sample_keeps_whole_users_and_counts_the_rest(tmp_path, own, make_job):
    import pyarrow as pa

    write_csv(tmp_path / "raw" / "a.csv", *EVENTS)
    users = [f"user{n}" for n in range(20)]
    kept = {u for u, k in zip(users, in_sample(pa.array(users), 0.4), strict=True) if k}
    assert 0 < len(kept) < 20
    job = own("sample=0.4")
    result = result_of(job)
    assert set(held(job.lake, "bronze.events")["u"].to_pylist()) == kept
    assert (result.rows_read, result.rows_written) == (60, 3 * len(kept))
    assert result.rows_sampled_out == 60 - 3 * len(kept)
    with pytest.raises(SourceError, match=r"holds a sample of 0\.4 .* ask for 1"):
        ingest(own("sample=1.0"))
    assert job.lake.version("bronze.events") == job.outputs["bronze.events"]


def test_corrupt_rows_are_kept_in_their_place(tmp_path, own):
    write_csv(tmp_path / "raw" / "a.csv", "a,b,c,1,2", "only two,columns", "d,e,f,1,2")
    job = own()
    ingest(job)
    bronze = held(job.lake, "bronze.events")
    corrupt = bronze.filter(bronze["_corrupt"].is_valid())
    assert rows_of(corrupt, "_corrupt", "source_row", "u") == [("only two,columns", 1, None)]


def test_json_lines_and_gzip_go_the_same_way(tmp_path, own):
    import gzip

    lines = '{"u": "a", "i": 1, "t": 1704067200, "q": 1, "v": 0.10}\n{"broken\n'
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    job = own(pattern="*.jsonl.gz", format="jsonl")
    ingest(job)
    bronze = held(job.lake, "bronze.events")
    assert rows_of(bronze, "u", "i", "t", "v", "_corrupt") == [
        (None, None, None, None, '{"broken'),
        ("a", "1", "1704067200", "0.10", None),
    ]


def test_keys_of_one_name_keep_their_places_by_driver_and_by_tasks(tmp_path, own):
    top_first = '{"user_id": "shop1", "user": {"id": "app1"}, "i": 1, "t": 1, "q": 1, "v": 1}'
    nested_first = '{"user": {"id": "app2"}, "user_id": "shop2", "i": 1, "t": 1, "q": 1, "v": 1}'
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.jsonl").write_text(f"{top_first}\n{nested_first}\n")
    job = own("source.mapping.user=user.id", pattern="*.jsonl", format="jsonl")
    ingest(job)
    bronze = held(job.lake, "bronze.events")
    assert rows_of(bronze, "user_id", "user__id") == [("shop1", "app1"), ("shop2", "app2")]


def test_what_the_mapping_means_is_what_silver_holds(tmp_path, own, make_job):
    lines = [
        {"user_id": "shop", "User": {"Id": "\u00a0app1\t"}, "i": "x", "T": "2024-03-05T10:00Z"},
        {"user": {"id": "app1"}, "user_id": "shop", "i": "x", "t": "20240305T1107+01"},
        {"user": {"id": "app2"}, "i": "x", "t": "2024-03-05 12:00:00 BST"},
    ]
    (tmp_path / "raw").mkdir()
    for number, line in enumerate(lines):
        more = {"a": ["Googlebot/2.1"], "q": "3d", "v": "1.234,5", **line}
        if number != 1:
            more["q"] = "3"
        (tmp_path / "raw" / f"{number}.jsonl").write_text(json.dumps(more))
    mapping = {
        "user": "user.id",
        "item": "i",
        "time": "t",
        "quantity": "q",
        "value": "v",
        "user_agent": "a",
    }
    job = own("clean.max_quarantine_share=1", pattern="*.jsonl", format="jsonl", mapping=mapping,
              decimal=",", thousands=".")  # fmt: skip
    ingest(job)
    clean(make_job("clean", job.settings, job.lake))
    silver = held(job.lake, "silver.events")
    assert rows_of(silver, "user_key", "event_time", "value", "labels") == [
        ("app1", datetime.datetime(2024, 3, 5, 10), 1234.5, ["bot_declared"])
    ]
    reasons = rows_of(held(job.lake, "silver.quarantine"), "source_file", "reasons")
    assert [(file[-7], names) for file, names in reasons] == [
        ("1", ["unreadable_quantity"]), ("2", ["unreadable_time"]),
    ]  # fmt: skip


def test_a_ragged_file_with_its_own_names_arrives_whole_by_driver_and_by_tasks(tmp_path, own):
    (tmp_path / "raw").mkdir()
    lines = ["made today", "", "a\tx\t2024\t1\t2\t", "b\ty\t2024\t1\t2", "c\tz\t2024\t1\t2\t\t9"]
    (tmp_path / "raw" / "a.tsv").write_text("\n".join(lines) + "\n")
    job = own("source.columns=[u,i,t,q,v]", "source.skip_lines=1", pattern="*.tsv")
    ingest(job)
    bronze = held(job.lake, "bronze.events")
    assert rows_of(bronze, "u", "v", "_corrupt", "source_row") == [
        (None, None, lines[4], 2), ("a", "2", None, 0), ("b", "2", None, 1),
    ]  # fmt: skip


def test_other_streams_have_tables_of_their_own_and_items_are_not_sampled(tmp_path, own):
    write_csv(tmp_path / "raw" / "a.csv", *EVENTS)
    items = write_csv(tmp_path / "items.csv", *(f"item{n},A" for n in range(7)), header="i,kind")
    users = write_csv(tmp_path / "users.csv", *(f"user{n},30" for n in range(20)), header="u,age")
    job = own(
        "sample=0.4",
        items={"path": items, "columns": {"item_id": "i"}},
        users={"path": users, "columns": {"user": "u"}},
    )
    result = result_of(job)
    sampled = set(held(job.lake, "bronze.events")["u"].to_pylist())
    assert set(held(job.lake, "bronze.users")["u"].to_pylist()) == sampled
    assert result.streams["items"] == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"no file matches"),
        ("", r"a\.csv.* is empty"),
        ("user,i,t,q,v\na,b,c,1,2\n", r"source\.mapping\.user names the column 'u'"),
        ("u,i,t,q,v\n", r"has columns and no rows"),
    ],
    ids=["no file", "empty file", "missing column", "header only"],
)
def test_bad_input_is_named_and_no_table_appears(tmp_path, own, content, message):
    (tmp_path / "raw").mkdir()
    if content is not None:
        (tmp_path / "raw" / "a.csv").write_text(content)
    job = own(pattern="a.csv")
    with pytest.raises(SourceError, match=message) as caught:
        ingest(job)
    assert caught.value.exit_code == 2
    assert not job.lake.exists("bronze.events")
