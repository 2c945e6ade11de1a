"""Estimates and errors equal DoubleML's figures, given the same predictions.

`benchmarks/agreement.py` compares with installed peers; here their figures are literals.
"""

from __future__ import annotations

import numpy as np
import pytest

from truelift.arrays.keys import mix
from truelift.effects.scores.estimands import (
    ClusterMoments,
    covariance,
    influence_rows,
)
from truelift.effects.scores.kinds.att import ATT
from truelift.effects.scores.layout import ScoreLayout
from truelift.effects.scores.quantities import UnitBlock, quantities
from truelift.effects.scores.ratios import Estimand, Ratio, contrast
from truelift.inference.clusters import ClusterSums

# DoubleML 0.11.4 with the predictions of ``sixty_units`` handed to it: DoubleMLIRM with scores
# 'ATE' and 'ATTE', without clusters and with 20 (five folds of four), its gate(), DoubleMLAPOS.
DOUBLEML = {
    "ATE": (1.8862727736297722, 0.24895020369177404),
    "ATTE": (1.7166571617490962, 0.3296588341321583),
    "clustered ATE": (1.8862727736297722, 0.22182794879921658),
    "clustered ATTE": (1.7166571617490962, 0.3014374000502741),
    "APO 0": (-0.06867858720968154, 0.2779992830859269),
    "APO 1": (1.8175941864200906, 0.1871029242276187),
    "GATE 0": (2.1204955669474534, 0.42531452968231903),
    "GATE 1": (1.413393655531069, 0.3757896724193646),
    "GATE 2": (2.124929098410793, 0.4678716889036673),
}
LAYOUT = ScoreLayout(arms=2, outcomes=1, cells=(3,), own=(ATT.sums,))
BOTH = ((("apo", 1, 0), 1.0), (("apo", 0, 0), -1.0))
ESTIMANDS = {
    "ATE": contrast("ATE", BOTH, ("unit",), 0),
    "ATTE": contrast("ATT", ((("att", 1, 0), 1.0),), ("arm", 1), 0),
    **{
        f"APO {a}": Estimand("APO", 0, (Ratio(((("apo", a, 0), 1.0),), ("unit",)),)) for a in (0, 1)
    },
    **{
        f"GATE {g}": contrast(
            "GATE",
            ((("gate", 0, g, 1, 0), 1.0), (("gate", 0, g, 0, 0), -1.0)),
            ("cell", 0, g),
            0,
        )
        for g in range(3)
    },
}


def sixty_units() -> tuple[UnitBlock, np.ndarray]:
    """Units by formula with rough predictions, and 20 clusters of two (the last: of 22)."""
    i = np.arange(60)
    x, u = np.sin(1.3 * i), np.cos(2.9 * i * i)
    arm = ((i * 23) % 60 + 0.5) / 60 < 1 / (1 + np.exp(-0.6 * x - 0.2 * u))
    outcome = 2.0 * arm + 1.5 * x + u + np.sin(3.7 * i * i + 2)
    chance = 1 / (1 + np.exp(-0.5 * x - 0.1))
    units = UnitBlock(
        arm=arm.astype(int),
        outcome=outcome[None],
        propensity=np.stack([1 - chance, chance]),
        outcome_regression=np.stack([1.4 * x - 0.1, 1.6 * x + 1.9])[:, None],
        cells=(i % 3,),
    )
    return units, np.minimum(i // 2, 19)


def moments_of(cluster: np.ndarray) -> ClusterMoments:
    units, _ = sixty_units()
    sums = ClusterSums(len(LAYOUT))
    sums.add_summands(mix(cluster.astype(np.uint64)), quantities(units, LAYOUT, clip=0.01))
    keys, by_cluster = sums.finish()
    return ClusterMoments(by_cluster.sum(axis=1), by_cluster @ by_cluster.T, len(keys))


@pytest.mark.parametrize("name", list(DOUBLEML))
def test_estimate_and_error_are_those_of_doubleml(name):
    clustered = name.startswith("clustered")
    found = moments_of(sixty_units()[1] if clustered else np.arange(60))
    estimand = ESTIMANDS[name.removeprefix("clustered ")]
    (value,), rows = influence_rows(found.total, LAYOUT, [estimand])
    # DoubleML leaves out the factor G / (G - 1).
    error = np.sqrt(covariance(rows, found)[0, 0] * (found.clusters - 1) / found.clusters)
    np.testing.assert_allclose((value, error), DOUBLEML[name], rtol=1e-10)
