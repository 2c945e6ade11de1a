"""Every bot shows the sign of its kind on its day, and no person shows any."""

import datetime
import statistics
from collections import defaultdict
from itertools import pairwise

import pytest

from tests.unit.simulate.traffic_rows import drawn_rows, is_kept
from truelift.simulate.traffic.world import BOT_KINDS, TrafficWorld


@pytest.fixture(scope="module")
def traffic():
    return drawn_rows(120_000, TrafficWorld(activity_spread=2.0))


def days(traffic):
    groups = defaultdict(list)
    for row in traffic:
        if is_kept(row):
            groups[row["true_user"], row["at"].date()].append(row)
    for (user, _), rows in groups.items():
        yield user, sorted(rows, key=lambda r: r["at"])


def most_in_a_minute(rows):
    first, most = 0, 0
    for last, row in enumerate(rows):
        while row["at"] - rows[first]["at"] > datetime.timedelta(seconds=60):
            first += 1
        most = max(most, last - first + 1)
    return most


def is_metronome(rows):
    gaps = [(b["at"] - a["at"]).total_seconds() for a, b in pairwise(rows)]
    return len(rows) >= 50 and statistics.pstdev(gaps) < 0.05 * statistics.mean(gaps)


SIGNS = {
    "bot_declared": lambda rows: any("bot" in r["agent"] or "hit/" in r["agent"] for r in rows),
    "bot_rate": lambda rows: most_in_a_minute(rows) > 60,
    "bot_breadth": lambda rows: len({r["item"] for r in rows}) > 500,
    "bot_metronome": is_metronome,
    "bot_round_the_clock": lambda rows: len({r["at"].hour for r in rows}) >= 22,
}


@pytest.mark.parametrize("kind", BOT_KINDS)
def test_the_sign_of_a_kind_is_seen_on_its_bots_and_on_nobody_else(kind, traffic):
    found = {user for user, rows in days(traffic) if SIGNS[kind](rows)}
    assert found == {r["true_user"] for r in traffic if r["bot"] == kind} != set()


def test_the_top_user_is_active_round_the_clock_on_all_days():
    rows = [r for r in drawn_rows(40_000, TrafficWorld(top_user_share=0.4, days=7)) if r["is_bot"]]
    owner = max({r["user"] for r in rows})
    hours = defaultdict(set)
    for row in rows:
        if row["user"] == owner:
            hours[row["at"].date()].add(row["at"].hour)
    assert len(hours) == 7
    assert all(len(found) == 24 for found in hours.values())
    assert {r["bot"] for r in rows if r["user"] == owner} == {"bot_round_the_clock"}


def test_every_row_of_a_bot_is_marked(traffic):
    assert all(r["is_bot"] == (r["bot"] is not None) for r in traffic)
