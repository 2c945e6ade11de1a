"""Predicted actions before and after what was shown is taken into account."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.errors import DataError
from truelift.recommend.adjusted import AdjustedActions, adjusted_actions


def people(effect: float, seed: int = 1, users: int = 1_500) -> AdjustedActions:
    """Four rows a user; who acts more was shown more; showing changes half of the people's chances up, half down."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(users), 4)
    x = np.repeat(rng.normal(size=(users, 2)), 4, axis=0) + 0.5 * rng.normal(size=(4 * users, 2))
    habit = np.repeat(0.1 * rng.normal(size=users), 4)
    shown = rng.random(len(owner)) < np.clip(0.5 + 0.2 * x[:, 0], 0.1, 0.9)
    moved = effect * np.sign(x[:, 1]) * (shown - np.clip(0.5 + 0.2 * x[:, 0], 0.1, 0.9))
    chance = np.clip(0.5 + 0.15 * x[:, 0] + habit + moved, 0.0, 1.0)
    return adjusted_actions(owner, x, shown, rng.random(len(owner)) < chance)


def test_signed_effects_of_other_users_make_predictions_more_accurate():
    found = people(0.4)
    assert found.accuracy.lower > 0.02
    assert found.after["accuracy"].value > found.before["accuracy"].value + 0.03
    assert "after what was shown" in str(found)


def test_where_showing_does_nothing_nothing_is_gained():
    held = [people(0.0, seed, 300).accuracy for seed in range(40)]
    assert np.mean([gain.lower > 0 for gain in held]) <= 0.1
    assert np.mean([gain.value for gain in held]) < 0.002


def test_the_answers_of_a_user_have_no_part_in_his_own_effect():
    rng = np.random.default_rng(3)
    users, x = np.arange(200), rng.normal(size=(200, 1))
    shown, action = rng.random(200) < 0.5, rng.random(200) < 0.5
    first = adjusted_actions(users, x, shown, action).effect
    action[17] = ~action[17]
    changed = np.flatnonzero(adjusted_actions(users, x, shown, action).effect != first)
    assert len(changed) > 100 and 17 not in changed


def test_rows_that_were_all_shown_the_same_are_refused():
    with pytest.raises(DataError, match="all shown the same"):
        adjusted_actions(np.arange(10), np.zeros((10, 1)), np.ones(10), np.arange(10) % 2 == 0)
