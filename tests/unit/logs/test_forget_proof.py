"""The search of the files that are left after a person was forgotten."""

from __future__ import annotations

from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from truelift.errors import InvariantError
from truelift.logs.forget_proof import prove_forgotten
from truelift.logs.person import Person
from truelift.settings import MappingOptions, SourceOptions

ANN = Person("ann", frozenset({"ann"}), frozenset({"ann"}), pseudonymous=False)
KEY = "0f" * 32
HIDDEN = Person(KEY, frozenset({"ann"}), frozenset({KEY}), pseudonymous=True)
RAW = pa.map_(pa.string(), pa.string())


@pytest.fixture
def search(tmp_path):
    """``search("gold.panel", person, column=[...])``: write a file of the table, then search."""

    def run(table, person, **columns):
        folder = tmp_path / table.replace(".", "/")
        folder.mkdir(parents=True)
        pq.write_table(pa.table(columns), folder / "part.parquet")
        source = SourceOptions(mapping=MappingOptions(user="u", item="i", time="t"))
        lake = SimpleNamespace(root=str(tmp_path))
        return prove_forgotten(
            SimpleNamespace(lake=lake, settings=SimpleNamespace(source=source)), person
        )

    return run


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("silver.events", {"user_key": ["bob", "ann"]}),
        ("bronze.events", {"u": ["ann"]}),
        ("bronze.identities", {"alias": ["ann"]}),
        ("bronze.events", {"_corrupt": ["torn,ann,2024"]}),
        ("silver.quarantine", {"raw": pa.array([[("_corrupt", "torn;ann")]], RAW)}),
        ("silver.quarantine", {"raw": pa.array([[("i", "x"), ("u", "ann")]], RAW)}),
        ("gold.panel", {"unit_id": ["summer:bob", "summer:ann"]}),
        ("gold.scores", {"unit_id": ["summer:ann"], "user_key": ["bob"]}),
        ("silver.events", {"note": ["ann"]}),
    ],
)  # fmt: skip
def test_a_column_that_still_holds_the_person_is_found(search, table, columns):
    with pytest.raises(
        InvariantError, match=r"part\.parquet: the column .* still holds the person"
    ):
        search(table, ANN, **columns)


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("gold.panel", {"unit_id": ["ann:bob"], "user_key": ["bob"]}),
        ("gold.panel", {"unit_id": ["summer:x:ann"], "user_key": ["x:ann"]}),
        ("gold.panel", {"unit_id": ["summer:joann"], "user_key": ["joann"]}),
        ("bronze.events", {"_corrupt": ["torn,anna", None]}),
        ("gold.users", {"user_key": ["annette", None]}),
    ],
)
def test_others_are_not_taken_for_the_person(search, table, columns):
    assert search(table, ANN, **columns).namesakes == {}


def test_the_same_text_in_columns_of_other_things_is_counted(search):
    found = search("bronze.events", ANN, u=["bob", "cid"], i=["ann", "x"], q=["ann", "ann"])
    assert (found.files, found.namesakes) == (1, {"bronze.events.i": 1, "bronze.events.q": 2})


def test_names_in_maps_and_lists_of_other_things_are_counted(search):
    context = pa.array([[("referrer", "ann")]], RAW)
    found = search("silver.events", ANN, user_key=["bob"], context=context, labels=[["ann"]])
    assert found.namesakes == {"silver.events.context": 1, "silver.events.labels": 1}


def test_a_pseudonym_may_stand_nowhere(search):
    with pytest.raises(InvariantError, match="'event_id' still holds"):
        search("silver.events", HIDDEN, event_id=[KEY])


def test_the_log_of_a_table_is_no_data(tmp_path, search):
    (tmp_path / "gold/items/_delta_log").mkdir(parents=True)
    pq.write_table(pa.table({"note": ["ann"]}), tmp_path / "gold/items/_delta_log/1.parquet")
    assert search("gold.users", ANN, user_key=["bob"]).files == 1
