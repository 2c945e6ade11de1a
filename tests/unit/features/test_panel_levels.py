"""Which levels get a column of the panel."""

from __future__ import annotations

import pyarrow as pa

from truelift.features.panels.levels import (
    AttributeRows,
    attribute_levels,
    most_frequent,
)


def rows(*found: tuple[int, str | None, str | None], subjects: int = 3) -> AttributeRows:
    """``(subject, attribute, level)`` each; -1 is nobody."""
    import numpy as np

    owner, names, levels = zip(*found, strict=True)
    return AttributeRows.of(
        np.array(owner), pa.array(names, pa.string()), pa.array(levels, pa.string()), subjects
    )


def chosen(held: AttributeRows, most: int = 30):
    counts: dict[str, dict[str, int]] = {}
    known: dict[str, int] = {}
    for name, level, count in held.counts():
        if level is None:
            known[name] = count
        else:
            counts.setdefault(name, {})[level] = count
    return attribute_levels(counts, known, held.subjects, most)


def test_the_most_frequent_level_is_the_reference_and_single_levels_need_no_column():
    held = rows(
        (0, "age", "old"), (0, "plan", "free"), (1, "age", "old"), (1, "plan", "free"),
        (2, "age", "young"), (2, "plan", "free"), (2, "city", "x"),
    )  # fmt: skip
    found = {each.name: (each.levels, each.has_missing) for each in chosen(held)}
    assert found == {"age": (("young",), False), "city": ((), True)}


def test_of_equally_frequent_levels_the_first_by_name_is_the_reference():
    held = rows((0, "age", "young"), (1, "age", "old"), subjects=2)
    assert [each.levels for each in chosen(held)] == [("young",)]


def test_an_attribute_with_too_many_levels_is_no_group():
    many = [(n, "name", f"n{n}") for n in range(40)] + [(n, "age", str(n % 2)) for n in range(40)]
    assert [each.name for each in chosen(rows(*many, subjects=40))] == ["age"]


def test_rows_of_nobody_and_without_a_level_count_for_nothing():
    held = rows((0, "age", "old"), (-1, "age", "young"), (1, "age", None), (2, None, "old"))
    assert list(held.counts()) == [("age", None, 1), ("age", "old", 1)]


def test_flags_follow_the_levels_and_the_missing_one_comes_last():
    held = rows((0, "age", "old"), (1, "age", "young"))
    (age,) = chosen(held)
    assert age.names() == ["age_young", "age_missing"]
    assert [flags.tolist() for flags in held.flags([age])] == [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def test_the_most_frequent_come_first_and_equal_ones_by_name():
    assert most_frequent({"b": 2, "a": 2, "c": 5, "d": 0}, 2) == ("c", "a")
    assert most_frequent({"b": 2}, 0) == ()
