"""A file that comes again under its path, and one that is read while it is written."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.logs.raw_world import World
from truelift.errors import SourceError
from truelift.lake import Lake
from truelift.lake.log import has_lost_rows, open_table
from truelift.logs import ingest as module
from truelift.logs.ingest import raw_files

LONG_AGO = (1_600_000_000, 1_600_000_000)


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def test_a_corrected_file_is_named_and_keeps_its_old_rows_by_default(world):
    world.write("a.csv", "x,1,2024-01-01")
    assert world.run().redelivered == ()
    path = world.write("a.csv", "x,2,2024-01-01", "y,1,2024-01-01")
    result = world.run()
    assert result.redelivered == (str(path),)
    assert result.rows_replaced == 0
    assert world.users() == {"x": 2, "y": 1}
    assert world.run().redelivered == ()


def test_the_old_rows_of_a_corrected_file_leave_where_that_is_asked_for(world):
    world.options["redelivered"] = "replace"
    world.write("a.csv", "x,1,2024-01-01")
    world.write("b.csv", "z,1,2024-01-01")
    world.run()
    world.write("a.csv", "x,2,2024-01-01", "y,1,2024-01-01")
    result = world.run()
    assert (result.rows_written, result.rows_replaced) == (2, 1)
    assert world.users() == {"x": 1, "y": 1, "z": 1}
    assert {row["i"] for row in world.rows() if row["u"] == "x"} == {"2"}
    again = world.run()
    assert (again.rows_written, again.rows_replaced, again.rows_already_known) == (0, 0, 3)
    assert sum(entry["rows"] for entry in world.manifest()) == 3


def test_a_file_that_goes_back_to_what_it_was_is_taken_in_again(world):
    world.options["redelivered"] = "replace"
    for item in ("1", "2", "1", "2"):
        world.write("a.csv", f"x,{item},2024-01-01")
        assert world.run().rows_written == 1
        assert [row["i"] for row in world.rows()] == [item]
    assert world.run().rows_written == 0


def test_what_was_kept_leaves_once_it_is_to_be_replaced(world):
    for item in ("1", "2"):
        world.write("a.csv", f"x,{item},2024-01-01")
        world.run()
    assert len(world.rows()) == 2
    world.options["redelivered"] = "replace"
    assert world.run().rows_replaced == 1
    assert [row["i"] for row in world.rows()] == ["2"]


def test_a_corrected_file_is_refused_where_that_is_asked_for_and_nothing_is_written(world):
    world.options["redelivered"] = "refuse"
    world.write("a.csv", "x,1,2024-01-01")
    world.run()
    world.write("a.csv", "x,2,2024-01-01")
    world.write("b.csv", "y,2,2024-01-01")
    with pytest.raises(SourceError, match=r"a\.csv came again with other content"):
        world.run()
    assert world.users() == {"x": 1}


def test_equal_content_at_another_place_is_not_taken_out_with_the_old(world):
    world.options["redelivered"] = "replace"
    world.write("a.csv", "x,1,2024-01-01")
    world.run()
    (world.raw.parent / "moved").mkdir()
    os.rename(world.raw / "a.csv", world.raw.parent / "moved" / "a.csv")
    world.write("a.csv", "y,1,2024-01-01")
    world.options["path"] = str(world.raw)
    world.run()
    assert world.users() == {"y": 1}
    world.options["path"] = str(world.raw.parent / "moved")
    world.run()
    assert world.users() == {"x": 1, "y": 1}


def test_a_run_killed_between_new_rows_and_old_is_made_up_for(world):
    world.options["redelivered"] = "replace"
    world.write("a.csv", "x,1,2024-01-01")
    world.run()
    world.write("a.csv", "x,2,2024-01-01")
    with world.patch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "delete_batches", _die)
        world.run()
    assert world.run().rows_replaced == 1
    with world.patch.context() as patch, pytest.raises(KeyboardInterrupt):
        world.write("a.csv", "x,3,2024-01-01")
        patch.setattr(module, "taken_out", _die)
        world.run()
    world.run()
    assert [row["i"] for row in world.rows()] == ["3"]
    assert sum(entry["rows"] for entry in world.manifest()) == 1


def _die(*_):
    raise KeyboardInterrupt


def test_reference_streams_are_replaced_too(world):
    from truelift.settings import ReferenceOptions

    world.options |= {"redelivered": "replace"}
    world.write("a.csv", "x,1,2024-01-01")
    items = world.raw.parent / "items.csv"
    world.options["items"] = ReferenceOptions(str(items), {"item_id": "i"})
    for kind in "AB":
        items.write_text(f"i,kind\n1,{kind}\n")
        world.run()
    assert [row["kind"] for row in world.rows("bronze.items")] == ["B"]


def test_the_log_tells_that_rows_have_left(world):
    world.options["redelivered"] = "replace"
    uri = Lake(world.settings()).uri("bronze.events")
    world.write("a.csv", "x,1,2024-01-01")
    world.run()
    first = open_table(uri).version()
    world.write("b.csv", "x,1,2024-01-02")
    world.run()
    assert not has_lost_rows(uri, first, open_table(uri).version())
    world.write("a.csv", "x,2,2024-01-01")
    world.run()
    newest = open_table(uri).version()
    assert has_lost_rows(uri, first, newest)
    assert not has_lost_rows(uri, newest, newest)


def append(path, text):
    with path.open("a") as file:
        file.write(text)


def test_a_last_line_without_its_end_waits(world):
    path = world.write("a.csv", "x,1,2024-01-01")
    append(path, "y,2,2024-01")
    result = world.run()
    assert (result.rows_written, result.waiting) == (1, (str(path),))
    assert world.run().rows_written == 0
    assert len(world.manifest()) == 1
    append(path, "-05\nz,3,2024-01-06\n")
    assert world.run().waiting == ()
    assert {row["t"] for row in world.rows()} == {"2024-01-01", "2024-01-05", "2024-01-06"}


def test_a_last_line_without_its_end_is_taken_once_the_file_is_at_rest(world):
    path = world.raw / "a.csv"
    path.write_text("u,i,t\nx,1,2024-01-01\ny,2,2024-01-02")
    world.run()
    assert world.users() == {"x": 1}
    os.utime(path, LONG_AGO)
    result = world.run()
    assert (result.waiting, result.redelivered) == ((), ())
    assert {row["u"] for row in world.rows()} == {"x", "y"}
    before = raw_files(world.settings())
    assert world.run().rows_written == 0
    assert raw_files(world.settings()) == before


def test_a_file_at_rest_is_taken_whole_at_once(world):
    path = world.raw / "a.csv"
    path.write_text("u,i,t\nx,1,2024-01-01\ny,2,2024-01-02")
    os.utime(path, LONG_AGO)
    assert world.run().rows_written == 2
    world.options["settle_seconds"] = 0.0
    path.write_text("u,i,t\nx,1,2024-01-01\ny,2,2024-01-03")
    assert world.run().rows_written == 2


def test_a_closed_object_of_json_does_not_wait_and_an_open_one_does(world):
    world.options |= {"format": "jsonl", "path": str(world.raw / "*.jsonl")}
    path = world.raw / "a.jsonl"
    path.write_text('{"u":"x","i":1,"t":"2024-01-01"}\n{"u":"y","i":1,"t":"2024-01-01"}')
    assert world.run().rows_written == 2
    append(path, '\n{"u":"z","i":1,"t":"2024-')
    result = world.run()
    assert (result.waiting, result.redelivered) == ((str(path),), ())
    append(path, '01-02"}\n')
    world.run()
    assert {row["u"] for row in world.rows()} == {"x", "y", "z"}
    assert not any(row["_corrupt"] for row in world.rows())


def test_the_beginning_of_a_first_line_is_waited_for(world):
    (world.raw / "a.csv").write_text("u,i,t")
    with pytest.raises(SourceError, match=r"one line without its end.*it is waited for"):
        world.run()


def test_a_file_that_has_only_grown_is_no_correction(world):
    world.options["redelivered"] = "refuse"
    path = world.write("a.csv", "x,1,2024-01-01")
    world.run()
    append(path, "y,1,2024-01-02\n")
    assert world.run().redelivered == ()
    assert {row["u"] for row in world.rows()} == {"x", "y"}


def test_line_ends_of_carriage_returns_are_line_ends(world):
    (world.raw / "a.csv").write_bytes(b"u,i,t\rx,1,2024-01-01\ry,2,2024-01")
    assert world.run().rows_written == 1


def test_a_packed_file_and_wide_characters_are_taken_whole(world):
    import gzip

    text = "u,i,t\nx,1,2024-01-01\ny,2,2024-01-02"
    (world.raw / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    world.options["path"] = str(world.raw)
    assert world.run().rows_written == 2
    (world.raw / "a.csv.gz").unlink()
    (world.raw / "b.csv").write_bytes(text.encode("utf-16"))
    world.options["encoding"] = "utf-16"
    assert world.run().rows_written == 2


VERSIONS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.booleans()), min_size=1, max_size=6
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VERSIONS)
def test_with_replace_bronze_holds_what_the_files_hold(tmp_path_factory, monkeypatch, steps):
    with monkeypatch.context() as patch:
        world = World(tmp_path_factory.mktemp("world"), patch)
        world.options["redelivered"] = "replace"
        now = {}
        for name, version, dies in steps:
            now[name] = [f"{name},{version},2024-01-01", *[f"{name},9,2024-01-01"] * version]
            world.write(f"{name}.csv", *now[name])
            if dies:
                with patch.context() as inner:
                    inner.setattr(module, "delete_batches", _die)
                    try:
                        world.run()
                    except KeyboardInterrupt:
                        continue
            else:
                world.run()
        world.run()
        wanted = sorted(line for lines in now.values() for line in lines)
        assert sorted(f"{r['u']},{r['i']},{r['t']}" for r in world.rows()) == wanted
        assert sum(entry["rows"] for entry in world.manifest()) == len(wanted)
        assert world.run().rows_written == 0
