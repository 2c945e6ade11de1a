"""One-sided tests and intervals for every look, as the spec asks for them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from tests.unit.effects.panels import in_buckets, simulate_panel
from truelift.effects.estimate import estimate_panel
from truelift.effects.look import look_further
from truelift.errors import ConfigError, DataError
from truelift.inference.anytime import (
    AnytimeOptions,
    boundary,
    confidence_sequence,
    mixture_scale,
    one_sided_boundary,
)
from truelift.inference.bands import simultaneous_bands
from truelift.inference.critical_values import CriticalValues, holm
from truelift.inference.hypotheses import one_sided_test
from truelift.settings import EffectOptions


@pytest.fixture(scope="module")
def source():
    return in_buckets(simulate_panel(seed=3))


def estimates(source, **options):
    chosen = EffectOptions(estimands=("APO", "ATE", "ATT"), **options)
    return look_further(source, estimate_panel(source, chosen), chosen).result.estimates


@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_a_one_sided_p_value_and_bound_are_those_of_the_test(source, alternative):
    for e in estimates(source, alternative=alternative):
        if not e.versus:
            assert (e.bound, e.p_value, e.alternative) == (None, None, "two-sided")
            continue
        expected = one_sided_test(e.estimate, e.standard_error, e.degrees_of_freedom, alternative)
        assert e.p_value == pytest.approx(expected.p_value, rel=1e-12)
        away = stats.t.ppf(0.95, e.degrees_of_freedom) * e.standard_error
        sign = -1 if alternative == "greater" else 1
        assert e.bound == pytest.approx(e.estimate + sign * away)
        assert e.adjusted_p_value >= e.p_value
        side = "at least" if alternative == "greater" else "at most"
        assert side in e.sentence()


def test_a_one_sided_test_leaves_estimates_errors_and_intervals(source):
    for one, two in zip(estimates(source, alternative="less"), estimates(source), strict=True):
        assert (one.estimate, one.standard_error) == (two.estimate, two.standard_error)
        assert (one.ci_lower, one.ci_upper) == (two.ci_lower, two.ci_upper)
        assert (one.band_lower, one.band_upper) == (two.band_lower, two.band_upper)
        assert "one-sided" not in two.sentence()


def test_intervals_for_every_look_are_those_of_the_confidence_sequence(source):
    made = estimates(source, anytime=True, anytime_tightest_at=500)
    for e, plain in zip(made, estimates(source), strict=True):
        looks = confidence_sequence(
            np.array([e.clusters]), np.array([e.estimate]), np.array([e.standard_error]),
            AnytimeOptions(0.95, 500),
        )  # fmt: skip
        assert (e.ci_lower, e.ci_upper) == pytest.approx((looks.lower[0], looks.upper[0]))
        assert e.standard_error == plain.standard_error
        assert e.ci_lower < plain.ci_lower
        assert e.anytime
        assert "at every look" in e.sentence()
        if e.versus:
            assert e.p_value == pytest.approx(looks.p_values[0])
            assert e.band_lower < e.ci_lower
            assert e.adjusted_p_value >= e.p_value


def test_fewer_clusters_than_a_first_look_takes_are_refused():
    few = in_buckets(simulate_panel(seed=5, units=800, clusters=90))
    with pytest.raises(DataError, match=r"90 clusters .* from 100 on"):
        estimate_panel(few, EffectOptions(anytime=True))


def test_margins_are_tested_at_one_look_alone():
    with pytest.raises(ConfigError, match=r"effects\.inference\.anytime"):
        EffectOptions(anytime=True, non_inferiority_margin={"y_spend": 1.0})
    with pytest.raises(ConfigError, match=r"effects\.inference\.alternative"):
        EffectOptions(alternative="larger")


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("statistic", [-3.5, -1.0, 0.0, 2.5, 6.0])
def test_a_p_value_for_every_look_is_the_level_whose_bound_reaches_zero(alternative, statistic):
    options = AnytimeOptions(0.95, 2000)
    critical = CriticalValues(np.array([799.0]), 800, 0.95, alternative, options)
    found = float(critical.p_values(np.array([statistic]), np.ones(1))[0])
    rho, edge = mixture_scale(0.95, 2000), boundary if alternative == "two-sided" else None
    edge = edge or one_sided_boundary
    signed = {"two-sided": abs(statistic), "greater": statistic, "less": -statistic}[alternative]
    reach = [float(edge(np.array(800.0), rho, 1 - level)) for level in (1e-12, 1 - 1e-12)]
    if signed <= reach[1]:
        assert found == pytest.approx(1.0)
        return
    level = optimize.brentq(
        lambda p: float(edge(np.array(800.0), rho, 1 - p)) - signed, 1e-12, 1 - 1e-12, xtol=1e-16
    )
    assert found == pytest.approx(level, rel=1e-6)


def test_equal_degrees_of_freedom_give_the_bands_of_the_largest_t():
    rng = np.random.default_rng(2)
    root = rng.normal(size=(4, 6))
    values, covariance = rng.normal(size=4), root @ root.T
    half, adjusted = CriticalValues(np.full(4, 30.0), 31, 0.9).together(values, covariance, 2000, 1)
    bands = simultaneous_bands(values, covariance, 30.0, 0.9, draws=2000, seed=1)
    np.testing.assert_allclose(half, (bands.upper - bands.lower) / 2, rtol=1e-14)
    np.testing.assert_array_equal(adjusted, bands.p_values_adjusted)


def test_fewer_degrees_of_freedom_widen_their_own_band_alone():
    rng = np.random.default_rng(2)
    root = rng.normal(size=(3, 5))
    values, covariance = np.array([3.0, 3.0, 3.0]), root @ root.T
    even, _ = CriticalValues(np.full(3, 60.0), 61, 0.95).together(values, covariance, 5000, 1)
    half, adjusted = CriticalValues(np.array([60.0, 60.0, 4.0]), 61, 0.95).together(
        values, covariance, 5000, 1
    )
    np.testing.assert_allclose(half[:2], even[:2], rtol=1e-12)
    assert half[2] > 1.2 * even[2]
    alone = 2 * stats.t.sf(values / np.sqrt(np.diag(covariance)), [60, 60, 4])
    assert np.all(adjusted >= alone - 1e-12)


def test_holm_multiplies_the_smallest_by_all_and_never_falls():
    assert holm(np.array([0.03, 0.01, 0.02])).tolist() == pytest.approx([0.04, 0.03, 0.04])
    assert holm(np.array([0.5, 0.6])).tolist() == [1.0, 1.0]


def test_an_effect_without_error_is_certain():
    critical = CriticalValues(np.array([9.0, 9.0]), 10, 0.95, "greater")
    assert critical.p_values(np.array([1.0, 0.0]), np.zeros(2)).tolist() == [0.0, 0.5]
