"""Effects on means and proportions that a learner adjusts for what is known from before the assignment."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import truelift as tl
from truelift.errors import ConfigError, DataError
from truelift.experiments.analysis.run import rule_of
from truelift.experiments.spec import ExperimentSpec
from truelift.typed import from_plain

KNOWN = ["age", "visits", "region"]


def rows_of_users(
    users: int = 1200, effect: float = 0.4, seed: int = 0, icc: float = 0.0
) -> pd.DataFrame:
    """Two rows a user; spending follows age, its square and the region; shops hold five users."""
    rng = np.random.default_rng(seed)
    age, visits = rng.normal(size=users), rng.poisson(3, users) * 1.0
    region = rng.integers(0, 3, users)
    page = rng.random(users) < 0.5
    shop = np.repeat(rng.normal(size=users // 5), 5) * icc
    total = (
        3 + 1.5 * age + 0.3 * visits + 0.8 * region + effect * page + shop + rng.normal(size=users)
    )
    share = rng.random(users)
    frame = pd.DataFrame(
        {
            "user": np.arange(users), "shop": np.arange(users) // 5, "page": np.where(page, "new", "old"),
            "age": age, "visits": visits, "region": np.array(["north", "south", "west"])[region],
            "spend": total * share, "bought": (total > 4) * 1.0,
        }
    )  # fmt: skip
    second = frame.assign(spend=total * (1 - share), bought=0.0)
    return pd.concat([frame, second]).sample(frac=1, random_state=1)


def spec(**keys) -> dict:
    return {
        "name": "pages", "unit": "user", "arm": "page", "arms": {"old": 0.5, "new": 0.5}, "control": "old",
        "metrics": {"spend": {"covariates": KNOWN}},
    } | keys  # fmt: skip


def of(found, method: str, metric: str = "spend"):
    return next(e for e in found.effects if (e.metric, e.method) == (metric, method))


@pytest.fixture(scope="module")
def rows():
    return rows_of_users()


@pytest.fixture(scope="module")
def found(rows):
    return tl.analyze_experiment(rows, spec())


def test_the_estimate_is_that_of_estimate_effects_on_the_users(rows, found):
    users = rows.groupby("user").agg(
        {"spend": "sum", "page": "first", "age": "mean", "visits": "mean", "region": "first"}
    )
    alone = tl.estimate_effects(
        users.reset_index(), treatment="page", outcomes="spend", covariates=KNOWN, cluster="user",
        arms=["old", "new"], control="old", estimands=["APO", "ATE"],
        nuisances={"propensity": {"old": "0.5", "new": "0.5"}},
    )  # fmt: skip
    effect = of(found, "learner-adjusted")
    ate = next(e for e in alone.estimates if e.estimand == "ATE")
    assert effect.estimate == pytest.approx(ate.estimate, rel=1e-9)
    assert effect.standard_error == pytest.approx(ate.standard_error, rel=1e-9)


def test_it_is_shorter_than_the_difference_and_decides(found):
    plain, adjusted = of(found, "difference"), of(found, "learner-adjusted")
    assert adjusted.standard_error < 0.6 * plain.standard_error
    assert adjusted.lower < 0.4 < adjusted.upper
    assert found.headline is adjusted and found.decision == "ship"
    assert "learner-adjusted" in repr(found)


def test_a_proportion_counts_users_and_clusters_widen(rows):
    metrics = {"bought": {"kind": "proportion", "covariates": KNOWN}}
    found = tl.analyze_experiment(rows, spec(metrics=metrics))
    adjusted = of(found, "learner-adjusted", "bought")
    share = rows.groupby(["page", "user"]).bought.max().groupby("page").mean()
    assert of(found, "difference", "bought").treated == pytest.approx(share["new"])
    assert adjusted.standard_error < of(found, "difference", "bought").standard_error
    shops = rows_of_users(icc=1.5, seed=2)
    shops["page"] = np.where(shops.shop % 2 == 0, "new", "old")
    by_user, by_shop = (
        of(tl.analyze_experiment(shops, spec(**keys)), "learner-adjusted") for keys in ({}, {"cluster": "shop"})
    )  # fmt: skip
    assert by_shop.standard_error > 1.4 * by_user.standard_error


def test_a_guardrail_is_judged_by_its_adjusted_effect(rows):
    metrics = {"spend": {}, "bought": {"kind": "proportion", "covariates": KNOWN}}
    keys = {"metrics": metrics, "primary": "spend", "guardrails": {"bought": {"margin": 0.05}}}
    found = tl.analyze_experiment(rows, spec(**keys))
    gain, reach = of(found, "learner-adjusted", "bought").gain, found.guardrails[0]
    assert (reach.state == "kept") == (gain[1] > -0.05)


def test_winsorised_totals_are_capped_before_they_are_adjusted(rows):
    metrics = {"spend": {"covariates": KNOWN, "winsorise": 0.9}}
    capped = of(tl.analyze_experiment(rows, spec(metrics=metrics)), "learner-adjusted")
    assert "capped at" in capped.estimand
    assert capped.treated < of(tl.analyze_experiment(rows, spec()), "learner-adjusted").treated


def test_what_was_measured_after_the_assignment_is_found_and_nothing_is_concluded(rows):
    late = rows.assign(visits=rows.visits + 2.0 * (rows.page == "new"))
    found = tl.analyze_experiment(late, spec())
    assert (found.decision, found.exit_code) == ("hold", 3)
    assert "the arms differ in 'visits'" in found.reasons[0]
    assert {e.method for e in found.effects} == {"difference"}


@pytest.mark.parametrize("hole", ["age", "region"])
def test_who_misses_a_covariate_only_in_one_arm_is_found(rows, hole):
    holed = rows.copy()
    holed.loc[(holed.page == "new") & (holed.user % 4 == 0), hole] = None
    assert "or in who misses it" in tl.analyze_experiment(holed, spec()).reasons[0]


def test_users_in_two_arms_are_left_out_where_that_is_asked_for(rows):
    twice = pd.concat(
        [rows, rows.head(1).assign(page=lambda t: np.where(t.page == "new", "old", "new"))]
    )
    found = tl.analyze_experiment(twice, spec(several_arms="drop"))
    assert found.in_several_arms == 1
    assert of(found, "learner-adjusted").estimate == pytest.approx(
        of(
            tl.analyze_experiment(rows[rows.user != rows.user.iloc[0]], spec()), "learner-adjusted"
        ).estimate,
        rel=1e-9,
    )


def test_a_text_that_changes_within_a_user_is_one_message(rows):
    changed = rows.copy()
    changed.iloc[0, changed.columns.get_loc("region")] = "east"
    with pytest.raises(DataError, match=r"'region' \(covariates\): 1 rows have another value"):
        tl.analyze_experiment(changed, spec())


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ({"kind": "quantile", "covariates": ["age"]}, "of the kind quantile"),
        ({"covariates": ["age"], "learner": "oracle"}, "oracle"),
        ({"learner": "boosting"}, "without covariates"),
    ],
)
def test_a_metric_that_cannot_be_adjusted_is_one_message(rows, metric, said):
    with pytest.raises(ConfigError, match=said):
        tl.analyze_experiment(rows, spec(metrics={"spend": metric}))


def test_the_covariates_are_fixed_in_advance():
    plain = {n: from_plain(ExperimentSpec, spec(metrics={"spend": m})) for n, m in (
        ("none", {}), ("two", {"covariates": ["age", "visits"]}), ("one", {"covariates": ["age"]})
    )}  # fmt: skip
    assert len({rule_of(s) for s in plain.values()}) == 3


def test_an_arm_of_few_clusters_ends_the_analysis_where_its_metric_decides_and_not_elsewhere(rows):
    few = rows[rows.user < 14]
    with pytest.raises(DataError, match="Wait for more of them"):
        tl.analyze_experiment(few, spec())
    metrics = {"bought": {"kind": "proportion"}, "spend": {"covariates": KNOWN}}
    found = tl.analyze_experiment(few, spec(metrics=metrics, primary="bought"))
    assert found.exit_code == 0 and {e.method for e in found.effects} == {"difference"}
    assert any(c.startswith("Not made: learner-adjusted on spend") for c in found.cautions)
