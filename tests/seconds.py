"""Seconds, Java starts and Spark jobs by test file: written on request, read to deal files out.

``make seconds`` runs every test and writes ``tests/seconds.json``. From then on the files that took
longest begin, so that none of them comes last and alone; one that the list does not have is taken
for long.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest

KEPT = Path(__file__).with_name("seconds.json")
_PHASES = ("setup", "call", "teardown")
# Every Java touches a file of its process's number here; that is how its starts are counted.
_STARTS = Path(tempfile.mkdtemp(prefix="truelift-java-"))
os.environ["JDK_JAVA_OPTIONS"] = " ".join(
    (os.environ.get("JDK_JAVA_OPTIONS", ""), f"-Xlog:safepoint=error:file={_STARTS}/%p")
).strip()


def file_of(nodeid: str) -> str:
    """The test file of a test."""
    return nodeid.partition("::")[0]


class Seconds:
    """Adds up what the tests of a file took, over all workers."""

    def __init__(self, target: Path | None) -> None:
        self._target = target
        self._files: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        self._known = {file: sum(found[p] for p in _PHASES) for file, found in known.items()}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Longest files first; within a file the order stays."""
        items.sort(key=lambda item: -self._known.get(file_of(item.nodeid), 1e9))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item):
        """Leave what a test has cost in its report, which a worker sends home."""
        done = yield
        started = set(_STARTS.iterdir())
        item.user_properties.append(("java_starts", len(started)))
        for file in started:
            file.unlink()
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a phase of a test to its file."""
        found = self._files[file_of(report.nodeid)]
        found[report.when or "call"] += report.duration
        if report.when == "teardown":
            found["tests"] += 1
            for name, value in report.user_properties:
                if name in ("java_starts", "spark_jobs"):
                    found[name] += float(str(value))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the list, in the process that has all reports."""
        if self._target is None or hasattr(session.config, "workerinput"):
            return
        rows = {
            file: {name: round(value, 1) for name, value in sorted(found.items())}
            for file, found in sorted(self._files.items())
        }
        self._target.write_text(json.dumps(rows, indent=1) + "\n")
