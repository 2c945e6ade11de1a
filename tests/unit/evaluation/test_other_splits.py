"""Leave one out and by user: nothing that is predicted is learned from."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.models.sequence.test_histories import histories
from truelift.errors import ConfigError
from truelift.evaluation.splits import (
    ByUser,
    LeaveOneOut,
    TemporalSplit,
    split_from,
    split_from_plain,
    split_to_plain,
)
from truelift.settings import SequenceOptions


def logs():
    """Users as lists of (item, time, session), one session after the other."""
    one = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), max_size=9)
    return st.lists(one, max_size=12).map(
        lambda users: [
            [(item, t, s) for t, (item, s) in enumerate(sorted(u, key=lambda e: e[1]))]
            for u in users
        ]
    )


def steps_of(events, step):
    """The steps of one user by brute force: lists of items."""
    if step == "event":
        return [[item] for item, _, _ in events]
    numbers = sorted({s for _, _, s in events})
    return [[item for item, _, s in events if s == n] for n in numbers]


def items_of(found, user):
    return found.items[found.offsets[user] : found.offsets[user + 1]].tolist()


@pytest.mark.parametrize("step", ["event", "session"])
@settings(deadline=None)
@given(logs())
def test_leave_one_out_is_the_last_step_and_the_one_before(step, users):
    whole = histories(*users)
    split = LeaveOneOut(step)
    training = split.training(whole)
    parts = {"validation": split.validation(whole), "test": split.test(whole)}
    every = [steps_of(events, step) for events in users]
    enough = [u for u, steps in enumerate(every) if len(steps) >= 3]
    flat = lambda steps: [item for s in steps for item in s]  # noqa: E731
    for user, steps in enumerate(every):
        assert items_of(training, user) == flat(steps[:-2] if user in enough else steps)
    for name, cut in (("validation", 2), ("test", 1)):
        past, relevant = parts[name]
        assert past.users.tolist() == [whole.users[u] for u in enough]
        for place, user in enumerate(enough):
            assert items_of(past, place) == flat(every[user][:-cut])
            assert items_of(relevant, place) == sorted(set(every[user][-cut]))


@settings(deadline=None)
@given(logs())
def test_a_user_is_learned_from_or_chooses_or_tests(users):
    whole = histories(*users)
    split = ByUser(0.5, "event")
    training = split.training(whole)
    learned = {u for i, u in enumerate(whole.users) if items_of(training, i)}
    chosen, tested = (set(part(whole)[0].users) for part in (split.validation, split.test))
    assert not learned & chosen and not learned & tested and not chosen & tested
    for user, events in zip(whole.users, users, strict=True):
        if len(events) >= 2:
            assert user in learned | chosen | tested
    past, relevant = split.test(whole)
    for place, user in enumerate(past.users):
        events = users[whole.users.tolist().index(user)]
        assert items_of(past, place) == [e[0] for e in events[:-1]]
        assert items_of(relevant, place) == [events[-1][0]]


@settings(deadline=None)
@given(logs())
def test_held_out_users_of_one_step_are_newcomers_and_nobody_else_is(users):
    whole = histories(*users)
    assert len(LeaveOneOut("event").newcomers(whole)[0]) == 0
    split = ByUser(0.5, "event")
    past, relevant = split.newcomers(whole)
    assert len(past.items) == 0
    learned = {u for i, u in enumerate(whole.users) if items_of(split.training(whole), i)}
    first = dict(zip(whole.users, users, strict=True))
    for place, user in enumerate(past.users):
        assert user not in learned
        assert items_of(relevant, place) == [item for item, _, _ in first[user]]
    assert all(len(first[user]) == 1 for user in past.users)


def test_about_the_share_of_the_users_is_held_out():
    whole = histories(*[[(1, 0, 0), (2, 1, 1)]] * 4000)
    split = ByUser(0.2, "event")
    for part in (split.validation, split.test):
        assert abs(len(part(whole)[0]) / 4000 - 0.1) < 0.02
    short = histories(*[[(1, 0, 0)]] * 4000)
    assert abs(len(split.newcomers(short)[0]) / 4000 - 0.1) < 0.02


@pytest.mark.parametrize(
    "split", [TemporalSplit(1, 2, 3), LeaveOneOut("session"), ByUser(0.3, "event")]
)
def test_a_split_survives_its_plain_form(split):
    assert split_from_plain(split_to_plain(split)) == split


def test_the_options_choose_the_split():
    day = 86_400_000_000
    assert split_from(SequenceOptions(), 0, 200 * day).describe()["kind"] == "temporal"
    left = SequenceOptions(split="leave_one_out", step="event")
    assert split_from(left, 0, 1) == LeaveOneOut("event")
    assert split_from(SequenceOptions(split="by_user"), 0, 1) == ByUser(0.1, "session")
    with pytest.raises(ConfigError, match="found kind 'random'"):
        split_from_plain({"kind": "random"})
