"""Learners, estimands and looks that another package brings, run end to end on a panel in memory."""

from __future__ import annotations

import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel
from truelift.effects.estimate import estimate_panel
from truelift.errors import ConfigError
from truelift.settings import EffectOptions

MEANS = """
from dataclasses import dataclass
import numpy as np
from truelift.effects.learners.learner import Learner
from truelift.effects.nuisances import Fitted, Predictions

@dataclass(frozen=True)
class Options:
    share: float = 0.5

@dataclass(frozen=True, eq=False)
class Constants:
    share: float
    means: np.ndarray  # A x J
    name: str = "means"

    def predict(self, block, fold):
        n = block.shape[1]
        chances = np.array([1 - self.share, self.share])
        return Predictions(np.outer(chances, np.ones(n)), np.repeat(self.means[..., None], n, axis=2))

def fit(source, moments, options, progress):
    def sums(batch, fold):
        arm = moments.columns.arms.codes(batch)
        outcome = moments.outcomes.rows(batch, np.empty((len(moments.outcomes.names), batch.num_rows)))
        return np.array([[(arm == a).sum(), *outcome[:, arm == a].sum(axis=1)] for a in (0, 1)])

    total = sum(source.blocks(sums, moments.columns.of_moments(), options.folds))
    chosen = options.of_learner(MEANS)
    return Fitted(Constants(chosen.share, total[:, 1:] / total[:, :1]), True, {"share": chosen.share}, 2)

MEANS = Learner("means", fit, Options)
"""


def test_a_learner_of_another_package_is_named_parsed_and_run(bring):
    bring("truelift.learners", MEANS, means="MEANS")
    panel = in_buckets(simulate_panel(units=600, clusters=150))
    options = EffectOptions(learner="means", learners={"means": {"share": 0.4}}, estimands=("ATE",))
    result = estimate_panel(panel, options).result
    assert result.learner == "means" and result.nuisance["share"] == 0.4
    # Constant nuisances leave the weighted difference of the arms as they are.
    y, t = (simulate_panel(units=600, clusters=150)[c].to_numpy() for c in ("y_spend", "treated"))
    means = y[t == 0].mean(), y[t == 1].mean()
    weighted = [
        m + ((t == a) * (y - m)).mean() / chance
        for a, (m, chance) in enumerate(zip(means, (0.6, 0.4), strict=True))
    ]
    assert result.estimates[0].estimate == pytest.approx(weighted[1] - weighted[0])
    with pytest.raises(ConfigError, match=r"effects\.learners\.means\.shre.*Did you mean .*share"):
        EffectOptions(learner="means", learners={"means": {"shre": 0.4}})


def test_a_learner_whose_module_is_missing_is_refused_before_anything_is_read(bring):
    text = MEANS.replace("fit, Options)", 'fit, Options, needs=("no_such_module",))')
    bring("truelift.learners", text, means="MEANS")
    with pytest.raises(ConfigError, match="'means' needs the package no_such_module"):
        estimate_panel(None, EffectOptions(learner="means"))
