"""Weights, effects and placebos of synthetic controls against a general optimiser and loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from truelift.inference.synthetic import (
    Cohort,
    Placebos,
    effect_of,
    mixed,
    moved_ahead,
    placebo_in_time,
    placebos,
    simplex_weights,
)


def optimised(columns: np.ndarray, target: np.ndarray, penalty: float) -> np.ndarray:
    """The same weights by SLSQP."""
    count = columns.shape[1]
    found = minimize(
        lambda w: np.sum((columns @ w - target) ** 2) + penalty * np.sum(w**2),
        np.full(count, 1 / count),
        jac=lambda w: 2 * columns.T @ (columns @ w - target) + 2 * penalty * w,
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 2000},
    )
    return found.x


def world(seed: int, donors: int = 8, periods: int = 12, treated: int = 1):
    rng = np.random.default_rng(seed)
    common = np.cumsum(rng.normal(size=(2, periods)), axis=1)
    y = rng.normal(size=(donors + treated, 2)) @ common + rng.normal(size=(donors + treated, 1))
    y += 0.3 * rng.normal(size=y.shape)
    return y[treated:], y[:treated]


@pytest.mark.parametrize("penalty", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_weights_are_those_of_a_general_optimiser(seed, penalty):
    donors, treated = world(seed)
    found = simplex_weights(donors.T, treated[0], penalty)
    assert found == pytest.approx(optimised(donors.T, treated[0], penalty), abs=2e-5)


@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(1, 15), st.floats(0, 10))
@settings(max_examples=40, deadline=None)
def test_weights_meet_the_conditions_of_the_optimum(seed, count, rows, penalty):
    rng = np.random.default_rng(seed)
    columns, target = rng.normal(size=(rows, count)), rng.normal(size=rows)
    w = simplex_weights(columns, target, penalty)
    assert w.min() >= 0 and w.sum() == pytest.approx(1.0)
    slope = columns.T @ (columns @ w - target) + penalty * w
    # No weight can be moved to where the objective falls.
    assert w @ slope <= slope.min() + 1e-7 * (1 + np.abs(slope).max())


def by_formula(donors: np.ndarray, treated: np.ndarray, before: int) -> float:
    """Synthetic difference-in-differences as in its paper, with intercepts as variables of their own."""
    mean, after = treated.mean(axis=0), donors.shape[1] - before
    noise = np.diff(donors[:, :before], axis=1).std(ddof=1)
    zeta = (len(treated) * after) ** 0.25 * noise

    def weights(columns, target, penalty):
        centred = columns - columns.mean(axis=0)
        return optimised(centred, target - target.mean(), penalty)

    omega = weights(donors[:, :before].T, mean[:before], before * zeta**2)
    last = donors[:, before:].mean(axis=1)
    periods = weights(donors[:, :before], last, len(donors) * (1e-6 * noise) ** 2)
    return (
        mean[before:].mean()
        - periods @ mean[:before]
        - omega @ (last - donors[:, :before] @ periods)
    )


@pytest.mark.parametrize("treated", [1, 2])
def test_synthetic_difference_in_differences_is_the_formula_of_its_paper(treated):
    for seed in range(4):
        # More donors than periods before: the periods' weights are unique without a penalty.
        donors, mine = world(seed, donors=14, periods=9, treated=treated)
        found = mixed(donors, Cohort(6, mine), "SDID")
        assert found.effect == pytest.approx(by_formula(donors, mine, 6), abs=2e-4)
        assert found.effect == pytest.approx((mine.mean(axis=0) - found.path)[6:].mean())


def test_a_treated_unit_that_is_a_mix_of_donors_has_its_effect_exactly():
    donors, _ = world(5)
    mine = 0.3 * donors[[1]] + 0.7 * donors[[4]]
    mine[:, 8:] += 2.5
    effect, gap, (found,) = effect_of(donors, [Cohort(8, mine)], "synthetic control")
    assert effect == pytest.approx(2.5, abs=1e-4) and gap == pytest.approx(0.0, abs=1e-4)
    assert found.donors[[1, 4]] == pytest.approx([0.3, 0.7], abs=1e-4)


def test_cohorts_count_by_treated_units_and_periods():
    donors, mine = world(6, treated=3)
    cohorts = [Cohort(6, mine[:2]), Cohort(9, mine[2:])]
    one, other = (mixed(donors, cohort, "SDID").effect for cohort in cohorts)
    effect, _, _ = effect_of(donors, cohorts, "SDID")
    assert effect == pytest.approx((12 * one + 3 * other) / 15)


def test_every_donor_is_a_placebo_beside_the_other_donors():
    donors, mine = world(7)
    made = placebos(donors, [Cohort(8, mine)], "SDID", 200, 1)
    for i, effect in enumerate(made.effects):
        own = mixed(np.delete(donors, i, axis=0), Cohort(8, donors[[i]]), "SDID")
        assert effect == pytest.approx(own.effect)
    several = placebos(*(donors, [Cohort(8, donors[:2])]), "SDID", 30, 1)
    again = placebos(*(donors, [Cohort(8, donors[:2])]), "SDID", 30, 1)
    assert len(several.effects) == 30 and (several.effects == again.effects).all()


def test_intervals_hold_what_placebos_do_not_reject_and_need_nineteen_of_them():
    effects = np.arange(1, 20) * np.resize([1.0, -1.0], 19)
    made = Placebos(effects, np.ones(19))
    assert made.half_width(0.95) == 19.0 and made.p_value(19.5) == pytest.approx(0.05)
    assert made.half_width(0.9) == 18.0
    assert Placebos(effects[:18], np.ones(18)).half_width(0.95) == np.inf


def test_a_placebo_in_time_has_no_period_of_the_treatment():
    donors, mine = world(8, periods=14)
    spoilt, changed = donors.copy(), mine.copy()
    spoilt[:, 9:] += 100.0
    changed[:, 9:] -= 50.0
    for (a, [one]), (b, [other]) in zip(
        moved_ahead(donors, [Cohort(9, mine)]),
        moved_ahead(spoilt, [Cohort(9, changed)]),
        strict=True,
    ):
        assert (a == b).all() and (one.outcomes == other.outcomes).all()
        assert one.before == other.before < 9 == a.shape[1]
    assert [c[0].before for _, c in moved_ahead(donors, [Cohort(9, mine)])] == [8, 6]
    assert placebo_in_time(donors, [Cohort(2, mine)], "SDID", 10, 1) is None


def test_a_dip_just_before_the_treatment_is_found_by_a_placebo_in_time():
    donors, mine = world(9, donors=24, periods=14)
    mine[:, 9] -= 8.0
    found = placebo_in_time(donors, [Cohort(10, mine)], "SDID", 10, 1)
    assert found is not None and found.p_value <= 0.1
