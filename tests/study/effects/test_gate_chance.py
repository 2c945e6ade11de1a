"""What chance does to differences between arms, over many seeds, and what the gate makes of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.effects.support.test_effects_gate import estimated
from truelift.effects.estimate import estimate_panel
from truelift.effects.panel.source import MemoryPanel
from truelift.effects.results import EffectsResult
from truelift.settings import EffectOptions

pytestmark = pytest.mark.study


def test_the_standard_error_of_a_difference_is_how_far_chance_moves_it():
    found, errors = [], []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        x = np.column_stack([rng.normal(size=600), rng.random(600) < 0.1]).astype(float)
        chance = 1 / (1 + np.exp(1 - x[:, 0]))
        t = (rng.random(600) < chance).astype(int)
        result = known_chances(x, t, rng.normal(size=600), chance)
        found.append([(b.smd_after, b.smd_after_att) for b in result.overlap.balance])
        errors.append([(b.error_after, b.error_after_att) for b in result.overlap.balance])
    spread, said = np.std(found, axis=0), np.median(errors, axis=0)
    # Weights that run away make what the sums can say of themselves too small.
    assert np.all(said > 0.7 * spread)
    assert np.all(said < 1.5 * spread)


def known_chances(x: np.ndarray, t: np.ndarray, y: np.ndarray, chance: np.ndarray) -> EffectsResult:
    n = len(t)
    table = pa.table(
        {"x_0": x[:, 0], "x_1": x[:, 1], "t": t, "y": y, "p": chance, "id": np.arange(n)}
    )
    bucket = np.arange(n) % 5
    options = EffectOptions(
        treatment="t", outcomes=("y",), cluster="id", estimands=("ATE",), propensity={"1": "p"},
        covariates=("x_0", "x_1"), simultaneous=False,
    )  # fmt: skip
    parts = {b: table.filter(pa.array(bucket == b)) for b in range(5)}
    return estimate_panel(MemoryPanel(parts), options).result


def test_a_rare_indicator_that_few_treated_happen_to_have_is_chance():
    refused = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n = 670
        x = np.column_stack([rng.normal(size=(n, 6)), rng.random((n, 18)) < 0.07]).astype(float)
        t = (rng.random(n) < 1 / (1 + np.exp(1.5 - 0.4 * x[:, 0]))).astype(int)
        result = estimated(x, t, x[:, 0] + t + rng.normal(size=n))
        refused += not result.judged("ATE")
    assert refused <= 2
