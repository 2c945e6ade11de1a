"""A small seeded coverage study: intervals hold their level when units are clustered."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.effects.panels import in_buckets, simulate_panel
from tests.unit.effects.test_effects_estimates import scores_of
from truelift.effects.estimate import estimate_panel
from truelift.settings import EffectOptions

pytestmark = pytest.mark.study

REPETITIONS = 200
UNCLUSTERED_REPETITIONS = 100
EFFECT = 1.0
OPTIONS = EffectOptions(outcomes=("y_spend",), tolerance=1e-5)


@pytest.fixture(scope="module")
def study() -> dict[str, float]:
    """Shares of repetitions whose interval covers the truth."""
    covered = {"ATE": 0, "ATT": 0, "ATO": 0, "unclustered": 0, "naive difference": 0}
    for seed in range(REPETITIONS):
        table = simulate_panel(
            seed,
            units=500,
            clusters=100,
            covariates=3,
            buckets=5,
            effect=EFFECT,
            heterogeneity=0.0,  # so that ATE and ATT are the same known number
            cluster_effect=0.5,
            cluster_heterogeneity=1.5,
        )
        source = in_buckets(table)
        estimation = estimate_panel(source, OPTIONS)
        for estimate in estimation.result.estimates:
            covered[estimate.estimand] += estimate.ci_lower <= EFFECT <= estimate.ci_upper
        if seed >= UNCLUSTERED_REPETITIONS:
            continue
        psi = scores_of(estimation, source.buckets)
        covered["unclustered"] += abs(psi.mean() - EFFECT) < 1.96 * psi.std() / np.sqrt(len(psi))
    shares = {name: count / REPETITIONS for name, count in covered.items()}
    shares["unclustered"] = covered["unclustered"] / UNCLUSTERED_REPETITIONS
    return shares


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATO"])
def test_clustered_intervals_cover_at_their_level(study, estimand):
    # 3.5 binomial standard deviations around .95 at 200 repetitions.
    assert 0.896 <= study[estimand] < 1


def test_intervals_that_ignore_clusters_cover_less(study):
    assert study["unclustered"] < 0.87


def test_naive_difference_does_not_cover_a_confounded_effect(study):
    assert study["naive difference"] < 0.5
