"""Names that MLflow accepts."""

import pytest

from truelift.tracking import metric_name


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
