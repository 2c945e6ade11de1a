"""The format that a time seems to have, where the one that is set does not read it."""

from __future__ import annotations

import pytest

from truelift.logs.time_hints import other_time_format


@pytest.mark.parametrize(
    ("text", "given", "hint"),
    [
        ("1709632800", "epoch_ms", "epoch_s (then it is 2024-03-05 10:00:00 UTC)"),
        ("1709632800123", "epoch_s", "epoch_ms (then it is 2024-03-05 10:00:00 UTC)"),
        ("1709632800123456", "iso", "epoch_us (then it is 2024-03-05 10:00:00 UTC)"),
        ("1709632800123456789", "epoch_us", "epoch_ns (then it is 2024-03-05 10:00:00 UTC)"),
        ("1709632800.5", "iso", "epoch_s (then it is 2024-03-05 10:00:00 UTC)"),
        ("2024-03-05T10:00:00Z", "epoch_s", "source.time_format: iso"),
        ("2024-03-05 10:00", "dd.MM.yyyy HH:mm", "source.time_format: iso"),
        ("Tue, 5 Mar 2024 10:00:00 +0100", "iso", "rfc_2822"),
        ("Tue, 05 Mar 2024 10:00:00 GMT", "iso", "rfc_2822"),
        ("25/03/2024 10:00", "iso", "'d/M/yyyy H:mm'"),
        ("03/25/2024 9:00:00 PM", "iso", "'M/d/yyyy h:mm:ss a'"),
        ("05.03.2024", "iso", "'d.M.yyyy', or M before d"),
        ("2024/03/05 10:00:00", "iso", "'yyyy/M/d H:mm:ss'"),
    ],
)
def test_a_time_of_another_format_is_recognised(text, given, hint):
    found = other_time_format(text, given)
    assert found is not None and hint in found


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("1709632800", "epoch_s"),
        ("2024-03-05", "iso"),
        ("17", "epoch_s"),
        ("noon", "iso"),
        ("", "iso"),
        ("2024-03-05 10:00 BST", "iso"),
    ],
)
def test_nothing_is_said_where_nothing_is_known(text, given):
    assert other_time_format(text, given) is None
