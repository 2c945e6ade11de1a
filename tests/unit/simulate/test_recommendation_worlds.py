"""Semi-synthetic worlds of recommendation."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.errors import DataError
from truelift.simulate.recommendation import world_of_counts, world_of_ratings


def test_rates_are_drawn_towards_those_of_the_item():
    visits = np.array([4.0, 4.0])
    shown, bought, both = (np.array([[a], [b]], float) for a, b in ((2, 0), (2, 1), (2, 0)))
    world = world_of_counts(visits, shown, bought, both, np.zeros(1, int), prior=0.4)
    # Means over users: shown 1, both 1, not shown 3, bought unshown .5.
    assert world.if_shown[:, 0] == pytest.approx([(2 + 0.4) / (2 + 0.4), (0 + 0.4) / (0 + 0.4)])
    assert world.if_not[:, 0] == pytest.approx([0.2 / (2 + 1.2), (1 + 0.2) / (4 + 1.2)])
    assert world.chance[:, 0] == pytest.approx([(2 + 0.4) / (4 + 1.6), 0.4 / (4 + 1.6)])


def test_counts_above_those_they_are_part_of_are_refused():
    one = np.ones((1, 1))
    with pytest.raises(DataError, match="bought_shown"):
        world_of_counts(np.ones(1), 0 * one, one, one, np.zeros(1, int))


def test_films_are_shown_in_inverse_proportion_to_their_rank_as_often_as_asked():
    rng = np.random.default_rng(0)
    world = world_of_ratings(rng.uniform(1, 5, (5, 60)), rng.random((5, 60)), shown=10.0)
    assert world.chance.sum(axis=1) == pytest.approx(np.full(5, 10.0), rel=1e-4)
    first = np.argmax(world.if_shown + world.if_not, axis=1)
    assert np.array_equal(world.chance[np.arange(5), first], world.chance.max(axis=1))
    last = np.argmin(world.if_shown + world.if_not, axis=1)
    assert np.array_equal(world.chance[np.arange(5), last], world.chance.min(axis=1))


def test_a_seed_is_one_round_and_its_means_are_the_truth():
    rng = np.random.default_rng(1)
    world = world_of_ratings(rng.uniform(1, 5, (300, 40)), 0.3 * rng.random((300, 40)), 8.0)
    log, again = world.draw(3), world.draw(3)
    assert np.array_equal(log.shown, again.shown) and np.array_equal(log.bought, again.bought)
    assert log.shown.mean() == pytest.approx(world.chance.mean(), abs=0.01)
    inverse = log.bought * (log.shown / log.chance - ~log.shown / (1 - log.chance))
    error = inverse.std() / np.sqrt(inverse.size)
    assert abs(inverse.mean() - world.effect.mean()) < 4 * error
