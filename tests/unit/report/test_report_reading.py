"""The words follow from the numbers, and never claim more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from truelift.effects.results import EffectsResult, Estimate
from truelift.effects.support.summaries import CovariateBalance
from truelift.effects.support.supported import Support
from truelift.report.cautions import caution, warnings
from truelift.report.reading import headline, readings, verdicts


def estimate(estimand, value, error, outcome="y_spend"):
    return Estimate(
        estimand, outcome, value, error, value - 1.96 * error, value + 1.96 * error, 0.04,
        1000, 500, 0.95, "AIPW",
    )  # fmt: skip


@pytest.fixture
def sound(whole) -> EffectsResult:
    """A result that gives no cause for a warning."""
    overlap = replace(
        whole.effects.overlap, clipped_share=0.0, effective_sample_size_treated=5_000.0,
        balance=(CovariateBalance("x_recency", 0.4, 0.01),),
    )  # fmt: skip
    verdict = "supported: the arms overlap, and weighting balances the covariates."
    fine = (verdict.removeprefix("supported: "),)
    support = (Support("ATE", "", True, fine), Support("ATT", "", True, fine))
    return replace(whole.effects, overlaps={"1": overlap}, verdict=verdict, support=support)


def with_estimates(result, *estimates):
    return replace(result, estimates=estimates)


def test_the_headline_is_the_att_of_the_first_outcome(sound):
    result = with_estimates(sound, estimate("ATE", 1.0, 0.1), estimate("ATT", 5.0, 1.0))
    assert "raised spend by 5.0" in headline(result)
    assert "(95% interval 3.0 to 7.0) among users who received one" in headline(result)


def test_a_harmful_effect_is_said_to_lower_with_its_bounds_in_order(sound):
    text = headline(with_estimates(sound, estimate("ATT", -5.0, 1.0)))
    assert "lowered spend by 5.0" in text
    assert "3.0 to 7.0" in text


def test_an_effect_that_the_data_do_not_support_is_not_the_headline(sound):
    result = replace(
        with_estimates(sound, estimate("ATT", 5.0, 1.0)),
        support=tuple(replace(s, supported=False) for s in sound.support),
    )
    text = headline(result)
    assert text.startswith("The data cannot tell the effect of the campaigns")
    assert "is not to be relied on" in text and "raised" not in text


def test_only_a_supported_estimand_becomes_the_headline(sound):
    result = replace(
        with_estimates(sound, estimate("ATT", 5.0, 1.0), estimate("ATE", 3.0, 1.0)),
        support=(Support("ATE", "", True, ("fine.",)), Support("ATT", "", False, ("thin.",))),
    )
    assert "raised spend by 3.0" in headline(result)
    att, ate = readings(result)[0].sentences
    assert att.endswith("The data do not support the ATT: do not rely on this number.")
    assert "do not rely" not in ate
    assert [name for name, _ in verdicts(result)] == ["ATE", "ATT"]


def test_an_unsupported_estimand_has_a_verdict_in_place_of_warnings(sound):
    overlap = replace(sound.overlap, clipped_share=0.4, treated_clipped_share=0.02)
    result = replace(sound, overlaps={"1": overlap})
    assert [w[:4] for w in warnings(result)] == ["ATE:", "ATT:"]
    doubted = replace(
        result,
        support=(
            Support("ATE", "", False, ("x_age differs.",)),
            Support("ATT", "", True, ("fine.",)),
        ),
    )
    assert [w[:4] for w in warnings(doubted)] == ["ATT:"]
    assert verdicts(doubted)[0] == ("ATE", "Not supported by the data: age differs.")
    no = tuple(replace(s, supported=False) for s in doubted.support)
    hopeless = replace(doubted, support=no)
    assert caution(hopeless) is None


def test_a_bound_near_zero_is_not_shown_as_zero(sound):
    tight = replace(estimate("ATT", 10.79, 5.4), ci_lower=0.048, ci_upper=21.54)
    assert "10.79 per user and campaign (95% interval 0.05 to 21.54)" in headline(
        with_estimates(sound, tight)
    )


def test_one_verdict_on_everything_is_said_once(sound):
    assert len(sound.support) == 2
    assert verdicts(sound) == [
        ("", "Supported: the arms overlap, and weighting balances the covariates.")
    ]


def test_an_interval_around_zero_is_no_clear_effect(sound):
    text = headline(with_estimates(sound, estimate("ATT", 5.0, 4.0)))
    assert text.startswith("No clear effect of the campaigns on spend")
    assert "raised" not in text


def test_a_naive_difference_alone_is_not_called_an_effect(sound):
    text = headline(with_estimates(sound, estimate("naive difference", 50.0, 1.0)))
    assert "no adjusted effect was estimated" in text


@pytest.mark.parametrize(
    ("naive", "att", "words"),
    [
        (60.0, 15.0, "would have been higher anyway"),
        (5.0, 15.0, "would have been lower anyway"),
        (15.5, 15.0, "hardly moves this"),
        (1.5, 1.0, "cannot be told"),
    ],
)
def test_the_selection_bias_is_the_naive_difference_minus_the_att(sound, naive, att, words):
    result = with_estimates(
        sound, estimate("naive difference", naive, 1.0), estimate("ATT", att, 1.0)
    )
    first = readings(result)[0].sentences[0]
    assert words in first
    if "anyway" in words:
        assert f"{naive - att:+.1f}".replace("-", "−") in first


def test_each_outcome_gets_its_own_reading_in_order(sound):
    assert [r.outcome for r in readings(sound)] == ["spend", "visits"]
    assert all(len(r.sentences) == 3 for r in readings(sound))


def test_an_unknown_estimand_is_read_out_too(sound):
    (reading,) = readings(with_estimates(sound, estimate("LATE", 2.0, 0.5)))
    assert reading.sentences[0].startswith("LATE: +2.00")


def test_a_sound_result_has_no_warnings(sound):
    assert warnings(sound) == []
    assert caution(sound) is None


def test_clipping_is_a_warning(sound):
    result = replace(sound, overlaps={"1": replace(sound.overlap, clipped_share=0.03)})
    assert len(warnings(result)) == 1 and warnings(result)[0].startswith("ATE: 3.0% of the units")
    assert caution(result) == "1 warning below weakens this finding."


def test_a_small_effective_sample_is_a_warning_that_names_the_arm(sound):
    result = replace(
        sound, overlaps={"1": replace(sound.overlap, effective_sample_size_control=100.0)}
    )
    (text,) = warnings(result)
    assert "56,012 untreated units" in text and "about 100" in text


def test_the_att_asks_only_for_as_many_controls_as_there_are_treated(sound):
    def with_controls(effective):
        overlap = replace(sound.overlap, effective_sample_size_control_att=effective)
        return warnings(replace(sound, overlaps={"1": overlap}))

    assert with_controls(5_000.0) == []  # of 6,101 treated units, though of 56,012 controls
    (text,) = with_controls(900.0)
    assert text.startswith("ATT: after weighting, the 56,012 untreated units")


def test_treated_units_without_a_counterpart_weaken_the_att_alone(sound):
    overlap = replace(sound.overlap, treated_clipped_share=0.02)
    (text,) = warnings(replace(sound, overlaps={"1": overlap}))
    assert text == "ATT: 2.0% of the treated units have hardly any untreated unit like them."


def test_covariates_that_still_differ_are_named_the_worst_first(sound):
    balance = tuple(CovariateBalance(f"x_c{i}", 0.5, -0.11 - i / 100) for i in range(7))
    result = replace(sound, overlaps={"1": replace(sound.overlap, balance=balance)})
    (text,) = warnings(result)
    assert text.startswith("ATE: after weighting, 7 covariates still differ")
    assert "c6, c5, c4, c3, c2 and 2 more" in text


def test_few_users_are_a_warning(sound):
    (text,) = warnings(replace(sound, clusters=40))
    assert text.startswith("Only 40 users")
