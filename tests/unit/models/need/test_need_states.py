"""Needs as states: likelihood, filter, smoother, sums and scores against every path of needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.models.need.every_path import LAYOUT, drawn_rows, joint, some_model, some_rows
from truelift.errors import NotSupportedError
from truelift.models.need.acting import measured
from truelift.models.need.choosing import (
    compared,
    passes_of,
    prior_of,
    require_agreement,
    require_known,
    scale_of,
    start,
    tried,
)
from truelift.models.need.coordinates import model_of, score_matrix, vector_of
from truelift.models.need.fitting import em, newton, objective_of
from truelift.models.need.information import clustered, information_of, outer_products
from truelift.models.need.matching import distance, matched
from truelift.models.need.rows import NeedRows, joined
from truelift.models.need.states import Layout, prior_sums

SIZES = (4, 1, 5, 3)
NO_PRIOR = prior_sums(LAYOUT, 0.0, np.ones(1), np.zeros(1), np.ones(1))


@pytest.fixture(scope="module")
def known():
    model, rows = some_model(1), some_rows(2, SIZES)
    paths = [
        joint(model, rows, first, last)
        for first, last in zip(rows.starts[:-1], rows.starts[1:], strict=True)
    ]
    return model, rows, paths


def test_likelihood_and_sums_are_those_of_all_paths(known):
    model, rows, paths = known
    part = LAYOUT.parts(model.sums(rows))
    assert part["told"] == pytest.approx(
        [sum(SIZES), 4, sum(np.log(sum(p.values())) for p in paths)]
    )
    initial, moves = np.zeros((2, 3)), np.zeros((2, 3, 3))
    table, numbers = np.zeros((5, 3)), np.zeros((3, 3))
    for first, own in zip(rows.starts, paths, strict=False):
        total = sum(own.values())
        for path, chance in own.items():
            for t, k in enumerate(path):
                i, weight = first + t, chance / total
                if t:
                    moves[rows.inputs[i], path[t - 1], k] += weight
                else:
                    initial[rows.inputs[i], k] += weight
                for column, offset in enumerate(LAYOUT.offsets):
                    if rows.codes[i, column] >= 0:
                        table[offset + rows.codes[i, column], k] += weight
                if not np.isnan(rows.numbers[i, 0]):
                    numbers[k] += weight * rows.numbers[i, 0] ** np.arange(3)
    assert part["initial"] == pytest.approx(initial) and part["transition"] == pytest.approx(moves)
    assert part["table"] == pytest.approx(table)
    assert part["numbers"][0] == pytest.approx(numbers)


def test_the_filter_looks_back_and_the_smoother_at_all(known):
    model, rows, paths = known
    filtered, smoothed = model.posteriors(rows)
    for first, last, own in zip(rows.starts, rows.starts[1:], paths, strict=False):
        for t in range(last - first):
            after, before = np.zeros(3), np.zeros(3)
            for path, chance in own.items():
                after[path[t]] += chance
            for path, chance in joint(model, rows, first, first + t + 1).items():
                before[path[t]] += chance
            assert filtered[first + t] == pytest.approx(before / before.sum())
            assert smoothed[first + t] == pytest.approx(after / after.sum())


def test_behaviour_alone_does_not_say_what_behaviour_and_outcome_say(known):
    """P(U | X) = P(U | X, Y) would need outcomes that do not depend on the need."""
    model, rows, _ = known
    blind = NeedRows(
        rows.starts, rows.inputs, np.where([[False, True]], -1, rows.codes).astype(np.int32), rows.counts,
        rows.numbers, rows.shown,
    )  # fmt: skip
    known_outcome = rows.codes[:, 1] >= 0
    apart = np.abs(model.posteriors(rows)[0] - model.posteriors(blind)[0]).max(axis=1)
    assert (apart[known_outcome] > 1e-6).all()


def test_likelihood_is_the_one_of_another_package():
    """``hmmlearn`` 0.3.3, CategoricalHMM.score of two sequences with these numbers."""
    layout = Layout(2, 1, (3,), 0, 0)
    model = some_model(0, layout)
    fixed = type(model)(
        layout, np.array([[0.6, 0.4]]), np.array([[[0.7, 0.3], [0.4, 0.6]]]),
        np.array([[0.5, 0.1], [0.4, 0.3], [0.1, 0.6]]), *(np.zeros((0, 2)),) * 3,
    )  # fmt: skip
    codes = np.array([0, 1, 2, 2, 1, 0, 0, 2], np.int32)[:, None]
    rows = NeedRows(np.array([0, 5, 8]), np.zeros(8, np.int32), codes, *(np.zeros((8, 0)),) * 3)
    assert layout.parts(fixed.sums(rows))["told"][2] == pytest.approx(-8.800451447495433, abs=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_no_pass_of_em_makes_the_likelihood_fall(seed, needs):
    layout = Layout(needs, 2, (3, 2), 1, 1)
    rows = some_rows(seed, (6, 3, 7, 1, 5), layout)
    scale = scale_of(layout, [rows])
    prior = prior_of(layout, scale, 1.0)
    begin = start(layout, scale, np.random.default_rng(seed))
    path = em(passes_of([rows]), begin, prior, scale.sd, 0.0, 15).path
    assert (np.diff(path) > -1e-8).all()


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.permutations(range(3)))
def test_another_order_of_needs_is_the_same_model(seed, order):
    model, rows = some_model(seed), some_rows(seed, SIZES)
    other = model.relabelled(np.array(order))
    assert other.sums(rows)[-1] == pytest.approx(model.sums(rows)[-1])
    assert matched(other, model).tolist() == np.argsort(order).tolist()
    assert distance(other, model) == pytest.approx(0.0, abs=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_sums_and_outer_products_add_up_over_parts(seed):
    model, rows = some_model(seed), some_rows(seed, (3, 2, 4, 1, 2))
    parts = [rows.of_users(np.array(own)) for own in ([0, 3], [1], [2, 4])]
    assert sum(model.sums(part) for part in parts) == pytest.approx(model.sums(rows))
    whole = outer_products(model, rows)
    assert sum(outer_products(model, part) for part in parts) == pytest.approx(whole)
    assert model.sums(joined(parts)) == pytest.approx(model.sums(rows))


def test_the_score_is_the_slope_of_the_likelihood():
    model, rows = some_model(3), some_rows(4, (5, 6, 4))
    vector = vector_of(model)

    def told(moved):
        near = model_of(moved, model)
        return objective_of(near, near.sums(rows), NO_PRIOR)

    slopes = [
        (told(vector + step) - told(vector - step)) / 2e-5 for step in 1e-5 * np.eye(len(vector))
    ]
    assert score_matrix(model) @ model.sums(rows) == pytest.approx(slopes, abs=1e-5)


def test_newton_goes_on_where_em_is_slow_and_ends_higher():
    rows = some_rows(5, (8,) * 60, gaps=0.0)
    scale = scale_of(LAYOUT, [rows])
    prior, total = prior_of(LAYOUT, scale, 1.0), passes_of([rows])
    begin = start(LAYOUT, scale, np.random.default_rng(0))
    near = em(total, begin, prior, scale.sd, 1e-3, 2000)
    matrix = information_of(near.model, [rows], prior, rows.users).matrix
    end = newton(total, near, prior, matrix, scale.sd, 1e-9, 50)
    assert end.gain_left < 1e-9 and end.objective >= near.objective
    score = score_matrix(end.model) @ (end.sums + prior)
    assert np.abs(score).max() < 1e-3
    assert (np.diff(end.path) > -1e-8).all()


def test_two_views_of_a_class_do_not_say_which_classes_there_are():
    """Two yes-or-no columns have three free shares, two classes five numbers (Goodman 1974)."""
    rng = np.random.default_rng(0)
    layout = Layout(2, 1, (2, 2), 0, 0, changing=False)
    group = rng.random(4000) < 0.5
    codes = (rng.random((4000, 2)) < np.where(group, 0.8, 0.3)[:, None]).astype(np.int32)
    rows = NeedRows(
        np.arange(4001), np.zeros(4000, np.int32), codes, *(np.zeros((4000, 0)),) * 3
    )  # fmt: skip
    scale = scale_of(layout, [rows])
    fit = tried(layout, [rows], scale, 1.0, 4, 0, 300)[0]
    matrix = information_of(fit.model, [rows], prior_of(layout, scale, 1.0), 4000).matrix
    with pytest.raises(NotSupportedError, match="the data hardly say what it is"):
        require_known(fit.model, matrix)


def test_starts_that_are_as_likely_and_differ_are_refused():
    rows = some_rows(5, (8,) * 60, gaps=0.0)
    scale = scale_of(LAYOUT, [rows])
    fit = tried(LAYOUT, [rows], scale, 1.0, 2, 0, 300)[0]
    order = np.array([1, 2, 0])
    assert len(require_agreement([fit, replace(fit, model=fit.model.relabelled(order))])) == 2
    other = replace(fit, model=some_model(9))
    with pytest.raises(NotSupportedError, match="the data do not say which of them it is"):
        require_agreement([fit, other])
    unlikely = other.sums.copy()
    unlikely[-1] -= 5.0
    assert require_agreement([fit, replace(other, sums=unlikely)]) == [fit]


def test_a_model_that_the_data_made_is_known():
    model = some_model(11)
    rows = drawn_rows(model, 400, 10, 0)
    scale = scale_of(LAYOUT, [rows])
    matrix = information_of(model, [rows], prior_of(LAYOUT, scale, 1.0), rows.users).matrix
    require_known(model, matrix)


def test_a_class_is_kept_for_good():
    layout = Layout(2, 1, (3, 2), 1, 1, changing=False)
    model, rows = some_model(7, layout), some_rows(8, (4, 6), layout)
    smoothed = model.posteriors(rows)[1]
    assert smoothed[:4] == pytest.approx(np.repeat(smoothed[:1], 4, axis=0))
    assert smoothed[4:] == pytest.approx(np.repeat(smoothed[4:5], 6, axis=0))


def test_the_fewest_needs_within_one_error_of_the_best_are_taken():
    rng = np.random.default_rng(0)
    base = rng.normal(size=400)
    told = [base - 2.0, base + 0.001 * rng.normal(size=400), base + 0.00001]
    found, taken = compared((1, 2, 3), told)
    assert taken == 1 and found[0].behind == pytest.approx(2.0, abs=0.01)


def test_what_the_prior_moves_is_in_the_errors():
    """25 steps that all stay vary by nothing, and still do not say that every step stays."""
    layout = Layout(2, 2, (2,), 0, 0)
    shown, seen = np.zeros((2, 400, 2), np.int32)
    seen[200:], seen[::7, 1] = 1, 1 - seen[::7, 1]
    few = np.r_[np.arange(1, 26), np.arange(201, 226)]
    shown[few, 1], seen[few, 1] = 1, seen[few, 0]
    rows = NeedRows(
        np.arange(401) * 2, shown.ravel(), seen.reshape(-1, 1), *(np.zeros((800, 0)),) * 3
    )  # fmt: skip
    scale = scale_of(layout, [rows])
    prior = prior_of(layout, scale, 1.0)
    model = start(layout, scale, np.random.default_rng(0))
    plain = replace(model, table=np.array([[0.999, 0.001], [0.001, 0.999]]))
    fit = em(passes_of([rows]), plain, prior, scale.sd, 1e-9, 500)
    information = information_of(fit.model, [rows], prior, 400)
    products = outer_products(fit.model, rows)
    stays = fit.model.transition[1, 0, 0]

    def error(of: np.ndarray) -> float:
        known = clustered(fit.model, fit.sums, products, information, of)
        return float(
            measured(fit.model, known, lambda m, _: m.transition[1, 0, :1]).standard_error[0]
        )

    assert stays < 0.99 and error(0 * prior) < 0.6 * (1 - stays)
    assert error(prior) > 0.8 * (1 - stays)
