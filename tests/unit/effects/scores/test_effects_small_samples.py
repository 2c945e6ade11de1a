"""Few and unequal clusters: the jackknife and the effective number of clusters, from one pass."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from tests.unit.effects.test_effects_estimates import find, scores_of
from truelift.effects.estimate import estimate_panel
from truelift.effects.scores.kinds.ato import ATO
from truelift.effects.scores.kinds.att import ATT
from truelift.effects.scores.layout import ScoreLayout
from truelift.effects.scores.power_sums import PowerLines, cluster_precision
from truelift.effects.scores.ratios import Estimand, Ratio, contrast
from truelift.errors import ConfigError
from truelift.settings import EffectOptions

LAYOUT = ScoreLayout(arms=2, outcomes=1, own=(ATT.sums, ATO.sums))
ATE = contrast("ATE", [(("apo", 1, 0), 1.0), (("apo", 0, 0), -1.0)], ("unit",), 0)
ATO = contrast("ATO", [(("ato", 1, 0), 1.0)], ("ato weight", 1), 0)
NAIVE = Estimand(
    "naive difference", 0,
    (Ratio(((("raw", 1, 0), 1.0),), ("arm", 1)), Ratio(((("raw", 0, 0), 1.0),), ("arm", 0), -1.0)),
)  # fmt: skip
ALL = (ATE, ATO, NAIVE)


def cluster_sums(clusters: int, seed: int, largest: float = 1.0) -> np.ndarray:
    """Sums of clusters of unequal size (S x G), not those of any model."""
    rng = np.random.default_rng(seed)
    size = np.ceil(rng.lognormal(1.0, 0.7, clusters))
    size[0] = np.ceil(largest * size[0])
    sums = rng.normal(size=(len(LAYOUT), clusters)) * np.sqrt(size) + 0.4 * size
    treated = rng.binomial(size.astype(int), 0.5)
    sums[LAYOUT.place("unit")] = size
    sums[LAYOUT.place("arm", 1)], sums[LAYOUT.place("arm", 0)] = treated, size - treated
    sums[LAYOUT.place("ato weight", 1)] = 0.2 * size
    return sums


def value(total: np.ndarray, estimand: Estimand) -> float:
    return sum(
        term.coefficient
        * sum(sign * total[LAYOUT.place(*key)] for key, sign in term.numerator)
        / total[LAYOUT.place(*term.denominator)]
        for term in estimand.terms
    )


def without_each(sums: np.ndarray, estimand: Estimand) -> np.ndarray:
    """The estimate without each cluster, by adding up all others."""
    return np.array(
        [value(np.delete(sums, g, axis=1).sum(axis=1), estimand) for g in range(sums.shape[1])]
    )


def influence(sums: np.ndarray, estimand: Estimand) -> np.ndarray:
    """By numerical differentiation in the weight of each cluster."""
    total, step = sums.sum(axis=1), 1e-6
    return np.array(
        [
            (value(total + step * own, estimand) - value(total - step * own, estimand)) / (2 * step)
            for own in sums.T
        ]
    )


@pytest.mark.parametrize("estimand", ALL, ids=lambda e: e.name)
@pytest.mark.parametrize("clusters", [40, 300])
def test_the_inflation_is_that_of_leaving_out_each_cluster(estimand, clusters):
    sums = cluster_sums(clusters, seed=clusters)
    powers = PowerLines.of(LAYOUT, ALL).sums(sums)
    found = cluster_precision(sums.sum(axis=1), clusters, LAYOUT, ALL, powers)[ALL.index(estimand)]
    moved = without_each(sums, estimand) - value(sums.sum(axis=1), estimand)
    jackknife = (clusters - 1) / clusters * np.sum(moved**2)
    plain = clusters / (clusters - 1) * np.sum(influence(sums, estimand) ** 2)
    assert found.inflation == pytest.approx(np.sqrt(max(jackknife / plain, 1.0)), rel=2e-3)
    assert found.inflation < 1.2


@pytest.mark.parametrize("estimand", ALL, ids=lambda e: e.name)
def test_effective_clusters_are_from_sizes_and_how_the_influence_grows_with_them(estimand):
    sums = cluster_sums(200, seed=5, largest=12)
    size = sums[LAYOUT.place("unit")]
    sums[LAYOUT.place("apo", 1, 0)] += 0.5 * size * np.random.default_rng(1).normal(size=200)
    powers = PowerLines.of(LAYOUT, ALL).sums(sums)
    found = cluster_precision(sums.sum(axis=1), 200, LAYOUT, ALL, powers)[ALL.index(estimand)]
    psi = influence(sums, estimand)
    moments = [[np.sum(size), np.sum(size**2)], [np.sum(size**2), np.sum(size**3)]]
    own, shared = np.linalg.solve(moments, [np.sum(psi**2), np.sum(psi**2 * size)])
    own, shared = (max(own, 0.0), shared) if shared > 0 else (1.0, 0.0)
    part = own * size + shared * size**2
    expected = np.sum(part) ** 2 / np.sum(part**2)
    assert found.effective_clusters == pytest.approx(expected, rel=1e-6)
    assert found.effective_clusters < 150


def test_equal_clusters_count_in_full_whatever_their_tails():
    sums = cluster_sums(200, seed=6)
    sums[LAYOUT.place("unit")] = 3.0
    sums[LAYOUT.place("apo", 1, 0)] += np.random.default_rng(2).standard_t(2, 200) ** 3
    powers = PowerLines.of(LAYOUT, ALL).sums(sums)
    found = cluster_precision(sums.sum(axis=1), 200, LAYOUT, ALL, powers)[0]
    assert found.effective_clusters == pytest.approx(200)


def test_powers_add_up_over_buckets():
    sums = cluster_sums(500, seed=2)
    lines = PowerLines.of(LAYOUT, ALL)
    whole = lines.sums(sums)
    parts = [lines.sums(part) for part in np.array_split(sums, 7, axis=1)]
    for name, array in whole.items():
        np.testing.assert_allclose(sum(p[name] for p in parts), array, rtol=1e-12)


def test_a_population_without_a_unit_has_no_correction():
    sums = cluster_sums(30, seed=1)
    sums[LAYOUT.place("ato weight", 1)] = 0.0
    powers = PowerLines.of(LAYOUT, ALL).sums(sums)
    found = cluster_precision(sums.sum(axis=1), 30, LAYOUT, ALL, powers)[1]
    assert (found.inflation, found.effective_clusters) == (1.0, 30.0)


@pytest.fixture(scope="module")
def uneven() -> pa.Table:
    """Thirty clusters, of which one has a sixth of all units."""
    panel = simulate_panel(seed=14, units=900, clusters=30, buckets=5)
    cluster = np.array([int(k.partition("-")[2]) for k in panel["user_key"].to_pylist()])
    cluster[np.random.default_rng(0).choice(900, 140, replace=False)] = 7
    panel = with_column(panel, "user_key", [f"household-{c}" for c in cluster])
    return with_column(panel, "bucket", (cluster % 5).astype(np.int32))


def test_the_panels_error_is_that_of_leaving_out_each_cluster(uneven):
    source = in_buckets(uneven)
    options = EffectOptions(outcomes=("y_spend",), small_samples="jackknife")
    estimation = estimate_panel(source, options)
    scores = scores_of(estimation, source.buckets)
    keys = pa.concat_tables(source.buckets.values())["user_key"].to_numpy(zero_copy_only=False)
    moved = np.array([scores[keys != k].mean() - scores.mean() for k in np.unique(keys)])
    ate = find(estimation.result, "ATE")
    assert ate.standard_error == pytest.approx(np.sqrt(29 / 30 * np.sum(moved**2)), rel=1e-2)
    plain = find(estimate_panel(source, EffectOptions(small_samples="cr1")).result, "ATE")
    assert ate.estimate == plain.estimate
    assert ate.standard_error > 1.05 * plain.standard_error


def test_few_clusters_that_decide_leave_few_degrees_of_freedom(uneven):
    options = EffectOptions(small_samples="jackknife")
    for e in estimate_panel(in_buckets(uneven), options).result.estimates:
        assert 1 <= e.degrees_of_freedom < 20
        quantile = stats.t.ppf(0.975, e.degrees_of_freedom)
        assert (e.ci_upper - e.estimate) / e.standard_error == pytest.approx(quantile)
        expected = 2 * stats.t.sf(abs(e.estimate) / e.standard_error, e.degrees_of_freedom)
        assert e.p_value == pytest.approx(expected)
        assert "jackknife" in e.method


def test_what_follows_the_ate_has_its_correction(uneven):
    options = EffectOptions(outcomes=("y_spend",), clip=0.001, small_samples="jackknife")
    result = estimate_panel(in_buckets(uneven), options).result
    ate, followed = find(result, "ATE"), result.followed[0]
    assert followed.population == "all units, clipped at 0.001"
    assert followed.standard_error == pytest.approx(ate.standard_error, rel=1e-9)
    assert followed.degrees_of_freedom == ate.degrees_of_freedom


def test_many_equal_clusters_are_not_widened():
    panel = simulate_panel(seed=3, units=4000, clusters=4000, cluster_effect=0)
    panel = with_column(panel, "user_key", [f"k{i}" for i in range(4000)])
    panel = with_column(panel, "bucket", (np.arange(4000) % 10).astype(np.int32))
    made = [
        estimate_panel(in_buckets(panel), EffectOptions(small_samples=s)).result.estimates
        for s in ("jackknife", "cr1")
    ]
    for careful, plain in zip(*made, strict=True):
        widths = [e.ci_upper - e.ci_lower for e in (careful, plain)]
        assert 1.0 <= widths[0] / widths[1] < 1.002


def test_bands_are_no_narrower_than_each_interval(uneven):
    panel = with_column(uneven, "group", [f"g{i % 4}" for i in range(uneven.num_rows)])
    options = EffectOptions(
        outcomes=("y_spend",), estimands=("GATE",), groups=("group",), small_samples="jackknife"
    )
    for e in estimate_panel(in_buckets(panel), options).result.estimates:
        assert e.band_lower < e.ci_lower < e.ci_upper < e.band_upper
        assert e.adjusted_p_value >= e.p_value


def test_another_correction_is_refused():
    with pytest.raises(ConfigError, match=r"effects\.inference\.small_samples"):
        EffectOptions(small_samples="cr9")


def fitted_share(panel: pa.Table, **options) -> float:
    """What the fitting of nuisances adds to the ATE's variance, beside the naive difference's."""
    estimation = estimate_panel(in_buckets(panel), EffectOptions(outcomes=("y_spend",), **options))
    sums = estimation.cluster_moments.precision
    return next(p.fitting for key, p in sums.items() if key[0] == "ATE")


def test_fitted_coefficients_add_their_share_of_the_variance():
    panel = simulate_panel(seed=4, units=1000, clusters=1000, covariates=4, cluster_effect=0)
    panel = with_column(panel, "user_key", [f"k{i}" for i in range(1000)])
    panel = with_column(panel, "bucket", (np.arange(1000) % 10).astype(np.int32))
    # Two models of an intercept and four slopes, each fitted on four fifths of the units.
    assert fitted_share(panel, ridge=0.0) == pytest.approx(2 * 5 * 1.25 / 1000)
    assert fitted_share(panel, ridge=0.0, folds=2) == pytest.approx(2 * 5 * 2 / 1000)
    known = {"0": "0.5", "1": "0.5"}
    assert fitted_share(panel, ridge=0.0, propensity=known) == pytest.approx(5 * 1.25 / 1000)
    # All of a great penalty's shrinkage is taken off; the intercepts stay.
    assert fitted_share(panel, ridge=1e9) == pytest.approx(2 * 1.25 / 1000, rel=1e-6)


def test_clusters_that_share_their_arm_leave_fewer_independent_units():
    panel = simulate_panel(seed=4, units=1000, clusters=100, confounding=0.0)
    cluster = np.array([int(k.partition("-")[2]) for k in panel["user_key"].to_pylist()])
    alone = fitted_share(panel, ridge=0.0)
    shared = fitted_share(with_column(panel, "treated", (cluster % 2).astype(np.int32)), ridge=0.0)
    size = np.bincount(cluster)
    assert shared / (2 * 5 * 1.25 / 1000) == pytest.approx(np.sum(size**2) / 1000, rel=0.1)
    assert alone < 0.2 * shared
