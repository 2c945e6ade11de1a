"""Several arms, groups, policies, weights and known chances, against explicit refits and loops."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize
from scipy.special import softmax

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from tests.unit.effects.reference import clustered_error
from truelift.effects.estimate import estimate_panel
from truelift.effects.results import EffectsResult
from truelift.effects.scores.layout import ScoreLayout
from truelift.errors import ConfigError
from truelift.settings import EffectOptions

FOLDS = 5
ARMS = ("none", "mail", "call")


@pytest.fixture(scope="module")
def panel() -> pa.Table:
    """Three arms that depend on the covariates; "call" adds 2, "mail" adds 1."""
    table = simulate_panel(seed=21, units=1500, clusters=250)
    rng = np.random.default_rng(4)
    x = (table["x_1"].to_numpy() - 3) / 10
    index = np.column_stack([np.zeros(1500), 0.5 * x, -0.7 * x])
    arm = (index + rng.gumbel(size=index.shape)).argmax(axis=1)
    spend = 20 + 2 * x + np.array([0.0, 1.0, 2.0])[arm] + rng.normal(size=1500)
    table = with_column(table, "treated", np.array(ARMS)[arm])
    table = with_column(table, "y_spend", spend)
    table = with_column(table, "region", np.array(["north", "south"])[(x > 0).astype(int)])
    return with_column(table, "chosen", np.where(x > 0, "mail", "call"))


def options(**changes) -> EffectOptions:
    exact = {
        "ridge": 0.0, "tolerance": 1e-24, "max_newton_steps": 30, "control": "none",
        "small_samples": "cr1",
    }  # fmt: skip
    return EffectOptions(outcomes=("y_spend",), **{**exact, **changes})


def estimated(table: pa.Table, **changes) -> EffectsResult:
    return estimate_panel(in_buckets(table), options(**changes)).result


def by_name(result: EffectsResult) -> dict[tuple[str, str, str, str], object]:
    return {(e.estimand, e.arm, e.versus, e.population): e for e in result.estimates}


def arms_scores(table: pa.Table, clip: float = 0.01) -> tuple[np.ndarray, ...]:
    """Scores of the arms' means (n x 3), arms and clusters, every model refitted a fold."""
    x = np.column_stack([table[f"x_{j}"].to_numpy() for j in range(4)])
    z = np.column_stack([np.ones(len(x)), (x - x.mean(0)) / x.std(0)])
    arms = ("none", "call", "mail")
    arm = np.array([arms.index(a) for a in table["treated"].to_pylist()])
    y, fold = table["y_spend"].to_numpy(), table["bucket"].to_numpy() % FOLDS
    scores = np.zeros((len(y), 3))
    for k in range(FOLDS):
        out, here = fold != k, fold == k
        e = np.clip(multinomial(z[out], arm[out], z[here]), clip, 1 - clip)
        for a in range(3):
            own = out & (arm == a)
            m = z[here] @ np.linalg.lstsq(z[own], y[own], rcond=None)[0]
            scores[here, a] = m + (arm[here] == a) * (y[here] - m) / e[:, a]
    _, cluster = np.unique(table["user_key"].to_numpy(zero_copy_only=False), return_inverse=True)
    return scores, arm, cluster


def multinomial(z: np.ndarray, arm: np.ndarray, at: np.ndarray) -> np.ndarray:
    own = np.eye(3)[arm]

    def loss(flat):
        b = np.vstack([np.zeros(z.shape[1]), flat.reshape(2, -1)])
        p = softmax(z @ b.T, axis=1)
        return -np.mean(np.log(p[own == 1])), ((p - own)[:, 1:].T @ z / len(z)).ravel()

    found = minimize(
        loss, np.zeros(2 * z.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-9}
    )
    return softmax(at @ np.vstack([np.zeros(z.shape[1]), found.x.reshape(2, -1)]).T, axis=1)


def test_all_pairs_of_three_arms_equal_explicit_refits(panel):
    found = by_name(estimated(panel, contrasts="all", estimands=("ATE", "APO")))
    scores, _, cluster = arms_scores(panel)
    names = ("none", "call", "mail")
    for a, b in combinations(range(3), 2):
        contrast = scores[:, b] - scores[:, a]
        mine = found["ATE", names[b], names[a], "all units"]
        assert mine.estimate == pytest.approx(contrast.mean(), rel=1e-5)
        error = clustered_error(contrast - contrast.mean(), cluster)
        assert mine.standard_error == pytest.approx(error, rel=1e-5)
    for a, name in enumerate(names):
        mean = found["APO", name, "", "all units"]
        assert mean.estimate == pytest.approx(scores[:, a].mean(), rel=1e-6)
        assert mean.p_value is None


