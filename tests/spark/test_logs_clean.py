"""Bronze to silver and quarantine: every row is accounted for, or nothing is published."""

from __future__ import annotations

import datetime
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.spark.logs_source import (
    held,
    records,
    rows_of,
    run_steps,
    write_csv,
    write_dataset,
)
from truelift.config import load_settings
from truelift.errors import ConfigError, DataError, InvariantError, TableError
from truelift.lake import Lake
from truelift.logs.clean import clean
from truelift.logs.ingest import ingest
from truelift.logs.judging import context_names, judge_flat
from truelift.logs.neighbours.placing import by_user, judge_neighbours, parcelled
from truelift.logs.pseudonyms import UserKeys
from truelift.logs.results import CleanResult
from truelift.typed import from_plain

DIRTY = [
    "a,x,2024-01-01 10:00:00,1,2.5",
    "a,x,2024-01-01 10:00:00,1,2.5",  # the line before, again
    "a,y,2024-01-01T10:00:30,0,0",
    "b,x,2024-01-01 12:00:00+02:00,2,",
    ",x,2024-01-01 10:00:00,1,1",
    "  ,x,2024-01-01 10:00:00,1,1",
    "c,,2024-01-01 10:00:00,1,1",
    "c,x,,1,1",
    "c,x,noon,1,1",
    "c,x,2024,1,1",
    "c,x,1980-01-01,1,1",
    "c,x,2999-01-01,1,1",
    "c,x,2024-01-01 10:00:00,two,1",
    "c,x,2024-01-01 10:00:00,NaN,1",
    "c,x,2024-01-01 10:00:00,-1,1",
    "c,x,2024-01-01 10:00:00,1000,1",
    "c,x,2024-01-01 10:00:00,1,?",
    "c,x,2024-01-01 10:00:00,1,9999",
    "c,x,noon,-1,1",
    "too,few",
]
SILVER = ("event_id", "user_key", "event_time", "item_id", "labels", "source_row", "period")
LIMITS = {"max_quantity": 100, "max_value": 1000, "max_quarantine_share": 1.0}


def rebuilding(settings):
    return replace(settings, clean=replace(settings.clean, rebuild=True))


@pytest.fixture
def cleaned(tmp_path, make_settings, make_job):
    """``cleaned(lines, ...)``: ingest and clean a file; the lake and the result."""

    def make(lines, *overrides, header=None, name="own", files=1, **options):
        folder = tmp_path / name
        for number in range(files):
            part = lines[number::files]
            write_csv(folder / f"{number}.csv", *part, **({"header": header} if header else {}))
        limits = {**LIMITS, **options.pop("clean", {})}
        dataset = write_dataset(folder, {"path": str(folder / "*.csv"), **options}, clean=limits)
        settings = make_settings(*overrides, dataset=dataset)
        settings = replace(settings, lake=str(tmp_path / f"lake-{name}"))
        ingest(make_job("ingest", settings))
        job = make_job("clean", settings)
        clean(job)
        return job.lake, from_plain(CleanResult, job.results["CleanResult"])

    return make


@pytest.fixture(scope="module")
def dirty(spark, tmp_path_factory):
    """A lake of the dirty rows, cleaned once for the tests that only read it, and the result."""
    folder = tmp_path_factory.mktemp("dirty")
    write_csv(folder / "0.csv", *DIRTY)
    dataset = write_dataset(folder, {"path": str(folder / "*.csv")}, clean=LIMITS)
    report = (f"report.path={folder}/report",)
    settings = load_settings("local", dataset, report, str(folder / "lake"))
    lake = Lake.open(settings, spark)
    job = run_steps(lake, settings, folder, ingest, clean)
    return lake, from_plain(CleanResult, job.results["CleanResult"])


