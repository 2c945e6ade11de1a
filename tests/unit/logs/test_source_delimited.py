"""How the settings say that delimited text is written, and messages where they do not fit."""

from __future__ import annotations

import pytest

from truelift.errors import ConfigError, SourceError
from truelift.logs.sources.columns import CORRUPT
from truelift.logs.sources.planning import plan_streams
from truelift.logs.sources.registry import read
from truelift.settings import MappingOptions, SourceOptions

MAPPING = MappingOptions("u", "i", "t")


@pytest.fixture
def found(tmp_path):
    """``found(text, name, **source)``: the values of u, i and t of every row."""

    def run(text, name="log.csv", **source):
        (tmp_path / name).write_text(text)
        options = SourceOptions("csv", str(tmp_path / name), mapping=MAPPING, **source)
        units = plan_streams(options)["events"]
        rows = [row for unit in units for batch in read(unit) for row in batch.to_pylist()]
        return [row[CORRUPT] or (row["u"], row["i"], row["t"]) for row in rows]

    return run


@pytest.mark.parametrize("name", ["log.tsv", "LOG.TSV", "log.tab"])
def test_a_file_named_tsv_has_tabs_without_a_word(found, name):
    assert found("u\ti\tt\na\tb,c\td\n", name) == [("a", "b,c", "d")]


def test_a_delimiter_that_is_given_goes_before_the_files_name(found):
    assert found("u,i,t\na,b,c\n", "log.tsv", delimiter=",") == [("a", "b", "c")]


@pytest.mark.parametrize("delimiter", ["\t", "\\t", "tab", "TAB"])
def test_a_tab_may_be_spelled(found, delimiter):
    assert found("u\ti\tt\na\tb\tc\n", delimiter=delimiter) == [("a", "b", "c")]


def test_a_delimiter_of_several_characters_is_told_how_to_give_a_tab():
    with pytest.raises(ConfigError, match=r'source\.delimiter: found \'/t\'.* a tab is "\\t"'):
        SourceOptions(delimiter="/t")


def test_columns_name_those_of_a_file_without_a_header(found):
    rows = found("a,b,c\nd,e,f\n", columns=("u", "i", "t"))
    assert rows == [("a", "b", "c"), ("d", "e", "f")]


def test_a_header_that_repeats_the_names_given_is_no_row(found):
    assert found("U,i,t\na,b,c\n", columns=("u", "i", "t")) == [("a", "b", "c")]


def test_lines_before_the_header_or_the_rows_are_skipped(found):
    assert found("Report of May\n\nu,i,t\na,b,c\n", skip_lines=2) == [("a", "b", "c")]
    rows = found('made "today\nx,y\na,b,c\n', skip_lines=2, columns=("u", "i", "t"))
    assert rows == [("a", "b", "c")]


def test_without_a_quote_character_quotes_are_text(found):
    text = 'u\ti\tt\n"a\tb"\t{"x": "y"}\n'
    assert found(text, "log.tsv", quote="") == [('"a', 'b"', '{"x": "y"}')]


ESCAPED = 'u,i,t\na,"5\\" disk",b\nc,"x\\\\",d\ne,"say \\"hi, you\\"",f\ng,"h ""i""",j\n'


def test_a_backslash_before_a_quote_is_refused_until_somebody_says_what_it_is(found):
    with pytest.raises(SourceError, match=r"a quote after a backslash.*source\.escape"):
        found(ESCAPED)
    assert found(ESCAPED, escape="\\") == [
        ("a", '5" disk', "b"), ("c", "x\\", "d"), ("e", 'say "hi, you"', "f"), ("g", 'h "i"', "j"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('a,"C:\\",b', "C:\\"),
        ('a,C:\\x,b', "C:\\x"),
        ('a,"{""k"": ""say \\""hi\\""""}",b', '{"k": "say \\"hi\\""}'),
        ('a,"x\\y",b', "x\\y"),
    ],
)  # fmt: skip
def test_other_backslashes_are_text(found, line, value):
    assert found(f"u,i,t\n{line}\n") == [("a", value, "b")]


def test_another_quote_character(found):
    assert found("u,i,t\n'a,b',c,d\n", quote="'") == [("a,b", "c", "d")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("17,sku,2024-03-05\n", r"first line looks like a row.*source\.columns: \[user, item"),
        ("#Version: 1.0\n#Fields: date time\n", r"W3C extended.*source\.format: w3c"),
        ("#Fields: date time cs-uri\n", r"W3C extended.*source\.format: w3c"),
        ("u;i;t\na;b;c\n", r"is ',' the delimiter\? .*source\.delimiter: \";\""),
        ("u\ti\tt\na\tb\tc\n", r"source\.delimiter: tab"),
        ("Sales of May\nu,i,t\na,b,c\n", r"source\.skip_lines"),
        ("'u','i','t'\n'a','b','c'\n", r"source\.quote: \"'\""),
        ('{"u": 1, "i": 2}\n', r"source\.format: jsonl"),
    ],
)
def test_a_file_that_is_no_table_with_a_header_is_told_what_to_do(found, text, message):
    with pytest.raises(SourceError, match=message):
        found(text + text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quote": "''"}, r"source\.quote"),
        ({"escape": "ab"}, r"source\.escape"),
        ({"escape": '"'}, r"source\.escape"),
        ({"escape": "\\", "missing": ("\\N",)}, r"source\.missing.*such as N for"),
        ({"skip_lines": -1}, r"source\.skip_lines"),
        ({"decimal": ";"}, r"source\.decimal"),
        ({"decimal": ",", "thousands": ","}, r"source\.thousands"),
        ({"thousands": "_"}, r"source\.thousands"),
        ({"format": "jsonl", "columns": ("u",)}, r"source\.columns"),
    ],
)
def test_options_that_cannot_work_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        SourceOptions(**options)


def test_a_header_in_another_encoding_is_told_which_setting_says_so(tmp_path):
    (tmp_path / "log.csv").write_bytes("\u00fc,i,t\na,b,c\n".encode("latin-1"))
    mapping = MappingOptions(user="\u00fc", item="i", time="t")
    with pytest.raises(SourceError, match=r"Is it utf-8\? If not, set source\.encoding"):
        plan_streams(SourceOptions(path=str(tmp_path), mapping=mapping))


@pytest.mark.parametrize("context", [(), ("day",)])
def test_a_column_that_is_a_folders_name_is_not_null_in_silence(tmp_path, context):
    inside = tmp_path / "day=2024-03-05"
    inside.mkdir()
    (inside / "log.csv").write_text("u,i,t\na,b,c\n")
    time = "t" if context else "day"
    mapping = MappingOptions(user="u", item="i", time=time, context=context)
    with pytest.raises(SourceError, match="Names of folders are not read"):
        plan_streams(SourceOptions(path=str(tmp_path), mapping=mapping))


def test_a_stranger_among_the_files_of_a_folder_is_told_how_to_leave_it_out(tmp_path):
    (tmp_path / "log.csv").write_text("u,i,t\na,b,c\n")
    (tmp_path / "README.md").write_text("What this is.\n")
    mapping = MappingOptions(user="u", item="i", time="t")
    with pytest.raises(SourceError, match=r"README\.md.*a pattern that leaves it out"):
        plan_streams(SourceOptions(path=str(tmp_path), mapping=mapping))
