"""Successive halving: who is trained for how long, and who wins."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.errors import DataError
from truelift.settings import SequenceOptions
from truelift.training.results import EpochRecord
from truelift.training.tuning import TUNED, Trial, draw_trials, rungs, successive_halving
from truelift.typed import to_plain

OPTIONS = SequenceOptions(units=48, heads=3, learning_rate=0.002, batch_size=8)


def test_the_configured_settings_are_the_first_trial():
    assert draw_trials(OPTIONS, 3, 1)[0].options == OPTIONS


@given(st.integers(2, 12), st.integers(0, 99))
def test_drawn_settings_stay_in_the_space_and_change_nothing_else(count, seed):
    trials = draw_trials(OPTIONS, count, seed)
    assert [t.number for t in trials] == list(range(1, count + 1))
    for trial in trials:
        network, training = trial.options.network, trial.options.training
        assert 0.0004 <= training.learning_rate <= 0.01
        assert network.units in (24, 48, 96)
        assert network.layers in (1, 2, 3)
        assert 0 <= network.dropout <= 0.5
        assert training.batch_size in (4, 8, 16)
        for section, own in to_plain(trial.options).items():
            given = to_plain(OPTIONS)[section]
            if section in TUNED:
                own, given = (
                    {k: v for k, v in s.items() if k not in TUNED[section]} for s in (own, given)
                )
            assert own == given


def test_the_same_seed_draws_the_same_trials():
    assert draw_trials(OPTIONS, 5, 3) == draw_trials(OPTIONS, 5, 3)
    assert draw_trials(OPTIONS, 5, 3) != draw_trials(OPTIONS, 5, 4)


@pytest.mark.parametrize(
    ("count", "epochs", "expected"),
    [
        (8, 16, (2, 4, 8, 16)),
        (8, 5, (1, 2, 5)),
        (2, 5, (2, 5)),
        (5, 1, (1,)),
        (3, 40, (10, 20, 40)),
    ],
)
def test_rungs_double_up_to_all_epochs(count, epochs, expected):
    assert rungs(count, epochs) == expected


def run(values: dict[int, list[float]], epochs: int) -> tuple[Trial, dict[int, list[int]]]:
    """A search where trial ``n`` has the value ``values[n][until - 1]``; and what was trained."""
    trained: dict[int, list[int]] = {n: [] for n in values}

    def train(trial: Trial, until: int) -> float:
        trained[trial.number].append(until)
        value = values[trial.number][until - 1]
        if math.isnan(value):
            raise DataError("the loss diverged")
        return value

    trials = [Trial(n, OPTIONS) for n in values]
    return successive_halving(trials, epochs, train), trained


def test_the_better_half_goes_on_and_the_best_is_trained_to_the_end():
    best, trained = run({1: [0.1] * 4, 2: [0.4] * 4, 3: [0.2] * 4, 4: [0.3, 0.5, 0.5, 0.5]}, 4)
    assert best.number == 4
    assert trained == {1: [1], 2: [1, 2], 3: [1], 4: [1, 2, 4]}


def test_a_late_bloomer_that_was_left_is_not_found():
    best, trained = run({1: [0.5, 0.5], 2: [0.1, 0.9]}, 2)
    assert best.number == 1
    assert trained == {1: [1, 2], 2: [1]}


def test_among_equals_the_configured_settings_win():
    assert run({1: [0.2, 0.2], 2: [0.2, 0.2]}, 2)[0].number == 1


def test_a_trial_that_diverges_loses_and_does_not_end_the_search():
    best, trained = run({1: [math.nan, math.nan], 2: [0.1, 0.1]}, 2)
    assert best.number == 2
    assert trained[1] == [1]


def test_where_every_trial_diverges_the_reason_is_told():
    with pytest.raises(DataError, match="diverged"):
        run({1: [math.nan], 2: [math.nan]}, 1)


def test_no_more_epochs_are_trained_than_half_the_trials_at_each_rung():
    count, epochs = 8, 16
    _, trained = run({n: [n / 10] * epochs for n in range(1, count + 1)}, epochs)
    assert sorted(len(levels) for levels in trained.values()) == [1, 1, 1, 1, 2, 2, 3, 4]
    assert trained[8] == [2, 4, 8, 16]


def record(**more) -> EpochRecord:
    return EpochRecord(1, 2.0, 3.0, more.pop("ndcg", math.nan), 1.0, 1.0, 0.0, **more)


def test_a_ranking_model_is_chosen_by_ndcg_and_a_classifier_by_accuracy():
    assert record(ndcg=0.3).validation_value == 0.3
    assert record(ndcg=0.3).metrics()["validation_ndcg"] == 0.3
    classifier = record(validation_accuracy=0.7)
    assert classifier.validation_value == 0.7
    assert "validation_ndcg" not in classifier.metrics()