@pytest.fixture
def dirty_copy(dirty, spark, tmp_path):
    """The same lake in a place of its own, for a test that writes."""
    lake, _ = dirty
    shutil.copytree(lake.root, tmp_path / "lake-copy")
    return Lake.open(replace(lake._settings, lake=str(tmp_path / "lake-copy")), spark)


def test_every_row_is_kept_rejected_with_reasons_or_removed_as_a_copy(dirty):
    lake, result = dirty
    assert (result.bronze, result.silver, result.quarantine, result.duplicates) == (20, 3, 16, 1)
    assert result.reasons == {
        "corrupt_row": 1,
        "duplicate": 1,
        "missing_item": 1,
        "missing_time": 1,
        "missing_user": 2,
        "negative_quantity": 2,
        "quantity_over_maximum": 1,
        "time_in_future": 1,
        "time_out_of_range": 1,
        "unreadable_quantity": 2,
        "unreadable_time": 3,
        "unreadable_value": 1,
        "value_over_maximum": 1,
    }
    assert result.labels == {"zero_quantity": 1, "zero_value": 1}
    by_row = {row.source_row: row for row in records(held(lake, "silver.quarantine"))}
    assert sorted(by_row) == [1, *range(4, 20)]
    assert by_row[1].reasons == ["duplicate"]
    assert by_row[18].reasons == ["unreadable_time", "negative_quantity"]
    assert by_row[18].raw == {"u": "c", "i": "x", "t": "noon", "q": "-1", "v": "1"}
    assert by_row[19].raw == {"_corrupt": "too,few"}
    assert by_row[19].user_key is None


def test_kept_rows_are_typed(dirty):
    lake, _ = dirty
    silver = lake.read("silver.events")
    found = rows_of(silver, "user_key", "item_id", "event_time", "quantity", "value", "labels")
    ten = datetime.datetime(2024, 1, 1, 10, 0)
    assert found == [
        ("a", "x", ten, 1.0, 2.5, []),
        ("a", "y", ten.replace(second=30), 0.0, 0.0, ["zero_quantity", "zero_value"]),
        ("b", "x", ten, 2.0, None, []),
    ]
    assert {row.event_type for row in silver.collect()} == {"event"}


def test_cleaning_again_gives_the_same_tables_and_event_ids(dirty_copy, make_job):
    lake, columns = dirty_copy, ("event_id", "source_row", "bucket")
    before, version = rows_of(held(lake, "silver.events"), *columns), lake.version("silver.events")
    settings = rebuilding(lake._settings)
    clean(make_job("clean", settings, lake, fingerprint="other"))
    assert lake.version("silver.events") > version
    assert rows_of(held(lake, "silver.events"), *columns) == before


def test_same_job_after_its_commit_writes_no_new_version(dirty_copy, make_job):
    lake = dirty_copy
    versions = [lake.version(name) for name in ("silver.events", "silver.quarantine")]
    clean(make_job("clean", lake._settings, lake))
    assert [lake.version(n) for n in ("silver.events", "silver.quarantine")] == versions


def test_earliest_of_a_repeated_event_id_is_kept_and_missing_ids_are_not_equal(cleaned):
    mapping = {"user": "u", "item": "i", "time": "t", "event_id": "id"}
    lines = [
        "a,x,2024-01-01 10:00:05,e1",
        "a,y,2024-01-01 10:00:01,e1",
        "a,z,2024-01-01 10:00:09,e1",
        "b,x,2024-01-01 10:00:00,e1",  # another user's
        "a,p,2024-01-01 10:00:00,",
        "a,q,2024-01-01 10:00:00,",
        "a,q,2024-01-01 10:00:00,",  # an exact copy
        "a,r,never,e2",
        "a,r,2024-01-01 10:00:00,e2",  # its namesake was rejected
    ]
    lake, result = cleaned(lines, header="u,i,t,id", mapping=mapping)
    kept = rows_of(held(lake, "silver.events"), "user_key", "item_id")
    assert kept == [("a", "p"), ("a", "q"), ("a", "r"), ("a", "y"), ("b", "x")]
    assert (result.silver, result.duplicates, result.reasons["unreadable_time"]) == (5, 3, 1)
    assert result.bronze == result.silver + result.duplicates + result.quarantine


