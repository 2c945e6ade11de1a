"""Cells, quantile groups, who is affected, and targeting curves against sorted samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.unit.effects.heterogeneity_units import Units, as_is, simulate, summed
from truelift.effects.heterogeneity import Forecast, HeterogeneityOptions, explore
from truelift.effects.heterogeneity.rank_cells import RankCells, quantile_groups_of_cells
from truelift.effects.heterogeneity.rank_weights import rank_table

FOLDS = 2
NAMES = ("age", "visits")
OPTIONS = HeterogeneityOptions(validation="cross_fitted", cells=65535, groups=4)


class FirstCovariate:
    """Ranks by the first covariate, in every fold alike."""

    def predict(self, x: np.ndarray, fold: int) -> np.ndarray:
        return x[0]


def explored(units: Units, options: HeterogeneityOptions = OPTIONS, **how):
    forecast = Forecast(FirstCovariate())
    return explore(summed(units, **how), as_is, FOLDS, NAMES, options, forecast)


def spaced(units: Units) -> Units:
    """The same order by the first covariate, with a cell for every unit."""
    rank = np.argsort(np.argsort(units.x[0]))
    x = np.vstack([(rank - rank.mean()) / len(rank), units.x[1:]])
    return replace(units, x=x)


def ratio_errors(units: Units, residuals: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Clustered covariance of means whose residuals (m x n) and sizes (m) are given."""
    keys, place = np.unique(units.cluster, return_inverse=True)
    sums = np.zeros((len(residuals), len(keys)))
    for row, value in zip(sums, residuals, strict=True):
        np.add.at(row, place, value)
    return sums @ sums.T * len(keys) / (len(keys) - 1) / np.outer(sizes, sizes)


def groups_by_sorting(units: Units, groups: int) -> np.ndarray:
    weight = np.ones(len(units.score)) if units.weight is None else units.weight
    group = np.zeros(len(units.score), int)
    for k in range(FOLDS):
        mine = np.flatnonzero(units.fold(FOLDS) == k)
        ordered = mine[np.argsort(units.x[0, mine])]
        w = weight[ordered]
        group[ordered] = ((np.cumsum(w) - w / 2) / w.sum() * groups).astype(int)
    return group


# ---------------------------------------------------------------- cells


@given(
    st.lists(st.floats(-1e12, 1e12), min_size=2, max_size=20),
    st.floats(-10, 10),
    st.floats(1e-3, 1e3),
)
@settings(deadline=None, max_examples=60)
def test_cells_keep_the_order_of_forecasts(values, centre, spread):
    cells = RankCells(np.array([centre]), np.array([spread]), 2047)
    ordered = cells.of(np.sort(values), 0)
    assert np.all(np.diff(ordered) >= 0)
    assert ordered.min() >= 0 and ordered.max() < 2047


def test_forecasts_that_differ_by_rounding_share_the_middle_cell():
    cells = RankCells(np.array([1.0]), np.array([1e-9]), 101)
    assert set(cells.of(np.array([1.0 - 1e-16, 1.0, 1.0 + 2e-16]), 0)) == {50}


def test_default_cells_are_finer_than_a_thousandth_for_normal_forecasts():
    cells = RankCells(np.zeros(1), np.ones(1), HeterogeneityOptions().cells)
    normal = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    assert np.bincount(cells.of(normal, 0)).max() < 100


def test_cells_go_to_the_group_where_the_middle_of_their_weight_lies():
    # Cumulated: 0.2, 0.7, 0.8, 1.0; middles 0.1, 0.45, 0.75, 0.9.
    groups = quantile_groups_of_cells(np.array([[2.0, 5.0, 1.0, 2.0]]), 2)
    np.testing.assert_array_equal(groups, [[0, 0, 1, 1]])


# ---------------------------------------------------------------- groups


