"""Conditions on rows: SQL's meaning, without Spark, and one message for what is none."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest

from truelift.errors import ConfigError
from truelift.lake.conditions import condition_of, one_of

ROWS = pa.record_batch(
    {
        "row": [1, 2, 3, 4],
        "age": pa.array([18, 40, None, 7], pa.int64()),
        "country": ["CH", "AT", "it's", None],
        "e-mail (€).x": [1.0, float("nan"), 2.5, 3.0],
        "member": [True, False, None, True],
        "at": pa.array(
            [datetime.datetime(2024, 1, d, 12) for d in (1, 2, 3, 4)], pa.timestamp("us", "UTC")
        ),
        "day": pa.array([datetime.date(2024, 1, d) for d in (1, 2, 3, 4)]),
    }
)


def taken(text: str) -> list[int]:
    condition = condition_of(text)
    condition.check(ROWS.schema, "effects.filter", "t")
    return condition.rows(ROWS)["row"].to_pylist()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("age >= 18", [1, 2]),
        ("18 <= age", [1, 2]),
        ("age != 40", [1, 4]),
        ("not age = 40", [1, 4]),
        ("age in (7, 40)", [2, 4]),
        ("age not in (7, 40)", [1]),
        ("age between 8 and 18", [1]),
        ("age not between 8 and 18", [2, 4]),
        ("age > 17.5", [1, 2]),
        ("age is null", [3]),
        ("country = 'CH' or country == \"AT\"", [1, 2]),
        ("country = 'it''s'", [3]),
        ("country like 'i%'", [3]),
        ("country not like '%T'", [1, 3]),
        ("`e-mail (€).x` is null", [2]),
        ("`e-mail (€).x` is not null AND member", [1, 4]),
        ("member = false", [2]),
        ("day >= '2024-01-03'", [3, 4]),
        ("at < '2024-01-02'", [1]),
        ("at >= '2024-01-03 12:00:00'", [3, 4]),
        ("at > '2024-01-03T14:00:00+02:00'", [4]),
        ("at in ('2024-01-02T12:00:00')", [2]),
        ("(age < 10 or age > 30) and not country = 'AT'", []),
        ("age < 10 or age > 30 and country = 'AT'", [2, 4]),
        ("row <> age", [1, 2, 4]),
    ],
)
def test_a_condition_takes_the_rows_that_sql_takes(text, rows):
    assert taken(text) == rows


@pytest.mark.parametrize(
    "text", ["", "age >", "age = 1 and", "age + 1 > 2", "drop table x", "age = 1; x", "1 = 1",
             "'age'", "age in ()", "(age = 1", "country like age", "age not 3"]
)  # fmt: skip
def test_what_is_no_condition_is_refused_with_its_key(text):
    with pytest.raises(ConfigError, match=r"^effects\.filter: .* is no condition on rows"):
        condition_of(text, "effects.filter")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("income > 3", "has no column 'income'; its columns are row, age"),
        ("country = CH", "has no column 'CH'.*Texts stand in quotes"),
        ("country = 3", "3 beside a column of type string: write it in quotes"),
        ("age = '18'", "'18' beside a column of type int64: write it without quotes"),
        ("age", "type int64 is neither true nor false"),
        ("day > 'soon'", "does not fit the columns of t"),
    ],
)
def test_a_condition_that_does_not_fit_the_columns_is_refused_before_a_row_is_read(text, why):
    with pytest.raises(ConfigError, match=why):
        taken(text)


def test_a_choice_of_values_keeps_rows_without_one():
    assert taken(one_of("country", ["it's", "CH"])) == [1, 3, 4]
    assert taken(one_of("e-mail (€).x", [2.5])) == [2, 3]
