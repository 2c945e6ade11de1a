"""Rows of registries: ours, and those that other packages bring by an entry point."""

from __future__ import annotations

import pytest

from truelift.errors import ConfigError
from truelift.registry import Registry

OWN = Registry("truelift.tests", {"seven": "tests.unit.config.test_registries:SEVEN"})


class Named:
    def __init__(self, name: str):
        self.name = name


SEVEN = Named("seven")


NAMED = "class Named:\n    def __init__(self, name): self.name = name\n"


def test_a_row_of_ours_is_imported_when_it_is_named():
    assert OWN.row("seven").name == "seven"


def test_rows_of_another_package_stand_after_ours(bring):
    bring(OWN.group, f"{NAMED}EIGHT = Named('eight')\n", eight="EIGHT")
    assert OWN.names == ("seven", "eight")
    assert [row.name for row in OWN] == ["seven", "eight"]


def test_a_name_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(
        ConfigError, match=r"key: found .sevn., expected one of seven\. Did you mean"
    ):
        OWN.row("sevn", "key")


@pytest.mark.parametrize(
    ("text", "points", "said"),
    [
        ("raise ValueError('broken')", {"nine": "NINE"}, "'nine' of the package 'brought'.*broken"),
        (f"{NAMED}A = Named('seven')", {"seven": "A"}, "brings 'seven', which truelift has itself"),
        (f"{NAMED}A = Named('ten')", {"nine": "A"}, "'nine' .* gives 'ten'; expected .* same name"),
    ],
)
def test_a_package_that_cannot_be_used_is_named(bring, text, points, said):
    bring(OWN.group, text, **points)
    with pytest.raises(ConfigError, match=said):
        OWN.row(next(iter(points)))