@pytest.mark.parametrize("weighted", [False, True])
def test_groups_are_those_of_the_sorted_sample_with_clustered_covariance(weighted):
    units = spaced(
        simulate(11, units=800, clusters=120, covariates=2, slopes=(0.6,), weighted=weighted)
    )
    found = explored(units).quantile_groups
    group = groups_by_sorting(units, 4)
    weight = np.ones(800) if units.weight is None else units.weight
    inside = weight * (group[None] == np.arange(4)[:, None])
    sizes = inside.sum(axis=1)
    means = inside @ units.score / sizes
    covariance = ratio_errors(units, inside * (units.score - means[:, None]), sizes)
    np.testing.assert_allclose([g.estimate for g in found.groups], means, rtol=1e-9)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.shares, sizes / sizes.sum())
    assert found.difference.estimate == pytest.approx(means[3] - means[0])
    error = np.sqrt(covariance[3, 3] + covariance[0, 0] - 2 * covariance[0, 3])
    assert found.difference.standard_error == pytest.approx(error)


@pytest.mark.parametrize("weighted", [False, True])
def test_covariate_means_of_the_outer_groups_have_clustered_errors(weighted):
    units = spaced(simulate(12, units=800, clusters=120, covariates=2, weighted=weighted))
    found = explored(units).classification
    group = groups_by_sorting(units, 4)
    weight = np.ones(800) if units.weight is None else units.weight
    inside = weight * np.stack([group == 3, group == 0])
    sizes = inside.sum(axis=1)
    for j, name in enumerate(NAMES):
        means = inside @ units.x[j] / sizes
        covariance = ratio_errors(units, inside * (units.x[j] - means[:, None]), sizes)
        assert found.most[j].name == name
        assert found.most[j].estimate == pytest.approx(means[0])
        assert found.least[j].estimate == pytest.approx(means[1])
        assert found.most[j].standard_error == pytest.approx(np.sqrt(covariance[0, 0]))
        between = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
        assert found.difference[j].standard_error == pytest.approx(np.sqrt(between))


def test_falling_groups_fail_the_check_of_monotonicity():
    units = simulate(13, covariates=2, slopes=(-1.0,))
    rising = simulate(13, covariates=2, slopes=(1.0,))
    assert explored(units).quantile_groups.monotone.p_value < 1e-6
    assert explored(rising).quantile_groups.monotone.p_value > 0.5


# ---------------------------------------------------------------- targeting


def sorted_areas(priority: np.ndarray, score: np.ndarray) -> tuple[float, float, float]:
    """AUTOC, Qini and AUUC of the sorted sample; ties get the average score of their tie."""
    _, tie = np.unique(-priority, return_inverse=True)
    averaged = np.bincount(tie, score) / np.bincount(tie)
    ordered = averaged[np.sort(tie)]
    ranks = np.arange(1, len(score) + 1)
    toc = np.cumsum(ordered) / ranks - score.mean()
    uplift = np.cumsum(ordered) / len(score)
    return float(toc.mean()), float(np.mean(ranks / len(score) * toc)), float(uplift.mean())


@given(st.integers(0, 2**32 - 1), st.integers(3, 40), st.integers(1, 40))
@settings(deadline=None, max_examples=100)
def test_areas_are_those_of_the_sorted_sample_with_and_without_ties(seed, units, values):
    rng = np.random.default_rng(seed)
    priority = rng.integers(0, values, units)
    score = rng.normal(size=units)
    weights, sums = np.bincount(priority, minlength=50), np.bincount(priority, score, 50)
    table = rank_table(weights.astype(float), sums, units, ())
    np.testing.assert_allclose(table.estimate, sorted_areas(priority, score), atol=1e-12)


def test_influence_sums_to_zero_and_does_not_depend_on_a_common_effect():
    rng = np.random.default_rng(3)
    weight = rng.uniform(0, 2, 60) * (rng.random(60) < 0.8)
    score = weight * rng.normal(size=60)
    table = rank_table(weight, score, 500, (0.1, 0.35, 1.0))
    total = table.score_weight @ score - table.offset @ weight
    np.testing.assert_allclose(total, 0, atol=1e-10)
    shifted = rank_table(weight, score + 3 * weight, 500, (0.1, 0.35, 1.0))
    contrasts = [0, 1, 6, 7, 8]  # AUTOC, Qini and the TOC: against the average effect
    np.testing.assert_allclose(shifted.estimate[contrasts], table.estimate[contrasts], atol=1e-12)
    effects = [3, 4, 5]
    np.testing.assert_allclose(shifted.estimate[effects], table.estimate[effects] + 3)


