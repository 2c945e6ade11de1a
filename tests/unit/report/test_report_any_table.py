"""A page for any table: its own nouns, all its arms, levels apart, no sections of other steps."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.unit.report.conftest import make_record
from truelift.effects.results import Caution, Design, EffectsResult
from truelift.effects.support.summaries import CovariateBalance
from truelift.effects.support.supported import Support
from truelift.effects.telling.names import in_words
from truelift.report import plots
from truelift.report.cautions import assumptions, warnings
from truelift.report.content import ReportContent
from truelift.report.page import render_page
from truelift.report.plots.effects import MOST_ROWS, drawn_panels, not_drawn
from truelift.report.reading import headline

FINE = "the arms overlap, and weighting balances the covariates."


def words(page: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def page_of(result: EffectsResult) -> str:
    return render_page(
        ReportContent(
            dataset="table-mail",
            generated_at="2030-01-02 03:04 UTC",
            configuration="effects: {}\n",
            effects=result,
            pedigree=(make_record("estimate_effects", {"mail.parquet": 0}, {"gold.effects": 1}),),
        )
    )


@pytest.fixture
def email(whole) -> EffectsResult:
    """Two e-mails against none, drawn by lot, with means of the arms among the estimates."""
    arms = {"none": 1000, "mail": 1000, "letter": 1000}
    first = whole.effects.estimates[0]
    made = [
        replace(first, estimand=kind, outcome="sales", arm=arm, versus="none" * (kind != "APO"))
        for kind in ("APO", "ATE", "naive difference")
        for arm in ("mail", "letter")
    ]
    overlap = replace(
        whole.effects.overlap, clipped_share=0.0, effective_sample_size_treated=990.0,
        effective_sample_size_control=990.0, effective_sample_size_control_att=990.0,
        balance=(CovariateBalance("age", 0.02, 0.01, 0.01),),
    )  # fmt: skip
    experiment = replace(
        whole.effects.experiment,
        estimates=tuple(
            replace(e, outcome="sales", arm="mail", versus="none")
            for e in whole.effects.experiment.estimates
        ),
        sample_ratio=replace(
            whole.effects.experiment.sample_ratio, observed=(1000,) * 3, expected=(1000.0,) * 3
        ),
    )
    return replace(
        whole.effects, table="shop/mail.parquet", arms=arms, n=3000, clusters=3000,
        estimates=tuple(made), overlaps={"mail": overlap, "letter": overlap}, verdict=f"supported: {FINE}",
        support=tuple(Support("ATE", arm, True, (FINE,)) for arm in ("mail", "letter")), followed=(), tests=(),
        heterogeneity=(), credibility=None, experiment=experiment,
        design=Design(
            "message", "customer_id", "randomised", dict.fromkeys(arms, "0.3333333"),
            {"sales": "dollars a customer"},
        ),
    )  # fmt: skip


@pytest.fixture
def seven(email) -> EffectsResult:
    """Seven equal arms that are codes, as they were found."""
    arms = {str(a): 1000 for a in range(7)}
    overlap = email.overlaps["mail"]
    first = next(e for e in email.estimates if e.estimand == "ATE")
    return replace(
        email, arms=arms, n=7000, clusters=7000, experiment=None,
        overlaps={arm: overlap for arm in list(arms)[1:]},
        estimates=tuple(replace(first, arm=arm, versus="0") for arm in list(arms)[1:]),
        support=tuple(Support("ATE", arm, True, (FINE,)) for arm in list(arms)[1:]),
        design=Design("dose", "shop", "observed"),
    )  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_an_e_mail_test_is_told_nothing_of_campaigns_and_users(email):
    text = words(page_of(email))
    for noun in ("campaign", "user", "Users", "household"):
        assert noun not in text
    assert "Do mail and letter change sales, and how sure are we?" in text
    assert "Customers 3,000" in text


@pytest.mark.usefixtures("undrawn")
def test_a_table_of_ones_own_has_no_sections_of_steps_that_it_never_had(email):
    page = page_of(email)
    assert "not part of this run" not in words(page)
    for anchor in ("ranking", "recommendations", "rows", "sessions", "whom", "fragile"):
        assert f'id="{anchor}"' not in page and f'href="#{anchor}"' not in page
    assert "Not asked for: whom it helps (heterogeneity: true)" in words(page)


@pytest.mark.usefixtures("undrawn")
def test_logs_without_effects_have_no_empty_sections_about_effects(content_with):
    page = render_page(content_with(effects=None))
    for anchor in ("trust", "whom", "fragile"):
        assert f'id="{anchor}"' not in page and f'href="#{anchor}"' not in page


@pytest.mark.usefixtures("undrawn")
def test_the_verdict_stands_before_the_finding_and_the_decision_at_the_end(email):
    text = words(page_of(email))
    places = [text.index(part) for part in (
        "Verdict: Supported", "Against none, sales changes", "ATE: mail against none",
        "For the one who decides", "The estimates", "The treatment: against none", "Where does",
    )]  # fmt: skip
    assert places == sorted(places)


@pytest.mark.usefixtures("undrawn")
def test_cuped_and_the_plain_difference_stand_beside_the_ate(email):
    text = words(page_of(email))
    assert re.search(
        r"ATE: mail against none changes sales by .{0,120}plain difference in means", text
    )
    assert "CUPED +6.6" in text


@pytest.mark.usefixtures("undrawn")
def test_changes_and_means_have_a_table_each_that_says_what_they_count(email):
    text = words(page_of(email))
    assert "Change in the outcome, sales in dollars a customer" in text
    assert "Means, not changes, sales in dollars a customer" in text
    change = replace(email, design=replace(email.design, measured_in={}))
    assert "Change in the outcome, per unit (a row of the table)" in words(page_of(change))


def test_levels_are_never_on_the_axis_of_changes(email):
    panels = drawn_panels(email)
    assert [{e.estimand for e in part} for _, part, _ in panels] == [
        {"naive difference", "ATE"}, {"APO"},
    ]  # fmt: skip
    high = tuple(
        replace(e, estimate=900.0, ci_lower=899.0, ci_upper=901.0) if e.estimand == "APO" else e
        for e in email.estimates
    )
    changes, levels = (
        axes.get_xlim() for axes in plots.effects_forest(replace(email, estimates=high)).axes[:2]
    )
    assert changes[1] < 100 and levels[0] > 800


def test_a_forest_of_many_groups_is_cut_and_says_how_many_are_left(email):
    first = email.estimates[2]
    many = tuple(replace(first, estimand="GATE", population=f"shop = {i}") for i in range(60))
    assert not_drawn(replace(email, estimates=many)) == {"sales": 60 - MOST_ROWS}


@pytest.mark.usefixtures("undrawn")
def test_every_arm_has_its_overlap_plot_and_its_balance(seven):
    page = page_of(seven)
    for place in range(1, 7):
        suffix = "" if place == 1 else f"-{place}"
        assert f'id="overlap{suffix}"' in page and f'id="love-plot{suffix}"' in page
    assert "dose 6 units upwards, dose 0 units downwards" in words(page)


def test_an_overlap_plot_shows_the_arm_that_it_is_asked_for(seven):
    odd = replace(seven.overlap, treated_counts=(5,) + (0,) * 19)
    told = in_words(replace(seven, overlaps=seven.overlaps | {"6": odd}))
    labels = [t.get_text() for t in
              plots.overlap_histogram(told, arm="dose 6").legends[0].get_texts()]  # fmt: skip
    assert labels[0] == "dose 6 (5 units)"


def test_seven_equal_arms_give_no_warning_about_few_units(seven):
    assert warnings(seven) == []


def test_an_arm_after_the_first_has_its_own_warnings(seven):
    bad = replace(seven.overlap, clipped_share=0.03, effective_sample_size_treated=90.0)
    found = warnings(replace(seven, overlaps=seven.overlaps | {"6": bad}))
    assert [text.partition(":")[0] for text in found] == ["ATE of dose 6", "ATE of dose 6"]
    assert "the 1,000 dose 6 units carry the information of about 90" in found[1]


def test_what_checks_found_in_the_data_comes_first_among_the_warnings(seven):
    told = replace(seven, cautions=(Caution("The column x_copy is the outcome."),))
    assert warnings(told)[0] == "The column copy is the outcome."


@pytest.mark.usefixtures("undrawn")
def test_a_caution_is_on_the_page_also_where_nothing_is_supported(email):
    no = tuple(replace(s, supported=False, reasons=("a leak.",)) for s in email.support)
    told = replace(
        email, support=no, verdict="not supported by the data: a leak.",
        cautions=(Caution("The column copy is the outcome.", stops=True),),
    )  # fmt: skip
    text = words(page_of(told))
    assert "The column copy is the outcome." in text
    assert "too different to compare" not in text


def test_the_headline_knows_every_arm_and_which_of_them_are_doubtful(seven):
    doubted = tuple(
        replace(s, supported=False, reasons=("thin.",)) if s.arm == "6" else s
        for s in seven.support
    )
    text = headline(in_words(replace(seven, support=doubted)))
    for arm in range(1, 7):
        assert f"dose {arm} +6.3" in text
    assert text.count("which the data do not support") == 1


def test_a_lottery_assumes_known_chances_and_no_absence_of_confounding(email):
    named = dict(assumptions(email))
    assert "No unmeasured confounding." not in named and "One right model of two." not in named
    assert "mail: 0.333" in named["Known chances."]


def test_what_was_only_observed_assumes_that_nothing_is_unmeasured(seven):
    named = dict(assumptions(seven))
    assert "drove both dose and the outcome" in named["No unmeasured confounding."]
    assert "What one of the shops gets" in named["No interference."]
    trees = dict(assumptions(replace(seven, learner="boosting")))
    assert "as far as boosted trees can be" in trees["One right model of two."]


@pytest.mark.usefixtures("undrawn")
def test_where_chances_are_known_no_confounder_is_weighed(email, whole):
    text = words(page_of(replace(email, credibility=whole.effects.credibility)))
    assert "There can be none: arms were drawn with known chances." in text
    assert "would have to explain" not in text


@pytest.mark.usefixtures("undrawn")
def test_no_arm_is_a_bare_code(seven):
    text = words(page_of(seven))
    assert "dose 1 against dose 0" in text
    assert not re.search(r"(?<!dose )\b[0-6] against", text)
