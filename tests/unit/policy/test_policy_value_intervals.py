from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from truelift.policy.off_policy.intervals import bernstein_bound, score_interval, student_interval

NORMAL = np.array([1e9])


def wilson(successes: int, n: int) -> tuple[float, float]:
    interval = stats.binomtest(successes, n).proportion_ci(0.95, "wilson")
    return interval.low, interval.high


@pytest.mark.parametrize("successes", [1, 7, 50, 99])
def test_a_plain_share_has_wilsons_interval(successes):
    share, n = successes / 100, 100
    error = np.array([np.sqrt(share * (1 - share) / n)])
    lower, upper = score_interval(np.array([share]), error, NORMAL, 0.95, 0.0, 1.0)
    assert (lower[0], upper[0]) == pytest.approx(wilson(successes, n), rel=1e-6)


def test_without_an_upper_bound_it_is_that_of_a_poisson_mean():
    # (x - m)^2 = z^2 m of a count x.
    count = np.array([16.0])
    lower, upper = score_interval(count, np.sqrt(count), NORMAL, 0.95, 0.0, np.inf)
    z = stats.norm.ppf(0.975)
    for end in (lower[0], upper[0]):
        assert (16 - end) ** 2 == pytest.approx(z**2 * end, rel=1e-6)


def test_with_many_events_it_is_students():
    estimate, error, degrees = np.array([0.3]), np.array([1e-5]), np.array([50.0])
    score = score_interval(estimate, error, degrees, 0.9, 0.0, 1.0)
    np.testing.assert_allclose(score, student_interval(estimate, error, degrees, 0.9), rtol=1e-4)


def test_scaling_the_rewards_scales_the_interval():
    estimate, error, degrees = np.array([0.02]), np.array([0.01]), np.array([9.0])
    plain = np.array(score_interval(estimate, error, degrees, 0.95, 0.0, 1.0))
    moved = score_interval(3 + 10 * estimate, 10 * error, degrees, 0.95, 3.0, 13.0)
    np.testing.assert_allclose(moved, 3 + 10 * plain, rtol=1e-10)


def test_an_estimate_beyond_the_bounds_has_students_interval():
    estimate, error = np.array([-0.1, 1.2]), np.array([0.1, 0.1])
    degrees = np.array([20.0, 20.0])
    found = score_interval(estimate, error, degrees, 0.95, 0.0, 1.0)
    np.testing.assert_array_equal(found, student_interval(estimate, error, degrees, 0.95))


def test_bernsteins_bound_is_maurer_and_pontils():
    log = np.log(2 / 0.05)
    expected = 0.4 - np.sqrt(2 * 0.09 * log / 500) - 7 * 2.0 * log / (3 * 499)
    assert bernstein_bound(0.4, 0.09, 500, 2.0, 0.95) == pytest.approx(expected)


def test_bernsteins_bound_holds_for_a_skewed_mean():
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(400):
        x = 5.0 * (rng.random(300) < 0.01)
        missed += bernstein_bound(x.mean(), x.var(ddof=1), 300, 5.0, 0.95) > 0.05
    assert missed <= 20
