"""Propensities that the log lacks, estimated from the context and calibrated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import truelift as tl
from truelift.errors import ConfigError, DataError
from truelift.lake.foreign import frame_table
from truelift.policy.off_policy.estimated_chances import estimated_chances
from truelift.policy.off_policy.evaluate import reader_of
from truelift.policy.off_policy.log import memory_log
from truelift.policy.off_policy.spec import BanditSpec
from truelift.typed import from_plain

ITEMS = np.array(["a", "b", "c"])


def log(users: int = 1500, seed: int = 0) -> tuple[pd.DataFrame, float]:
    """Two rows a user; the log chose by x, on which rewards depend, too."""
    rng = np.random.default_rng(seed)
    n = 2 * users
    x = np.repeat(rng.normal(size=users), 2)
    odds = np.exp(np.column_stack([0 * x, 0.8 * x, -0.8 * x]))
    chances = odds / odds.sum(axis=1, keepdims=True)
    action = (rng.random(n)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    means = 1.0 + np.arange(3) * 0.5 + x[:, None]
    frame = {
        "user": np.repeat(np.arange(users), 2), "x": x, "item": ITEMS[action],
        "p": chances[np.arange(n), action], "gain": means[np.arange(n), action] + 0.3 * rng.normal(size=n),
    }  # fmt: skip
    return pd.DataFrame(frame), float(means[:, 2].mean())


def evaluated(frame, **keys):
    given = {
        "action": "item", "rewards": "gain", "user": "user", "context": ["x"],
        "propensity_model": "linear", "policies": {"c": {"always": "c"}},
        "estimators": ["IPS", "SNIPS", "DR"],
    }  # fmt: skip
    return tl.evaluate_policies(frame, **given | keys)


def of(result, name):
    return next(e for e in result.estimates if e.estimator == name)


def test_values_are_near_those_of_the_true_propensities_and_not_of_shares():
    frame, truth = log()
    found = evaluated(frame)
    known = evaluated(frame, propensity_model=None, propensity="p")
    shares = evaluated(frame, propensity_model=None, propensity_by=[])
    for name in ("IPS", "SNIPS"):
        assert abs(of(found, name).estimate - of(known, name).estimate) < 0.1
        assert abs(of(shares, name).estimate - truth) > 0.3
    assert of(found, "DR").ci_lower < truth < of(found, "DR").ci_upper
    assert found.support[0].missing_mass < 0.05


def test_the_result_says_that_they_are_estimated():
    found = evaluated(log(300)[0])
    assert found.propensities.startswith("estimated from x by linear, calibrated")
    assert "no interval counts how well they fit" in found.summary()


def chances_of_a(frame, bucket):
    """The estimated chance of a in the rows of a bucket, and their users."""
    plain = {
        "action": "item", "rewards": ["gain"], "user": "user", "context": ["x"],
        "propensity_model": "linear", "policies": {"c": {"always": "c"}},
    }  # fmt: skip
    spec = from_plain(BanditSpec, plain)
    held = memory_log(frame_table(frame, "the log"), spec, 5)
    chances = estimated_chances(held, reader_of(held, spec), lambda text: None)
    rows = held.panel.buckets[bucket].combine_chunks()
    found = chances.of_rows(rows.to_batches()[0], bucket, np.zeros(rows.num_rows, np.int64))
    return float(found.mean()), set(rows["user"].to_pylist())


def test_a_users_own_rows_have_no_part_in_its_propensities():
    frame, _ = log(300)
    before, users = chances_of_a(frame, 2)
    others = chances_of_a(frame, 1)[0]
    moved = frame.assign(item=frame.item.where(~frame.user.isin(users), "a"))
    # They raise the chances of others alone (whose maps then correct what they raised in models).
    assert chances_of_a(moved, 2)[0] < before + 0.02
    assert chances_of_a(moved, 1)[0] - others > 0.05


@pytest.mark.parametrize(
    ("keys", "error", "said"),
    [
        ({"propensity": "p"}, ConfigError, "found 2 ways"),
        ({"propensity_model": "crystal ball"}, ConfigError, "propensity_model: found 'crystal ball'"),
        ({"context": []}, ConfigError, "found without context"),
        ({"user": None}, ConfigError, "without user"),
        ({"slate": "user", "position": "x"}, ConfigError, "beside slate"),
        ({"action": "many"}, DataError, "has 30 actions"),
    ],
)  # fmt: skip
def test_what_cannot_be_estimated_is_one_message(keys, error, said):
    frame = log(60)[0]
    frame["many"] = [f"i{k % 30}" for k in range(len(frame))]
    keys = {"policies": {"random": {"uniform": True}}} | keys
    with pytest.raises(error, match=said):
        evaluated(frame, **keys)
