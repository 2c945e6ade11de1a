"""Effects of being shown, learned over rounds."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.errors import DataError
from truelift.models.factors.shown import ShownLog
from truelift.models.factors.shown_effects import ShownEffectOptions, fit_shown_effects
from truelift.simulate.recommendation import RecommendationWorld

FAST = ShownEffectOptions(rank=4, epochs=2)


def world(users: int = 150, items: int = 60) -> RecommendationWorld:
    """What is liked anyway is shown most, and other items gain by it."""
    rng = np.random.default_rng(5)
    taste = rng.normal(size=(users, 2)) @ rng.normal(size=(2, items)) / 1.5
    organic = 1 / (1 + np.exp(2.0 - taste - rng.normal(size=items)))
    gain = np.clip(0.25 * (1 - organic) * (rng.random(items) < 0.3), 0, 1)
    chance = np.clip(0.1 + 0.6 * organic, 0.05, 0.95)
    return RecommendationWorld(chance, np.clip(organic + gain, 0, 1), organic, np.arange(items) % 6)


def gain_of(scores: np.ndarray, truth: np.ndarray) -> float:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    return float(np.take_along_axis(truth, order, axis=1).mean())


def test_lists_by_learned_effects_bring_more_than_by_sales_and_most_of_the_oracles():
    made = world()
    logs = [made.draw(1), made.draw(2)]
    found = fit_shown_effects(logs, made.groups, FAST)
    sold = np.broadcast_to(sum(log.bought.sum(0) for log in logs), made.effect.shape)
    best = gain_of(made.effect, made.effect)
    assert gain_of(found.effect, made.effect) > 0.7 * best
    assert gain_of(found.effect, made.effect) > gain_of(sold, made.effect) + 0.2 * best


def test_the_mean_effect_is_right_though_what_sells_anyway_is_shown_most():
    made = world()
    logs = [made.draw(seed) for seed in (3, 4)]
    found = fit_shown_effects(logs, made.groups, FAST)
    naive = np.mean([log.bought[log.shown].mean() - log.bought[~log.shown].mean() for log in logs])
    truth = made.effect.mean()
    assert abs(found.effect.mean() - truth) < 0.25 * abs(naive - truth)


def test_a_fit_is_the_same_one_again():
    made = world(60, 30)
    logs = [made.draw(1), made.draw(2)]
    first, second = (fit_shown_effects(logs, None, FAST).effect for _ in range(2))
    assert np.allclose(first, second, atol=1e-6)


def test_one_round_alone_is_refused():
    made = world(20, 10)
    with pytest.raises(DataError, match="two or more"):
        fit_shown_effects([made.draw(1)], None, FAST)


def test_what_is_always_shown_is_refused():
    with pytest.raises(DataError, match="above 0 and below 1"):
        ShownLog(np.ones((1, 1), bool), np.ones((1, 1), bool), np.ones((1, 1)))
