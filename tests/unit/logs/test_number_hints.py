"""How a number seems to be written that the settings do not read."""

from __future__ import annotations

import pytest

from truelift.logs.number_hints import other_number_format


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1234,5", 'source.decimal: ","'),
        ("1.234,56", 'source.decimal: "," with source.thousands: "."'),
        ("1,234.56", 'source.decimal: "." with source.thousands: ","'),
        ("12'345", """source.thousands: "'\""""),
        ("1\u202f234,5", 'source.decimal: "," with source.thousands: " "'),
        ("1,234", 'source.thousands: "," or source.decimal: ","'),
    ],
)
def test_a_number_of_another_country_is_recognised(text, hint):
    assert other_number_format(text) == f"it looks like a number by {hint}"


@pytest.mark.parametrize("text", ["", "cheap", "5 EUR", "1,2,3", "1.2.3", "3d"])
def test_nothing_is_said_of_what_is_no_number_anywhere(text):
    assert other_number_format(text) is None
