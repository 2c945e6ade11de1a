"""Ratings that only some gave, as metrics of an experiment's specification."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import truelift as tl
from truelift.errors import ConfigError, DataError, NotSupportedError, TableError

STARS = {"kind": "answer", "covariates": ["mood", "region"]}


def survey(users: int = 700, seed: int = 0) -> pd.DataFrame:
    """The happy answer, of the new page fewer of them; two orders a user. The page adds .3 to all."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), 2)
    mood = np.repeat(rng.normal(size=users), 2)
    page = np.repeat(rng.integers(0, 2, users), 2)
    stars = 3 + 0.3 * page + 0.8 * mood + 0.6 * rng.normal(size=2 * users)
    told = rng.random(2 * users) < 1 / (1 + np.exp(0.5 - mood * (1.2 - 1.6 * page)))
    frame = {
        "user": user, "page": np.where(page == 1, "new", "old"), "mood": mood,
        "region": np.where(rng.random(2 * users) < 0.5, "north", "south"),
        "stars": np.where(told, stars, np.nan), "spend": 5 + rng.normal(size=2 * users),
    }  # fmt: skip
    return pd.DataFrame(frame)


def spec(**keys) -> dict:
    return {
        "name": "survey", "unit": "user", "arm": "page", "arms": {"old": 0.5, "new": 0.5},
        "control": "old", "metrics": {"stars": STARS},
    } | keys  # fmt: skip


@pytest.fixture(scope="module")
def frame():
    return survey()


@pytest.fixture(scope="module")
def few(frame):
    """Only who is in a good mood answers about the new page."""
    return frame.assign(stars=frame.stars.where((frame.page == "old") | (frame.mood > 0.8)))


def test_the_effect_is_that_of_compare_answers_and_decides(frame):
    found = tl.analyze_experiment(frame, spec())
    (effect,) = found.effects
    alone = tl.compare_answers(
        frame, arm="page", answer="stars", covariates=["mood", "region"], cluster="user", control="old"
    ).arms[1]  # fmt: skip
    assert (effect.method, effect.kind) == ("if all answered", "answer")
    assert effect.estimate == pytest.approx(alone.difference, rel=1e-9)
    assert effect.treated == pytest.approx(alone.mean, rel=1e-9)
    assert (effect.ci_lower, effect.ci_upper) == pytest.approx(
        (alone.difference_lower, alone.difference_upper), rel=2e-3
    )
    assert effect.lower < 0.3 < effect.upper and alone.naive_difference < effect.lower
    assert (found.decision, found.arm, found.exit_code) == ("ship", "new", 0)
    assert "answered" in repr(found) and "stars: new:" in repr(found)


def test_a_rating_is_a_guardrail_beside_a_mean(frame):
    metrics = {"spend": {}, "stars": STARS}
    kept = {"stars": {"margin": 0.2}}
    found = tl.analyze_experiment(frame, spec(metrics=metrics, primary="spend", guardrails=kept))
    assert {e.metric for e in found.effects} == {"spend", "stars"}
    assert [(g.metric, g.state) for g in found.guardrails] == [("stars", "kept")]


def test_where_some_kinds_never_answered_nothing_is_concluded(few):
    found = tl.analyze_experiment(few, spec())
    assert (found.decision, found.exit_code) == ("hold", 3)
    assert "stars is not supported" in found.reasons[0]
    assert "NOT as promised" not in repr(found)


def test_a_guardrail_that_is_not_supported_stays_open_and_is_named(few):
    metrics = {"spend": {}, "stars": STARS}
    kept = {"stars": {"margin": 5.0}}
    found = tl.analyze_experiment(few, spec(metrics=metrics, primary="spend", guardrails=kept))
    assert [g.state for g in found.guardrails] == ["open"]
    assert {e.metric for e in found.effects} == {"spend"} and found.exit_code == 0
    assert any(c.startswith("Not made: stars (not supported") for c in found.cautions)


def test_an_arm_of_which_nobody_answered_is_not_supported(frame):
    silent = frame.assign(stars=frame.stars.where(frame.page == "old"))
    with pytest.raises(NotSupportedError, match="nobody of the arm new answered"):
        tl.analyze_experiment(silent, spec())


