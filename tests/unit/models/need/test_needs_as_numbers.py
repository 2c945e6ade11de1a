"""Needs that are numbers: filter, smoother, likelihood and score against conditioning of one dense Gaussian."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from truelift.models.need.fitting import em
from truelift.models.need.information import outer_products
from truelift.models.need.linear import LinearModel, NumberLayout
from truelift.models.need.rows import NeedRows

LAYOUT = NumberLayout(2, 3, 3)


def some_model(seed: int, layout: NumberLayout = LAYOUT) -> LinearModel:
    rng = np.random.default_rng(seed)
    k, m, g = layout.needs, layout.inputs, layout.numbers
    root = np.eye(k) + 0.3 * rng.normal(size=(k, k))
    model = LinearModel(
        layout, 0.6 * np.eye(k) + 0.1 * rng.normal(size=(k, k)), rng.normal(size=(k, m)) * (np.arange(m) != layout.base),
        rng.normal(size=(k, m)), root @ root.T, rng.normal(size=(g, k)), rng.normal(size=g), 0.5 + rng.random(g),
    )  # fmt: skip
    return model.in_units_of(np.eye(k))


def some_rows(
    seed: int, sizes: tuple[int, ...], layout: NumberLayout = LAYOUT, gaps: float = 0.2
) -> NeedRows:
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    numbers = rng.normal(size=(n, layout.numbers))
    numbers[rng.random(numbers.shape) < gaps] = np.nan
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    shown = rng.integers(0, layout.inputs, n).astype(np.int32)
    empty = np.zeros((n, 0))
    return NeedRows(starts, shown, empty.astype(np.int32), empty, numbers, empty)


def conditioned(model: LinearModel, rows: NeedRows, first: int, last: int, until: int):
    """Needs of a user's steps given what was seen before ``until``, and how likely that was: all as one Gaussian."""
    steps, k = last - first, model.needs
    mean, spread = np.zeros(steps * k), np.zeros((steps * k, steps * k))
    mean[:k], spread[:k, :k] = model.begin[:, rows.inputs[first]], model.begin_spread
    for t in range(1, steps):
        now, before = slice(t * k, t * k + k), slice(t * k - k, t * k)
        mean[now] = model.moves @ mean[before] + model.pushed[:, rows.inputs[first + t]]
        spread[now, : t * k] = model.moves @ spread[before, : t * k]
        spread[: t * k, now] = spread[now, : t * k].T
        spread[now, now] = model.moves @ spread[before, before] @ model.moves.T + np.eye(k)
    seen = rows.numbers[first:until].ravel()
    own = np.flatnonzero(np.isfinite(seen))
    shows = np.kron(np.eye(steps), model.loading)[own]
    noise = np.diag(np.tile(model.noise**2, steps)[own])
    expected = shows @ mean + np.tile(model.level, steps)[own]
    within = shows @ spread @ shows.T + noise
    gain = spread @ shows.T @ np.linalg.inv(within)
    told = multivariate_normal.logpdf(seen[own], expected, within) if len(own) else 0.0
    found = mean + gain @ (seen[own] - expected)
    return found.reshape(steps, k), spread - gain @ shows @ spread, told


def test_filter_smoother_likelihood_and_sums_are_those_of_one_dense_gaussian():
    model, rows = some_model(1), some_rows(2, (4, 1, 5))
    filtered, filtered_spread, smoothed, smoothed_spread = model.moments(rows)
    told, square, cross = 0.0, np.zeros((2, 2)), np.zeros((2, 2))
    for first, last in zip(rows.starts[:-1], rows.starts[1:], strict=True):
        mean, spread, own = conditioned(model, rows, first, last, last)
        told += own
        second = spread + np.outer(mean.ravel(), mean.ravel())
        for t in range(last - first):
            at = slice(2 * t, 2 * t + 2)
            assert smoothed[first + t] == pytest.approx(mean[t])
            assert smoothed_spread[first + t] == pytest.approx(spread[at, at])
            before, before_spread, _ = conditioned(model, rows, first, last, first + t + 1)
            assert filtered[first + t] == pytest.approx(before[t])
            assert filtered_spread[first + t] == pytest.approx(before_spread[at, at])
            if t:
                square += second[at, at]
                cross += second[at, 2 * t - 2 : 2 * t]
    part = LAYOUT.parts(model.sums(rows))
    assert part["told"] == pytest.approx([10, 3, told])
    assert part["square"] == pytest.approx(square) and part["cross"][:, :2] == pytest.approx(cross)


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_no_pass_of_em_makes_the_likelihood_fall_and_needs_stay_written_in_one_way(seed):
    rows = some_rows(seed, (6, 3, 7, 5, 4, 8))
    fit = em(lambda m: m.sums(rows), some_model(seed), np.zeros(LAYOUT.size), np.ones(3), 0.0, 15)
    assert (np.diff(fit.path) > -1e-7).all()
    assert fit.model.loading[0, 1] == 0 and (np.diag(fit.model.loading[:2]) >= 0).all()
    assert (fit.model.pushed[:, 0] == 0).all()


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_sums_add_up_over_users_and_another_writing_is_the_same_model(seed):
    model, rows = some_model(seed), some_rows(seed, (3, 2, 4, 1))
    parts = [model.sums(rows.of_users(np.array(own))) for own in ([0, 2], [1, 3])]
    assert sum(parts) == pytest.approx(model.sums(rows))
    assert model.sums_by_user(rows).sum(axis=0) == pytest.approx(model.sums(rows))
    again = model.at(model.vector())
    assert again.sums(rows)[-1] == pytest.approx(model.sums(rows)[-1], abs=1e-8)


def test_the_score_is_the_slope_of_the_likelihood():
    model, rows = some_model(3), some_rows(4, (5, 6, 4))
    vector = model.vector()
    slopes = [
        (model.at(vector + step).sums(rows)[-1] - model.at(vector - step).sums(rows)[-1]) / 2e-5
        for step in 1e-5 * np.eye(len(vector))
    ]
    assert model.score_matrix() @ model.sums(rows) == pytest.approx(slopes, abs=1e-4)


def test_products_of_users_are_of_the_size_of_the_model_and_not_of_all_levels_squared():
    layout = NumberLayout(2, 60, 4)
    model, rows = some_model(1, layout), some_rows(2, (4, 3), layout)
    found = outer_products(model, rows)
    assert found.shape == (len(model.vector()),) * 2
    scores = model.sums_by_user(rows) @ model.score_matrix().T
    assert found == pytest.approx(scores.T @ scores)
