"""Columns of people are marked in the tables' schemas, and forgetting goes by the mark."""

from __future__ import annotations

import pytest

from truelift.lake.tables import TABLES, TableSpec, table_spec
from truelift.logs.person import people_columns
from truelift.settings import MappingOptions, SourceOptions

SOURCE = SourceOptions(mapping=MappingOptions(user="u", item="i", time="t"))
# The columns of a panel are those of its specification.
OURS = [s for name, s in TABLES.items() if not name.startswith("bronze.") and name != "gold.panel"]


def test_the_names_of_columns_are_read_without_a_session():
    ddl = "a string, b map<string,array<int>>, c timestamp"
    assert TableSpec("gold.x", ddl).names == ("a", "b", "c")


@pytest.mark.parametrize("spec", OURS, ids=lambda spec: spec.name)
def test_every_column_that_holds_a_users_key_is_marked_and_is_one_of_the_table(spec):
    assert set(spec.people) <= set(spec.names)
    assert {name for name in spec.names if "user" in name and name != "users"} == set(spec.people)


@pytest.mark.parametrize("name", ["gold.panel", "gold.panel_x"])
def test_a_panel_by_a_specification_has_the_mark_where_it_has_the_column(name):
    assert table_spec(name).people == ("user_key",)
    assert people_columns(SOURCE, name, ["unit_id", "user_key"]) == {"user_key"}
    assert people_columns(SOURCE, name, ["unit_id"]) == frozenset()


def test_a_mark_of_another_name_is_followed(monkeypatch):
    spec = TableSpec("gold.users", "person string, users bigint", people=("person",))
    monkeypatch.setitem(TABLES, "gold.users", spec)
    assert people_columns(SOURCE, "gold.users", ["person", "users"]) == {"person"}
