"""Which files an ingest takes in: each content once, whatever crashed, moved or was touched.

Files as small as these go into bronze without Spark.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.logs.raw_world import HEADER, World
from truelift.errors import SourceError
from truelift.files import raw
from truelift.files.raw import fingerprint
from truelift.lake import Lake
from truelift.lake.log import open_table
from truelift.logs.ingest import raw_files
from truelift.logs.intake import drift
from truelift.logs.sources.unit import Unit
from truelift.settings import ReferenceOptions


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def test_each_file_has_a_row_of_the_manifest(world):
    path = world.write("a.csv", "x,1,2024-01-01", "y,1,2024-01-01")
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    world.run()
    (entry,) = world.manifest()
    (bronze, _) = world.rows()
    assert (entry["stream"], entry["path"]) == ("events", str(path))
    assert (entry["size"], entry["rows"], entry["sample_share"]) == (path.stat().st_size, 2, 1.0)
    assert entry["checksum"] == entry["batch_id"] == bronze["batch_id"]
    assert entry["modified"] == bronze["file_time"]
    assert entry["modified"].timestamp() == pytest.approx(1_700_000_000.123456)


def test_a_second_run_reads_no_file_and_writes_nothing(world, monkeypatch):
    world.write("a.csv", "x,1,2024-01-01")
    world.run()
    before = raw_files(world.settings())

    def unread(*_):
        raise AssertionError("a known file was read again")

    monkeypatch.setattr("truelift.logs.sources.planning.SourceFile.checksum", unread)
    result = world.run()
    assert (result.files, result.rows_already_known, result.streams) == (0, 1, {"events": 1})
    assert raw_files(world.settings()) == before
    assert len(world.manifest()) == 1


def test_a_touched_file_is_known_by_its_content(world):
    path = world.write("a.csv", "x,1,2024-01-01")
    world.run()
    os.utime(path, (1, 1))
    result = world.run()
    assert (result.files, result.rows_already_known) == (0, 1)
    assert world.users() == {"x": 1}
    assert sorted(entry["rows"] for entry in world.manifest()) == [0, 1]
    world.run()
    assert len(world.manifest()) == 2


def test_a_changed_file_of_the_same_size_is_new(world):
    world.write("a.csv", "x,1,2024-01-01")
    world.run()
    world.write("a.csv", "y,1,2024-01-01")
    os.utime(world.raw / "a.csv", (2, 2))
    assert world.run().rows_written == 1
    assert world.users() == {"x": 1, "y": 1}


def test_another_pattern_for_the_same_files_adds_nothing(world):
    world.write("a.csv", "x,1,2024-01-01")
    world.run()
    world.options["path"] = str(world.raw / "a.csv")
    assert world.run().rows_written == 0
    world.options["path"] = str(world.raw.parent / "*" / "a.csv")
    assert world.run().rows_written == 0


def test_a_header_without_rows_is_opened_once(world, monkeypatch):
    world.write("a.csv", "x,1,2024-01-01")
    world.write("b.csv")
    world.run()
    assert {os.path.basename(e["path"]): e["rows"] for e in world.manifest()} == {
        "a.csv": 1,
        "b.csv": 0,
    }
    world.write("c.csv")
    world.run()
    monkeypatch.setattr("truelift.logs.intake.plan_file", None)
    assert world.run().rows_already_known == 1


def test_a_crash_before_the_manifest_is_healed(world):
    world.write("a.csv", "x,1,2024-01-01")
    world.crash()
    assert (world.users(), world.manifest()) == ({"x": 1}, [])
    world.write("b.csv", "y,1,2024-01-01")
    result = world.run()
    assert (result.rows_written, result.rows_already_known) == (1, 1)
    assert world.users() == {"x": 1, "y": 1}
    assert [entry["rows"] for entry in world.manifest()] == [1, 1]
    assert all(entry["size"] for entry in world.manifest())
    assert world.run().rows_already_known == 2


def test_a_lost_manifest_is_made_again_from_bronze(world):
    import shutil

    world.write("a.csv", "x,1,2024-01-01")
    world.run()
    world.write("b.csv", "y,1,2024-01-01", "y,2,2024-01-01")
    world.run()
    shutil.rmtree(world.lake_path / "ops")
    assert world.run().rows_already_known == 3
    assert sum(entry["rows"] for entry in world.manifest()) == 3
    assert world.users() == {"x": 1, "y": 2}


def test_a_dropped_bronze_table_is_filled_again(world):
    import shutil

    world.write("a.csv", "x,1,2024-01-01")
    world.run()
    shutil.rmtree(world.lake_path / "bronze")
    assert world.run().rows_written == 1
    assert world.users() == {"x": 1}
    assert world.run().rows_already_known == 1


def test_maintenance_of_bronze_is_no_reason_to_read_it(world, monkeypatch):
    for name in ("a", "b"):
        world.write(f"{name}.csv", f"{name},1,2024-01-01")
        world.run()
    uri = Lake(world.settings()).uri("bronze.events")
    open_table(uri).optimize.compact()
    monkeypatch.setattr("truelift.logs.manifest.added_rows", None)
    assert world.run().rows_already_known == 2


def test_a_sample_has_its_share_in_the_manifest_and_refuses_another(world):
    world.write("a.csv", *(f"user{n},1,2024-01-01" for n in range(50)))
    result = world.run(sample=0.4)
    (entry,) = world.manifest()
    assert (entry["sample_share"], entry["rows"]) == (0.4, result.rows_written)
    assert entry["batch_id"] == f"{entry['checksum']}@0.4"
    assert result.rows_written + result.rows_sampled_out == 50
    with pytest.raises(SourceError, match=r"holds a sample of 0\.4 .* ask for 1"):
        world.run()


def test_a_new_column_is_kept_and_reported(world):
    world.write("a.csv", "x,1,2024-01-01")
    assert world.run().new_columns == ()
    world.write("b.csv", "y,1,2024-01-01,9", header=f"{HEADER},price")
    result = world.run()
    assert (result.new_columns, result.missing_columns) == (("events.price",), ())
    assert {row["u"]: row["price"] for row in world.rows()} == {"x": None, "y": "9"}


def test_a_column_that_vanished_is_reported(world):
    world.write("a.csv", "x,1,2024-01-01,9", header=f"{HEADER},price")
    world.run()
    world.write("b.csv", "y,1,2024-01-01")
    result = world.run()
    assert (result.new_columns, result.missing_columns) == ((), ("events.price",))


def units(*headers):
    return [Unit("csv", f"{n}", f"{n}", f"{n}", names) for n, names in enumerate(headers)]


@pytest.mark.parametrize(
    ("held", "headers", "expected"),
    [
        ((), [("a", "b")], ((), ())),
        ((), [("a", "b"), ("a",)], ((), ("b",))),
        (("a", "file_time", "_corrupt"), [("A", "b", "_other")], (("b",), ())),
        (("a", "b"), [("a", "c")], (("c",), ("b",))),
        (("a",), [], ((), ())),
    ],
    ids=["first files", "first files differ", "new, any case", "renamed", "nothing new"],
)
def test_drift_compares_files_with_the_table_and_one_another(held, headers, expected):
    assert drift(held, units(*headers)) == expected


def test_a_file_that_breaks_while_it_is_read_is_named_and_nothing_is_written(world):
    (world.raw / "a.csv").write_bytes(b"u,i,t\n" + b"x,1,2024-01-01\n" * 9 + b"\x81,1,2\n")
    world.options["encoding"] = "cp1252"
    with pytest.raises(SourceError, match=r"a\.csv is not cp1252 text \(byte 0x81"):
        world.run()
    assert (world.rows(), world.manifest()) == ([], [])


def test_a_column_is_spelled_as_bronze_spells_it(world):
    world.write("a.csv", "x,1,2024-01-01,9", header=f"{HEADER},Price")
    world.run()
    world.write("b.csv", "y,1,2024-01-01,8", header=f"{HEADER},price")
    assert world.run().new_columns == ()
    assert {row["u"]: row["Price"] for row in world.rows()} == {"x": "9", "y": "8"}


def test_reference_streams_have_entries_of_their_own(world):
    world.write("a.csv", "x,1,2024-01-01")
    items = world.raw.parent / "items.csv"
    items.write_text("i,kind\n1,A\n2,B\n")
    world.options["items"] = ReferenceOptions(str(items), {"item_id": "i"})
    result = world.run()
    assert result.streams == {"items": 2, "events": 1}
    assert {(e["stream"], e["rows"]) for e in world.manifest()} == {("items", 2), ("events", 1)}
    assert world.run().streams == {"items": 2, "events": 1}


def test_a_large_file_is_known_by_three_blocks(world, monkeypatch):
    monkeypatch.setattr(raw, "_WHOLE_BELOW", 10)
    monkeypatch.setattr(raw, "_BLOCK", 4)
    path = world.write("a.csv", "x,1,2024-01-01")
    (found,) = raw.find_files(str(path), "source.path")
    assert fingerprint(found) == fingerprint(found)


STEPS = st.lists(st.sampled_from(["file", "run", "crash", "touch", "lose"]), max_size=8)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
def test_whatever_happens_bronze_holds_each_row_once(tmp_path_factory, monkeypatch, steps):
    import shutil

    with monkeypatch.context() as patch:
        world = World(tmp_path_factory.mktemp("world"), patch)
        world.write("0.csv", "0,1,2024-01-01")
        for number, step in enumerate(steps, start=1):
            if step == "file":
                world.write(f"{number}.csv", *[f"{number},{n},2024-01-01" for n in range(number)])
            elif step == "touch":
                os.utime(world.raw / "0.csv", (number, number))
            elif step == "lose":
                shutil.rmtree(world.lake_path / "ops", ignore_errors=True)
            elif step == "crash" and needs_work(world):
                world.crash()
            else:
                world.run()
        world.run()
        expected = {"0": 1, **{str(n): n for n, s in enumerate(steps, start=1) if s == "file"}}
        assert world.users() == expected
        assert sum(entry["rows"] for entry in world.manifest()) == sum(expected.values())


def needs_work(world):
    known = {row["source_file"] for row in world.rows()}
    return any(str(path) not in known for path in world.raw.glob("*.csv"))
