"""What further looks found is read out; what was not made is said with its reason."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from truelift.effects.support.supported import Support
from truelift.effects.telling.names import in_words
from truelift.report.markup import element
from truelift.report.page import render_page
from truelift.report.sections.answer import answer
from truelift.report.sections.fragile import fragile
from truelift.report.sections.whom import whom

pytestmark = pytest.mark.usefixtures("undrawn")


def words(markup) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", element("div", markup)))


@pytest.fixture
def changed(whole):
    """The content with some fields of its effects replaced."""

    def change(**fields):
        return replace(whole, effects=in_words(replace(whole.effects, **fields)))

    return change


def test_an_effect_that_varies_is_read_out_with_its_outer_groups(whole):
    text = words(whom(whole))
    assert "The effect varies with what is known of a unit (p 0.005)." in text
    assert "highest forecasts has an effect of 13.9 on spend, the one with the lowest 1.5" in text


def test_an_effect_that_is_not_shown_to_vary_says_so(whole, changed):
    varying = whole.effects.heterogeneity[0]
    flat = replace(
        varying,
        sequential=replace(varying.sequential, p_value=0.4),
        difference=replace(varying.difference, ci_lower=-1.3),
    )
    text = words(whom(changed(heterogeneity=(flat,))))
    assert "It is not shown that anyone gains more than others (p 0.40)" in text


def test_the_covariates_that_differ_most_come_first_and_the_rest_is_folded(whole):
    page = whom(whole)
    table = page[page.index("Who they are") :]
    assert table.index("spend lookback") < table.index("visits lookback")
    assert "The other 2" in words(page)


def test_treating_all_gains_nothing_on_treating_at_random(whole):
    row = words(whom(whole)).split("100% 7.7")[1]
    assert "(3.8 to 11.6) 7.7 (3.8 to 11.6) 0 Who they are" in row


def test_where_the_average_is_not_supported_its_parts_are_not_either(whole, changed):
    assert "read what follows as a hint" in words(whom(whole))
    supported = changed(support=(Support("ATE", "", True, ("fine",)),))
    assert "read what follows as a hint" not in words(whom(supported))


@pytest.mark.parametrize(
    ("render", "field", "nothing", "key"),
    [(whom, "heterogeneity", (), "heterogeneity of 1 on y_spend"),
     (fragile, "credibility", None, "credibility")],
)  # fmt: skip
def test_what_was_not_made_is_stated_with_the_reason(changed, render, field, nothing, key):
    text = words(render(changed(**{field: nothing}, not_made={key: "too few clusters <3."})))
    assert "not part of this run" in text and "too few clusters &lt;3." in text
    text = words(render(changed(**{field: nothing})))
    assert f"Set effects.{field} to true" in text


def test_the_robustness_sentence_is_about_the_estimand_that_the_data_support(whole, changed):
    text = words(fragile(whole))
    assert (
        "To bring the ATT on spend to zero, a confounder that nobody measured would have to "
        "explain 8.3% of what is left unexplained of both the treatment and spend, and 5.2% to "
        "bring the 95% bound there." in text
    )
    support = (Support("ATE", "", True, ("fine",)), Support("ATT", "", False, ("thin",)))
    assert "To bring the ATE on spend to zero" in words(fragile(changed(support=support)))


def test_placebos_that_reject_too_often_warn(whole, changed):
    good = whole.effects.credibility
    bad = replace(good, placebos=(replace(good.placebos[0], rejected=40, rejection_p_value=0.0),))
    assert "The standard errors pass this test." in words(fragile(whole))
    assert "do not rely on the intervals" in words(fragile(changed(credibility=bad)))


def test_a_negative_control_with_an_effect_is_a_warning(whole, changed):
    good = whole.effects.credibility
    control = replace(good.negative_controls[0], difference_p_value=0.001, equivalence_p_value=0.5)
    bad = replace(good, negative_controls=(control,))
    assert "No outcome that must show no effect is seen to show one" in words(fragile(whole))
    assert "1 outcome that must show no effect does" in words(fragile(changed(credibility=bad)))


def test_more_levels_than_are_drawn_are_counted(whole):
    assert "24 of 26 are drawn." in words(fragile(whole))


def test_names_of_levels_cannot_become_markup(whole, hostile):
    assert hostile not in render_page(whole)


def test_the_experiment_and_its_methods_stand_beside_each_other(whole, changed):
    text = words(answer(whole))
    assert "The arms have their sizes" in text
    assert text.index("difference in means") < text.index("CUPED") < text.index("learner-adjusted")
    experiment = whole.effects.experiment
    odd = replace(experiment, sample_ratio=replace(experiment.sample_ratio, p_value=1e-9))
    assert "The arms do not have their sizes" in words(answer(changed(experiment=odd)))


def test_a_relative_lift_is_a_percentage_and_no_row_of_the_forest(whole, changed):
    from truelift.report.plots import effects_forest

    first = whole.effects.estimates[0]
    lift = replace(
        first, estimand="relative lift", estimate=0.031, standard_error=0.01, ci_lower=0.011,
        ci_upper=0.051, arm="1", versus="0",
    )  # fmt: skip
    content = changed(estimates=(*whole.effects.estimates, lift))
    text = words(answer(content))
    assert "3.1% 1.1% to 5.1%" in text
    assert "treated changes the mean of spend under untreated by +3.10%" in text
    labels = [t.get_text() for t in effects_forest(content.effects).axes[0].get_yticklabels()]
    assert len(labels) == 3


def test_the_path_along_clip_levels_is_told_in_words_too(whole, changed):
    assert "spend, all units, clipped at 0.001: 6.1" in words(answer(whole))
    assert "clipped at 0.001" not in words(answer(changed(followed=())))


def test_tests_against_a_margin_are_read_out(whole):
    assert "it is shown that the treatment is worse by less than 2" in words(answer(whole))


def test_one_sided_tests_stand_among_the_tests_and_looks_are_told(whole, changed):
    assert "confidence (one-sided p" not in words(answer(whole))
    asked = tuple(
        replace(e, alternative="greater", bound=e.estimate - 1.0, anytime=True)
        for e in whole.effects.estimates
    )
    text = words(answer(changed(estimates=asked)))
    first = next(e for e in asked if e.p_value is not None)
    assert f"at least {first.bound:.1f} with 95% confidence (one-sided p" in text
    assert "Each holds at every look" in text
