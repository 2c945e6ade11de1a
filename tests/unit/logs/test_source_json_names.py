"""Names of JSON keys: fixed for a file by their paths, whatever the order of keys and lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.errors import SourceError
from truelift.logs.sources.columns import held_name
from truelift.logs.sources.json_names import names_of
from truelift.logs.sources.planning import plan_streams
from truelift.logs.sources.registry import read
from truelift.logs.unit_reader import RowsHere, reader_of
from truelift.settings import MappingOptions, SourceOptions

TOP_FIRST = '{"user_id": "shop1", "user": {"id": "app1"}, "item": 1, "time": 1}'
NESTED_FIRST = '{"user": {"id": "app2"}, "user_id": "shop2", "item": 1, "time": 1}'


def source(folder, user, *files, **mapping):
    for number, lines in enumerate(files):
        (folder / f"{number}.jsonl").write_text("\n".join(lines) + "\n")
    named = {"user": user, "item": "item", "time": "time", **mapping}
    return SourceOptions("jsonl", str(folder / "*.jsonl"), mapping=MappingOptions(**named))


def values(options, column):
    """A mapped column's values, as every later step looks it up."""
    units = plan_streams(options)["events"]
    name = held_name(column, {name for unit in units for name in unit.names})
    return [row.get(name) for unit in units for b in read(unit) for row in b.to_pylist()]


@pytest.mark.parametrize("lines", [(TOP_FIRST, NESTED_FIRST), (NESTED_FIRST, TOP_FIRST)])
@pytest.mark.parametrize(("user", "kind"), [("user_id", "shop"), ("user.id", "app")])
def test_a_key_at_the_top_and_one_inside_never_change_places(tmp_path, lines, user, kind):
    found = values(source(tmp_path, user, lines), user)
    assert sorted(found) == [f"{kind}1", f"{kind}2"]


def test_a_key_that_is_inside_in_one_line_only_is_null_in_the_others(tmp_path):
    lines = [TOP_FIRST, '{"user_id": "shop2", "item": 1, "time": 1}']
    assert values(source(tmp_path, "user.id", lines), "user.id") == ["app1", None]


def test_the_key_at_the_top_is_not_taken_for_one_inside(tmp_path):
    lines = ['{"user_id": "shop2", "item": 1, "time": 1}']
    with pytest.raises(SourceError, match=r"names the key 'user\.id', and .* has 'user_id'"):
        values(source(tmp_path, "user.id", lines), "user.id")


def test_a_name_that_means_another_key_in_another_file_is_refused(tmp_path):
    inside = ['{"user": {"id": "app1"}, "item": 1, "time": 1}']
    with pytest.raises(SourceError, match=r"'user\.id' in .*0\.jsonl and 'user_id' in .*1\.jsonl"):
        values(source(tmp_path, "user_id", inside, [TOP_FIRST]), "user_id")


def test_a_key_inside_goes_by_its_joined_name_where_it_is_alone(tmp_path):
    inside = ['{"user": {"id": "app1"}, "item": 1, "time": 1}']
    assert values(source(tmp_path, "user_id", inside), "user_id") == ["app1"]
    assert values(source(tmp_path, "user.id", inside), "user.id") == ["app1"]


@pytest.mark.parametrize(
    "line",
    ['{"a b": 1, "a_b": 2, "item": 1, "time": 1}', '{"A_B": 1, "a_b": 2, "item": 1, "time": 1}',
     '{"a": {"b": 1}, "a.b": 2, "item": 1, "time": 1}'],
    ids=["blank", "case", "dot"],
)  # fmt: skip
def test_a_name_that_several_keys_may_mean_is_refused(tmp_path, line):
    (wanted,) = {"a b", "A_B", "a.b"} & set(json.loads(line))
    with pytest.raises(SourceError, match="2 that may be meant"):
        values(source(tmp_path, wanted, [line]), wanted)


@pytest.mark.parametrize(
    ("early", "late", "user", "other"),
    [
        ('{"user_id": "shop", "item": 1, "time": 1}', NESTED_FIRST, "shop2", {"user.id": "app2"}),
        ('{"user": {"id": "app"}, "item": 1, "time": 1}', TOP_FIRST, "app1", {"user_id_2": "shop1"}),
        ('{"user_id": "a", "item": 1, "time": 1}', '{"User_ID": "b", "user_id": "c"}', "c",
         {"User_ID": "b"}),
    ],
    ids=["inside", "top", "case"],
)  # fmt: skip
def test_a_late_key_keeps_its_path_and_is_not_taken_for_another(tmp_path, early, late, user, other):
    units = plan_streams(source(tmp_path, "user_id", [early] * 1000 + [late]))["events"]
    last = [row for unit in units for b in read(unit) for row in b.to_pylist()][-1]
    assert (last["user_id"], json.loads(last["_other"])) == (user, other)


