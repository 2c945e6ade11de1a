"""Columns of people are marked in the tables' schemas, and forgetting goes by the mark."""

from __future__ import annotations

import pytest

from truelift.lake.tables import TABLES, TableSpec, table_spec
from truelift.logs.person import people_columns
from truelift.settings import MappingOptions, SourceOptions

SOURCE = SourceOptions(mapping=MappingOptions(user="u", item="i", time="t"))
OURS = [spec for name, spec in TABLES.items() if not name.startswith("bronze.")]


def test_the_names_of_columns_are_read_without_a_session():
    ddl = "a string, b map<string,array<int>>, c timestamp"
    assert TableSpec("gold.x", ddl).names == ("a", "b", "c")


@pytest.mark.parametrize("spec", OURS, ids=lambda spec: spec.name)
def test_every_column_that_holds_a_users_key_is_marked_and_is_one_of_the_table(spec):
    assert set(spec.people) <= set(spec.names)
    assert {name for name in spec.names if "user" in name and name != "users"} == set(spec.people)


def test_a_panel_by_a_specification_has_the_mark_where_it_has_the_column():
    assert table_spec("gold.panel_x").people == ("user_key",)
    assert people_columns(SOURCE, "gold.panel_x", ["unit_id", "user_key"]) == {"user_key"}
    assert people_columns(SOURCE, "gold.panel_x", ["unit_id"]) == frozenset()


def test_a_mark_of_another_name_is_followed(monkeypatch):
    spec = TableSpec("gold.users", "person string, users bigint", people=("person",))
    monkeypatch.setitem(TABLES, "gold.users", spec)
    assert people_columns(SOURCE, "gold.users", ["person", "users"]) == {"person"}
