"""Cautions: what a check finds stays with the result and can take support away."""

from __future__ import annotations

import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel
from truelift.effects.estimate import estimate_panel
from truelift.effects.results import Caution
from truelift.effects.support.cautions import with_cautions
from truelift.settings import EffectOptions


@pytest.fixture(scope="module")
def result():
    options = EffectOptions(covariates=("x_0", "x_1", "x_2", "x_3"))
    found = estimate_panel(in_buckets(simulate_panel()), options).result
    assert found.judged("ATE")
    return found


def _estimate(result, estimand, outcome):
    return next(e for e in result.estimates if (e.estimand, e.outcome) == (estimand, outcome))


def test_a_caution_that_stops_nothing_is_said_and_leaves_the_verdict(result):
    told = with_cautions(result, [Caution("Mind the gap.")])
    assert told.verdict == result.verdict
    assert "Caution: Mind the gap." in told.summary()


def test_a_stopping_caution_takes_the_support_and_gives_its_reason(result):
    told = with_cautions(result, [Caution("x_0 is the outcome.", stops=True)])
    assert not told.supported
    assert "x_0 is the outcome." in told.verdict
    assert told.supports(_estimate(told, "ATT", "y_visits")) is False


def test_a_caution_about_one_estimand_leaves_the_others(result):
    told = with_cautions(result, [Caution("Few treated.", stops=True, estimands=("ATE",))])
    assert not told.supports(_estimate(told, "ATE", "y_spend"))
    assert told.supports(_estimate(told, "ATT", "y_spend"))


def test_a_caution_about_one_outcome_leaves_the_others(result):
    told = with_cautions(result, [Caution("y_spend is constant.", True, outcomes=("y_spend",))])
    assert not told.supports(_estimate(told, "ATE", "y_spend"))
    assert told.supports(_estimate(told, "ATE", "y_visits"))
    assert told.supported
    both = with_cautions(told, [Caution("So is y_visits.", True, outcomes=("y_visits",))])
    assert not both.supported


def test_the_same_caution_is_said_once(result):
    twice = with_cautions(with_cautions(result, [Caution("Once.")]), [Caution("Once.")])
    assert [c.text for c in twice.cautions] == ["Once."]


def test_the_plain_difference_has_no_verdict(result):
    assert result.supports(_estimate(result, "naive difference", "y_spend")) is None