def test_rows_that_differ_in_an_unmapped_column_are_no_duplicates(cleaned):
    lines = ["a,x,2024-01-01,1,1,till 1", "a,x,2024-01-01,1,1,till 2"]
    _, result = cleaned(lines, header="u,i,t,q,v,till")
    assert (result.silver, result.duplicates) == (2, 0)


def test_null_and_text_in_neighbouring_columns_are_no_duplicates(cleaned):
    lines = [
        '{"u": "a", "i": "x", "t": "2024-01-01", "m": "1"}',
        '{"u": "a", "i": "x", "t": "2024-01-01", "n": "1"}',
    ]
    _, result = cleaned(lines, header='{"u": "a", "i": "x", "t": "2024-01-02"}', format="jsonl",
                           mapping={"user": "u", "item": "i", "time": "t"})  # fmt: skip
    assert (result.silver, result.duplicates) == (3, 0)


def test_three_layouts_of_the_same_rows_give_the_same_silver(cleaned):
    lines = [
        f"user{n % 13},item{n % 5},2024-01-01 {n % 24:02}:{n % 60:02}:00,{n % 4},{n}.5"
        for n in range(200)
    ]
    lines += lines[:10]
    content = ("event_id", "user_key", "item_id", "event_time", "quantity", "value", "bucket")
    found = []
    for name, files, ordered in (("one", 1, lines), ("three", 3, lines), ("back", 2, lines[::-1])):
        lake, result = cleaned(ordered, name=name, files=files)
        found.append(rows_of(held(lake, "silver.events"), *content))
        assert (result.silver, result.duplicates) == (200, 10)
    assert found[0] == found[1] == found[2]


def test_cleaning_shuffles_the_rows_once(cleaned, capsys):
    lake, _ = cleaned(["a,x,2024-01-01,1,1"])
    settings = lake._settings
    bronze = lake.read("bronze.events")
    rows = judge_flat(bronze, settings, UserKeys())
    parcels = parcelled(rows, settings, "rejected", context_names(bronze.columns, settings))
    judge_neighbours(by_user(parcels, 5), settings).explain()
    plan = capsys.readouterr().out
    assert (plan.count("Exchange"), plan.count("Sort ")) == (1, 1)


def test_rows_that_only_spark_may_write_are_judged_and_counted_alike(
    cleaned, make_job, monkeypatch
):
    lines = [f"user{n % 3},item{n % 2},2024-01-01 10:00:{n % 7:02},1,1" for n in range(40)]
    lake, result = cleaned(DIRTY + lines, clean={"double_click_seconds": 2})
    places = ("source_row", "reasons", "raw", "labels", "bucket", "period")
    silver = rows_of(held(lake, "silver.events"), *SILVER)
    removed = rows_of(held(lake, "silver.quarantine"), *places)
    monkeypatch.setattr("truelift.logs.staging.takes_buckets", lambda uri, spec: False)
    job = make_job("clean", rebuilding(lake._settings), lake, fingerprint="other")
    clean(job)
    assert from_plain(CleanResult, job.results["CleanResult"]) == result
    assert {"double_click", "duplicate"} <= set(result.reasons)
    assert rows_of(held(lake, "silver.events"), *SILVER) == silver
    assert rows_of(held(lake, "silver.quarantine"), *places) == removed


def test_silver_files_are_sorted_by_user_and_time(cleaned):
    lines = [f"user{n * 7 % 13},i{n},2024-01-01 00:{n * 37 % 60:02}:00,1,1" for n in range(60)]
    lake, _ = cleaned(lines)
    plan = lake.plan("silver.events", ["user_key", "event_time", "event_id"])
    from truelift.lake import read_unit

    for unit in plan.units:
        keys = [tuple(row.values()) for row in read_unit(plan, unit).to_pylist()]
        assert keys == sorted(keys)


