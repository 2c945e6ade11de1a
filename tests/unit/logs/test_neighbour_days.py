"""Signs of machines on a user's day."""

from dataclasses import replace

import pytest

from tests.unit.logs.user_rows import QUIET, judged, rows

HOUR, DAY = 3_600, 86_400


def signs(table, **bots):
    found = judged(table, bots=replace(QUIET, **bots))
    return [found[row][1] for row in sorted(found)]


def times(*seconds, **every):
    return rows(*({"at": s, "item_id": f"i{n}"} for n, s in enumerate(seconds)), **every)


def test_more_events_within_a_minute_than_allowed_mark_the_whole_day():
    table = times(0, 100, 130, 160, DAY)
    assert signs(table, events_per_minute=2) == [["bot_rate"]] * 4 + [[]]
    assert signs(table, events_per_minute=3) == [[]] * 5


def test_a_minute_over_midnight_marks_the_day_that_it_ends_in():
    table = times(DAY - 20, DAY - 10, DAY + 10)
    assert signs(table, events_per_minute=2) == [[], [], ["bot_rate"]]


def test_distinct_items_of_a_day_are_counted():
    table = rows({"item_id": "x"}, {"item_id": "y"}, {"item_id": "y"}, {"item_id": None})
    assert signs(table, items_per_day=1) == [["bot_breadth"]] * 4
    assert signs(table, items_per_day=2) == [[]] * 4


def test_hours_with_an_event_are_counted_whatever_the_day_before():
    table = times(*(h * HOUR for h in (0, 1, 1.5, 2, 24, 25)))
    assert signs(table, hours_per_day=3) == [["bot_round_the_clock"]] * 4 + [[], []]


@pytest.mark.parametrize(
    ("seconds", "marked"),
    [
        ((0, 10, 20, 30), True),
        ((0, 10, 20, 31), True),
        ((0, 10, 20, 40), False),
        ((0, 9, 18), False),
    ],
)
def test_even_gaps_are_a_metronome(seconds, marked):
    expected = [["bot_metronome"] if marked else []] * len(seconds)
    table = times(*seconds)
    assert signs(table, metronome_events=4, metronome_variation=0.05) == expected


def test_the_gap_to_the_day_before_is_no_gap_of_the_day():
    table = times(0, *(DAY + 10 * n for n in range(1, 5)))
    assert signs(table, metronome_events=4) == [[], *[["bot_metronome"]] * 4]


def test_events_at_one_moment_have_no_rhythm():
    assert signs(times(*[0] * 6), metronome_events=3, metronome_variation=1.0) == [[]] * 6


def test_copies_do_not_count():
    table = rows({"at": 0}, {"at": 10}, {"at": 20}, event_id="e")
    assert signs(table, events_per_minute=2) == [[]] * 3
    assert signs(table, hours_per_day=1) == [["bot_round_the_clock"]] * 3


def test_a_known_crawler_is_marked_before_other_signs_and_on_rejected_rows_too():
    agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    table = rows({"_user_agent": agent}, {"labels": ["zero_value"]}, {"_user_agent": "Firefox"})
    assert signs(table, hours_per_day=1) == [
        ["bot_declared", "bot_round_the_clock"], ["zero_value", "bot_round_the_clock"],
        ["bot_round_the_clock"],
    ]  # fmt: skip
    rejected = rows({"_user_agent": agent}, {}, reasons=["missing_item"], item_id=None)
    assert signs(rejected, hours_per_day=1) == [["bot_declared"], []]
