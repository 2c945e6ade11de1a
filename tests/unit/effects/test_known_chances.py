"""Chances that are known: they add up to one in every place that takes them, and are never clipped."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from truelift.effects.credibility.checks import CredibilityBlocks
from truelift.effects.estimate import estimate_panel
from truelift.effects.heterogeneity.scored_contrasts import Contrast, ScoredContrasts
from truelift.effects.look import look_further
from truelift.effects.panel.columns import is_randomised
from truelift.effects.panel.source import MemoryPanel
from truelift.effects.scores.rows import ScoreRowsKernel
from truelift.errors import ConfigError, DataError
from truelift.inference.sample_ratio import checked_promise
from truelift.settings import EffectOptions
from truelift.settings.chances import are_chances, check_chances
from truelift.settings.effect_sections import NuisanceSection, SupportSection

ALL = ("APO", "ATE", "ATT", "ATO", "GATE", "policy value", "naive difference")


def experiment(units: int = 4000, share: float = 0.005, seed: int = 3, **columns) -> pa.Table:
    """A trial with few treated units, one cluster a unit and an effect of one."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=units)
    t = (rng.random(units) < share).astype(int)
    found = {"unit": np.arange(units), "t": t, "x": x, "y": x + t + rng.normal(size=units)}
    return pa.table(found | columns)


def options(**changes) -> EffectOptions:
    keys = {
        "treatment": "t", "outcomes": ("y",), "covariates": ("x",), "cluster": "unit",
        "estimands": ("ATE",), "support": SupportSection(min_clusters_per_arm=5),
    }  # fmt: skip
    return EffectOptions(**(keys | changes))


def source(table: pa.Table) -> MemoryPanel:
    bucket = np.asarray(table["unit"]) % 5
    return MemoryPanel({b: table.filter(pa.array(bucket == b)) for b in range(5)})


def estimated(table: pa.Table, **changes):
    return estimate_panel(source(table), options(**changes))


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        ({"0": "0.9", "1": "0.9", "2": "0.9"}, "add up to 2.7 (0.9 + 0.9 + 0.9), expected 1"),
        ({"0": "0.5", "1": "0.4"}, "add up to 0.9"),
        ({"a": "0.33", "b": "0.33", "c": "0.33"}, "add up to 0.99"),
        ({"1": "0"}, "the chance of arm '1' is '0', expected a number above 0 and below 1"),
        ({"1": "1"}, "above 0 and below 1"),
        ({"1": "1.5"}, "above 0 and below 1"),
        ({"0": "-0.5", "1": "1.5"}, "the chance of arm '0' is '-0.5'"),
        ({"1": "nan"}, "above 0 and below 1"),
        ({"1": "inf"}, "above 0 and below 1"),
        ({"0": "p", "1": "0.7", "2": "0.4"}, "leave nothing for the other arms"),
    ],
)
def test_numbers_that_are_no_chances_are_refused_when_the_options_are_read(stated, says):
    with pytest.raises(ConfigError, match=r"effects\.nuisances\.propensity") as caught:
        EffectOptions(propensity=stated)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "stated",
    [
        {"1": "0.005"},
        {"0": "0.333333", "1": "0.333333", "2": "0.333333"},
        {"0": "0.5", "1": "p_mail", "2": "p_call"},
        {"1": "p_mail"},
    ],
)
def test_chances_and_columns_of_chances_are_taken(stated):
    assert EffectOptions(propensity=stated).propensity == stated


def test_arms_that_are_named_and_have_no_chance_need_something_left():
    with pytest.raises(ConfigError, match="leave nothing for the other arms"):
        EffectOptions(propensity={"1": "0.5", "2": "0.5"}, arms=("0", "1", "2"))


@given(st.lists(st.floats(0.01, 100.0), min_size=2, max_size=20))
def test_shares_of_a_whole_are_chances_and_no_multiple_of_them_is(sizes):
    shares = np.array(sizes) / np.sum(sizes)
    assert are_chances(shares) and not are_chances(1.001 * shares)
    texts = {str(a): repr(float(share)) for a, share in enumerate(shares)}
    check_chances("key", texts)
    with pytest.raises(ConfigError):
        check_chances("key", {a: str(0.999 * float(text)) for a, text in texts.items()})


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (0.5, 0.6, "propensities of 4,000 rows do not add up to one over the arms 0, 1"),
        (0.5, 0.45, r"\(found 0\.95 to 0\.95\)"),
        (0.0, 1.0, "4,000 rows are missing, or not above 0 and below 1"),
        (np.nan, 0.5, "4,000 rows are missing"),
        (1.2, -0.2, "4,000 rows are missing, or not above 0"),
    ],
)
def test_columns_of_chances_are_checked_row_by_row(first, second, says):
    table = experiment(share=0.5, p=np.full(4000, first), q=np.full(4000, second))
    with pytest.raises(DataError, match=says):
        estimated(table, propensity={"0": "p", "1": "q"})