TIMES = [
    ({}, "2024-07-01 12:00:00", "2024-07-01 12:00:00"),
    ({}, "2024-07-01T12:00:00.25Z", "2024-07-01 12:00:00.250000"),
    ({"time_zone": "Europe/Berlin"}, "2024-07-01 12:00:00", "2024-07-01 10:00:00"),
    ({"time_zone": "Europe/Berlin"}, "2024-07-01T12:00:00Z", "2024-07-01 12:00:00"),
    ({"time_zone": "Europe/Berlin"}, "2024-07-01", "2024-06-30 22:00:00"),
    ({"time_zone": "Europe/Berlin"}, "2024-03-31 02:30:00", "2024-03-31 01:30:00"),
    ({"time_zone": "Europe/Berlin"}, "2024-10-27 02:30:00", "2024-10-27 00:30:00"),
    ({"time_format": "epoch_s"}, "1704067200.25", "2024-01-01 00:00:00.250000"),
    ({"time_format": "epoch_ms"}, "1704067200250", "2024-01-01 00:00:00.250000"),
    ({"time_format": "epoch_us"}, "1704067200000001", "2024-01-01 00:00:00.000001"),
    ({"time_format": "epoch_ns"}, "1704067200000001999", "2024-01-01 00:00:00.000001"),
    ({"time_format": "rfc_2822"}, "Mon, 1 Jan 2024 01:00:00 +0100", "2024-01-01 00:00:00"),
    ({"time_format": "rfc_2822"}, "Mon, 01 JAN 2024 00:00:07 GMT", "2024-01-01 00:00:07"),
    ({"time_format": "M/d/yyyy H:mm"}, "12/1/2010 8:26", "2010-12-01 08:26:00"),
    (
        {"time_format": "dd/MMM/yyyy:HH:mm:ss Z", "time_zone": "Asia/Tokyo"},
        "01/Jul/2024:00:00:01 -0400",
        "2024-07-01 04:00:01",
    ),
]
# Numbers beyond all times, and texts that are none.
BEYOND = [("epoch_s", 13), ("epoch_s", 32), ("epoch_ns", 32), ("epoch_s", 60)]
NO_TIMES = ["", "noon", "12:30", "2024", "2024-13-01", "1704067200"]


def instants(spark, cases) -> list[str | None]:
    """What each text is as an instant under the options beside it: a column a case, one job."""
    from pyspark.sql import functions as F

    from truelift.logs.parsing import instant_of
    from truelift.settings import SourceOptions

    names = [f"c{number}" for number in range(len(cases))]
    row, columns = tuple(text for _, text in cases), ", ".join(f"{name} string" for name in names)
    frame = spark.createDataFrame([row], columns)
    moments = [
        instant_of(F.col(name), SourceOptions(**options)).cast("string").alias(name)
        for name, (options, _) in zip(names, cases, strict=True)
    ]
    return list(frame.select(*moments).first())


def test_time_formats_and_zones(spark):
    found = instants(spark, [(options, text) for options, text, _ in TIMES])
    for moment, (options, text, expected) in zip(found, TIMES, strict=True):
        assert moment is not None, (options, text)
        assert moment.ljust(len(expected), "0") == expected, (options, text)


def test_numbers_beyond_all_times_and_other_texts_are_no_times(spark):
    cases = [({"time_format": name}, "9" * digits) for name, digits in BEYOND]
    cases += [({}, text) for text in NO_TIMES]
    found = instants(spark, cases)
    assert dict(zip(map(str, cases), found, strict=True)) == dict.fromkeys(map(str, cases))