def test_the_order_of_the_rows_changes_nothing(frame):
    one, other = (
        tl.analyze_experiment(f, spec()).effects[0] for f in (frame, frame.sample(frac=1, random_state=1))
    )  # fmt: skip
    assert other.estimate == pytest.approx(one.estimate, rel=1e-7)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"metrics": {"stars": {"kind": "answer"}}}, "metrics.covariates: found none"),
        ({"metrics": {"stars": {"kind": "ratio", "covariates": ["mood"]}}}, "of the kind ratio"),
        ({"unit": ["user", "region"]}, "cluster: found none"),
        ({"several_arms": "drop"}, "several_arms: found 'drop'"),
    ],
)  # fmt: skip
def test_a_specification_that_cannot_be_is_one_message(keys, said):
    with pytest.raises(ConfigError, match=said):
        tl.analyze_experiment(survey(30), spec(**keys))


def test_what_is_from_before_is_one_more_covariate(frame):
    more = STARS | {"covariates": ["region"], "before": "mood"}
    named = STARS | {"covariates": ["region", "mood"]}
    one, other = (
        tl.analyze_experiment(frame, spec(metrics={"stars": m})).effects[0] for m in (more, named)
    )
    assert one.estimate == pytest.approx(other.estimate, rel=1e-12)


def test_groups_have_effects_as_if_all_of_them_had_answered(frame):
    apart = frame.assign(
        kind=np.where(frame.user % 2, "a", "b"),
        stars=frame.stars + 0.7 * ((frame.user % 2 == 1) & (frame.page == "new")),
    )
    found = tl.analyze_experiment(apart, spec(dimensions=["kind", "region"]))
    kinds, regions = found.breakdowns
    cells = {c.cell: c for c in kinds.cells}
    assert cells["a"].ci_lower < 1.0 < cells["a"].ci_upper
    assert cells["b"].ci_lower < 0.3 < cells["b"].ci_upper
    assert "differs by kind" in kinds.finding[0]
    # A user has orders in both regions: estimates of regions are not independent, and no test is made.
    assert [c.cell for c in regions.cells] == ["north", "south"] and not regions.finding
    assert found.effects == tl.analyze_experiment(apart, spec()).effects


def test_a_group_in_which_an_arm_has_too_few_answers_is_named(frame):
    rare = frame.assign(kind=np.where(frame.user < 3, "rare", np.where(frame.user % 2, "a", "b")))
    found = tl.analyze_experiment(rare, spec(dimensions=["kind"]))
    assert {c.cell for c in found.breakdowns[0].cells} == {"a", "b"}
    assert any("in 1 of 3 groups (rare)" in c for c in found.cautions)


def test_a_design_asks_for_as_many_more_units_as_fewer_answer():
    plain = {"design": {"baseline": {"mean": 3, "sd": 1}, "effect": 0.1}, "metrics": {"stars": {}}}
    all_of = tl.design_experiment(spec(**plain)).units
    rated = {"design": {"baseline": {"mean": 3, "sd": 1, "response": 0.25}, "effect": 0.1}}
    found = tl.design_experiment(spec(**rated))
    assert found.units == pytest.approx(4 * all_of, rel=0.01)
    assert "25% of the units are taken to answer" in repr(found)


def test_a_design_of_answers_finds_its_effect_as_often_as_it_says():
    # Answers at random: one in four. The share of experiments that show the effect is the power.
    sizes = {"design": {"baseline": {"sd": 1, "response": 0.25, "explained": 0.5}, "effect": 0.4}}
    units = int(tl.design_experiment(spec(**sizes)).units)
    rng, shown = np.random.default_rng(0), []
    for _ in range(400):
        x, arm = rng.normal(size=units), rng.random(units) < 0.5
        y = 0.4 * arm + np.sqrt(0.5) * (x + rng.normal(size=units))
        told = rng.random(units) < 0.25
        design = np.column_stack([np.ones(units), arm, x])[told]
        gram = np.linalg.inv(design.T @ design)
        beta = gram @ design.T @ y[told]
        spread = ((y[told] - design @ beta) ** 2).sum() / (told.sum() - 3)
        shown.append(abs(beta[1]) > 1.96 * np.sqrt(spread * gram[1, 1]))
    # 400 experiments have a standard error of .02.
    assert abs(np.mean(shown) - 0.8) < 0.06


