"""What the one who decides looks at: baseline beside the hit rate, units, sample, words, ranges."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from truelift.effects.telling.names import in_words
from truelift.recommend.results import LimitKept
from truelift.report.numbers import model_name
from truelift.report.page import origin, render_page
from truelift.report.sections.answer import answer
from truelift.report.sections.closing import recommending
from truelift.report.sections.fragile import fragile
from truelift.report.sections.ranking import comparison, ranking, recommendations
from truelift.report.sections.whom import whom

pytestmark = pytest.mark.usefixtures("undrawn")


def words(markup: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", markup))


def test_nobody_judges_the_naive_difference(whole):
    text = words(answer(whole))
    rows = re.findall(r"spend (naive difference|ATE|ATT) (\S+) \+", text)
    assert rows == [("naive difference", "–"), ("ATE", "no"), ("ATT", "yes")]


def test_the_hit_rate_stands_beside_that_of_the_best_baseline(whole):
    assert "Hit rate in first 10 31.2% GRU; best baseline, recent popularity: 24.7%" in words(
        render_page(whole)
    )


def test_the_baseline_beside_the_hit_rate_is_the_best_by_hit_rate(whole):
    model, *others = whole.training.test
    habit = replace(others[1], model="own habit", hit_rate=0.5)
    training = replace(whole.training, test=(model, others[0], habit))
    assert "best baseline, own habit: 50.0%" in words(
        render_page(replace(whole, training=training))
    )
    assert "own habit does for 50.0%" in comparison(training)


def test_data_set_sample_period_and_the_runs_date_are_on_top(whole):
    assert origin(whole) == (
        "Data set: complete_journey · 5.0% of the users · 1 January 2017 to 31 December 2017 · "
        "run of 2 January 2030, 03:00 UTC"
    )
    assert "all users" in origin(replace(whole, sample=1.0))
    page = render_page(whole)
    assert page.index("run of 2 January 2030") < page.index("<h1>")


def test_a_change_says_what_it_counts_and_over_what(whole):
    text = words(answer(whole))
    assert "+14.5 per user and campaign (95% interval" in text
    design = replace(whole.effects.design, measured_in={"y_spend": "dollars per household"})
    counted = words(answer(replace(whole, effects=replace(whole.effects, design=design))))
    assert "+14.5 dollars per household (95% interval" in counted
    assert "Change in the outcome, spend in dollars per household" in counted


def test_it_is_not_said_that_nobody_gains_more_beside_an_interval_far_from_zero(whole):
    varying = whole.effects.heterogeneity[0]
    assert varying.outer_groups_differ
    unsure = replace(varying, sequential=replace(varying.sequential, p_value=0.4))
    text = words(whom(replace(whole, effects=replace(whole.effects, heterogeneity=(unsure,)))))
    assert "not shown that anyone gains more" not in text
    assert "the outer groups differ, yet the test of the whole ranking does not confirm it" in text


def test_the_range_for_hidden_bias_is_no_narrower_than_the_interval_beside_it(whole):
    narrow = tuple(
        replace(b, lower=b.estimate - 0.001, upper=b.estimate + 0.001, ci_lower=b.estimate,
                ci_upper=b.estimate)
        for b in whole.effects.credibility.omitted_variables
    )  # fmt: skip
    checks = replace(whole.effects.credibility, omitted_variables=narrow)
    effects = in_words(replace(whole.effects, credibility=checks))
    rows = re.findall(r"(ATE|ATT) on spend \S+ \S+ \S+ (\S+) to (\S+)",
                      words(fragile(replace(whole, effects=effects))))  # fmt: skip
    assert len(rows) == 2
    for estimand, lower, upper in rows:
        e = next(e for e in effects.estimates if (e.estimand, e.outcome) == (estimand, "y_spend"))
        assert float(lower.replace("−", "-")) <= round(e.ci_lower, 1)
        assert float(upper) >= round(e.ci_upper, 1)


def test_codes_of_arms_levels_and_models_are_words(whole):
    levels = ("5", "6", *whole.effects.credibility.groups[0].levels[2:])
    groups = (replace(whole.effects.credibility.groups[0], levels=levels),)
    checks = replace(whole.effects.credibility, groups=groups)
    model, *others = whole.training.test
    training = replace(whole.training, test=(replace(model, model="BASKET_GRU"), *others))
    text = words(
        render_page(
            replace(whole, training=training, effects=replace(whole.effects, credibility=checks))
        )
    )
    assert "1 against 0" not in text and "BASKET_GRU" not in text
    assert "GRU over baskets puts a right item" in text
    assert "treated against untreated" in text
    assert "most is changed by campaign 5" in text


@pytest.mark.parametrize(
    ("name", "told"),
    [("BASKET_GRU", "GRU over baskets"), ("SASREC", "SASRec"), ("PAIR_LSTM", "LSTM over pairs"),
     ("popularity (all time)", "popularity (all time)"), ("my_own", "my own")],
)  # fmt: skip
def test_models_have_names_that_people_write(name, told):
    assert model_name(name) == told


def test_the_decisive_columns_come_right_after_the_names(whole):
    effects = re.findall(r"<th[^>]*>([^<]*)</th>", answer(whole))
    assert effects[effects.index("Outcome") : effects.index("Supported") + 1] == [
        "Outcome", "Estimand", "Supported",
    ]  # fmt: skip
    ranked = re.findall(r"<th[^>]*>([^<]*)</th>", ranking(whole))
    assert ranked[:3] == ["Model", "NDCG@10", "Over the best baseline"]


def test_an_item_that_hardly_matters_has_no_mark(whole):
    first = whole.recommend.examples[0]
    marked = replace(first, times_as_likely=(1.05, 0.94, 2.5))
    page = recommendations(replace(whole, recommend=replace(whole.recommend, examples=(marked,))))
    assert re.findall(r"×(\S+?)<", page) == ["2.50"]
    assert "No single one of these" not in words(page)
    equal = replace(first, times_as_likely=(1.05, 0.94, 1.0))
    page = recommendations(replace(whole, recommend=replace(whole.recommend, examples=(equal,))))
    assert "×" not in words(page).partition("Lately")[2]
    assert "No single one of these decides" in words(page)


def test_the_page_closes_with_what_it_means_for_a_decision(whole):
    text = words(render_page(whole))
    closing = text[text.rindex("For the one who decides") :]
    assert "The treatment: a campaign raised spend among those who got it by 8.4 to 20.6" in closing
    assert "The recommendations: serve GRU" in closing
    assert "run it on all of them before you act" in closing


@pytest.mark.parametrize(
    ("lower", "upper", "said"),
    [(0.01, 0.05, "serve GRU: by NDCG"), (-0.05, -0.01, "serve recent popularity, not GRU"),
     (-0.01, 0.05, "serve the simpler of the two")],
)  # fmt: skip
def test_which_ranker_to_serve_follows_from_the_paired_interval(whole, lower, upper, said):
    model, *others = whole.training.test
    gap = replace(model.differences[0], ci_lower=lower, ci_upper=upper)
    training = replace(whole.training, test=(replace(model, differences=(gap,)), *others))
    assert said in recommending(training)


def test_what_the_gate_said_and_what_the_champion_cannot_offer_are_told(whole):
    training = replace(
        whole.training,
        model_version="3",
        gate="kept champion 2: NDCG@10 +0.0010",
        below_baseline="personal frequency",
        champion_version="2",
        champion_unknown_items=12,
    )
    page = str(ranking(replace(whole, training=training)))
    assert "The gate on version 3: kept champion 2: NDCG@10 +0.0010." in page
    assert "below the baseline personal frequency" in page
    assert "version 2, has never seen 12 items" in page


def test_a_model_above_its_baselines_gets_no_warning(whole):
    training = replace(whole.training, below_baseline=None, champion_unknown_items=0)
    assert "serving it is your decision" not in str(ranking(replace(whole, training=training)))


def test_what_a_reader_of_the_recommendations_ought_to_know_is_told(whole):
    noted = replace(whole.recommend, notes=("Model version 2 has never seen 3 of 9 items.",))
    assert noted.notes[0] in str(recommendations(replace(whole, recommend=noted)))


def test_limits_stand_beside_what_the_lists_make_of_them(whole):
    kept = (LimitKept("budget", 12.5, 20.0, "most"), LimitKept("share of new", 0.31, 0.2, "least"))
    page = str(recommendations(replace(whole, recommend=replace(whole.recommend, limits=kept))))
    for said in ("Limits that the lists keep", "12.50", "at most 20.00", "31.0%", "at least 20.0%"):
        assert said in page
    assert "Limits that the lists keep" not in str(recommendations(whole))