def test_unreadable_times_name_column_value_and_format_and_touch_nothing(cleaned, tmp_path):
    with pytest.raises(DataError) as caught:
        cleaned(["a,x,1/2/2024,1,1"] * 3, clean={"max_quarantine_share": 0.5})
    message = str(caught.value)
    for part in ("unreadable_time 3", "column 't' holds '1/2/2024'", "source.time_format 'iso'"):
        assert part in message
    assert caught.value.exit_code == 2
    assert not (tmp_path / "lake-own" / "silver").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_zone": "Mars/Base"}, r"source\.time_zone: found 'Mars/Base'"),
        ({"time_format": "%Y-%m-%d"}, r"source\.time_format: found '%Y-%m-%d'"),
        ({"clean": {"min_time": "soon"}}, r"clean\.times\.min_time: found 'soon'"),
    ],
)
def test_settings_that_cannot_work_are_named(cleaned, options, message):
    with pytest.raises(ConfigError, match=message):
        cleaned(["a,x,2024-01-01,1,1"], **options)


def test_a_mapping_that_bronze_does_not_have_is_named(cleaned, make_job):
    lake, _ = cleaned(["a,x,2024-01-01,1,1"])
    with pytest.raises(TableError, match=r"source\.mapping\.item names the column 'product'"):
        clean(make_job("clean", mapping_other(lake, item="product"), lake))
    job = make_job("clean", mapping_other(lake, value="price"), lake)
    clean(job)
    (hint,) = from_plain(CleanResult, job.results["CleanResult"]).hints
    assert "source.mapping.value names the column 'price', which no file had" in hint
    assert held(lake, "silver.events")["value"].to_pylist() == [None]


def mapping_other(lake, **columns):
    """The lake's settings with other columns for some fields."""
    source = lake._settings.source
    mapping = replace(source.mapping, **columns)
    return replace(lake._settings, source=replace(source, mapping=mapping))


def test_the_same_record_with_a_key_that_comes_late_in_one_file_is_one_event(cleaned):
    import json

    first = {"u": "a", "i": "x", "t": "2024-01-01", "q": "1"}
    fillers = [json.dumps({**first, "u": f"f{n}", "t": "2024-01-02"}) for n in range(1000)]
    late = json.dumps({**first, "coupon": "c", "v": "2.5"})
    lake, result = cleaned([*fillers, late], header=late, format="jsonl")
    assert (result.silver, result.duplicates) == (1001, 1)
    (event,) = [row for row in records(held(lake, "silver.events")) if row.user_key == "a"]
    assert event.value == 2.5


def test_a_replaced_file_leaves_silver_as_if_it_had_never_been_there(cleaned, make_job):
    first = ["a,x,2024-01-01,1,2.0", "b,x,2024-01-01,1,1", "c,x,noon,1,1", "a,x,2024-01-01,1,2.0"]
    lake, _ = cleaned(first, name="grown", redelivered="replace")
    raw = Path(lake._settings.source.path).parent / "0.csv"
    second = ["a,x,2024-01-01,1,2.5", "b,x,2024-01-01,1,1"]
    write_csv(raw, *second)
    job = make_job("ingest", lake._settings, lake)
    assert "4 rows of earlier contents" in ingest(job).notes[0]
    job = make_job("clean", lake._settings, lake)
    clean(job)
    result = from_plain(CleanResult, job.results["CleanResult"])
    assert (result.bronze, result.silver, result.quarantine, result.duplicates) == (2, 2, 0, 0)
    whole, _ = cleaned(second, name="whole")
    columns = ("event_id", "user_key", "event_time", "value", "labels", "source_row", "period")
    for table in ("silver.events", "silver.quarantine"):
        assert rows_of(held(lake, table), *columns) == rows_of(held(whole, table), *columns)
    versions = [lake.version(n) for n in ("bronze.events", "silver.events")]
    ingest(make_job("ingest", lake._settings, lake))
    clean(make_job("clean", lake._settings, lake))
    assert [lake.version(n) for n in ("bronze.events", "silver.events")] == versions
    # The next delivery goes on from there.
    write_csv(raw.parent / "1.csv", "d,x,2024-01-03,1,1")
    ingest(make_job("ingest", lake._settings, lake))
    job = make_job("clean", lake._settings, lake)
    clean(job)
    result = from_plain(CleanResult, job.results["CleanResult"])
    assert (result.new_rows, result.bronze, result.silver) == (1, 3, 3)


