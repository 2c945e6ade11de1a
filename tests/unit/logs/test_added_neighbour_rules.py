"""A rule on neighbours that another package brings: asked for by its name, run, explained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.logs.user_rows import QUIET, rows
from truelift.errors import ConfigError
from truelift.logs.explain import meanings
from truelift.logs.neighbours.names import neighbour_labels
from truelift.logs.neighbours.placing import reach_seconds, rules_of
from truelift.logs.neighbours.verdicts import judge_users
from truelift.settings import CleanOptions, Settings

AGAIN = """
import numpy as np
from truelift.logs.added_rules import NeighbourRule

def marks(events, counted):
    again = np.zeros(len(counted), bool)
    again[1:] = (events.user[1:] == events.user[:-1]) & (events.item[1:] == events.item[:-1])
    return again

AGAIN = NeighbourRule("item_again", "The user's last event was of the item too.", marks, 7200.0)
WRONG = NeighbourRule("item_count", "No truth values.", lambda events, counted: events.item)
DUPLICATE = NeighbourRule("duplicate", "A name of ours.", marks)
"""
THREE = (
    {"at": 0, "item_id": "x"}, {"at": 90, "item_id": "x"}, {"at": 180, "item_id": "y"},
)  # fmt: skip


def asking(**actions: str) -> Settings:
    return replace(Settings(), clean=CleanOptions(bots=QUIET, actions=actions))


def found(settings: Settings) -> dict[int, tuple[list[str], list[str]]]:
    parts = [part.to_pylist() for part in judge_users(rows(*THREE), rules_of(settings))]
    return {r["source_row"]: (r["reasons"], r["labels"]) for part in parts for r in part}


@pytest.mark.parametrize(
    ("action", "of_the_second"),
    [("reject", (["item_again"], [])), ("label", ([], ["item_again"])), ("ignore", ([], []))],
)
def test_it_does_to_a_row_what_the_settings_say(bring, action, of_the_second):
    bring("truelift.neighbour_rules", AGAIN, item_again="AGAIN")
    assert found(asking(item_again=action)) == {
        0: ([], []), 1: of_the_second, 2: ([], []),
    }  # fmt: skip


def test_a_package_that_is_only_installed_changes_no_row(bring):
    bring("truelift.neighbour_rules", AGAIN, item_again="AGAIN")
    assert rules_of(asking()).added == ()
    assert not any(reasons or labels for reasons, labels in found(asking()).values())


def test_slices_look_as_far_around_a_row_as_it_says(bring):
    bring("truelift.neighbour_rules", AGAIN, item_again="AGAIN")
    assert reach_seconds(asking()) < 7200 <= reach_seconds(asking(item_again="label"))


def test_its_meaning_is_told_and_its_labels_are_taken_anew(bring):
    bring("truelift.neighbour_rules", AGAIN, item_again="AGAIN")
    assert meanings()["item_again"] == "The user's last event was of the item too."
    assert neighbour_labels()[-1] == "item_again"


def test_without_the_package_the_name_is_refused():
    with pytest.raises(ConfigError, match=r"clean\.actions: there is no 'item_again'"):
        asking(item_again="label")


def test_what_is_no_truth_value_an_event_is_refused(bring):
    bring("truelift.neighbour_rules", AGAIN, item_count="WRONG")
    expected = (
        r"clean\.actions\.item_count: .* gave int64 of shape \(3,\), expected one truth value"
    )
    with pytest.raises(ConfigError, match=expected):
        found(asking(item_count="label"))


def test_a_name_of_ours_is_refused(bring):
    bring("truelift.neighbour_rules", AGAIN, duplicate="DUPLICATE")
    with pytest.raises(ConfigError, match="brings 'duplicate', which truelift has itself"):
        found(asking(duplicate="label"))