def test_a_designs_share_of_answers_comes_from_the_past(frame):
    past = frame.rename(columns={"page": "arm_of_old"})
    found = tl.design_experiment(spec(design={"effect": 0.3}), past)
    assert found.response == pytest.approx(frame.stars.notna().mean())
    assert found.baseline == pytest.approx(frame.stars.mean())


def test_a_design_of_clusters_from_the_past_finds_its_effect_as_often_as_it_says():
    # Shops of ten buyers, of whom 40% answer; a shop's answers share .36 of their variance.
    def drawn(rng, shops):
        shop = np.repeat(rng.normal(0, 0.6, (*shops, 1)), 10, axis=-1)
        stars = 3 + shop + rng.normal(0, 0.8, shop.shape)
        return np.where(rng.random(shop.shape) < 0.4, stars, np.nan)

    rng = np.random.default_rng(0)
    stars = drawn(rng, (1500,))
    past = pd.DataFrame({"user": np.arange(15_000), "stars": stars.ravel()})
    past["shop"] = past.user // 10
    keys = {"design": {"effect": 0.15}}
    found = tl.design_experiment(spec(cluster="shop", **keys), past)
    assert found.units > 1.8 * tl.design_experiment(spec(**keys), past).units
    half = round(found.units / 20)
    again = drawn(rng, (300, 2 * half))
    sums, counts = np.nansum(again, axis=2), np.isfinite(again).sum(axis=2)
    arms = [(sums[:, own], counts[:, own]) for own in (slice(half), slice(half, None))]
    means = [s.sum(axis=1) / c.sum(axis=1) for s, c in arms]
    spread = sum(
        ((s - m[:, None] * c) ** 2).sum(axis=1) / c.sum(axis=1) ** 2
        for (s, c), m in zip(arms, means, strict=True)
    )
    shown = np.abs(means[1] + 0.15 - means[0]) > 1.96 * np.sqrt(spread)
    # 300 experiments have a standard error of .023.
    assert abs(shown.mean() - 0.8) < 0.07


def test_a_design_of_units_with_several_rows_counts_units(frame):
    # Two rows that say the same are one.
    keys, once = {"design": {"effect": 0.3}}, frame.groupby("user").first().reset_index()
    alone = tl.design_experiment(spec(**keys), once)
    twice = tl.design_experiment(spec(**keys), pd.concat([once, once]))
    assert twice.units == pytest.approx(alone.units, rel=1e-9)
    lost = once.assign(user=once.user.where(once.user > 3))
    with pytest.raises(DataError, match="'user': 4 rows are null, NaN or blank"):
        tl.design_experiment(spec(**keys), lost)


def test_groups_are_found_whatever_blanks_their_names_have_and_rows_without_one_are_in_none(frame):
    kind = np.select([frame.user % 3 == 0, frame.user % 3 == 1], ["", " b"], default=None)
    found = tl.analyze_experiment(frame.assign(kind=kind), spec(dimensions=["kind"]))
    assert [c.cell for c in found.breakdowns[0].cells] == ["", " b"]
    alike = frame.assign(kind=np.where(frame.user % 2, "b", " b"))
    with pytest.raises(DataError, match="differ in blanks alone"):
        tl.analyze_experiment(alike, spec(dimensions=["kind"]))


@pytest.mark.parametrize(
    ("baseline", "metric", "said"),
    [
        ({"mean": 3, "sd": 1}, STARS, "response: found none, and an answer needs it"),
        ({"sd": 1, "response": 0.0}, STARS, "response: found 0"),
        ({"sd": 1, "response": 0.5}, {}, "of the kind answer alone"),
    ],
)
def test_a_design_of_answers_that_cannot_be_is_one_message(baseline, metric, said):
    keys = {"design": {"baseline": baseline, "effect": 0.1}, "metrics": {"stars": metric}}
    with pytest.raises(ConfigError, match=said):
        tl.design_experiment(spec(**keys))


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda f: f.assign(stars="good"), TableError, "expected a number"),
        (lambda f: f.drop(columns="mood"), TableError, "mood"),
        (lambda f: f.assign(stars=3.0), DataError, "kind mean"),
    ],
)
def test_a_survey_that_cannot_be_used_as_a_metric_is_one_message(change, error, said):
    with pytest.raises(error, match=said):
        tl.analyze_experiment(change(survey(60)), spec())
