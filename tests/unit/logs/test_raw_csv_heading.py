"""Delimited files whose beginning is not plain: the header's width decides, no row is lost."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from truelift.logs.sources import csv_rows
from truelift.logs.sources.columns import CORRUPT
from truelift.logs.sources.planning import plan_streams
from truelift.logs.sources.registry import read
from truelift.settings import MappingOptions, SourceOptions

ROWS = "".join(f"a{n},b{n},c{n}\n" for n in range(30))


@pytest.fixture
def found(tmp_path):
    """``found(text, **source)``: the values of u, i and t of every row, or a corrupt row's text."""

    def run(text, mapping=("u", "i", "t"), **source):
        path = tmp_path / "log.csv"
        path.write_bytes(text.encode())
        options = MappingOptions(*mapping)
        units = plan_streams(SourceOptions("csv", str(path), mapping=options, **source))["events"]
        rows = [row for unit in units for batch in read(unit) for row in batch.to_pylist()]
        assert [row["source_row"] for row in rows] == list(range(len(rows)))
        named = [name for name in rows[0] if name not in (CORRUPT, "source_file", "source_row")]
        return [row[CORRUPT] or tuple(row[name] for name in named) for row in rows]

    return run


PLAIN = [(f"a{n}", f"b{n}", f"c{n}") for n in range(30)]


def test_a_stray_delimiter_in_the_first_row_costs_no_other_row(found):
    assert found("u,i,t\n" + ROWS.replace("c0\n", "c0,\n")) == PLAIN


def test_a_stray_delimiter_anywhere_is_dropped(found):
    assert found("u,i,t\n" + ROWS.replace("7\n", "7,\n").replace("c9\n", "c9, ,\n")) == PLAIN


def test_lines_that_all_end_in_delimiters_fit_a_header_that_does_not(found):
    assert found("u,i,t\n" + ROWS.replace("\n", ",,\n")) == PLAIN


def test_a_header_that_ends_in_a_delimiter_loses_no_row(found):
    assert [row[:3] for row in found("u,i,t,\n" + ROWS)] == PLAIN
    assert [row[:3] for row in found("u,i,t,,\n" + ROWS.replace("5\n", "5,\n"))] == PLAIN


def test_a_column_without_a_name_keeps_its_values_where_there_are_any(found):
    rows = found("u,i,t,\na,b,c\nd,e,f,9\ng,h,i,\n")
    assert rows == [("a", "b", "c", None), ("d", "e", "f", "9"), ("g", "h", "i", None)]


@pytest.mark.parametrize(
    "before", ["\n", "\r\n\n", "  \n", ",,\n", "\ufeff\n", "sep=,\n", "sep=,\n\n"]
)
def test_blank_lines_before_the_header_are_passed_over(found, before):
    assert found(before + "u,i,t\n" + ROWS) == PLAIN


def test_a_header_may_go_over_several_lines(found):
    rows = found('u,"i\n(SKU)","t\n\n(UTC)"\n' + ROWS, ("u", "i (SKU)", "t (UTC)"))
    assert rows == PLAIN


def test_a_quote_in_the_header_that_does_not_close_is_a_character(found):
    assert found('u,"i,t\n' + ROWS, ("u", '"i', "t")) == PLAIN


def test_surplus_that_is_not_empty_makes_its_row_corrupt(found):
    rows = found("u,i,t\n" + ROWS.replace("c3\n", "c3,x\n"))
    assert rows == [*PLAIN[:3], "a3,b3,c3,x", *PLAIN[4:]]


def test_rows_stay_in_their_places_around_many_blocks(found, monkeypatch):
    monkeypatch.setattr(csv_rows, "_BLOCK", 64)
    text = "u,i,t,\n" + ROWS.replace("1\n", "1,\n").replace("c8\n", "c8,,x\n")
    expected = [(*row, None) for row in PLAIN]
    assert found(text) == [*expected[:8], "a8,b8,c8,,x", *expected[9:]]


VALUES = st.text(st.sampled_from('ab ,"\n;é'), max_size=5)
TABLES = st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=12)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=TABLES,
    surplus=st.lists(st.integers(0, 2), min_size=12, max_size=12),
    blank=st.integers(0, 2),
    unnamed=st.integers(0, 2),
)
def test_what_pythons_writer_wrote_is_read_the_same(found, rows, surplus, blank, unnamed):
    """The csv module is the oracle; surplus delimiters and blank lines change nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    text.write("\n" * blank)
    writer.writerow(["u", "i", "t", *[""] * unnamed])
    for row, extra in zip(rows, surplus, strict=False):
        writer.writerow([*row, *[""] * extra])
    assert [row[:3] for row in found(text.getvalue())] == rows