def test_the_effects_of_three_arms_are_found(panel):
    result = estimated(panel, contrasts="all", estimands=("ATE", "ATT", "ATO"))
    truth = {"none": 0.0, "mail": 1.0, "call": 2.0}
    for e in result.estimates:
        assert abs(e.estimate - (truth[e.arm] - truth[e.versus])) < 4 * e.standard_error


def test_group_effects_are_means_of_scores_in_the_cell(panel):
    result = estimated(panel, groups=("region",), estimands=("GATE",))
    scores, _, cluster = arms_scores(panel)
    region = np.array(panel["region"].to_pylist())
    for e in result.estimates:
        column, _, level = e.population.partition(" = ")
        inside = region == level
        contrast = scores[:, ("none", "call", "mail").index(e.arm)] - scores[:, 0]
        value = contrast[inside].mean()
        assert (column, e.estimate) == ("region", pytest.approx(value, rel=1e-5))
        influence = np.where(inside, contrast - value, 0.0) / inside.mean()
        assert e.standard_error == pytest.approx(clustered_error(influence, cluster), rel=1e-5)
    assert len(result.estimates) == 4


def test_a_policy_is_worth_the_scores_of_the_arms_that_it_chooses(panel):
    policies = {"by region": "chosen", "mail to all": "mail"}
    found = by_name(estimated(panel, policies=policies, estimands=("policy value", "APO")))
    scores, _, _ = arms_scores(panel)
    chosen = np.where(np.array(panel["chosen"].to_pylist()) == "mail", 2, 1)
    value = scores[np.arange(len(chosen)), chosen].mean()
    policy = found["policy value", "by region", "", "all units"]
    assert policy.estimate == pytest.approx(value, rel=1e-6)
    gain = found["policy gain", "by region", "none", "all units"].estimate
    assert gain == pytest.approx(value - scores[:, 0].mean(), rel=1e-5)
    one = found["policy value", "mail to all", "", "all units"].estimate
    assert one == pytest.approx(found["APO", "mail", "", "all units"].estimate, rel=1e-12)


def test_policies_that_are_named_and_not_asked_for_change_nothing(panel):
    named = estimated(panel, policies={"mail": "mail"}, estimands=("ATE",))
    plain = estimated(panel, estimands=("ATE",))
    assert [e.estimate for e in named.estimates] == [e.estimate for e in plain.estimates]


def test_a_weight_of_two_is_the_unit_twice():
    table = simulate_panel(seed=2, units=800, clusters=160)
    twice = np.arange(800) % 3 == 0
    weighted = with_column(table, "w", np.where(twice, 2.0, 1.0))
    doubled = pa.concat_tables([table, table.filter(pa.array(twice))])
    one = estimate_panel(in_buckets(weighted), options(control=None, weight="w")).result
    two = estimate_panel(in_buckets(doubled), options(control=None)).result
    for left, right in zip(one.estimates, two.estimates, strict=True):
        assert left.estimate == pytest.approx(right.estimate, rel=1e-8)
        assert left.standard_error == pytest.approx(right.standard_error, rel=1e-8)
    assert one.overlap.effective_sample_size_control < two.overlap.effective_sample_size_control


def test_known_chances_are_used_as_they_are(panel):
    known = {"none": "0.5", "mail": "p_mail", "call": "p_call"}
    table = with_column(with_column(panel, "p_mail", [0.3] * 1500), "p_call", [0.2] * 1500)
    result = estimated(table, propensity=known, estimands=("ATE",))
    assert result.nuisance["passes"] == 2
    arm = np.array(panel["treated"].to_pylist())
    log_loss = -np.mean(np.log(np.select([arm == "none", arm == "mail"], [0.5, 0.3], 0.2)))
    assert result.nuisance["propensity_log_loss"] == pytest.approx(log_loss)


def test_the_controls_chance_is_what_the_others_leave():
    table = simulate_panel(seed=3, units=600, clusters=120, confounding=0.0)
    stated = options(control=None, propensity={"0": "0.5", "1": "0.5"})
    left = options(control=None, propensity={"1": "0.5"})
    one, two = (estimate_panel(in_buckets(table), o).result for o in (stated, left))
    assert [e.estimate for e in one.estimates] == [e.estimate for e in two.estimates]