def test_one_wrong_row_is_enough_and_no_warning_comes_before_the_message(recwarn):
    p = np.full(4000, 0.5)
    p[17] = np.nan
    with pytest.raises(DataError, match="propensities of 1 rows"):
        estimated(experiment(share=0.5, p=p), nuisances=NuisanceSection(propensity={"1": "p"}))
    assert not recwarn.list


def test_chances_in_single_precision_add_up():
    thirds = np.full(4000, 1 / 3, np.float32)
    t = np.random.default_rng(1).integers(0, 3, 4000)
    table = experiment().set_column(1, "t", pa.array(t)).append_column("p", pa.array(thirds))
    assert len(estimated(table, propensity={"0": "p", "1": "p", "2": "p"}).result.estimates) == 2


@pytest.mark.parametrize(
    "shares", [(0.9, 0.9), (0.5, 0.4), (1.0, 0.0), (1.5, -0.5), (np.nan, 0.5), (1.0,)]
)
def test_promised_shares_are_held_to_the_same_rule(shares):
    with pytest.raises(DataError, match="adding up to 1"):
        checked_promise(np.array(shares), 2)


def test_the_sample_ratio_is_that_of_the_chances_as_stated():
    table = experiment(units=3000, share=0.2)
    asked = options(propensity={"1": "0.2"})
    panel = source(table)
    found = look_further(panel, estimate_panel(panel, asked), asked).result.experiment
    assert found.sample_ratio.expected == pytest.approx((2400.0, 600.0))


def test_a_small_known_chance_is_not_clipped_in_any_estimand():
    table = experiment(seed=5, group=np.arange(4000) % 2)
    asked = {
        "propensity": {"1": "0.005"}, "estimands": ALL, "groups": ("group",),
        "policies": {"all": "1"}, "contrasts": "all",
    }  # fmt: skip
    usual, strict = (estimated(table, clip=clip, **asked).result for clip in (0.01, 0.4))
    free = estimated(table, clip=0.0, **asked).result
    assert usual.estimates == strict.estimates == free.estimates
    assert usual.overlaps == strict.overlaps == free.overlaps
    assert usual.support == free.support
    assert usual.overlap.clipped_share == usual.overlap.treated_clipped_share == 0.0
    assert usual.judged("ATE")


def test_an_estimate_with_known_chances_is_the_formula_with_these_chances():
    table = experiment(seed=5)
    made = estimated(table, propensity={"1": "0.005"})
    t, y = table["t"].to_numpy(), table["y"].to_numpy()
    rows = ScoreRowsKernel(made.scoring)
    scores = {0: np.zeros(4000), 1: np.zeros(4000)}
    for b, part in source(table).buckets.items():
        found = rows(b, {"panel": part}).to_pandas()
        for arm in (0, 1):
            mine = found[found.arm == str(arm)]
            unit = mine.unit_id.astype(int).to_numpy()
            e = 0.005 if arm else 0.995
            assert mine.propensity.to_numpy() == pytest.approx(np.full(len(mine), e))
            m = mine.outcome_regression.to_numpy()
            scores[arm][unit] = m + (t[unit] == arm) * (y[unit] - m) / e
    ate = made.result.estimates[0]
    assert ate.estimate == pytest.approx(np.mean(scores[1] - scores[0]), rel=1e-9)


def test_estimates_are_not_followed_over_clip_levels_where_chances_are_known():
    known = estimated(experiment(share=0.3), propensity={"1": "0.3"}).result.followed
    assert known and not any("clipped" in e.population for e in known)
    fitted = estimated(experiment(share=0.3)).result.followed
    assert any("clipped" in e.population for e in fitted)


def test_heterogeneity_and_credibility_take_known_chances_as_they_are():
    table = experiment(seed=5)
    scoring = estimated(table, propensity={"1": "0.005"}).scoring
    batch = table.to_batches()[0]
    assert is_randomised(scoring.columns)
    assert np.all(CredibilityBlocks(scoring)(batch, 0).propensity[1] == 0.005)
    (block,) = ScoredContrasts(scoring, (Contrast(1, 0),))(batch, 0)
    _, units = scoring.units(batch, 0)
    m, t, y = units.outcome_regression[:, 0], units.arm, units.outcome[0]
    wanted = m[1] - m[0] + t * (y - m[1]) / 0.005 - (1 - t) * (y - m[0]) / 0.995
    assert block.score == pytest.approx(wanted * scoring.outcomes.scale[0], rel=1e-9)


def test_standard_errors_with_a_chance_of_half_a_percent_are_right():
    values, errors = [], []
    for seed in range(60):
        ate = estimated(experiment(8000, seed=seed), propensity={"1": "0.005"}).result.estimates[0]
        values.append(ate.estimate)
        errors.append(ate.standard_error)
    covered = np.mean(np.abs(np.array(values) - 1.0) < 2.02 * np.array(errors))
    assert covered >= 0.88
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


def test_estimated_propensities_are_clipped_as_ever():
    table = experiment(share=0.05)
    narrow, wide = (estimated(table, clip=clip).result.estimates[0] for clip in (0.2, 0.0))
    assert narrow.estimate != wide.estimate
