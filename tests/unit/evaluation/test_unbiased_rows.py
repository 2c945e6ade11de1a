"""Figures of scores on rows by lot, and by weights on others."""

from __future__ import annotations

import numpy as np
import pytest

from truelift.errors import DataError
from truelift.evaluation.unbiased import judge


def rows(seed: int, n: int = 400, users: int = 40) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random(n), 1)
    return (
        np.repeat(np.arange(users), n // users),
        rng.random(n) < scores,
        scores,
        0.5 + rng.random(n),
    )


def test_auc_is_the_weighted_share_of_pairs_in_order_and_half_of_the_ties():
    users, labels, scores, weights = rows(1)
    of_pair = np.outer(weights[labels], weights[~labels])
    gap = scores[labels][:, None] - scores[~labels]
    expected = (of_pair * ((gap > 0) + 0.5 * (gap == 0))).sum() / of_pair.sum()
    assert judge(users, labels, scores, weights)["auc"].value == pytest.approx(expected)


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    users, labels, scores, weights = rows(1)
    found = judge(users, labels, scores, weights)
    said = scores > 0.5
    recall = weights[labels & said].sum() / weights[labels].sum()
    precision = weights[labels & said].sum() / weights[said].sum()
    assert found["recall"].value == pytest.approx(recall)
    assert found["precision"].value == pytest.approx(precision)
    assert found["f1"].value == pytest.approx(2 / (1 / recall + 1 / precision))


def test_ndcg_is_the_mean_over_users_with_a_positive_row():
    users, labels, scores, _ = rows(2)
    scores = scores + 1e-3 * np.arange(len(scores))  # no ties
    labels[users == 0] = False
    fall = 1 / np.log2(np.arange(5) + 2)
    each = []
    for user in range(1, 40):
        mine = labels[users == user][np.argsort(-scores[users == user])]
        if mine.any():
            each.append((mine[:5] * fall).sum() / fall[: mine.sum()].sum())
    assert judge(users, labels, scores, k=5)["ndcg"].value == pytest.approx(np.mean(each))


def test_recall_at_k_is_the_share_of_a_users_positive_rows_among_his_first():
    users = np.array([0, 0, 0, 1, 1, 2, 2])
    labels = np.array([1, 0, 1, 0, 1, 0, 0], bool)
    scores = np.array([3.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0])
    found = judge(users, labels, scores, k=1)["recall_at_k"]
    assert (found.value, found.users) == (0.25, 2)  # half of the first user's, none of the second's


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_rows_with_one_score_share_their_places_in_whatever_order_they_come(order):
    users = np.repeat([0, 1], 4)[order]
    labels = np.array([1, 0, 0, 0] * 2, bool)[order]
    found = judge(users, labels, np.zeros(8), k=2)
    assert found["recall_at_k"].value == pytest.approx(1 / 2)
    assert found["ndcg"].value == pytest.approx((1 + 1 / np.log2(3)) / 4)


def test_intervals_hold_the_truth_as_often_as_they_say():
    held = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        users = np.repeat(np.arange(60), 8)
        shift = np.repeat(rng.normal(size=60), 8)  # users differ: rows of one are alike
        labels = rng.random(480) < 0.5
        scores = labels + shift + rng.normal(size=480)
        auc = judge(users, labels, scores)["auc"]
        held.append(auc.lower <= 0.69146 <= auc.upper)  # Phi(1 / 2)
    assert 0.91 <= np.mean(held) <= 0.985


def test_a_score_less_itself_is_nothing():
    users, labels, scores, _ = rows(3)
    auc = judge(users, labels, scores)["auc"]
    none = auc.less(auc)
    assert (none.value, none.lower, none.upper) == (0.0, 0.0, 0.0)


def test_labels_of_one_kind_are_refused():
    with pytest.raises(DataError, match="one kind"):
        judge(np.zeros(3, int), np.ones(3, bool), np.arange(3.0))


def test_one_user_tells_nothing_of_others():
    _, labels, scores, _ = rows(3)
    alone = judge(np.zeros(len(labels), int), labels, scores)
    assert all(np.isinf([f.lower, f.upper]).all() for f in alone.values())
    assert np.isinf(
        alone["auc"].less(judge(np.zeros(len(labels), int), labels, -scores)["auc"]).upper
    )


def test_ndcg_counts_the_users_that_have_a_positive_row():
    users, labels, scores, _ = rows(3)
    labels &= users == 7
    found = judge(users, labels, scores)["ndcg"]
    assert found.users == 1 and np.isinf(found.upper)
