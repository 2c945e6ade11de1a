"""Names that MLflow accepts."""

import pytest

from truelift.tracking import metric_name, metric_names


@pytest.mark.parametrize(
    ("given", "logged"),
    [
        ("ndcg@10", "ndcg_at_10"),
        ("recent popularity (28 days) ndcg", "recent_popularity_28_days_ndcg"),
        ("clean.rows/in-out:x_1", "clean.rows/in-out:x_1"),
    ],
)
def test_odd_characters_of_a_metric_are_replaced(given, logged):
    assert metric_name(given) == logged


def test_metrics_whose_names_differ_in_odd_characters_alone_stay_apart():
    names = metric_names(["ate.sales (CHF)", "ate.sales [CHF]", "ate.visits"])
    assert len(set(names.values())) == 3
    assert names["ate.visits"] == "ate.visits"
    assert all(n == metric_name(n) for n in names.values())
    # What a metric is called does not hang on the order in which it is logged.
    assert metric_names(["ate.sales [CHF]", "ate.sales (CHF)"]).items() <= names.items()
