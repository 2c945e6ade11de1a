"""A format of files that another package brings: named in the settings, planned, and read."""

from __future__ import annotations

import pytest

from truelift.config import load_settings
from truelift.errors import ConfigError, SourceError
from truelift.logs.sources.planning import plan_streams
from truelift.logs.sources.registry import FORMATS, format_of, read

# Lines such as `ann>tea>2024-01-01`.
ARROWS = """
import pyarrow as pa
from truelift.errors import SourceError
from truelift.logs.sources.columns import text_batch
from truelift.logs.sources.file_format import FileFormat
from truelift.files.raw import open_raw
from truelift.logs.sources.unit import Unit

COLUMNS = ("who", "what", "when")

def _lines(uri):
    with open_raw(uri) as stream:
        return stream.read().decode().splitlines()

def header(file, options):
    if not _lines(file.uri)[0].count(">"):
        raise SourceError(f"{file.uri} has no arrows; expected who>what>when.")
    return list(COLUMNS)

def units(file, source_file, batch_id, options):
    return [Unit("arrows", file.uri, source_file, batch_id, COLUMNS, options=options)]

def read(unit):
    rows = []
    for line in _lines(unit.uri):
        parts = line.split(">")
        rows.append((*parts, None) if len(parts) == 3 else (None, None, None, line))
    columns = [pa.array(column, pa.string()) for column in zip(*rows)]
    yield text_batch(unit.names, columns[:-1], unit.source_file, pa.array(range(len(rows))), columns[-1])

ARROWS = FileFormat("arrows", header, units, read, (".arrows",), is_text=True)
"""
MAPPING = """
source:
  format: arrows
  path: {path}
  mapping: {{user: who, item: what, time: when}}
"""


@pytest.fixture
def source(bring, tmp_path):
    """``source(text)``: the settings' source of a file of that text."""
    bring("truelift.formats", ARROWS, arrows="ARROWS")

    def of(text: str):
        (tmp_path / "log.arrows").write_text(text)
        (tmp_path / "own.yaml").write_text(MAPPING.format(path=tmp_path / "log.arrows"))
        return load_settings("local", str(tmp_path / "own.yaml")).source

    return of


def test_its_rows_are_read_and_what_it_cannot_read_is_kept_as_corrupt(source):
    (unit,) = plan_streams(source("ann>tea>2024-01-01\nnonsense\n"))["events"]
    (batch,) = read(unit)
    columns = ("who", "what", "when", "_corrupt", "source_row")
    assert [tuple(row[c] for c in columns) for row in batch.to_pylist()] == [
        ("ann", "tea", "2024-01-01", None, 0),
        (None, None, None, "nonsense", 1),
    ]


def test_a_file_is_known_by_its_ending_and_stands_after_ours(source):
    source("ann>tea>2024-01-01\n")
    assert FORMATS.names[-1] == "arrows"
    assert format_of("x/LOG.arrows.gz", "csv") == "arrows"


def test_a_file_of_another_kind_is_refused_by_the_format_itself(source):
    with pytest.raises(SourceError, match="expected who>what>when"):
        plan_streams(source("user,item,time\n"))


def test_without_the_package_the_format_is_unknown_before_anything_is_opened(tmp_path):
    (tmp_path / "own.yaml").write_text(MAPPING.format(path=tmp_path / "nothing"))
    with pytest.raises(ConfigError, match=r"source\.format: found 'arrows', expected one of"):
        load_settings("local", str(tmp_path / "own.yaml"))
