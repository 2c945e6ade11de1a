"""Lists of three slots and three items, all of them enumerated: what each estimator is on average."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from truelift.errors import DataError
from truelift.lake.states import add_states
from truelift.policy.off_policy.slates import SLATE_ESTIMATORS, slate_state, slate_values

SLOTS, ITEMS = 3, 3
LISTS = np.array(list(itertools.product(range(ITEMS), repeat=SLOTS)))


def factored(seed: int) -> np.ndarray:
    """Chances of the items of each slot, whatever stands above (slots x items)."""
    found = np.exp(np.random.default_rng(seed).normal(0, 0.6, (SLOTS, ITEMS)))
    return found / found.sum(axis=1, keepdims=True)


LOGGED, WANTED = factored(1), factored(2)
OWN = np.random.default_rng(3).random((SLOTS, ITEMS))
PAIRS = np.random.default_rng(4).random((SLOTS, ITEMS, ITEMS))


def chance(of: np.ndarray) -> np.ndarray:
    """Of each list."""
    return np.prod([of[k, LISTS[:, k]] for k in range(SLOTS)], axis=0)


def slot_weights() -> np.ndarray:
    return np.column_stack([(WANTED / LOGGED)[k, LISTS[:, k]] for k in range(SLOTS)])


def rewards(kind: str) -> np.ndarray:
    """Mean rewards of the slots of each list (lists x slots)."""
    own = np.column_stack([OWN[k, LISTS[:, k]] for k in range(SLOTS)])
    if kind == "own item":
        return own
    if kind == "items so far":
        above = [
            PAIRS[k, LISTS[:, k], LISTS[:, k - 1]] if k else 0 * own[:, 0] for k in range(SLOTS)
        ]
        return own + np.column_stack(above)
    below = [PAIRS[k, LISTS[:, k], LISTS[:, (k + 1) % SLOTS]] for k in range(SLOTS)]
    return own + np.column_stack(below)


def on_average(kind: str, predicted=None, mean_predicted=None) -> dict[str, float]:
    """Each estimator over all lists, each as often as the log has it: rows in place of draws."""
    times = np.round(chance(LOGGED) * 4_000_000).astype(int)
    shrink = times / 2000  # a row stands for many
    states = []
    for i, count in enumerate(shrink):
        rows = [
            np.repeat(a[i : i + 1], round(count), axis=0) for a in (slot_weights(), rewards(kind))
        ]
        more = [None, None]
        if predicted is not None:
            more = [
                np.repeat(a[i : i + 1], round(count), axis=0) for a in (predicted, mean_predicted)
            ]
        users = np.arange(round(count), dtype=np.uint64) + np.uint64(10_000 * i)
        states.append(slate_state(users, *rows, *more))
    found = slate_values(add_states(states))
    return dict(zip(found.names, found.estimates, strict=True))


def truth(kind: str) -> float:
    return float(chance(WANTED) @ rewards(kind).sum(axis=1))


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        ("own item", {"SIPS", "IIPS", "RIPS", "PI", "SNIIPS"}),
        ("items so far", {"SIPS", "RIPS"}),
        ("items below too", {"SIPS"}),
    ],
)
def test_an_estimator_is_right_on_average_where_what_it_assumes_holds(kind, right):
    found = on_average(kind)
    for name in right:
        assert found[name] == pytest.approx(truth(kind), abs=0.02), name


def test_what_it_does_not_assume_shows():
    found = on_average("items below too")
    assert abs(found["IIPS"] - truth("items below too")) > 0.02


@pytest.mark.parametrize("seed", [0, 1])
def test_cascade_dr_is_right_whatever_is_predicted(seed):
    rng = np.random.default_rng(seed)
    # Predictions by the slots so far: their mean over the policy's choice of the slot.
    q = rng.random((SLOTS, ITEMS, ITEMS, ITEMS))
    predicted, mean = np.empty(LISTS.shape), np.empty(LISTS.shape)
    for i, row in enumerate(LISTS):
        for k in range(SLOTS):
            seen = [row[j] if j < k else 0 for j in range(SLOTS)]
            by_item = [
                q[(k, *[a if j == k else seen[j] for j in range(SLOTS)])] for a in range(ITEMS)
            ]
            predicted[i, k], mean[i, k] = by_item[row[k]], WANTED[k] @ by_item
    found = on_average("items so far", predicted, mean)
    assert found["cascade-DR"] == pytest.approx(truth("items so far"), abs=0.02)


def drawn(rows: int = 3000):
    rng = np.random.default_rng(0)
    weights = rng.gamma(1.0, 1.0, (rows, SLOTS))
    return rng.integers(0, 300, rows).astype(np.uint64), weights, rng.random((rows, SLOTS))


def test_sums_are_the_published_formulas_row_by_row():
    users, w, r = drawn()
    values = slate_values(slate_state(users, w, r))
    found = dict(zip(values.names, values.estimates, strict=True))
    running = np.cumprod(w, axis=1)
    expected = {
        "SIPS": np.mean(w.prod(axis=1) * r.sum(axis=1)),
        "IIPS": np.mean((w * r).sum(axis=1)),
        "RIPS": np.mean((running * r).sum(axis=1)),
        "PI": np.mean((1 + (w - 1).sum(axis=1)) * r.sum(axis=1)),
        "SNSIPS": np.sum(w.prod(axis=1) * r.sum(axis=1)) / np.sum(w.prod(axis=1)),
        "SNIIPS": np.sum((w * r).sum(axis=0) / w.sum(axis=0)),
        "SNRIPS": np.sum((running * r).sum(axis=0) / running.sum(axis=0)),
        "present": np.mean(r.sum(axis=1)),
    }
    assert found == pytest.approx(expected, rel=1e-12)


def test_errors_are_clustered_by_user_and_count_the_denominator():
    users, w, r = drawn()
    found = slate_values(slate_state(users, w, r))
    psi = np.zeros(len(w))
    for k in range(SLOTS):
        ratio = np.sum(w[:, k] * r[:, k]) / np.sum(w[:, k])
        psi += w[:, k] * (r[:, k] - ratio) / np.sum(w[:, k])
    by_user = np.bincount(users.astype(int), psi)
    count = len(np.unique(users))
    expected = np.sqrt((by_user**2).sum() * count / (count - 1))
    assert found.standard_errors[SLATE_ESTIMATORS.index("SNIIPS")] == pytest.approx(expected)
    assert found.users == count and found.lists == 3000


def test_buckets_of_whole_users_add_up():
    users, w, r = drawn()
    parts = [slate_state(*(a[users % 7 == b] for a in (users, w, r))) for b in range(7)]
    one, other = slate_values(slate_state(users, w, r)), slate_values(add_states(parts))
    np.testing.assert_allclose(other.estimates, one.estimates, rtol=1e-12)
    np.testing.assert_allclose(other.covariance, one.covariance, rtol=1e-9, atol=1e-15)


def test_a_shorter_list_counts_what_it_has():
    users, w, r = drawn()
    w[:, 2], r[:, 2] = 1.0, 0.0
    longer, shorter = slate_state(users, w, r), slate_state(users, w[:, :2], r[:, :2])
    plain = [SLATE_ESTIMATORS.index(n) for n in ("SIPS", "IIPS", "RIPS", "PI")]
    np.testing.assert_allclose(
        slate_values(longer).estimates[plain], slate_values(shorter).estimates[plain], rtol=1e-12
    )


@pytest.mark.parametrize("value", [-0.1, np.nan])
def test_weights_that_are_none_are_refused(value):
    users, w, r = drawn(10)
    w[3, 1] = value
    with pytest.raises(DataError, match="missing or negative"):
        slate_state(users, w, r)
