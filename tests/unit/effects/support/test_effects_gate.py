"""The gate tells imbalance from chance, and a propensity that bends from one that is straight."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from truelift.effects.estimate import estimate_panel
from truelift.effects.panel.source import MemoryPanel
from truelift.effects.results import EffectsResult
from truelift.effects.support.summaries import CovariateBalance, OverlapSummary
from truelift.effects.support.verdict import LOG_ODDS, critical_difference, support
from truelift.settings import EffectOptions


def summary(*rows: CovariateBalance, squares=(), index=None) -> OverlapSummary:
    return OverlapSummary(
        (0.0, 1.0), (1000,), (1000,), 0.0, 900.0, 900.0, rows, 0.0, 900.0,
        balance_of_squares=tuple(squares), balance_of_index=index,
    )  # fmt: skip


def judged(overlap: OverlapSummary, estimand: str = "ATE") -> str:
    found = support({"1": overlap}, {"0": 1000, "1": 1000}, True)
    return next(s.text for s in found if s.estimand == estimand)


def difference(size: float, error: float, name: str = "x_b") -> CovariateBalance:
    return CovariateBalance(name, 0.4, size, size, error, error)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
@pytest.mark.parametrize(
    ("size", "error", "says"),
    [
        (0.30, 0.02, "not supported by the data: x_b differs by 0.30"),
        (-0.30, 0.02, "not supported by the data: x_b differs by 0.30"),
        (0.30, 0.15, "supported, with care: x_b differs by 0.30 standard deviations after weighting, no"),
        (0.15, 0.02, "supported, with care: x_b still differs by 0.15"),
        (0.15, 0.10, "supported: the arms overlap"),
        (2.00, 0.30, "not supported by the data: x_b differs by 2.00"),
    ],
)  # fmt: skip
def test_a_difference_counts_where_it_is_more_than_chance_makes(estimand, size, error, says):
    assert judged(summary(difference(size, error)), estimand).startswith(says)


def test_many_covariates_ask_for_more_standard_errors():
    lone = summary(difference(0.30, 0.10))
    among = summary(difference(0.30, 0.10), *(difference(0.0, 0.1, f"x_{j}") for j in range(40)))
    assert judged(lone).startswith("not supported")
    assert judged(among).startswith("supported, with care")
    assert critical_difference(1) < critical_difference(40) < critical_difference(4000) < 6


def test_squares_and_log_odds_are_judged_too():
    fine = difference(0.01, 0.02)
    wide = summary(fine, squares=[difference(0.4, 0.03, "x_b squared")])
    assert "the propensity bends in it and the model does not" in judged(wide)
    chance = summary(fine, squares=[difference(0.4, 0.3, "x_b squared")])
    assert judged(chance).startswith("supported: the arms overlap")
    assert "the log odds of treatment differ by 0.40" in judged(
        summary(fine, index=difference(0.4, 0.03, LOG_ODDS))
    )


def test_log_odds_that_a_model_of_noise_turned_round_say_nothing():
    turned = summary(difference(0.01, 0.02), index=difference(-0.4, 0.03, LOG_ODDS))
    assert judged(turned).startswith("supported: the arms overlap")


def estimated(x: np.ndarray, t: np.ndarray, y: np.ndarray, **changes) -> EffectsResult:
    names = tuple(f"x_{j}" for j in range(x.shape[1]))
    n = len(t)
    table = pa.table(
        {n_: x[:, j] for j, n_ in enumerate(names)} | {"t": t, "y": y, "id": np.arange(n)}
    )
    bucket = np.arange(n) % 5
    source = MemoryPanel({b: table.filter(pa.array(bucket == b)) for b in range(5)})
    keys = {
        "treatment": "t", "outcomes": ("y",), "covariates": names, "cluster": "id",
        "estimands": ("ATE", "ATT"), "clip_levels": (), "simultaneous": False,
    }  # fmt: skip
    return estimate_panel(source, EffectOptions(**(keys | changes))).result


def test_clusters_that_share_their_arm_make_chance_larger():
    rng = np.random.default_rng(4)
    n, size = 2000, 20
    cluster = np.arange(n) // size
    x = rng.normal(size=n // size)[cluster]
    t = (rng.random(n // size) < 0.5).astype(int)[cluster]
    table = pa.table(
        {"x_0": x, "t": t, "y": rng.normal(size=n), "id": cluster, "one": np.arange(n)}
    )

    def error(column: str) -> float:
        bucket = np.asarray(table[column]) % 5
        parts = {b: table.filter(pa.array(bucket == b)) for b in range(5)}
        options = EffectOptions(
            treatment="t", outcomes=("y",), covariates=("x_0",), cluster=column, estimands=("ATE",),
            propensity={"1": "0.5"},
        )  # fmt: skip
        return estimate_panel(MemoryPanel(parts), options).result.overlap.balance[0].error_after

    assert error("id") == pytest.approx(np.sqrt(size) * error("one"), rel=0.1)


def test_a_true_lack_of_overlap_is_refused_at_every_size():
    for n in (400, 2000, 8000):
        rng = np.random.default_rng(n)
        x = rng.normal(size=(n, 5))
        t = (rng.random(n) < 1 / (1 + np.exp(-5 * x.sum(axis=1)))).astype(int)
        result = estimated(x, t, x.sum(axis=1) + rng.normal(size=n))
        assert not result.supported, n


def test_those_who_are_nearly_all_treated_are_refused():
    rng = np.random.default_rng(5)
    n = 4000
    x = np.column_stack([rng.normal(size=(n, 5)), rng.random(n) < 0.2]).astype(float)
    t = (rng.random(n) < np.where(x[:, 5] == 1, 0.998, 0.3)).astype(int)
    assert not estimated(x, t, x[:, 0] + 3 * x[:, 5] + rng.normal(size=n)).supported


def test_a_propensity_that_bends_and_is_taken_for_straight_is_refused_and_mended_by_squares():
    rng = np.random.default_rng(6)
    n = 4000
    x = rng.normal(size=(n, 4))
    bend = x[:, 0] ** 2 - 1
    t = (rng.random(n) < 1 / (1 + np.exp(-0.8 * bend))).astype(int)
    y = bend + t + rng.normal(size=n)
    straight, bent = estimated(x, t, y), estimated(x, t, y, expansion="squares")
    assert abs(straight.estimates[0].estimate - 1) > 5 * straight.estimates[0].standard_error
    assert "x_0 squared differs" in straight.support[0].reason
    assert not straight.supported
    assert bent.supported
    assert abs(bent.estimates[0].estimate - 1) < 3 * bent.estimates[0].standard_error


def test_errors_of_differences_travel_with_the_result():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(500, 2))
    overlap = estimated(x, rng.integers(0, 2, 500), rng.normal(size=500)).overlap
    assert list(overlap.to_pandas().columns)[-2:] == ["error_after", "error_after_att"]
    assert overlap.balance_of_index is not None
    assert [b.covariate for b in overlap.balance_of_squares] == ["x_0 squared", "x_1 squared"]
    assert all(0 < b.error_after < 0.5 for b in overlap.balance)
    without = replace(overlap, balance=tuple(replace(b, error_after=0.0) for b in overlap.balance))
    assert without.balance[0].smd_after == overlap.balance[0].smd_after


@pytest.mark.parametrize("name", ["ihdp_npci_1.csv", "ihdp_npci_5.csv", "ihdp_npci_9.csv"])
def test_rare_indicators_of_ihdp_no_longer_refuse_it(name):
    rows = ihdp(name)
    if rows is None:
        pytest.skip("the data are not here; TRUELIFT_SHARED_DATA names their folder")
    x, t, y, truth = rows
    result = estimated(x, t, y)
    assert result.judged("ATE")
    ate = result.estimates[0]
    assert abs(ate.estimate - truth) < 2 * ate.standard_error


def ihdp(name: str):
    sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "benchmarks"))
    try:
        from truth_data import data_folder
    finally:
        sys.path.pop(0)
    folder = data_folder(None)
    if folder is None:
        return None
    rows = np.genfromtxt(folder / name, delimiter=",")
    return rows[:, 5:], rows[:, 0].astype(int), rows[:, 1], float(np.mean(rows[:, 4] - rows[:, 3]))
