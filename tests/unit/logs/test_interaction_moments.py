"""Times of interactions: ISO 8601 as events have it, under every version of Python."""

from __future__ import annotations

import datetime

import pytest

from truelift.logs.sources.interaction_moments import iso_micros

ISO = {
    "2024-03-05T10:00:00Z": "2024-03-05 10:00:00",
    "2024-03-05T10:00Z": "2024-03-05 10:00:00",
    "2024-03-05 10:00": "2024-03-05 10:00:00",
    "2024-03-05T10": "2024-03-05 10:00:00",
    "2024-03-05 10:00:00 UTC": "2024-03-05 10:00:00",
    "2024-03-05T10:07+01:00": "2024-03-05 09:07:00",
    "2024-03-05T10:00:00-0545": "2024-03-05 15:45:00",
    "2024-03-05T10-05": "2024-03-05 15:00:00",
    "2024-03-05 10:00:00 Europe/Zurich": "2024-03-05 09:00:00",
    "2024-07-05T10:00:00[Europe/Zurich]": "2024-07-05 08:00:00",
    "2024-03-05T10:00:00.5": "2024-03-05 10:00:00.500000",
    "2024-03-05T10:07:05,123456789Z": "2024-03-05 10:07:05.123456",
    "2024-03-05T10.5Z": "2024-03-05 10:30:00",
    "2024-12-31T24:00Z": "2025-01-01 00:00:00",
    "2016-12-31T23:59:60Z": "2017-01-01 00:00:00",
    "2017-01-01T00:59:60+01:00": "2017-01-01 00:00:00",
    "20240305T100700Z": "2024-03-05 10:07:00",
    "2024-065": "2024-03-05 00:00:00",
    "2024-W10-2": "2024-03-05 00:00:00",
    "2020-W53-7T12": "2021-01-03 12:00:00",
    "1969-12-31T23:59:59.5Z": "1969-12-31 23:59:59.500000",
}
NONE = [
    "2024-03-05T24:00:01Z", "2024-03-05T10:60Z", "2024-03-05T10:00:60Z", "2024-02-30", "2023-366",
    "2024-W53-1", "2024-13-01", "2024-03", "0000-01-01", "2024-03-05 10:00 BST", "noon",
    "2024-03-05 10:00 Nowhere/Town", "2024-03-05T10:00+25:00", "\u0662\u0660\u0662\u0664-03-05",
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), ISO.items())
def test_every_form_of_iso_8601_that_names_an_instant_is_read(text, expected):
    found = iso_micros(text)
    assert found is not None
    instant = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=found)
    assert str(instant) == expected


@pytest.mark.parametrize("text", NONE)
def test_what_names_no_instant_is_none(text):
    assert iso_micros(text) is None
