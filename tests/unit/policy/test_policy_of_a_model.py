"""A policy that was learned is a candidate like any other: its rule and its lots as chances."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import truelift as tl
from truelift.errors import DataError, TableError
from truelift.policy.package import PolicyPackage
from truelift.policy.rules import LinearRule

RULE = LinearRule(("age",), (40.0,), (10.0,), ((0.0, 1.0),))
KEYS = {"action": "arm", "rewards": "bought", "propensity": "p"}


def log(rows: int = 4000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    age = rng.normal(40, 10, rows)
    arm = rng.choice(["none", "mail"], rows)
    mean = np.where((arm == "mail") == (age > 40), 0.6, 0.2)
    return pd.DataFrame(
        {
            "age": age, "arm": arm, "p": 0.5, "bought": (rng.random(rows) < mean) * 1.0,
        }
    )  # fmt: skip


@pytest.fixture
def package(tmp_path):
    def written(**changes) -> str:
        held = {"rule": RULE, "arms": ("none", "mail"), "exploration": 0.2, **changes}
        place = tmp_path / "policy.json"
        place.write_text(PolicyPackage(**held).to_text())
        return str(place)

    return written


def test_a_learned_policy_is_worth_what_its_chances_are(package):
    rows = log()
    chances = {"none": np.where(rows.age > 40, 0.1, 0.9), "mail": np.where(rows.age > 40, 0.9, 0.1)}
    rows = rows.assign(c_none=chances["none"], c_mail=chances["mail"])
    policies = {
        "learned": {"model": package()},
        "columns": {"chances": {"none": "c_none", "mail": "c_mail"}},
    }
    found = tl.evaluate_policies(rows, **KEYS, context=["age"], policies=policies)
    learned, columns = (
        [e for e in found.estimates if e.policy == name] for name in ("learned", "columns")
    )
    for one, other in zip(learned, columns, strict=True):
        assert one.estimate == pytest.approx(other.estimate, rel=1e-12)
        assert one.standard_error == pytest.approx(other.standard_error, rel=1e-9)
    assert abs(learned[0].estimate - (0.9 * 0.6 + 0.1 * 0.2)) < 0.05


def test_a_column_that_the_rule_looks_at_and_the_log_lacks_is_named(package):
    with pytest.raises(TableError, match=r"'age'.*policies.learned"):
        tl.evaluate_policies(
            log().drop(columns="age"), **KEYS, policies={"learned": {"model": package()}}
        )


def test_an_arm_that_the_log_never_took_is_named(package):
    with pytest.raises(DataError, match=r"policies.learned: found 'call'"):
        tl.evaluate_policies(
            log(), **KEYS, policies={"learned": {"model": package(arms=("none", "call"))}}
        )


def test_a_file_that_is_no_policy_is_named(tmp_path):
    place = tmp_path / "other.json"
    place.write_text("{}")
    with pytest.raises(TableError, match="no policy that learn_policy made"):
        tl.evaluate_policies(log(), **KEYS, policies={"learned": {"model": str(place)}})
