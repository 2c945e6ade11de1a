"""Intervals of what is shown changes hold the truth, and so do those of what a user needs."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.models.need.every_path import drawn_rows
from truelift.graph.need.posteriors import intervals
from truelift.models.need.acting import measured
from truelift.models.need.choosing import passes_of, prior_of, scale_of
from truelift.models.need.fitting import em, newton
from truelift.models.need.information import (
    clustered,
    information_of,
    models_near,
    outer_products,
)
from truelift.models.need.states import Layout, StateModel

pytestmark = pytest.mark.study
LAYOUT = Layout(2, 2, (3, 2), 1, 0)
TRUTH = StateModel(
    LAYOUT, np.array([[0.6, 0.4], [0.6, 0.4]]), np.array([[[0.8, 0.2], [0.3, 0.7]], [[0.5, 0.5], [0.2, 0.8]]]),
    np.array([[0.6, 0.2], [0.3, 0.3], [0.1, 0.5], [0.9, 0.4], [0.1, 0.6]]), np.array([[1.0, 3.0]]),
    np.zeros((0, 2)), np.zeros((0, 2)),
)  # fmt: skip


def quantity(model: StateModel, share: np.ndarray) -> np.ndarray:
    change = share @ (model.transition[1] - model.transition[0])
    return np.array([change[1], change @ model.table[4], model.table[4, 1] - model.table[4, 0]])


def test_intervals_of_effects_and_of_the_filter_hold_them() -> None:
    many = drawn_rows(TRUTH, 20_000, 6, 10_000)
    steps = LAYOUT.parts(TRUTH.sums(many))["steps"]
    truth = quantity(TRUTH, steps / steps.sum())
    inside, filters = [], []
    for seed in range(100):
        rows = drawn_rows(TRUTH, 150, 6, seed)
        scale = scale_of(LAYOUT, [rows])
        prior, total = prior_of(LAYOUT, scale, 1.0), passes_of([rows])
        near = em(total, TRUTH, prior, scale.sd, 1e-2, 30)
        matrix = information_of(near.model, [rows], prior, rows.users).matrix
        fit = newton(total, near, prior, matrix, scale.sd, 1e-4, 20)
        information = information_of(fit.model, [rows], prior, rows.users)
        known = clustered(fit.model, fit.sums, outer_products(fit.model, rows), information, prior)
        got = measured(fit.model, known, quantity)
        inside.append(np.abs(got.estimate - truth) < 1.96 * got.standard_error)
        drawn = tuple(models_near(fit.model, known, 20, seed))
        low, high = intervals(fit.model.posteriors(rows)[0], drawn, rows, 0.9)
        oracle = TRUTH.posteriors(rows)[0]
        filters.append(((low <= oracle) & (oracle <= high)).mean())
    cover = np.mean(inside, axis=0)
    # 100 repetitions of .95 have a standard error of .022.
    assert (cover > 0.88).all(), cover
    assert 0.87 < np.mean(filters) < 0.94, np.mean(filters)
