"""What a result says: the verdict first, every arm, nouns of the specification, a closing one."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.effects.panels import in_buckets
from truelift.effects.credibility.results import LeaveOneGroupOut, OmittedVariableBounds
from truelift.effects.estimate import estimate_panel
from truelift.effects.heterogeneity.results import JointTest, Term
from truelift.effects.look import look_further
from truelift.effects.results import Caution, Estimate
from truelift.effects.support.supported import Support
from truelift.effects.telling.decision import decision
from truelift.effects.telling.figures import figure, p_text, places_of
from truelift.effects.telling.names import arm_words, cluster_noun, in_words
from truelift.effects.telling.sentences import MOST_ESTIMATES
from truelift.settings import EffectOptions

UNITS = 3000


def estimated(columns, **options):
    """A result of a small table in five buckets of its cluster column."""
    asked = EffectOptions(**{"covariates": ("x",), "estimands": ("ATE",)} | options)
    key = np.asarray(columns[asked.cluster])
    table = pa.table(columns).append_column("bucket", pa.array((key % 5).astype(np.int32)))
    source = in_buckets(table)
    return look_further(source, estimate_panel(source, asked), asked).result


@pytest.fixture(scope="module")
def email():
    """A randomised test of two e-mails against none, with a pre-period of the first outcome."""
    g = np.random.default_rng(5)
    code, x, before = g.integers(0, 3, UNITS), g.normal(size=UNITS), 3 * g.normal(size=UNITS)
    arm = np.array(["none", "mail", "letter"])[code]
    columns = {
        "customer_id": np.arange(UNITS), "message": arm.tolist(), "x": x, "before": before,
        "sales": before + 0.5 * (code == 1) + g.normal(size=UNITS),
        "opens": 0.3 * (code > 0) + g.normal(size=UNITS),
    }  # fmt: skip
    return estimated(
        columns, treatment="message", control="none", outcomes=("sales", "opens"),
        cluster="customer_id", propensity=dict.fromkeys(("none", "mail", "letter"), str(1 / 3)),
        estimands=("APO", "ATE", "ATT", "naive difference"), pre_outcomes={"sales": "before"},
        measured_in={"sales": "dollars a customer"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def seven():
    """Seven equal arms that are codes, none of which does anything."""
    g = np.random.default_rng(6)
    x = g.normal(size=UNITS)
    columns = {"id": np.arange(UNITS), "dose": g.integers(0, 7, UNITS), "x": x,
               "y": x + g.normal(size=UNITS)}  # fmt: skip
    return estimated(
        columns, treatment="dose", outcomes=("y",), cluster="id",
        estimands=("APO", "ATE", "ATT", "ATO", "naive difference"),
    )  # fmt: skip


def estimate(estimand="ATE", value=5.0, error=1.0, **fields) -> Estimate:
    return Estimate(
        estimand, "y", value, error, value - 1.96 * error, value + 1.96 * error, 0.04, 1000, 500,
        0.95, "AIPW", **{"arm": "treated", "versus": "untreated"} | fields,
    )  # fmt: skip


def test_the_verdict_is_the_first_line_and_the_decision_the_last(email):
    lines = email.summary().splitlines()
    assert lines[0].startswith("Verdict: supported")
    assert lines[-1].startswith("For the one who decides: ")


def test_sentences_fit_on_a_screen_and_the_rest_is_counted(seven):
    text = seven.summary()
    assert len(text.splitlines()) <= 24
    read = [line for line in text.splitlines() if re.match(r"(ATE|ATT|ATO|The mean)\b", line)]
    assert len(read) == MOST_ESTIMATES
    left = len(seven.estimates) - MOST_ESTIMATES
    assert f"{left} more estimates are in the table" in text


def test_every_arms_ate_is_read_out_before_any_other_estimand(seven):
    text = seven.summary()
    for arm in range(1, 7):
        assert f"ATE: dose {arm} against dose 0 changes y by" in text


def test_cuped_and_the_plain_difference_are_printed_beside_the_ate(email):
    (line,) = [s for s in email.summary().splitlines()
               if s.startswith("ATE: mail against none changes sales")]  # fmt: skip
    cuped = next(e for e in email.experiment.estimates if (e.method, e.arm) == ("CUPED", "mail"))
    assert f"CUPED {cuped.estimate:+.3f}" in line
    assert "plain difference in means +" in line


def test_no_noun_of_another_panel_is_used(email):
    text = email.summary() + email._repr_html_()
    for noun in ("campaign", "user", "household", "clusters"):
        assert noun not in text
    assert "(customers), expected" in text


SAID = {
    "moves the effect of 1 on y by 2; 1 more": "moves the effect of dose 1 on y by 2; 1 more",
    "There is no ATE of 2 on y: one value.": "There is no ATE of dose 2 on y: one value.",
    "in every row of arm 0. Its": "in every row of dose 0. Its",
    "no cluster with arm 3: a, b": "no cluster with dose 3: a, b",
    "sizes: units 0 2,802 (1,200 expected), 1 1,198 (2,800 expected), p 0": (
        "sizes: units dose 0 2,802 (1,200 expected), dose 1 1,198 (2,800 expected), p 0"
    ),
    "Of 2 units 1 has several rows.": "Of 2 units 1 has several rows.",
}


@pytest.mark.parametrize("text", SAID)
def test_cautions_and_reasons_name_arms_as_the_sentences_do(seven, text):
    support = (Support("ATE", "1", False, (text,)), *seven.support[1:])
    told = in_words(replace(seven, cautions=(Caution(text),), support=support, verdict=text))
    assert told.cautions[0].text == SAID[text]
    assert told.support[0].reasons == (SAID[text],)
    assert told.verdict == SAID[text]


def test_a_number_says_what_it_counts(email):
    assert re.search(r"changes sales by \+\d.* dollars a customer \(95%", email.summary())


def test_a_lottery_is_not_asked_for_unmeasured_confounding(email):
    assert email.design.assignment == "randomised"
    assert "unmeasured" not in email.summary()


def test_chances_in_columns_are_known_and_no_lottery_of_one_number():
    g = np.random.default_rng(8)
    x = g.normal(size=UNITS)
    chance = 1 / (1 + np.exp(-0.5 * x))
    t = (g.random(UNITS) < chance).astype(int)
    columns = {"id": np.arange(UNITS), "t": t, "x": x, "p": chance, "y": x + g.normal(size=UNITS)}
    found = estimated(
        columns, treatment="t", outcomes=("y",), cluster="id", propensity={"1": "p"}
    )  # fmt: skip
    assert found.design.assignment == "known chances"
    assert "unmeasured" not in found.summary()


def test_cautions_follow_the_verdict(email):
    told = replace(email, cautions=(Caution("The column x holds the outcome."),))
    assert told.summary().splitlines()[1] == "Caution: The column x holds the outcome."
    assert "The column x holds the outcome." in told._repr_html_()


def test_a_notebook_shows_a_dash_for_the_naive_difference_and_escapes_names(email):
    html = email._repr_html_()
    row = next(r for r in html.split("<tr>") if "naive difference: mail" in r)
    assert ">\N{EN DASH}<" in row and ">yes<" not in row
    first = replace(email.estimates[0], arm="<b>")
    assert "<b>" not in replace(email, estimates=(first,))._repr_html_()


def test_groups_lifts_and_means_ask_of_the_data_what_the_ate_does(email):
    support = tuple(
        replace(s, supported=s.name != "ATE of mail", reasons=("x.",)) for s in email.support
    )
    doubted = replace(email, support=support)
    for estimand in ("GATE", "relative lift", "ATE"):
        asked = replace(email.estimates[0], estimand=estimand, arm="mail", versus="none")
        assert doubted.supports(asked) is False
        assert doubted.supports(replace(asked, arm="letter")) is True
    pair = replace(email.estimates[0], estimand="ATE", arm="letter", versus="mail")
    assert doubted.supports(pair) is False
    policy = replace(email.estimates[0], estimand="policy value", arm="as told", versus="")
    assert doubted.supports(policy) is False and email.supports(policy) is True
    naive = replace(email.estimates[0], estimand="naive difference", arm="mail", versus="none")
    assert doubted.supports(naive) is None


@pytest.mark.parametrize(
    ("labels", "treatment", "words"),
    [
        (["0", "1"], "treated", ["untreated", "treated"]),
        (["0", "1"], "", ["untreated", "treated"]),
        (["0", "1"], "mailed", ["mailed = no", "mailed = yes"]),
        (["1", "0"], "mailed", ["mailed = yes", "mailed = no"]),
        (["False", "True"], "mailed", ["mailed = no", "mailed = yes"]),
        (["0", "1", "2"], "dose", ["dose 0", "dose 1", "dose 2"]),
        (["1", "2"], "", ["arm 1", "arm 2"]),
        (["none", "mail"], "message", ["none", "mail"]),
        (["none", "2"], "dose", ["none", "dose 2"]),
    ],
)
def test_arms_that_are_codes_get_words(labels, treatment, words):
    assert list(arm_words(labels, treatment).values()) == words


@given(st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=20, unique=True), st.text())
def test_no_two_arms_get_one_name(labels, treatment):
    words = arm_words(labels, treatment)
    assert list(words) == labels and len(set(words.values())) == len(labels)


def test_words_for_arms_change_no_number_and_no_answer(seven):
    told = in_words(seven)
    for before, after in zip(seven.estimates, told.estimates, strict=True):
        assert replace(after, arm="", versus="", population="") == replace(
            before, arm="", versus="", population=""
        )
        assert seven.supports(before) == told.supports(after)
    assert in_words(told) == told


@pytest.mark.parametrize(
    ("column", "noun"),
    [("user_key", "users"), ("customer_id", "customers"), ("store", "stores"),
     ("household_id", "households"), ("city", "cities"), ("id", "clusters"), ("k7", "clusters"),
     ("", "clusters")],
)  # fmt: skip
def test_what_errors_are_clustered_by_is_named_after_its_column(column, noun):
    assert cluster_noun(column) == noun


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(12_345.6, 100.0, "12,346"), (0.00731, 0.0012, "0.0073"), (-0.0001, 0.2, "0.00"),
     (3e-9, 1e-9, "3e-09")],
)  # fmt: skip
def test_figures_have_the_digits_of_their_error(value, error, text):
    assert figure(value, places_of(error)) == text


def test_p_values_are_not_printed_as_zero():
    assert (p_text(4e-9), p_text(0.031), p_text(0.5)) == ("p < 0.001", "p 0.031", "p 0.50")


def one_estimate(email, **fields):
    support = (Support("ATE", "", True, ("fine.",)),)
    return replace(
        email, estimates=(estimate(**fields),), arms={"untreated": 500, "treated": 500},
        overlaps={"treated": email.overlap}, support=support, verdict="supported: fine.",
        experiment=None, design=replace(email.design, assignment="observed", measured_in={}),
    )  # fmt: skip


def test_a_clear_effect_is_weighed_against_its_cost(email):
    text = decision(one_estimate(email))
    assert "raised y on average over everyone by 3.0 to 7.0 per unit" in text
    assert "Act if 3.0 more is worth what treating one unit costs" in text
    assert text.endswith("nothing unmeasured drove both who was treated and the outcome.")


def test_with_several_arms_it_is_said_whether_the_first_of_them_is_ahead(email):
    support = tuple(Support("ATE", arm, True, ("fine.",)) for arm in ("mail", "letter"))
    made = [estimate(value=9.0, arm="mail", versus="none"),
            estimate(value=5.0, arm="letter", versus="none")]  # fmt: skip
    result = replace(email, estimates=tuple(made), support=support)
    assert "told by the differences between them (contrasts: all)" in decision(result)
    for gap, said in ((4.0, "Of these, mail changes it by more than letter."),
                      (1.0, "Of these, no difference between mail and letter is shown.")):  # fmt: skip
        pair = estimate(value=-gap, arm="letter", versus="mail")
        assert said in decision(replace(result, estimates=(*made, pair)))


@pytest.mark.parametrize("value", [5.0, 0.5])
def test_a_range_that_is_not_the_interval_of_the_estimate_is_said_to_be_that_of_the_band(
    email, value
):
    support = tuple(Support("ATE", arm, True, ("fine.",)) for arm in ("mail", "letter"))
    made = [
        estimate(value=v, arm=arm, versus="none", band_lower=v - 3, band_upper=v + 3)
        for arm, v in (("mail", value), ("letter", 0.0))
    ]
    text = decision(replace(email, estimates=tuple(made), support=support))
    assert "a range that holds for all arms at once" in text


def test_one_arm_is_weighed_by_its_own_interval_and_not_by_a_band_over_outcomes(email):
    result = one_estimate(email, band_lower=-90.0, band_upper=90.0)
    assert "by 3.0 to 7.0 per unit" in decision(result)
    assert "at once" not in decision(result)


def test_an_effect_that_is_not_shown_is_not_ruled_out_either(email):
    text = decision(one_estimate(email, value=0.5))
    assert "no effect of the treatment on y is shown" in text
    assert "-1.5 and +2.5 per unit is ruled out" in text


def test_an_effect_that_the_data_do_not_support_is_no_ground_to_act(email):
    result = replace(one_estimate(email), support=(Support("ATE", "", False, ("thin.",)),))
    assert decision(result).startswith("do not act on these numbers")


def test_arms_of_other_sizes_than_promised_come_before_every_effect(email):
    ratio = replace(email.experiment.sample_ratio, p_value=1e-9)
    odd = replace(email, experiment=replace(email.experiment, sample_ratio=ratio))
    assert decision(odd).startswith("find out first why the arms do not have the sizes")


def bounds(**fields) -> OmittedVariableBounds:
    return OmittedVariableBounds(
        **{"estimand": "ATE", "outcome": "y", "contrast": "1 against 0", "estimate": 10.0,
           "standard_error": 4.0, "cf_y": 0.03, "cf_d": 0.03, "rho": 1.0, "lower": 9.5,
           "upper": 10.5, "ci_lower": 2.9, "ci_upper": 17.1, "robustness_value": 0.3,
           "robustness_value_confident": 0.1, "null": 0.0, "confidence": 0.95, "sigma2": 1.0,
           "nu2": 1.0} | fields
    )  # fmt: skip


def test_the_range_for_hidden_bias_is_printed_with_chance_in_it():
    assert "the effect lies, chance included, between 1.66 and 18.34." in repr(bounds())


@given(
    st.floats(-1e3, 1e3), st.floats(0, 1e3), st.floats(0, 1e3), st.floats(0, 1e3), st.floats(0, 1e3)
)
def test_the_range_for_hidden_bias_holds_the_sampling_interval(at, bias, below, above, half):
    found = bounds(estimate=at, lower=at - bias, upper=at + bias, ci_lower=at, ci_upper=at)
    lower, upper = found.with_chance(at - below, at + above)
    assert lower <= at - below and upper >= at + above
    assert found.with_chance(at - half, at + half)[0] == min(at, at - half - (at - (at - bias)))


def test_a_bare_code_is_said_to_be_an_arm_and_a_level_is_named_with_its_column():
    assert repr(bounds()).startswith("ATE on y (arm 1 against arm 0):")
    left = LeaveOneGroupOut(
        "ATE", "y", "1 against 0", "campaign", 10.0, 1.0, ("5", "6"), (50, 50), (9.9, 2.0),
        (1.0, 1.5), (7.9, -1.0), (11.9, 5.0), (0.1, 0.5), 100, 0.95,
    )  # fmt: skip
    assert "most is changed by campaign 6 (" in repr(left)
    assert "whether the interval holds zero depends on campaign 6" in repr(left)


def varying(make, p, lower, upper, sequential=True):
    middle = (lower + upper) / 2
    gap = Term("most less least", middle, (upper - lower) / 3.92, lower, upper, 0.01)
    test = JointTest("AUTOC is not above zero", 1.0, (1.0, 99.0), p)
    return replace(make, difference=gap, sequential=test if sequential else None, equal=test)


@pytest.mark.parametrize(
    ("p", "lower", "upper", "said", "unsaid"),
    [
        (0.001, 4.0, 20.0, "varies with what is known of a unit", "hint"),
        (0.40, -4.0, 20.0, "is not shown to vary (p 0.40)", "hint"),
        (0.40, 4.0, 20.0, "It is a hint, not a finding", "not shown to vary"),
        (0.99, -20.0, -4.0, "the forecasts point the wrong way", "not shown to vary"),
        (0.001, -4.0, 20.0, "though the outer groups alone do not show it", "hint"),
    ],
)
def test_what_is_said_of_variation_agrees_with_the_interval_beside_it(
    p, lower, upper, said, unsaid
):
    from tests.unit.report.conftest import make_varying

    text = varying(make_varying(), p, lower, upper).sentence()
    assert said in text and unsaid not in text
