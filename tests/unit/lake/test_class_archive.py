"""Java's kept classes are used where they fit this Python, this Spark and this Java, and nowhere else."""

from __future__ import annotations

import sys

from truelift.lake.class_archive import archive_options, archive_path
from truelift.lake.session import java_options


def test_without_an_archive_java_starts_as_always(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert archive_options() == ""
    assert "SharedArchiveFile" not in java_options()


def test_an_archive_is_named_to_java_and_no_fault_of_it_stops_a_start(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    archive_path().touch()
    assert f"-XX:SharedArchiveFile={archive_path()} -Xshare:auto" in java_options()


def test_another_java_has_an_archive_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java-17"))
    one = archive_path()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java-21"))
    assert archive_path() != one
