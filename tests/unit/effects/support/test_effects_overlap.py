"""Overlap, balance, dropped columns and the verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from tests.unit.effects.reference import arrays, logistic
from truelift.effects.estimate import estimate_panel
from truelift.effects.support.summaries import CovariateBalance, OverlapSummary
from truelift.effects.support.supported import verdict
from truelift.effects.support.verdict import support
from truelift.settings import EffectOptions


def overlap(
    clipped=0.0, treated=900.0, control=900.0, smd=0.01, att_clipped=0.0, att_control=900.0, att=0.0
) -> OverlapSummary:
    balance = (CovariateBalance("x_a", 0.4, 0.0, 0.0), CovariateBalance("x_b", 0.4, smd, att))
    counts = (1000,)
    return OverlapSummary(
        (0.0, 1.0), counts, counts, clipped, treated, control, balance, att_clipped, att_control
    )


UNITS = {"0": 1000, "1": 1000}
NO = "not supported by the data: "


@pytest.mark.parametrize(
    ("estimand", "summary", "converged", "says"),
    [
        ("ATE", overlap(), True, "supported: the arms overlap"),
        ("ATE", overlap(smd=-0.15), True, "supported, with care: x_b still differs by 0.15"),
        ("ATE", overlap(smd=-0.3), True, NO + "x_b differs by 0.30"),
        ("ATE", overlap(clipped=0.08), True, NO + "8.0% of the propensities are clipped"),
        ("ATE", overlap(treated=60.0), True, NO + "the weighted treated arm is worth 60 units"),
        ("ATE", overlap(control=60.0), True, NO + "the weighted control arm is worth 60 units"),
        ("ATE", overlap(), False, NO + "the propensity model did not converge"),
        ("ATE", overlap(att=0.9, att_clipped=0.9, att_control=1.0), True, "supported: "),
        ("ATT", overlap(smd=0.9, clipped=0.9, treated=1.0, control=1.0), True, "supported: "),
        ("ATT", overlap(att=0.3), True, NO + "x_b differs by 0.30"),
        ("ATT", overlap(att_clipped=0.06), True, NO + "6.0% of the treated units' propensities"),
        ("ATT", overlap(att_control=60.0), True, NO + "the weighted control arm is worth 60"),
        ("ATT", overlap(), False, NO + "the propensity model did not converge"),
    ],
)
def test_each_estimand_is_judged_by_what_it_needs(estimand, summary, converged, says):
    judged = {s.estimand: s for s in support({"1": summary}, UNITS, converged)}[estimand]
    assert judged.text.startswith(says)
    assert judged.supported is not says.startswith("not")


def test_every_reason_is_given():
    ate, *_ = support({"1": overlap(clipped=0.5, treated=5, smd=1.0)}, UNITS, True)
    text = ate.text
    assert text.count(";") == 2


@pytest.mark.parametrize(
    ("summary", "says"),
    [
        (overlap(), "supported: the arms overlap"),
        (overlap(att=0.15), "supported, with care: x_b still differs by 0.15"),
        (overlap(clipped=0.4), "supported for the ATT only. The ATE is not supported by the data"),
        (overlap(att=0.4), "not supported by the data for the ATT: x_b differs by 0.40"),
        (overlap(att=0.4, smd=0.5), "not supported by the data. ATE: x_b differs by 0.50"),
    ],
)
def test_the_verdict_sums_up_both(summary, says):
    assert verdict(support({"1": summary}, UNITS, True)).startswith(says)


ASKED = {
    (
        "ATE",
        "ATT",
        "ATO",
    ): "supported for the ATT and the ATO. The ATE is not supported by the data: 40",
    ("ATE", "ATT"): "supported for the ATT only. The ATE is not supported by the data: 40",
    ("ATE",): "not supported by the data: 40.0% of the propensities are clipped",
    ("ATT",): "supported: the arms overlap",
    ("ATO",): "supported: the arms overlap",
    ("ATE", "ATO"): "not supported by the data: 40.0% of the propensities are clipped (at most 5% "
    "allowed). Supported is the ATO.",
}


@pytest.mark.parametrize("asked", ASKED)
def test_the_verdict_is_about_what_was_asked_for(asked, whole_result):
    found = support({"1": overlap(clipped=0.4)}, UNITS, True)
    assert verdict(found, asked).startswith(ASKED[asked])
    result = replace(whole_result, support=found, asked=asked)
    assert result.supported == ASKED[asked].startswith("supported")


def test_where_the_ate_alone_was_asked_for_another_estimand_does_not_carry_it(whole_result):
    panel = in_buckets(simulate_panel(units=600, clusters=150))
    result = estimate_panel(panel, EffectOptions(estimands=("ATE", "naive difference"))).result
    assert result.asked == ("ATE",)
    assert whole_result.asked == ("ATE", "ATT", "ATO")


def test_lots_make_the_att_hang_on_no_balance_of_the_treated_alone():
    unlike = {"1": overlap(att=0.4)}
    assert [s.supported for s in support(unlike, UNITS, True)] == [True, False, True]
    assert [s.supported for s in support(unlike, UNITS, True, by_lot=True)] == [True, True, True]


def test_a_difference_without_a_spread_to_measure_it_by_is_not_printed_digit_by_digit():
    ate, *_ = support({"1": overlap(smd=31542052.85)}, UNITS, True)
    assert "by more than 10 standard deviations" in ate.text and "31542052" not in ate.text


def test_one_estimand_that_is_supported_is_enough_not_to_end_as_unsupported(whole_result):
    only_ate = support({"1": overlap(att=0.4)}, UNITS, True)
    assert [s.supported for s in only_ate if s.estimand != "ATO"] == [True, False]
    assert replace(whole_result, support=only_ate).supported
    neither = support({"1": overlap(att=0.4, smd=0.5)}, UNITS, True)
    assert not replace(whole_result, support=neither).supported


def test_support_does_not_hang_on_the_words_of_the_verdict(whole_result):
    reworded = replace(whole_result, verdict="The data cannot carry this.")
    assert reworded.supported == whole_result.supported
    assert [reworded.supports(e) for e in reworded.estimates] == [
        whole_result.supports(e) for e in whole_result.estimates
    ]


@pytest.fixture(scope="module")
def whole_result():
    return estimate_panel(
        in_buckets(simulate_panel(units=600, clusters=150)), EffectOptions()
    ).result


def test_separated_arms_are_not_supported():
    table = simulate_panel(units=1500, clusters=300)
    treated = (table["x_0"].to_numpy() > 3).astype(np.int32)
    result = estimate_panel(
        in_buckets(with_column(table, "treated", treated)), EffectOptions()
    ).result
    assert result.verdict.startswith("not supported by the data")
    assert np.isfinite(result.estimates[0].estimate)


def test_weights_balance_and_sizes_equal_their_definitions():
    table = simulate_panel(seed=8, units=1200)
    found = estimate_panel(
        in_buckets(table), EffectOptions(ridge=0.0, tolerance=1e-24, clip=0.1)
    ).result.overlap
    z, _, d, fold, _ = arrays(table, "y_spend", 5)
    raw = np.zeros(len(d))
    for k in range(5):
        raw[fold == k] = 1 / (1 + np.exp(-z[fold == k] @ logistic(z[fold != k], d[fold != k])))
    e = np.clip(raw, 0.1, 0.9)
    w = d / e + (1 - d) / (1 - e)
    assert found.clipped_share == pytest.approx(np.mean(raw != e))
    size = w[d == 1].sum() ** 2 / np.sum(w[d == 1] ** 2)
    assert found.effective_sample_size_treated == pytest.approx(size, rel=1e-8)
    x = table["x_2"].to_numpy()
    sd = np.sqrt((x[d == 1].var() + x[d == 0].var()) / 2)
    before = (x[d == 1].mean() - x[d == 0].mean()) / sd
    means = [np.average(x[d == a], weights=w[d == a]) for a in (0, 1)]
    row = next(b for b in found.balance if b.covariate == "x_2")
    assert row.smd_before == pytest.approx(before, rel=1e-8)
    assert row.smd_after == pytest.approx((means[1] - means[0]) / sd, rel=1e-7)
    odds = (e / (1 - e))[d == 0]
    like_treated = np.average(x[d == 0], weights=odds)
    assert row.smd_after_att == pytest.approx((x[d == 1].mean() - like_treated) / sd, rel=1e-7)
    size = odds.sum() ** 2 / np.sum(odds**2)
    assert found.effective_sample_size_control_att == pytest.approx(size, rel=1e-8)
    assert found.treated_clipped_share == pytest.approx(np.mean(raw[d == 1] > 0.9))
    expected, _ = np.histogram(raw[d == 1], bins=found.bin_edges)
    assert found.treated_counts == tuple(expected)
    assert sum(found.control_counts) == np.sum(d == 0)


def test_constant_and_collinear_columns_are_dropped_by_name_and_change_nothing():
    table = simulate_panel(units=800)
    plain = estimate_panel(in_buckets(table), EffectOptions()).result
    x0, x1 = table["x_0"].to_numpy(), table["x_1"].to_numpy()
    wide = with_column(with_column(table, "x_one", np.ones(800)), "x_sum", 3 * x0 - x1 + 7)
    result = estimate_panel(in_buckets(wide), EffectOptions()).result
    assert result.dropped == {
        "x_one": "constant",
        "x_sum": "a linear combination of the covariates before it",
    }
    assert result.covariates == 4
    for one, two in zip(result.estimates, plain.estimates, strict=True):
        assert one.estimate == pytest.approx(two.estimate, rel=1e-6)
        assert one.standard_error == pytest.approx(two.standard_error, rel=1e-6)


def test_a_flag_that_only_one_arm_has_does_not_break_the_fit():
    table = simulate_panel(units=800)
    flag = (np.arange(800) % 50 == 0) & (table["treated"].to_numpy() == 1)
    result = estimate_panel(
        in_buckets(with_column(table, "x_flag", flag.astype(float))), EffectOptions()
    ).result
    assert abs(result.estimates[0].estimate - 1.5) < 5 * result.estimates[0].standard_error


def test_nuisance_quality_beats_the_constant_where_there_is_signal():
    quality = estimate_panel(in_buckets(simulate_panel()), EffectOptions()).result.nuisance
    assert quality["propensity_log_loss"] < quality["propensity_log_loss_constant"]
    assert 0.2 < quality["r2_treated.y_spend"] < 1
    assert 0.2 < quality["r2_control.y_spend"] < 1
