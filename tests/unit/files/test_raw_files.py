"""Finding raw files, and knowing them again."""

from __future__ import annotations

import gzip
import os

import pytest

from truelift.errors import SourceError
from truelift.files.raw import find_files, fingerprint, open_raw


@pytest.fixture
def folder(tmp_path):
    for name in ("a.csv", "b.csv", "deep/c.csv", "deep/d.txt", "_SUCCESS", ".hidden.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"text of {name}\n")
    return tmp_path


def names(path):
    return [f.name for f in find_files(str(path), "source.path")]


def test_a_path_is_one_file(folder):
    assert names(folder / "a.csv") == ["a.csv"]


def test_a_folder_gives_all_its_files_but_hidden_ones(folder):
    assert names(folder) == ["a.csv", "b.csv", "deep/c.csv", "deep/d.txt"]


def test_files_in_passing_are_left_out_unless_the_pattern_names_them(folder):
    for name in ("a.csv.tmp", "b.csv.filepart", "a.csv~", ".a.csv.swp", "b.CSV.TMP"):
        (folder / name).write_text("a copy\n")
    assert names(folder) == ["a.csv", "b.csv", "deep/c.csv", "deep/d.txt"]
    assert names(folder / "*.tmp") == ["a.csv.tmp"]
    assert names(folder / "a.csv~") == ["a.csv~"]


def test_a_star_stays_within_one_folder(folder):
    assert names(folder / "*.csv") == [".hidden.csv", "a.csv", "b.csv"][1:]


def test_two_stars_go_down_every_folder(folder):
    assert names(folder / "**" / "*.csv") == ["a.csv", "b.csv", "deep/c.csv"]


def test_brackets_and_question_marks_match_one_character(folder):
    assert names(folder / "[!b].csv") == ["a.csv"]
    assert names(folder / "?.csv") == ["a.csv", "b.csv"]


def test_a_relative_path_is_taken_from_the_working_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert names("deep/c.csv") == ["c.csv"]


def test_a_file_uri_is_read_as_the_path_is(folder):
    (found,) = find_files(f"file://{folder}/deep/*.csv", "source.path")
    assert open_raw(found.uri).read() == b"text of deep/c.csv\n"


@pytest.mark.parametrize("path", ["none.csv", "no-folder/*.csv", "*.parquet"])
def test_nothing_found_is_an_error_that_names_the_path(folder, path):
    with pytest.raises(SourceError, match=r"source\.path: no file matches") as caught:
        names(folder / path)
    assert path in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("path", ["http://shop.example/log.csv", "dbfs:/log.csv"])
def test_a_place_that_nothing_here_reaches_is_an_error_that_names_the_path(path):
    with pytest.raises(SourceError, match=rf"source\.path: '{path}' cannot be reached"):
        find_files(path, "source.path")


def test_an_empty_file_is_an_error_that_names_it(tmp_path):
    (tmp_path / "empty.csv").touch()
    with pytest.raises(SourceError, match=r"empty\.csv.* is empty"):
        names(tmp_path / "empty.csv")


def test_empty_files_beside_full_ones_are_passed_over(folder):
    (folder / "0.csv").touch()
    assert names(folder / "*.csv") == ["a.csv", "b.csv"]


def fingerprint_of(path):
    (found,) = find_files(str(path), "source.path")
    return fingerprint(found)


def test_a_moved_and_touched_file_keeps_its_fingerprint(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.csv").write_text("a,b\n1,2\n")
    os.utime(tmp_path / "two" / "log.csv", (1, 1))
    assert fingerprint_of(tmp_path / "one" / "log.csv") == fingerprint_of(
        tmp_path / "two" / "log.csv"
    )


def test_one_changed_byte_changes_the_fingerprint(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("a,b\n1,2\n")
    before = fingerprint_of(path)
    path.write_text("a,b\n1,3\n")
    assert fingerprint_of(path) != before


def test_equal_content_under_two_names_has_two_fingerprints(tmp_path):
    for name in ("x.csv", "y.csv"):
        (tmp_path / name).write_text("a\n1\n")
    assert fingerprint_of(tmp_path / "x.csv") != fingerprint_of(tmp_path / "y.csv")


@pytest.mark.parametrize("name", ["a.csv.gz", "A.CSV.GZ"])
def test_gzip_is_unpacked_by_its_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"a\n1\n"))
    assert open_raw(str(path)).read() == b"a\n1\n"
