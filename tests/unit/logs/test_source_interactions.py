"""Files of interactions: every line once, in the file's order."""

from __future__ import annotations

import gzip

import pytest

from truelift.config import load_settings
from truelift.errors import SourceError
from truelift.logs.sources.columns import CORRUPT
from truelift.logs.sources.planning import plan_streams
from truelift.logs.sources.registry import read
from truelift.settings import MappingOptions, SourceOptions

MAPPING = MappingOptions(user="user", item="item", time="time", event_id="line")
BASE = 946_684_800_000_000


def rows(path):
    options = SourceOptions(format="interactions", path=str(path), mapping=MAPPING)
    units = plan_streams(options)["events"]
    return [row for unit in units for batch in read(unit) for row in batch.to_pylist()]


def test_without_a_time_the_lines_number_is_the_time(tmp_path):
    (tmp_path / "ratings.txt").write_text("1 10\n1 11\n\n2\t10\n")
    found = [(r["user"], r["item"], int(r["time"]) - BASE, r["line"][-6:]) for r in rows(tmp_path)]
    assert found == [
        ("1", "10", 0, ".txt#0"), ("1", "11", 1_000_000, ".txt#1"), ("2", "10", 3_000_000, ".txt#3"),
    ]  # fmt: skip


def test_equal_seconds_keep_the_order_of_the_lines(tmp_path):
    (tmp_path / "ratings.txt").write_text("a x 5\na y 5\nb x 5\na z 5.0\na w 6\n")
    assert [(r["item"], r["time"]) for r in rows(tmp_path)] == [
        ("x", "5000000"), ("y", "5000001"), ("x", "5000000"), ("z", "5000002"), ("w", "6000000"),
    ]  # fmt: skip


def test_a_packed_file_reads_like_a_plain_one(tmp_path):
    with gzip.open(tmp_path / "ratings.txt.gz", "wt") as stream:
        stream.write("1 10 7\n")
    assert [r["time"] for r in rows(tmp_path / "ratings.txt.gz")] == ["7000000"]


def test_a_line_that_is_no_interaction_is_kept_whole(tmp_path):
    (tmp_path / "ratings.txt").write_text("1 10\nalone\n1 11 noon\n")
    assert [r[CORRUPT] for r in rows(tmp_path)] == [None, "alone", "1 11 noon"]


def test_a_file_without_any_interaction_is_refused(tmp_path):
    (tmp_path / "ratings.txt").write_text("alone\n")
    with pytest.raises(SourceError, match=r"expected 'user item' or 'user item seconds'.*alone"):
        rows(tmp_path)


def test_the_data_set_switches_off_what_could_drop_an_interaction():
    settings = load_settings("local", "interactions", ())
    assert settings.features.min_item_count == 1 and settings.features.repeats
    assert settings.clean.double_click_seconds is None and settings.clean.outlier_mads is None
    assert settings.sequence.split == "leave_one_out" and settings.sequence.seen_items == "drop"
