"""The model beside its baselines: what is chosen where, and what ranks put together."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from truelift.errors import DataError
from truelift.evaluation.baselines import ALL_TIME, MOST_FREQUENT, PERSONAL, next_actions
from truelift.evaluation.in_ranks import RankComparison
from truelift.evaluation.splits import DAY, TemporalSplit
from truelift.models.sequence.histories import Histories
from truelift.settings import SequenceOptions

ITEMS, DAYS = 12, 40
SPLIT = TemporalSplit(30 * DAY, 35 * DAY, 40 * DAY)
OPTIONS = SequenceOptions(top_k=3, cutoffs=(1, 3), neighbours=5)


def world(users: int = 40, seed: int = 2) -> Histories:
    """Two items of a skewed catalogue a day, and a kind of event that follows the day."""
    generator = np.random.default_rng(seed)
    chance = 1 / np.arange(1, ITEMS + 1)
    events = 2 * DAYS
    items = generator.choice(np.arange(1, ITEMS + 1), (users, events), p=chance / chance.sum())
    days = np.tile(np.repeat(np.arange(DAYS), 2), users)
    return Histories(
        np.array([f"u{u:02d}" for u in range(users)], dtype=object),
        np.arange(users + 1) * events,
        items.ravel().astype(np.int32),
        days.astype(np.int64) * DAY,
        days.astype(np.int32),
        {"event_type": (1 + (days % 3 == 0)).astype(np.int32)},
    )


class Oracle:
    """Ranks by the item's index."""

    def scores(self, histories):
        return np.tile(-np.arange(ITEMS + 1.0), (len(histories), 1))


def comparison(histories, options=OPTIONS, **others):
    return RankComparison(lambda: iter([histories]), SPLIT, ITEMS, options, **others)


class Meeting:
    """Ranks in threads that meet at every collective."""

    def __init__(self, rank: int, size: int, barrier: threading.Barrier, place: list) -> None:
        self.rank, self.size = rank, size
        self._barrier, self._place = barrier, place

    def sum(self, values, name):
        return np.sum(self._met(values), axis=0)

    def max(self, values, name):
        return np.max(self._met(values), axis=0)

    def join(self, values, name):
        return np.concatenate(self._met(values))

    def _met(self, values):
        self._place[self.rank] = values
        self._barrier.wait()
        found = list(self._place)
        self._barrier.wait()
        return found


def in_ranks(histories, count: int, work, options=OPTIONS):
    """What ``work(comparison)`` gives on each of several ranks, which meet at every collective."""
    barrier, place, results = threading.Barrier(count, timeout=20), [None] * count, [None] * count

    def rank(number):
        total = len(histories)
        mine = histories.slice(number * total // count, (number + 1) * total // count)
        ranks = Meeting(number, count, barrier, place)
        results[number] = work(comparison(mine, options, ranks=ranks))

    threads = [threading.Thread(target=rank, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_three_ranks_find_what_one_process_finds_to_the_last_bit():
    histories = world()
    one = comparison(histories).test("model", Oracle())
    assert in_ranks(histories, 3, lambda c: c.test("model", Oracle())) == [one] * 3


def test_ranks_that_see_their_own_sessions_alone_agree_on_the_session_neighbours():
    histories, options = world(), replace(OPTIONS, step="event")
    one = comparison(histories, options).test("model", Oracle())
    assert [m.model for m in one.metrics][-1] == "session kNN"
    assert in_ranks(histories, 3, lambda c: c.test("model", Oracle()), options) == [one] * 3


def test_every_baseline_is_there_and_the_model_comes_first():
    factors = np.random.default_rng(0).standard_normal((ITEMS + 1, 32)).astype(np.float32)
    found = comparison(world(), arrays={"item_factors": factors}).test("model", Oracle())
    names = [m.model for m in found.metrics]
    assert names[0] == "model"
    assert names[2:] == [ALL_TIME, PERSONAL, "item co-occurrence", "Spark ALS (untuned)"]
    assert list(found.gains) == names[1:]


def test_personal_frequency_is_left_out_where_seen_items_are_dropped():
    options = replace(OPTIONS, seen_items="drop", top_k=1)
    names = comparison(world(), options).baselines("test")
    assert PERSONAL not in names


def test_the_best_baseline_is_chosen_on_validation_even_where_another_wins_the_test():
    histories = world()
    # In the test part everyone takes what is least popular: popularity is no good there.
    late = histories.times >= SPLIT.test_start
    turned = replace(histories, items=np.where(late, ITEMS, histories.items).astype(np.int32))
    found = comparison(turned).test("model", Oracle())
    unturned = comparison(histories).test("model", Oracle())
    assert found.best_baseline == unturned.best_baseline
    chosen = {m.model: m for m in found.metrics}[found.best_baseline]
    assert chosen.differences == ()


def test_the_training_counts_stop_at_the_validation_part():
    histories = world()
    before = histories.before(SPLIT.validation_start).items
    found = comparison(histories).training_counts
    np.testing.assert_array_equal(found, np.bincount(before, minlength=ITEMS + 1))


def test_popularity_before_the_test_knows_the_validation_part():
    histories = world()
    counts = comparison(histories).popularity
    before = histories.before(SPLIT.test_start).items
    expected = np.bincount(before, minlength=ITEMS + 1)
    np.testing.assert_array_equal(counts["test"][ALL_TIME], expected)


class LastOne:
    """Each user's last event apart: no instant is common to all."""

    def training(self, histories):
        last = np.zeros(len(histories.items), dtype=bool)
        last[histories.offsets[1:] - 1] = True
        return histories.keep(~last)


def test_without_a_common_instant_recency_is_counted_back_from_the_latest_training_event():
    histories = world()
    found = RankComparison(lambda: iter([histories]), LastOne(), ITEMS, OPTIONS).popularity
    learned = LastOne().training(histories)
    recent = learned.items[learned.times > learned.times.max() - 7 * DAY]
    for part in ("validation", "test"):
        np.testing.assert_array_equal(
            found[part]["recent popularity (7 days)"], np.bincount(recent, minlength=ITEMS + 1)
        )


def test_the_next_action_is_the_kind_of_the_event_after_the_past():
    histories = world(5)
    past, _ = SPLIT.test(histories)
    after, actions = next_actions(histories, past)
    assert actions.sizes.tolist() == [1] * 5
    following = histories.features["event_type"].reshape(5, -1)[:, 70]
    np.testing.assert_array_equal(actions.items, following)
    assert len(after) == 5


class Certain:
    """Knows that day 35 is not divisible by three and day 30 is."""

    def scores(self, histories):
        day = histories.times[histories.offsets[1:] - 1] // DAY + 1
        second = (day % 3 == 0).astype(float)
        return np.stack([np.zeros(len(day)), 1 - second, second], axis=1)


def test_a_classifier_is_measured_by_accuracy_beside_the_most_frequent_action():
    histories = world()
    classifier = RankComparison(lambda: iter([histories]), SPLIT, 2, OPTIONS, task="classification")
    assert classifier.validation_value(Certain())[1] == 1.0
    model, baseline = classifier.test("model", Certain()).metrics
    assert baseline.model == MOST_FREQUENT
    assert model.measure("accuracy").value == 1.0
    assert baseline.measure("accuracy").value == 1.0  # day 35 is of the frequent kind
    assert classifier.validate(Certain()).mean("model", "accuracy", None) == 1.0


def test_nobody_to_evaluate_names_the_part_and_the_settings():
    histories = world().before(SPLIT.validation_start)
    with pytest.raises(DataError, match=r"validation part.*validation_days"):
        comparison(histories).validate(Oracle())