SPELT = ["NULL,x,2024-01-01,1,1", "(not set),x,2024-01-01,1,1", " NULL ,x,2024-01-02,1,1",
         "a,x,2024-01-01,1,\\N", "7.0,x,2024-01-01,1,1", "7,x,2024-01-01,1,1",
         "7,y,2024-01-01,,1", "8.5,y,2024-01-01,1,1"]  # fmt: skip


def test_words_for_missing_are_users_until_the_settings_say_what_they_are(cleaned):
    lake, result = cleaned(SPELT)
    users = set(held(lake, "silver.events")["user_key"].to_pylist())
    assert users == {"NULL", "(not set)", "7.0", "7", "8.5"}
    text = " ".join(result.hints)
    for part in ("3 of 8 rows", "source.missing: ['NULL', '(not set)']", "'\\\\N' as their value",
                 "'7.0' beside '7'", "clean.keys.integer_ids: [user]"):  # fmt: skip
        assert part in text


def test_what_stands_for_nothing_is_missing_and_a_whole_number_is_one_id(cleaned):
    lake, result = cleaned(
        SPELT, missing=["NULL", "(not set)", "\\N"], clean={"integer_ids": ["user"]}
    )
    assert result.reasons == {"missing_user": 3, "duplicate": 1}
    found = rows_of(held(lake, "silver.events"), "user_key", "item_id", "value")
    assert found == [("7", "x", 1.0), ("7", "y", 1.0), ("8.5", "y", 1.0), ("a", "x", None)]
    assert result.hints == ()


def test_a_broken_contract_leaves_tables_as_they_were(cleaned, make_job, monkeypatch):
    lake, result = cleaned(["a,x,2024-01-01,1,1"])
    versions = [lake.version(n) for n in ("silver.events", "silver.quarantine")]
    assert result.contract_passed
    assert result.expectations > 20
    # A rule that lets everything pass stands for a mistake in the rules; the contract sees it.
    from truelift.logs import rules

    monkeypatch.setitem(rules.RULES, "negative_quantity", lambda context: None)
    write_csv(Path(lake._settings.source.path).parent / "late.csv", "b,x,2024-01-01,-5,1")
    ingest(make_job("ingest", lake._settings, lake))
    job = make_job("clean", lake._settings, lake)
    with pytest.raises(InvariantError, match=r"least_quantity is -5\.0, expected at least 0") as e:
        clean(job)
    assert e.value.exit_code == 1
    assert [lake.version(n) for n in ("silver.events", "silver.quarantine")] == versions
    docs = Path(lake._settings.report.path) / "data_docs"
    assert (docs / "index.html").is_file()
    assert any("-5" in page.read_text() for page in docs.rglob("validations/**/*.html"))


def test_counts_that_do_not_add_up_fail_the_job_before_anything_is_published(
    cleaned, make_job, monkeypatch
):
    lake, _ = cleaned(["a,x,2024-01-01,1,1", "b,x,2024-01-02,1,1"])
    versions = [lake.version(n) for n in ("silver.events", "silver.quarantine")]
    from truelift.logs import clean as module

    real = module.judge_flat
    monkeypatch.setattr(module, "judge_flat", lambda *a: real(*a).filter("user_key = 'a'"))
    with pytest.raises(InvariantError, match=r"bronze\.events has 2 rows to clean.*1 valid"):
        clean(make_job("clean", rebuilding(lake._settings), lake, fingerprint="other"))
    assert [lake.version(n) for n in ("silver.events", "silver.quarantine")] == versions