def test_equal_weights_of_any_size_change_nothing():
    rng = np.random.default_rng(4)
    weight, score = rng.integers(0, 9, 40).astype(float), rng.normal(size=40)
    score[weight == 0] = 0
    once = rank_table(weight, score, weight.sum(), (0.2,))
    thrice = rank_table(3 * weight, 3 * score, weight.sum(), (0.2,))
    np.testing.assert_allclose(once.estimate, thrice.estimate)
    np.testing.assert_allclose(once.score_weight, thrice.score_weight)


def test_table_of_top_shares_is_that_of_the_sorted_folds():
    units = spaced(simulate(14, units=800, clusters=120, covariates=2, slopes=(0.6,)))
    found = explored(units).targeting
    fold = units.fold(FOLDS)
    share = np.bincount(fold) / len(fold)
    areas = np.zeros(3)
    for k in range(FOLDS):
        mine = fold == k
        areas += share[k] * np.array(sorted_areas(units.x[0, mine], units.score[mine]))
    estimates = [found.autoc.estimate, found.qini.estimate, found.auuc.estimate]
    np.testing.assert_allclose(estimates, areas, rtol=1e-9)
    for row in found.rows:
        top = 0.0
        for k in range(FOLDS):
            ordered = units.score[fold == k][np.argsort(-units.x[0, fold == k])]
            size = row.fraction * len(ordered)
            whole = int(size + 1e-9)
            rest = (size - whole) * ordered[whole] if whole < len(ordered) else 0.0
            top += share[k] * (ordered[:whole].sum() + rest) / size
        everyone = sum(share[k] * units.score[fold == k].mean() for k in range(FOLDS))
        assert row.effect.estimate == pytest.approx(top)
        assert row.value.estimate == pytest.approx(row.fraction * top)
        assert row.against_average.estimate == pytest.approx(top - everyone)
        against_random = row.fraction * (top - everyone)
        assert row.against_random.estimate == pytest.approx(against_random)
    errors = [row.effect.standard_error for row in found.rows]
    errors += [row.against_average.standard_error for row in found.rows]
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), errors)


def test_a_weight_of_two_is_the_unit_twice_in_its_cluster():
    units = spaced(simulate(19, units=800, clusters=120, covariates=2, slopes=(0.6,)))
    times = np.random.default_rng(2).integers(1, 4, 800)
    weighted = explored(replace(units, weight=times.astype(float))).targeting
    again = np.repeat(np.arange(800), times)
    repeated = explored(units, order=again).targeting
    for left, right in zip(weighted.rows, repeated.rows, strict=True):
        assert left.value.estimate == pytest.approx(right.value.estimate, rel=1e-9)
        error = right.value.standard_error
        assert left.value.standard_error == pytest.approx(error, rel=1e-9)
        error = right.against_average.standard_error
        assert left.against_average.standard_error == pytest.approx(error, rel=1e-9, abs=1e-12)
    # Ranks are as wide as the weight on the average weight: equal up to 1 / n.
    assert weighted.autoc.estimate == pytest.approx(repeated.autoc.estimate, rel=0.02)
    assert weighted.autoc.standard_error == pytest.approx(repeated.autoc.standard_error, rel=0.02)


