"""Actions that are truth values, and the ways YAML has to say yes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml

import truelift as tl
from truelift.errors import DataError

KEYS = {"action": "mailed", "rewards": "bought", "propensity": "p", "estimators": ["SNIPS"]}


def log(rows: int = 2000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    mailed = rng.random(rows) < 0.5
    bought = rng.random(rows) < np.where(mailed, 0.6, 0.3)
    return pd.DataFrame(
        {"mailed": mailed, "bought": bought * 1.0, "p": 0.5, "p_yes": 0.8, "p_no": 0.2}
    )


@pytest.mark.parametrize("said", ["yes", "true", "True", "on", "'true'", "'yes'", "1", "'1'"])
def test_yes_is_the_action_that_was_taken(said):
    rows = log()
    policies = yaml.safe_load(f"{{x: {{always: {said}}}}}")
    found = tl.evaluate_policies(rows, **KEYS, policies=policies)
    assert found.estimates[0].estimate == pytest.approx(rows.bought[rows.mailed].mean(), rel=1e-12)


@pytest.mark.parametrize("said", ["no", "false", "'False'", "0"])
def test_no_is_the_other(said):
    rows = log()
    policies = yaml.safe_load(f"{{x: {{always: {said}}}}}")
    found = tl.evaluate_policies(rows, **KEYS, policies=policies)
    assert found.estimates[0].estimate == pytest.approx(rows.bought[~rows.mailed].mean(), rel=1e-12)


def test_chances_are_named_by_truth_values_too():
    rows = log()
    policies = {"x": {"chances": {"true": "p_yes", "no": "p_no"}}}
    found = tl.evaluate_policies(rows, **KEYS, policies=policies).estimates[0].estimate
    by = rows.groupby("mailed").bought
    w = np.where(rows.mailed, 0.8, 0.2) / 0.5
    assert found == pytest.approx(float((w * rows.bought).sum() / w.sum()), rel=1e-12)
    assert by.mean()[True] > found > by.mean()[False]


def test_a_text_that_is_no_action_is_named_still():
    rows = log().assign(mailed=lambda t: np.where(t.mailed, "yes", "no"))
    with pytest.raises(DataError, match="'true'"):
        tl.evaluate_policies(rows, **KEYS, policies={"x": {"always": True}})
    found = tl.evaluate_policies(rows, **KEYS, policies={"x": {"always": "yes"}})
    assert found.supported