def test_an_experiment_needs_no_covariates():
    table = simulate_panel(seed=3, units=600, clusters=120, confounding=0.0)
    plain = table.select([n for n in table.column_names if not n.startswith("x_")])
    share = table["treated"].to_numpy().mean()
    chances = options(control=None, estimands=("ATE",), propensity={"1": str(share)})
    ate = estimate_panel(in_buckets(plain), chances).result.estimates[0]
    y, d = table["y_spend"].to_numpy(), table["treated"].to_numpy() == 1
    assert abs(ate.estimate - (y[d].mean() - y[~d].mean())) < 0.05 * ate.standard_error


def test_bands_hold_for_all_pairs_and_are_between_pointwise_and_bonferroni(panel):
    from scipy import stats

    result = estimated(panel, contrasts="all", estimands=("ATE",))
    for e in result.estimates:
        t = (e.band_upper - e.estimate) / e.standard_error
        assert stats.t.ppf(0.975, e.clusters - 1) < t < stats.t.ppf(1 - 0.05 / 6, e.clusters - 1)
        assert e.p_value <= e.adjusted_p_value <= min(1.0, 3 * e.p_value + 1e-12)


def test_the_estimate_is_followed_over_clip_levels_and_trimming(panel):
    result = estimated(panel, estimands=("ATE",), clip=0.05, clip_levels=(0.01, 0.05))
    ate = by_name(result)["ATE", "mail", "none", "all units"]
    path = {e.population: e for e in result.followed if e.arm == "mail"}
    assert path["all units, clipped at 0.05"].estimate == pytest.approx(ate.estimate, rel=1e-12)
    assert path["all units, clipped at 0.01"].estimate != ate.estimate
    assert len([p for p in path if p.startswith("units with chances in")]) == 5


def test_a_covariate_with_holes_gets_an_indicator_even_if_the_start_rows_have_none():
    table = simulate_panel(seed=5, units=1500, clusters=300)
    values = table["x_1"].to_numpy().copy()
    values[:7] = np.nan
    holes = with_column(table, "x_1", values)
    by_hand = with_column(
        with_column(table, "x_1", np.nan_to_num(values, nan=3.0)),
        "x_z", np.isnan(values).astype(float),
    )  # fmt: skip
    for start_rows in (60, 20_000):
        found = estimate_panel(
            in_buckets(holes), options(control=None, start_rows=start_rows)
        ).result
        assert found.covariates == 5
        expected = estimate_panel(in_buckets(by_hand), options(control=None)).result
        for left, right in zip(found.estimates, expected.estimates, strict=True):
            assert left.estimate == pytest.approx(right.estimate, rel=1e-6)


def test_a_category_is_worth_its_indicators(panel):
    one = estimated(panel, categorical={"region": "one_hot"}, estimands=("ATE",))
    flag = (np.array(panel["region"].to_pylist()) == "north").astype(float)
    two = estimated(with_column(panel, "x_north", flag), estimands=("ATE",))
    assert one.covariates == 5 and "region=south" in one.dropped
    for left, right in zip(one.estimates, two.estimates, strict=True):
        assert left.estimate == pytest.approx(right.estimate, rel=1e-7)


def test_interactions_make_a_wrong_linear_model_right():
    rng = np.random.default_rng(9)
    table = simulate_panel(seed=9, units=3000, clusters=3000, cluster_effect=0)
    x = (table["x_1"].to_numpy() - 3) / 10
    treated = (rng.random(3000) < 1 / (1 + np.exp(1.5 - x**2))).astype(np.int32)
    y = 3 * x**2 + treated + rng.normal(size=3000)
    table = with_column(with_column(table, "treated", treated), "y_spend", y)
    table = with_column(table, "user_key", [f"k{i}" for i in range(3000)])
    table = with_column(table, "bucket", (np.arange(3000) % 10).astype(np.int32))
    plain, wide = (
        estimate_panel(in_buckets(table), options(control=None, expansion=e)).result.estimates[0]
        for e in ("none", "interactions")
    )
    assert abs(plain.estimate - 1) > 5 * plain.standard_error
    assert abs(wide.estimate - 1) < 3 * wide.standard_error


def test_an_estimation_that_asks_for_too_many_sums_is_refused():
    with pytest.raises(ConfigError, match="Name fewer outcomes or groups"):
        ScoreLayout(arms=5, outcomes=20, cells=(100,))
