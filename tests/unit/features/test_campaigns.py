"""Which campaigns enter the panel, and the reasons of those that do not."""

import datetime

from tests.unit.features.rows import DAY
from truelift.features.campaigns import (
    ArmCounts,
    Campaign,
    day_bounds,
    require_both_arms,
    select_campaigns,
)


def micros(text: str) -> int:
    moment = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)
    return round(moment.timestamp() * 1e6)


def chosen(*campaigns: Campaign, complete: bool = True):
    kept, excluded = select_campaigns(campaigns, 0, 100 * DAY, 30, complete)
    return [c.campaign for c in kept], excluded


def test_the_days_covered_run_from_midnight_to_midnight():
    bounds = day_bounds(micros("2024-05-02T10:00:00"), micros("2024-05-04T00:00:00"), "UTC")
    assert bounds == (micros("2024-05-02T00:00:00"), micros("2024-05-05T00:00:00"))


def test_midnights_are_those_of_the_time_zone_also_across_daylight_saving():
    bounds = day_bounds(
        micros("2024-03-30T12:00:00"), micros("2024-03-31T12:00:00"), "Europe/Berlin"
    )
    assert bounds == (micros("2024-03-29T23:00:00"), micros("2024-03-31T22:00:00"))


def test_exactly_enough_days_before_and_an_end_with_the_data_are_enough():
    assert chosen(Campaign(30 * DAY, "a", 100 * DAY)) == (["a"], {})


def test_too_little_data_before_the_start_is_a_reason():
    assert chosen(Campaign(29 * DAY, "a", 40 * DAY))[1] == {
        "a": "29 days of data before its start, 30 needed"
    }


def test_a_start_before_the_data_is_a_reason():
    assert chosen(Campaign(-2 * DAY, "a", 40 * DAY))[1] == {"a": "it starts 2 days before the data"}


def test_a_window_that_outlasts_the_data_is_a_reason():
    assert chosen(Campaign(50 * DAY, "a", 101 * DAY))[1] == {
        "a": "its window ends 1 day after the data"
    }


def test_an_incomplete_window_is_kept_where_it_is_allowed():
    assert chosen(Campaign(50 * DAY, "a", 101 * DAY), complete=False) == (["a"], {})


def test_a_start_after_the_data_is_never_kept():
    assert chosen(Campaign(100 * DAY, "a", 101 * DAY), complete=False)[0] == []


def test_an_end_before_the_start_is_a_reason():
    assert chosen(Campaign(50 * DAY, "a", 49 * DAY))[1] == {"a": "its end is not after its start"}


def test_campaigns_come_in_the_order_of_their_starts():
    late, early = Campaign(60 * DAY, "a", 70 * DAY), Campaign(50 * DAY, "b", 70 * DAY)
    assert chosen(late, early)[0] == ["b", "a"]


def test_a_campaign_needs_both_arms_and_the_reason_names_the_counts():
    campaigns = [Campaign(n, name, n + 1) for n, name in enumerate("abcd")]
    counts = {"a": ArmCounts(10, 4), "b": ArmCounts(10, 0), "c": ArmCounts(10, 10)}
    kept, excluded = require_both_arms(campaigns, counts)
    assert [c.campaign for c in kept] == ["a"]
    assert excluded == {
        "b": "none of 10 eligible users was treated",
        "c": "all 10 eligible users were treated",
        "d": "no user has enough history at its start",
    }
