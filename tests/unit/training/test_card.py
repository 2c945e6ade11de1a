"""What a version's tags and description say of it beside the baselines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from truelift.models.sequence.package import ModelPackage
from truelift.training.card import about_version, card
from truelift.training.rank import RankResult
from truelift.training.results import RankingMetrics


def metrics(model: str, ndcg: float) -> RankingMetrics:
    return RankingMetrics(model, ndcg, ndcg, 100, 10, ndcg - 0.01, ndcg + 0.01)


def trained(own: float, gains=None, best="Recent", **others: float) -> RankResult:
    test = (metrics("SASREC", own), *(metrics(name, value) for name, value in others.items()))
    return RankResult((), test, 1, 1, 1, 1, 1, 1, gains=gains or {}, best_baseline=best)


def test_a_version_is_tagged_with_its_baseline_and_its_gain():
    found = card(trained(0.4, {"Recent": (0.1, 0.08, 0.12)}, Recent=0.3, Frequent=0.2))
    assert found.tags() == {
        "test.ndcg_at_10": "0.4000",
        "baseline": "Recent",
        "baseline.ndcg_at_10": "0.3000",
        "below_baseline": "false",
        "gain": "+0.1000",
        "gain.ci_lower": "+0.0800",
        "gain.ci_upper": "+0.1200",
    }


def test_a_version_below_any_baseline_says_so_and_names_the_best_of_them():
    made = trained(
        0.312, {"Own": (-0.031, -0.04, -0.02)}, best="Recent", Recent=0.3, Own=0.343, Other=0.32
    )
    found = card(made)
    assert (found.baseline, found.above) == ("Own", ("Own", "Other"))
    assert found.tags()["below_baseline"] == "true" and found.tags()["gain"] == "-0.0310"
    package = ModelPackage("sasrec", {"items": 1}, 5, "event", ("a",), {})
    said = about_version(package, found, {"gold.items": 3}, "shop", 1)
    assert "**Below a baseline** on the test part (Own, Other)" in said
    assert "Serving this version is your decision" in said


def test_the_champion_before_is_no_baseline():
    found = card(trained(0.3, champion=0.5, Recent=0.2))
    assert found.baseline == "Recent" and not found.below_a_baseline


def test_without_a_baseline_nothing_is_said_about_one():
    found = card(trained(0.3, best=None))
    assert found.tags() == {"test.ndcg_at_10": "0.3000"}
    assert "no baseline" in found.sentence()


@pytest.mark.parametrize(("sample", "said"), [(0.05, True), (1.0, False)])
def test_a_sample_is_named_in_the_description(sample, said):
    package = ModelPackage("gru", {"items": 1}, 5, "event", ("a",), {})
    found = about_version(package, card(trained(0.3, Recent=0.2)), {}, "shop", sample)
    assert ("A sample of 0.05 of the users" in found) is said


def test_a_classifiers_gain_is_of_its_accuracy():
    made = trained(0.4, {"Recent": (0.2, 0.1, 0.3)}, Recent=0.3)
    from truelift.evaluation.results import Measure

    accurate = tuple(
        replace(m, measures=(Measure("accuracy", None, v, v, v),))
        for m, v in zip(made.test, (0.7, 0.6), strict=True)
    )
    tags = card(replace(made, test=accurate)).tags()
    assert tags["gain"] == "+0.1000" and "gain.ci_lower" not in tags
