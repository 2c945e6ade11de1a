"""Every position of the held-out part, beside loops over the steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.models.sequence.test_histories import as_lists, histories
from truelift.errors import ConfigError
from truelift.evaluation import positions
from truelift.evaluation.in_ranks import RankComparison
from truelift.evaluation.positions import pieces
from truelift.evaluation.splits import ByUser, TemporalSplit, split_from_plain, split_to_plain
from truelift.models.sequence.histories import Histories
from truelift.settings import SequenceOptions

SPLIT = TemporalSplit(10, 20, 30, "every", "event")


def pasts(found: Histories) -> list[list[int]]:
    return [
        found.items[a:b].tolist()
        for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)
    ]


def test_each_event_of_the_window_is_foretold_from_all_before_it():
    h = histories([(1, 5, 0), (2, 20, 1), (3, 21, 1), (4, 29, 2), (5, 30, 2)], [(6, 1, 0)])
    past, wanted = SPLIT.test(h)
    assert pasts(past) == [[1], [1, 2], [1, 2, 3]]
    assert as_lists(wanted) == [[2], [3], [4]]
    assert past.users.tolist() == ["u0"] * 3


def test_an_anonymous_session_inside_the_window_is_tested_from_its_second_event():
    h = histories([(1, 20, 0), (2, 21, 0), (2, 22, 0)])
    past, wanted = SPLIT.test(h)
    assert pasts(past) == [[1], [1, 2]] and as_lists(wanted) == [[2], [2]]
    # Its first has nothing before it.
    past, wanted = SPLIT.newcomers(h)
    assert pasts(past) == [[]] and as_lists(wanted) == [[1]]
    # One row a user, as by default, knows it as a newcomer alone.
    assert len(TemporalSplit(10, 20, 30).test(h)[0]) == 0


def test_a_session_is_foretold_whole_where_it_is_the_step():
    split = TemporalSplit(10, 20, 30, "every", "session")
    h = histories([(1, 5, 0), (2, 20, 1), (3, 21, 1), (4, 25, 2), (4, 25, 2)])
    past, wanted = split.test(h)
    assert pasts(past) == [[1], [1, 2, 3]] and as_lists(wanted) == [[2, 3], [4]]


def test_a_session_that_began_before_the_window_is_known_and_not_foretold():
    split = TemporalSplit(10, 20, 30, "every", "session")
    h = histories([(1, 5, 0), (2, 19, 1), (3, 21, 1), (4, 25, 2)])
    assert as_lists(split.test(h)[1]) == [[4]]


def test_held_out_users_are_foretold_from_their_second_step_on():
    h = histories(*([(1, 0, 0), (2, 1, 1), (3, 2, 2)] for _ in range(40)))
    split = ByUser(0.5, "event", "every")
    past, wanted = split.test(h)
    users, rows = np.unique(past.users.astype(str), return_counts=True)
    assert 0 < len(users) < 40 and set(rows) == {2}
    assert as_lists(wanted)[:2] == [[2], [3]]
    assert len(split.newcomers(h)[0]) == len(users)


@st.composite
def logs(draw):
    users = []
    for _ in range(draw(st.integers(1, 4))):
        items = draw(st.lists(st.integers(1, 6), max_size=10))
        times = sorted(draw(st.lists(st.integers(0, 30), min_size=len(items), max_size=len(items))))
        breaks = draw(st.lists(st.booleans(), min_size=len(items), max_size=len(items)))
        sessions = np.cumsum(breaks).tolist()
        users.append(list(zip(items, times, sessions, strict=True)))
    return users


@settings(deadline=None, max_examples=60)
@given(logs(), st.sampled_from(["event", "session"]))
def test_positions_are_those_of_two_loops(users, step):
    expected = []
    for events in users:
        steps: list[list] = []
        for n, event in enumerate(events):
            if step == "event" or n == 0 or event[2] != events[n - 1][2]:
                steps.append([])
            steps[-1].append(event)
        for n in range(1, len(steps)):
            if 20 <= steps[n][0][1] < 30:
                known = [item for s in steps[:n] for item, _, _ in s]
                expected.append((known, sorted({item for item, _, _ in steps[n]})))
    past, wanted = TemporalSplit(10, 20, 30, "every", step).test(histories(*users))
    assert list(zip(pasts(past), as_lists(wanted), strict=True)) == expected


def test_the_figures_do_not_depend_on_how_many_users_are_laid_out_at_once(monkeypatch):
    rng = np.random.default_rng(1)
    h = histories(
        *([(int(i), t, t // 4) for t, i in enumerate(rng.integers(1, 7, 30))] for _ in range(9))
    )
    options = SequenceOptions(step="event", positions="every", top_k=3)

    def figures():
        class Flat:
            def scores(self, given):
                return np.zeros((len(given), 7))

        return RankComparison(lambda: iter([h]), SPLIT, 6, options).test("flat", Flat())

    whole = figures()
    monkeypatch.setattr(positions, "LAID_OUT", 900)
    assert len(list(pieces(h, "every"))) > 2
    assert figures() == whole
    # Ten positions a user, and the user is the cluster.
    assert whole.metrics[0].users == 9


def test_rows_of_one_user_are_laid_out_together(monkeypatch):
    monkeypatch.setattr(positions, "LAID_OUT", 1)
    rows = histories(*([(1, n, n)] for n in range(4)))
    users = np.array(["a", "a", "b", "b"], dtype=object)
    same = Histories(users, rows.offsets, rows.items, rows.times, rows.sessions)
    assert [p.users.tolist() for p in pieces(same, "every")] == [["a", "a"], ["b", "b"]]


def test_the_choice_travels_with_the_split():
    assert split_from_plain(split_to_plain(SPLIT)) == SPLIT
    assert SPLIT.describe()["positions"] == "every"
    assert "positions" not in TemporalSplit(1, 2, 3).describe()


def test_a_split_that_holds_out_one_step_a_user_has_no_other_positions():
    with pytest.raises(
        ConfigError, match=r"sequence\.evaluation\.positions: found 'every'.*leave_one_out"
    ):
        SequenceOptions(positions="every", split="leave_one_out")