def test_standard_errors_are_those_of_a_half_sample_bootstrap_of_clusters():
    units = simulate(15, units=3000, clusters=600, covariates=2, slopes=(0.7,))
    found = explored(units).targeting
    fold, rng = units.fold(FOLDS), np.random.default_rng(0)
    keys, place = np.unique(units.cluster, return_inverse=True)
    # Rows in the order of falling priority, so that a half-sample is sorted as it is drawn.
    order = [m[np.argsort(-units.x[0, m])] for m in (np.flatnonzero(fold == k) for k in (0, 1))]
    draws = []
    for _ in range(600):
        half = (rng.permutation(len(keys)) < len(keys) // 2)[place]
        areas, tops, sizes = [], [], []
        for rows in order:
            score = units.score[rows[half[rows]]]
            ranks = np.arange(1, len(score) + 1)
            toc = np.cumsum(score) / ranks - score.mean()
            areas.append([toc.mean(), np.mean(ranks / len(score) * toc)])
            tops.append([toc[int(q * len(score)) - 1] for q in (0.2, 0.5)])
            sizes.append(len(score))
        draws.append(np.average(np.hstack([areas, tops]), axis=0, weights=sizes))
    by_fraction = {row.fraction: row.against_average.standard_error for row in found.rows}
    errors = [found.autoc.standard_error, found.qini.standard_error]
    errors += [by_fraction[0.2], by_fraction[0.5]]
    # 600 draws know a standard deviation to 3%.
    np.testing.assert_allclose(errors, np.std(draws, axis=0), rtol=0.1)


def test_standard_errors_of_few_distinct_forecasts_are_those_of_the_jackknife_of_clusters():
    units = simulate(20, units=1500, clusters=200, covariates=2, slopes=(1.5,))
    values = np.clip(np.round(units.x), -1, 1)
    units = replace(units, x=values)
    options = replace(OPTIONS, groups=2)
    found = explored(units, options).targeting
    fold = units.fold(FOLDS)
    keys, place = np.unique(units.cluster, return_inverse=True)
    areas = np.zeros((FOLDS, len(keys), 3))
    clusters = np.array([len(np.unique(place[fold == k])) for k in range(FOLDS)])
    variance = np.zeros(3)
    for k in range(FOLDS):
        mine = np.unique(place[fold == k])
        for c in mine:
            left = (fold == k) & (place != c)
            areas[k, c] = sorted_areas(units.x[0, left], units.score[left])
        share = np.mean(fold == k)
        variance += share**2 * areas[k, mine].var(axis=0) * (clusters[k] - 1)
    errors = [t.standard_error for t in (found.autoc, found.qini, found.auuc)]
    np.testing.assert_allclose(errors, np.sqrt(variance), rtol=0.03)


# ---------------------------------------------------------------- layouts


def test_blocks_and_row_order_change_nothing():
    units = simulate(16, units=1500, covariates=2, slopes=(0.3,), weighted=True)
    options = HeterogeneityOptions()
    once = explore(summed(units), as_is, 5, NAMES, options)
    order = np.random.default_rng(5).permutation(1500)
    again = explore(summed(units, block_rows=211, order=order), as_is, 5, NAMES, options)
    for part in ("best_linear", "calibration", "quantile_groups", "classification", "targeting"):
        left, right = getattr(once, part).to_pandas(), getattr(again, part).to_pandas()
        numbers = left.select_dtypes("number").columns
        np.testing.assert_allclose(left[numbers], right[numbers], rtol=1e-9, atol=1e-12)


def test_states_do_not_grow_with_rows():
    def bytes_of_states(units: Units) -> int:
        sizes = []
        run = summed(units)

        def sum_pass(kernel):
            state = run(kernel)
            sizes.append(sum(v.nbytes for v in state.values()))
            return state

        explore(sum_pass, as_is, 5, NAMES)
        return sum(sizes)

    small, large = (simulate(17, units=n, clusters=n // 5, covariates=2) for n in (1000, 10_000))
    assert bytes_of_states(small) == bytes_of_states(large)


def test_results_read_as_text_and_tables():
    found = explore(summed(simulate(18, covariates=2, slopes=(0.5,))), as_is, 5, NAMES)
    assert "most less least affected" in repr(found)
    assert "top 20%" in repr(found.targeting)
    assert "AUTOC is not above zero" in repr(found.targeting)
    assert list(found.classification.to_pandas()["covariate"]) == list(NAMES)
    table = found.targeting.to_pandas()
    assert (table["effect_lower"] < table["effect"]).all()
    assert found.quantile_groups.to_pandas()["share"].sum() == pytest.approx(1)
