"""Boosting nuisances of arrays: out of fold, early stopping, constraints, determinism."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from truelift.effects.boosting import BoostingNuisances, BoostingOptions, fit_in_memory
from truelift.errors import ConfigError, DataError, TableError
from truelift.models.trees import forest as trees_module

SMALL = BoostingOptions(trees=40, depth=3, early_stopping_rounds=5, min_child_weight=5.0)
N, FOLDS = 2400, 3


def world(seed: int = 1, arms: int = 2, n: int = N):
    """Wavy outcome and propensity; the first covariate has holes that tell something."""
    random = np.random.default_rng(seed)
    x = random.uniform(-2, 2, size=(4, n))
    odds = np.stack([a * np.sin(2 * x[1]) for a in range(arms)])
    arm = np.argmax(odds + random.gumbel(size=(arms, n)), axis=0)
    outcome = np.abs(x[1]) + np.cos(3 * x[2]) + arm + 0.3 * random.normal(size=n)
    holes = random.random(n) < 0.2
    outcome += 2.0 * holes
    x[0, holes] = np.nan
    x[3] = random.integers(0, 6, n)
    outcome += np.where(np.isin(x[3], (1, 4)), 1.0, 0.0)
    return x, arm, np.stack([outcome, -outcome]), np.arange(n) % FOLDS


def everything(fitted: BoostingNuisances, x: np.ndarray) -> np.ndarray:
    parts = [fitted.predict(x, fold) for fold in range(fitted.folds)]
    return np.array([np.concatenate([e, m.reshape(-1, x.shape[1])]) for e, m in parts])


@pytest.fixture(scope="module")
def fitted() -> BoostingNuisances:
    return fit_in_memory(*world(), SMALL)


@pytest.mark.parametrize("arms", [2, 3])
@pytest.mark.parametrize("on_top", [True, False])
def test_models_of_a_fold_do_not_change_when_its_outcomes_and_arms_are_poisoned(arms, on_top):
    x, arm, outcome, fold = world(arms=arms, n=1500)
    options = replace(SMALL, trees=8, on_top_of_linear=on_top, subsample=0.7)
    clean = fit_in_memory(x, arm, outcome, fold, options, arms=arms)
    poisoned_outcome = np.where(fold == 1, 1e3 * (1 + arm), outcome)
    poisoned_arm = np.where(fold == 1, (x[1] > 0).astype(int), arm)
    dirty = fit_in_memory(x, poisoned_arm, poisoned_outcome, fold, options, arms=arms)
    for one, two in zip(clean.predict(x, 1), dirty.predict(x, 1), strict=True):
        np.testing.assert_array_equal(one, two)
    assert np.abs(clean.predict(x, 0)[1] - dirty.predict(x, 0)[1]).max() > 10


def test_propensities_of_all_arms_sum_to_one_and_shapes_are_arms_outcomes_units():
    x, arm, outcome, fold = world(arms=3)
    propensity, regression = fit_in_memory(x, arm, outcome, fold, SMALL).predict(x[:, :50], 2)
    assert (propensity.shape, regression.shape) == ((3, 50), (3, 2, 50))
    np.testing.assert_allclose(propensity.sum(axis=0), 1.0, atol=1e-12)
    assert (propensity > 0).all()


@pytest.mark.parametrize("arms", [2, 3])
def test_losses_are_those_of_the_predictions_for_held_out_units(arms):
    x, arm, outcome, fold = world(arms=arms)
    fitted = fit_in_memory(x, arm, outcome, fold, SMALL)
    for k in range(FOLDS):
        own = fold == k
        propensity, regression = fitted.predict(x[:, own], k)
        log_loss = -np.log(propensity[arm[own], np.arange(own.sum())]).mean()
        assert fitted.propensity_loss[k] == pytest.approx(log_loss, rel=1e-6)
        for a in range(arms):
            member = arm[own] == a
            error = (outcome[1, own] - regression[a, 1])[member]
            assert fitted.outcome_loss[k, a, 1] == pytest.approx((error**2).mean(), rel=1e-6)
            assert fitted.rows[k, a] == member.sum()


def test_trees_better_the_linear_start_where_the_world_is_not_linear(fitted):
    assert (fitted.outcome_loss < 0.5 * fitted.outcome_loss_start).all()
    assert (fitted.propensity_loss < fitted.propensity_loss_start).all()
    assert (fitted.outcome_rounds > 5).all()


def test_no_tree_is_kept_where_none_lowers_the_validation_loss():
    random = np.random.default_rng(3)
    x, noise = random.normal(size=(3, N)), random.normal(size=(1, N))
    arm, fold = random.integers(0, 2, N), np.arange(N) % FOLDS
    fitted = fit_in_memory(x, arm, x.sum(axis=0) + noise, fold, replace(SMALL, depth=6))
    empty = fitted.outcome_rounds == 0
    assert empty.any()
    np.testing.assert_array_equal(fitted.outcome_loss[empty], fitted.outcome_loss_start[empty])
    assert [b == b"" for b in fitted.outcome_boosters[0][0]] == empty[0, 0].tolist()


def test_early_stopping_off_grows_all_trees():
    fitted = fit_in_memory(*world(), replace(SMALL, trees=7, early_stopping_rounds=0))
    assert (fitted.outcome_rounds == 7).all() and (fitted.propensity_rounds == 7).all()


@pytest.mark.parametrize("subsample", [1.0, 0.6])
def test_the_order_of_rows_changes_nothing(subsample):
    x, arm, outcome, fold = world()
    options = replace(SMALL, trees=10, subsample=subsample)
    cluster = np.arange(N)
    order = np.random.default_rng(9).permutation(N)
    one = fit_in_memory(x, arm, outcome, fold, options, cluster=cluster)
    two = fit_in_memory(
        x[:, order], arm[order], outcome[:, order], fold[order], options, cluster=cluster[order]
    )
    np.testing.assert_array_equal(everything(one, x), everything(two, x))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_model(fitted):
    again = fit_in_memory(*world(), SMALL)
    other = fit_in_memory(*world(), replace(SMALL, seed=8))
    assert again.outcome_boosters == fitted.outcome_boosters
    assert again.propensity_boosters == fitted.propensity_boosters
    assert other.outcome_boosters != fitted.outcome_boosters


def test_a_subsample_of_another_seed_gives_other_trees():
    options = replace(SMALL, trees=5, early_stopping_rounds=0, subsample=0.5)
    one = fit_in_memory(*world(), options)
    two = fit_in_memory(*world(), replace(options, seed=8))
    assert one.outcome_boosters != two.outcome_boosters


def test_missing_values_are_followed_by_the_trees(fitted):
    x = world()[0]
    hole = np.isnan(x[0])
    _, regression = fitted.predict(x, 0)
    gap = regression[0, 0, hole].mean() - regression[0, 0, ~hole].mean()
    assert gap == pytest.approx(2.0, abs=0.3)


def test_monotone_outcome_models_never_fall_on_top_of_a_linear_one():
    random = np.random.default_rng(5)
    x = random.uniform(-2, 2, size=(2, N))
    arm, fold = random.integers(0, 2, N), np.arange(N) % FOLDS
    outcome = (np.sin(3 * x[0]) + 0.3 * random.normal(size=N))[None]
    options = replace(SMALL, monotone=(("x_0", 1),))
    grid = np.stack([np.linspace(-2, 2, 200), np.zeros(200)])

    def falls(chosen: BoostingOptions) -> float:
        regression = fit_in_memory(x, arm, outcome, fold, chosen).predict(grid, 0)[1]
        return float(-np.diff(regression, axis=-1).min())

    assert falls(options) <= 1e-6
    assert falls(SMALL) > 0.05


def test_categories_are_split_as_sets():
    random = np.random.default_rng(6)
    category = random.integers(0, 12, N).astype(float)
    arm, fold = random.integers(0, 2, N), np.arange(N) % FOLDS
    outcome = (category % 2 + 0.1 * random.normal(size=N))[None]
    one_split = replace(
        SMALL, trees=1, depth=1, learning_rate=1.0, on_top_of_linear=False,
        early_stopping_rounds=0,
    )  # fmt: skip
    ordered = fit_in_memory(category[None], arm, outcome, fold, one_split)
    options = replace(one_split, categorical=("x_0",))
    sets = fit_in_memory(category[None], arm, outcome, fold, options)
    assert sets.outcome_loss.max() < 0.3 * ordered.outcome_loss.min()


def test_predictions_survive_pickling_and_a_process_reads_a_booster_once(fitted, monkeypatch):
    x = world()[0]
    expected = everything(fitted, x)
    monkeypatch.setattr(trees_module, "_LOADED", {})
    for _ in range(2):
        copy = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_array_equal(everything(copy, x), expected)
    distinct = {b for fold in fitted.outcome_boosters for arm in fold for b in arm}
    distinct |= set(fitted.propensity_boosters)
    assert len(trees_module._LOADED) == len(distinct - {b""})


def test_constant_and_empty_covariates_and_a_fold_without_rows_do_no_harm():
    x, arm, outcome, fold = world()
    odd = np.concatenate([x, np.full((1, N), 7.0), np.full((1, N), np.nan)])
    fitted = fit_in_memory(odd, arm, outcome, np.where(fold == 2, 0, fold), SMALL, folds=3)
    assert np.isfinite(everything(fitted, odd)[:2]).all()
    assert fitted.rows[2].sum() == 0 and np.isnan(fitted.propensity_loss[2])


def test_no_units_give_empty_predictions(fitted):
    propensity, regression = fitted.predict(np.zeros((4, 0)), 0)
    assert (propensity.shape, regression.shape) == ((2, 0), (2, 2, 0))


def test_on_top_of_linear_is_unbiased_in_a_linear_world_where_shrunken_trees_are_not():
    random = np.random.default_rng(11)
    n, effect = 6000, 1.0
    x = random.normal(size=(5, n))
    index = x.sum(axis=0) / np.sqrt(5)
    propensity = 1 / (1 + np.exp(-index))
    arm = (random.random(n) < propensity).astype(int)
    outcome = 3 * index + effect * arm + random.normal(size=n)
    fold = np.arange(n) % FOLDS

    def aipw(e, control, treated):
        score = treated - control + arm * (outcome - treated) / e
        score -= (1 - arm) * (outcome - control) / (1 - e)
        return score.mean(), score.std() / np.sqrt(n)

    def shift(options: BoostingOptions) -> float:
        fitted = fit_in_memory(x, arm, outcome[None], fold, options)
        e, means = np.empty(n), np.empty((2, n))
        for k in range(FOLDS):
            own = fold == k
            shares, regression = fitted.predict(x[:, own], k)
            e[own], means[:, own] = shares[1], regression[:, 0]
        found, error = aipw(e, *means)
        oracle, _ = aipw(propensity, 3 * index, 3 * index + effect)
        return (found - oracle) / error

    shrunken = BoostingOptions(
        trees=30, early_stopping_rounds=0, min_child_weight=20.0, on_top_of_linear=False
    )
    assert shift(shrunken) > 3
    assert abs(shift(BoostingOptions(trees=60))) < 0.5


def test_a_weight_of_two_is_the_row_twice_and_the_scale_of_weights_does_not_matter():
    x, arm, outcome, fold = world(n=1200)
    x = np.round(x, 1)  # a bin for each value: bins do not know of weights
    options = replace(
        SMALL, trees=8, l2=0.0, min_child_weight=0.0, early_stopping_rounds=0,
        on_top_of_linear=False,
    )  # fmt: skip
    twice = np.arange(1200) % 3 == 0
    cluster = np.arange(1200)
    double = np.concatenate([cluster, cluster[twice]])
    rows = fit_in_memory(
        x[:, double], arm[double], outcome[:, double], fold[double], options, cluster=double
    )
    for scale in (1.0, 50.0):
        weighted = fit_in_memory(
            x, arm, outcome, fold, options, cluster=cluster, weight=scale * (1.0 + twice)
        )
        # Two equally good splits may be told apart by rounding, for a few units.
        assert np.median(np.abs(everything(rows, x) - everything(weighted, x))) < 1e-6
        np.testing.assert_allclose(weighted.outcome_loss, rows.outcome_loss, rtol=0.01)
    plain = fit_in_memory(x, arm, outcome, fold, options, cluster=cluster)
    assert np.median(np.abs(everything(rows, x) - everything(plain, x))) > 1e-3


def test_the_table_has_a_line_a_model(fitted):
    table = fitted.to_pandas()
    assert len(table) == FOLDS * (1 + 2 * 2)
    assert table["rows"][table["model"] == "propensity"].sum() == N
    assert repr(fitted).startswith("BoostingNuisances(3 folds, 2 arms, 2 outcomes, 4 covariates")
    assert fitted.seconds["total"] > 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"trees": 0}, r"trees: found 0, expected at least 1"),
        ({"learning_rate": 0.0}, r"learning_rate: found 0.0"),
        ({"validation_share": 0.7}, r"validation_share: found 0.7"),
        ({"subsample": 1.5}, r"subsample: found 1.5"),
        ({"max_bins": 256}, r"max_bins: found 256, expected 2 to 255"),
        ({"depth": 0}, r"depth: found 0"),
        ({"monotone": (("x_0", 2),)}, r"monotone of 'x_0': found 2"),
        ({"start_degree": 3}, r"start_degree: found 3, expected 1 or 2"),
        ({"start_degree": 2, "monotone": (("x_0", 1),)}, r"do not hold for squares"),
        ({"monotone": (("x_0", 1),), "categorical": ("x_0",)}, r"both monotone and categorical"),
    ],
)
def test_impossible_options_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        BoostingOptions(**wrong)


def test_an_option_for_an_unknown_covariate_is_refused():
    with pytest.raises(ConfigError, match=r"categorical: \['colour'\] are no covariates"):
        fit_in_memory(*world(), replace(SMALL, categorical=("colour",)))


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("x", np.inf, r"infinite covariates \(rows\): \{'x_1': 1\}"),
        ("outcome", np.nan, r"outcomes are missing or not finite in \[1, 0\] rows"),
        ("arm", 5, r"1 rows have a treatment that is none of the 2 arms"),
        ("weight", 0.0, r"1 rows have a weight that is no positive number"),
        ("fold", 9, r"Folds 0 to 9, expected 0 to 2"),
    ],
)
def test_values_that_cannot_be_used_are_named(part, value, message):
    arrays = dict(zip(("x", "arm", "outcome", "fold"), world(), strict=True))
    arrays["weight"] = np.ones(N)
    arrays[part] = arrays[part].copy()
    place = {"x": (1, 0), "outcome": (0, 0), "arm": 0, "fold": 0, "weight": 0}[part]
    arrays[part][place] = value
    with pytest.raises(DataError, match=message):
        fit_in_memory(**arrays, options=SMALL, arms=2, folds=FOLDS)


def test_covariates_or_folds_that_were_not_fitted_are_refused(fitted):
    with pytest.raises(TableError, match=r"found 3 covariates, expected 4: x_0, x_1"):
        fitted.predict(np.zeros((3, 1)), 0)
    with pytest.raises(TableError, match=r"fold 3, expected 0 to 2"):
        fitted.predict(np.zeros((4, 1)), 3)
