"""A small seeded study of instruments: what covers where they are weak, and what does not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tests.unit.effects.panels import in_buckets, with_column
from truelift.effects.designs.instrument.run import instrument_effects
from truelift.settings import EffectOptions
from truelift.simulate.worlds.instrumented import instrument_table

pytestmark = pytest.mark.study

REPETITIONS = 150
WEAK = {"instruments": 5, "binary": False, "strength": 0.1, "noise": 0.3}


@cache
def study(estimand: str) -> dict[str, float]:
    """Shares of repetitions whose interval or set holds the effect of 1, and the median F."""
    world = WEAK
    names = tuple(f"z{i + 1}" for i in range(world["instruments"]))
    options = EffectOptions(
        treatment="d", outcomes=("y",), covariates=("x",), cluster="user", instrument=names,
        estimands=(estimand,),
    )  # fmt: skip
    found = []
    for seed in range(REPETITIONS):
        table = instrument_table(seed, clusters=120, size=3, **world)
        bucket = table["user"].to_numpy() % 5
        source = in_buckets(with_column(table, "bucket", bucket))
        result = instrument_effects(source, options, lambda text: None)
        check, estimate = result.instruments[0], result.estimates[0]
        wald = estimate.ci_lower <= 1.0 <= estimate.ci_upper
        found.append((wald, 1.0 in check.anderson_rubin, 1.0 in check.score, check.effective_f))
    wald, anderson_rubin, score, _ = np.mean(found, axis=0)
    strength = np.median([row[3] for row in found])
    return {"wald": wald, "anderson_rubin": anderson_rubin, "score": score, "f": strength}


def test_sets_of_anderson_and_rubin_and_of_the_score_cover_where_instruments_are_weak():
    found = study("TSLS")
    assert 1.0 < found["f"] < 3.0
    # 3.5 binomial standard deviations around .95.
    assert 0.886 <= found["anderson_rubin"] <= 1.0 and 0.886 <= found["score"] <= 1.0


def test_walds_interval_fails_where_instruments_are_weak():
    assert study("TSLS")["wald"] < 0.9


def test_intervals_hold_where_covariates_take_a_third_of_the_rows():
    """100 independent rows, 30 covariates of which 29 say nothing: without the factor (n - 1) / (n - L), 88% were held."""
    noise = tuple(f"c{i}" for i in range(29))
    options = EffectOptions(
        treatment="d", outcomes=("y",), covariates=("x", *noise), cluster="user", instrument=("z1",),
        estimands=("TSLS",),
    )  # fmt: skip
    held = []
    for seed in range(300):
        table = instrument_table(5_000 + seed, clusters=100, size=1, strength=1.5)
        for name, values in zip(
            noise, np.random.default_rng(seed).normal(size=(29, 100)), strict=True
        ):
            table = table.append_column(name, [values])
        bucket = table["user"].to_numpy() % 5
        made = instrument_effects(
            in_buckets(with_column(table, "bucket", bucket)), options, lambda text: None
        )
        held.append(made.estimates[0].ci_lower <= 1.0 <= made.estimates[0].ci_upper)
    # 2.5 binomial standard deviations below .95.
    assert np.mean(held) >= 0.918
