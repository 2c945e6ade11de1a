"""The true sessions are those that a timeout finds on the clean rows."""

import datetime
from itertools import pairwise

import pytest

from tests.unit.simulate.traffic_rows import by_user, drawn_rows
from truelift.simulate.traffic.memory import simulate_traffic
from truelift.simulate.traffic.world import TrafficWorld

WORLDS = {
    "usual": TrafficWorld(),
    "one busy day": TrafficWorld(days=1, events_per_user=12.0),
    "long gaps": TrafficWorld(gap_seconds=600.0, gap_spread=2.0, events_per_session=10.0),
    "very uneven users": TrafficWorld(activity_spread=3.0, days=7),
    "a user who never sleeps": TrafficWorld(top_user_share=0.3),
}


@pytest.fixture(scope="module", params=WORLDS.values(), ids=WORLDS.keys())
def users(request):
    return by_user(drawn_rows(25_000, request.param))


@pytest.mark.parametrize("minutes", [25, 30, 35])
def test_a_timeout_finds_the_true_sessions(users, minutes):
    timeout = datetime.timedelta(minutes=minutes)
    for mine in users.values():
        number, found = 0, [0] if mine.kept else []
        for before, row in pairwise(mine.kept):
            number += row["at"] - before["at"] > timeout
            found.append(number)
        assert found == [row["true_session"] for row in mine.kept]


def test_the_given_session_ids_are_the_true_sessions(users):
    ids = {}
    for user, mine in users.items():
        for row in mine.kept:
            ids.setdefault(row["session"], set()).add((user, row["true_session"]))
    assert all(len(owners) == 1 for owners in ids.values())
    assert len({next(iter(o)) for o in ids.values()}) == len(ids)


def test_people_leave_time_between_clicks_and_do_not_click_twice(users):
    for mine in users.values():
        people = [row for row in mine.kept if row["bot"] is None]
        for before, row in pairwise(people):
            gap = row["at"] - before["at"]
            assert gap >= datetime.timedelta(seconds=3)
            if gap <= datetime.timedelta(seconds=5):
                assert (before["item"], before["type"]) != (row["item"], row["type"])


def test_events_lie_in_the_days_of_the_world(users):
    first = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    times = [row["at"] for mine in users.values() for row in mine.kept]
    assert min(times) >= first
    assert max(times) < first + datetime.timedelta(days=28)


def test_late_rows_arrive_hours_after_they_happened():
    rows = drawn_rows(20_000, TrafficWorld(late_share=0.1))
    delays = [r["arrived"] - r["at"] for r in rows if r["dirt"] is None and r["bot"] is None]
    late = [delay for delay in delays if delay > datetime.timedelta(hours=1)]
    assert len(late) == pytest.approx(0.1 * len(delays), rel=0.2)
    assert max(delays) <= datetime.timedelta(hours=48)
    assert min(delays) > datetime.timedelta(0)


def test_the_number_of_sessions_is_that_of_the_truth():
    traffic = simulate_traffic(20_000)
    truth = traffic.truth.to_pylist()
    kept = {(r["true_user"], r["true_session"]) for r in truth if r["true_session"] is not None}
    assert traffic.sessions == len(kept)
    assert traffic.clean_rows == sum(r["true_session"] is not None for r in truth)