INSIDE = '{"user": {"id": "app3"}, "item": 1, "time": 1}'


SPELLINGS = [
    ('{"user": "a", "item": 1, "time": 1}', '{"User": "b", "item": 1, "time": 1}'),
    ('{"K\u00e4ufer": "a", "item": 1, "time": 1}', '{"Ka\u0308ufer": "b", "item": 1, "time": 1}'),
    ('{"Meta": {"Id": "a"}, "item": 1, "time": 1}', '{"meta": {"ID": "b"}, "item": 1, "time": 1}'),
]


@pytest.mark.parametrize("lines", SPELLINGS)
@pytest.mark.parametrize("place", [1, 1001])
def test_spellings_of_a_key_that_no_line_has_together_are_one_column(tmp_path, lines, place):
    first, second = lines
    user = next(iter(json.loads(first)))
    user = "meta.id" if user == "Meta" else user
    found = values(source(tmp_path, user, [*[first] * place, second]), user)
    assert found == ["a"] * place + ["b"]


def test_a_line_that_has_two_spellings_of_a_key_loses_neither(tmp_path):
    lines = [*SPELLINGS[0], '{"User": "c", "user": "d", "item": 1, "time": 1}']
    options = source(tmp_path, "user", lines)
    assert values(options, "user") == ["a", "b", "d"]
    (unit,) = plan_streams(options)["events"]
    others = [row["_other"] for batch in read(unit) for row in batch.to_pylist()]
    assert others == [None, None, '{"User": "c"}']


def test_a_key_that_an_object_has_twice_means_none_of_its_values(tmp_path):
    lines = [SPELLINGS[0][0], '{"user": "b", "item": 1, "time": 1, "user": "c"}']
    options = source(tmp_path, "user", lines)
    assert values(options, "user") == ["a", None]
    assert values(options, "user (1)") == [None, "b"]
    assert values(options, "user (2)") == [None, "c"]


def test_a_key_that_an_object_has_twice_with_one_value_has_it(tmp_path):
    lines = ['{"user": "b", "item": 1, "time": 1, "user": "b"}']
    assert values(source(tmp_path, "user", lines), "user") == ["b"]


def test_a_key_with_a_dot_in_its_name_beside_one_inside_is_told_apart(tmp_path):
    lines = ['{"user.id": "a", "user": {"id": "b"}, "item": 1, "time": 1}']
    with pytest.raises(SourceError, match="one a key with a dot in its name"):
        values(source(tmp_path, "user.id", lines), "user.id")


def read_together(options, held=()):
    """Every row of all files together, as an ingest reads them."""
    here = RowsHere(reader_of(plan_streams(options)["events"], held, None, 1.0))
    return [row for batch in here.batches() for row in batch.to_pylist()]


def test_a_key_inside_has_one_column_over_all_files(tmp_path):
    rows = read_together(source(tmp_path, "user.id", [INSIDE], [TOP_FIRST]))
    assert [(row["user_id"], row["user__id"]) for row in rows] == [
        (None, "app3"),
        ("shop1", "app1"),
    ]


def test_a_key_inside_keeps_the_column_that_the_table_has_for_it(tmp_path):
    (row,) = read_together(source(tmp_path, "user.id", [INSIDE]), ("user_id", "user__id"))
    assert row["user__id"] == "app3"
    assert "user_id" not in row
    (alone,) = read_together(source(tmp_path, "user.id", [INSIDE]), ("user_id",))
    assert alone["user_id"] == "app3"


KEYS = st.sampled_from(["a", "b", "A", "a_b", "a.b", "a b", "b_a", "a__b"])
PATHS = st.lists(st.lists(KEYS, min_size=1, max_size=3).map(tuple), unique=True, max_size=8)


@given(PATHS, st.randoms())
def test_names_depend_on_paths_alone_and_no_two_are_equal(paths, random):
    shuffled = random.sample(paths, len(paths))
    names = names_of(paths)
    assert names == names_of(shuffled)
    assert len({name.lower() for name in names.values()}) == len(names)
    lost = set(paths) - set(names)
    assert all(any(p != q and _low(p) == _low(q) for q in names) for p in lost)


def _low(path):
    return tuple(key.lower() for key in path)
