"""Networks beside the linear models: a network that is too sure of the treatment loses its say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel, with_column
from truelift.effects.estimate import estimate_panel
from truelift.effects.nuisances.fitted import Fitted, Predictions
from truelift.effects.nuisances.learners import neural
from truelift.effects.nuisances.stack import simplex_weights
from truelift.models.causal.options import NeuralOptions
from truelift.settings import EffectOptions


@dataclass(frozen=True)
class SureAndWrong:
    """Chances near 0 and 1 that have nothing to do with the treatment; outcomes that are right."""

    name: str = "dragonnet"

    def predict(self, block: np.ndarray, fold: int) -> Predictions:
        chance = np.where(np.sin(1e4 * block[1]) > 0, 0.02, 0.98)
        outcome = np.tile(block[1], (2, 1, 1)) + np.array([0.0, 1.0])[:, None, None]
        return Predictions(np.stack([1 - chance, chance]), outcome)


@pytest.fixture
def estimate(monkeypatch):
    rng = np.random.default_rng(1)
    table = simulate_panel(seed=5, units=4000, clusters=4000, cluster_effect=0)
    treated = (rng.random(4000) < 0.5).astype(np.int32)
    x = table["x_1"].to_numpy()
    table = with_column(table, "treated", treated)
    table = with_column(table, "y_spend", x + treated + rng.normal(size=4000))
    networks = Fitted(SureAndWrong(), True, {}, 1)
    monkeypatch.setattr(neural, "trained_networks", lambda *_: networks)

    def run(**changes):
        options = EffectOptions(
            outcomes=("y_spend",), estimands=("ATE",), learner="neural", neural=changes
        )
        result = estimate_panel(in_buckets(table), options).result
        return result.estimates[0], result

    return run


def test_chances_that_foretell_nothing_get_no_weight_and_the_error_is_not_blown_up(estimate):
    together, result = estimate()
    alone, _ = estimate(stacked=False)
    assert result.nuisance["stack_propensity_linear"] > 0.9
    assert together.standard_error < 0.5 * alone.standard_error
    assert abs(together.estimate - 1) < 4 * together.standard_error


def test_the_result_is_named_by_the_network_and_its_weights_are_kept(estimate):
    _, result = estimate()
    assert result.learner == "dragonnet"
    shares = [result.nuisance[f"stack_propensity_{n}"] for n in ("linear", "dragonnet")]
    assert sum(shares) == pytest.approx(1)


def test_learners_that_err_alike_share_the_weight_and_a_clearly_better_one_keeps_it():
    alike = np.array([[0.145, 0.143], [0.143, 0.150]])  # a small sample's noise would decide
    assert simplex_weights(alike)[0] > 0.75
    assert simplex_weights(alike, 0.1) == pytest.approx([0.5, 0.5], abs=0.15)
    better = np.array([[3.0, 1.0], [1.0, 1.0]])
    assert simplex_weights(better, 0.1)[1] > 0.9
    assert simplex_weights(better, 0.0)[1] == pytest.approx(1.0, abs=1e-6)


def test_networks_are_stacked_unless_somebody_says_no(estimate):
    assert NeuralOptions().stacked
    _, alone = estimate(stacked=False)
    assert "stack_propensity_linear" not in alone.nuisance
