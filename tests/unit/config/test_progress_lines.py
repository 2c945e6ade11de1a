"""What a long step says of itself while it runs."""

from __future__ import annotations

import pytest

from truelift.progress import duration, stage_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("save at NativeMethodAccessorImpl.java:0", "save"),
        ("$anonfun$recordDeltaOperationInternal$1 at DeltaLogging.scala:140", "Spark's own work"),
    ],
)
def test_a_stage_is_called_by_a_name_that_says_something(text, expected):
    assert stage_name(text) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(8.24, "8.2 s"), (185, "3 min 05 s"), (7_800, "2 h 10 min"), (119.9, "2 min 00 s")],
)
def test_durations_are_said_as_people_say_them(seconds, expected):
    assert duration(seconds) == expected
