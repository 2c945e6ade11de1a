"""A log of several policies: balanced weights have the support of all of them together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import truelift as tl
from truelift.errors import DataError

MEANS = {"a": 0.2, "b": 0.6}
KEYS = {"action": "action", "rewards": "reward", "estimators": ["IPS", "SNIPS"]}
LOGGERS = {"column": "round", "propensities": {"1": "p_first", "2": "p_second"}}


def rounds(rows: int = 12_000) -> pd.DataFrame:
    """A first round that always took a, and a second one that tossed a coin."""
    rng = np.random.default_rng(0)
    first = np.arange(rows) < 0.75 * rows
    action = np.where(first, "a", rng.choice(["a", "b"], rows))
    reward = rng.random(rows) < np.where(action == "a", MEANS["a"], MEANS["b"])
    return pd.DataFrame(
        {
            "round": np.where(first, 1, 2), "action": action, "reward": reward.astype(float),
            "p_first": (action == "a").astype(float), "p_second": 0.5,
            "own": np.where(first, 1.0, 0.5),
        }
    )  # fmt: skip


@pytest.mark.parametrize("action", MEANS)
def test_balanced_weights_find_the_value_that_one_logger_alone_cannot(action):
    policies = {"x": {"always": action}}
    balanced = tl.evaluate_policies(rounds(), **KEYS, policies=policies, loggers=LOGGERS)
    for e in balanced.estimates:
        assert abs(e.estimate - MEANS[action]) < 3.5 * e.standard_error
    assert balanced.verdict("x").verdict == "supported"
    assert "mixture of 2 loggers" in balanced.propensities


def test_each_rows_own_propensity_lacks_what_its_logger_never_did():
    policies = {"x": {"always": "b"}}
    naive = tl.evaluate_policies(rounds(), **KEYS, policies=policies, propensity="own")
    assert naive.verdict("x").verdict == "not supported"
    assert naive.verdict("x").missing_mass == pytest.approx(0.75, abs=0.02)


def test_the_propensity_is_that_of_the_mixture():
    log = rounds()
    mixed = log.assign(p=0.75 * log.p_first + 0.25 * log.p_second)
    policies = {"x": {"uniform": True}}
    one = tl.evaluate_policies(log, **KEYS, policies=policies, loggers=LOGGERS)
    other = tl.evaluate_policies(mixed, **KEYS, policies=policies, propensity="p")
    assert one.estimates[0].estimate == pytest.approx(other.estimates[0].estimate, rel=1e-12)


def test_a_logger_without_chances_is_named():
    log = rounds().assign(round=3)
    with pytest.raises(DataError, match=r"found '3', expected those of loggers.propensities: 1, 2"):
        tl.evaluate_policies(log, **KEYS, policies={"x": {"uniform": True}}, loggers=LOGGERS)
