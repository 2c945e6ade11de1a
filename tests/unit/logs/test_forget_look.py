"""Where a person is, before anything is deleted: in rows that go, in copies, or out of reach."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from truelift.errors import TableError
from truelift.lake import Lake
from truelift.logs.forget_look import look_for, require_reachable
from truelift.logs.person import Person
from truelift.settings import MappingOptions, SourceOptions

ANN = Person("ann", frozenset({"ann"}), frozenset({"ann"}), pseudonymous=False)
RAW = pa.map_(pa.string(), pa.string())


@pytest.fixture
def look(make_settings):
    """``look({"gold.users": {column: [...]}}, {path: {...}})``: tables, and files beside them."""

    def run(tables, files=()):
        lake = Lake(make_settings())
        for name, columns in tables.items():
            write_deltalake(f"{lake.root}/{name.replace('.', '/')}", pa.table(columns))
        for path, columns in dict(files).items():
            place = Path(lake.root, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), place)
        source = SourceOptions(mapping=MappingOptions(user="u", item="i", time="t"))
        return look_for(SimpleNamespace(lake=lake, settings=SimpleNamespace(source=source)), ANN)

    return run


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("bronze.events", {"u": [" ann ", "bob"], "i": ["x", "y"]}),
        ("bronze.events", {"u": [None, "bob"], "_corrupt": ["torn,ann,2024", None]}),
        ("silver.events", {"user_key": ["ann", None]}),
        ("gold.scores", {"unit_id": ["summer:ann", "summer:bob"], "user_key": ["ann", "bob"]}),
        ("gold.items", {"name": ["ann"]}),
        ("silver.quarantine", {"user_key": ["ann"], "raw": pa.array([[("u", "ann")]], RAW)}),
        ("silver.quarantine",
         {"user_key": pa.array([None], pa.string()), "raw": pa.array([[("_corrupt", "t,ann")]], RAW)}),
    ],
)  # fmt: skip
def test_rows_that_the_deletion_takes_out_stand_in_nobodys_way(look, table, columns):
    places = look({table: columns})
    assert places.obstacles == places.copies == ()
    require_reachable(places)


@pytest.mark.parametrize(
    ("table", "columns", "named"),
    [
        ("silver.events", {"user_key": ["bob"], "note": ["ann"]}, "note"),
        ("gold.panel_promotions", {"unit_id": ["summer:ann"]}, "unit_id"),
        ("gold.panel_promotions", {"unit_id": ["1"], "household": ["ann"]}, "household"),
    ],
)
def test_a_column_that_the_deletion_does_not_reach_is_named_and_refused(
    look, table, columns, named
):
    places = look({table: columns})
    with pytest.raises(TableError, match=rf"{table}: the column '{named}'.*Nothing was deleted"):
        require_reachable(places)


def test_a_file_of_no_table_is_named_and_refused(look):
    places = look({}, {"gold/mine/part.parquet": {"who": ["ann"]}})
    with pytest.raises(TableError, match=r"gold/mine/part\.parquet: the column 'who'"):
        require_reachable(places)


def test_a_copy_that_holds_the_person_is_found_and_one_of_others_is_not(look):
    places = look({"work.panel-1": {"c0": ["ann"]}, "work.panel-2": {"c0": ["bob"]}})
    assert places.copies == ("panel-1",)
    assert places.obstacles == ()


def test_files_of_older_versions_are_left_to_the_purge(look, make_settings):
    old = {"silver.events": {"user_key": ["bob"], "note": ["ann"]}}
    look(old)
    uri = Lake(make_settings()).uri("silver.events")
    write_deltalake(uri, pa.table({"user_key": ["bob"]}), mode="overwrite", schema_mode="overwrite")
    assert look({}).obstacles == ()
