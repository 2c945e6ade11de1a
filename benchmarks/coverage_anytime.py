"""A hundred looks at a growing experiment without an effect: who claims one?"""

from __future__ import annotations

import numpy as np
from scipy import stats

from truelift.effects.scores.estimands import (
    ClusterMoments,
    covariance,
    influence_rows,
)
from truelift.effects.scores.layout import ScoreLayout
from truelift.effects.scores.quantities import UnitBlock, quantities
from truelift.effects.scores.ratios import Estimand, Ratio, contrast
from truelift.inference.anytime import AnytimeOptions, confidence_sequence

CLUSTERS, PILOT, LOOKS, ICC = 5000, 100, 100, 0.3
OPTIONS = AnytimeOptions(tightest_at=2500, first_look=PILOT)
LAYOUT = ScoreLayout(arms=2, outcomes=1)
ESTIMANDS = (
    Estimand(
        "naive difference", 0,
        (Ratio(((("raw", 1, 0), 1.0),), ("arm", 1)), Ratio(((("raw", 0, 0), 1.0),), ("arm", 0), -1.0)),
    ),
    contrast("ATE", ((("apo", 1, 0), 1.0), (("apo", 0, 0), -1.0)), ("unit",), 0),
)  # fmt: skip


def false_claims(random: np.random.Generator) -> np.ndarray:
    """Whether the truth (zero) ever left the interval, in one experiment.

    Clusters of one to five units come one after another, each treated by the toss of a coin. The
    ATE's outcome regression is fitted on the first clusters, which then say nothing themselves.

    Returns
    -------
    ndarray, 2 x 3
        By estimand (difference in means, AIPW): anytime-valid interval at any of the looks, 95%
        interval at any of the looks, 95% interval at the last look.
    """
    sizes = random.integers(1, 6, CLUSTERS)
    cluster = np.repeat(np.arange(CLUSTERS), sizes)
    x = random.standard_normal(len(cluster))
    arm = random.integers(0, 2, CLUSTERS)[cluster]
    shared = random.standard_normal(CLUSTERS)[cluster]
    noise = np.sqrt(ICC) * shared + np.sqrt(1 - ICC) * random.standard_normal(len(cluster))
    outcome = x + noise
    pilot = cluster < PILOT
    regression = np.array(
        [np.polyval(np.polyfit(x[pilot & (arm == a)], outcome[pilot & (arm == a)], 1), x) for a in (0, 1)]
    )  # fmt: skip
    units = UnitBlock(arm, outcome[None], np.full((2, len(x)), 0.5), regression[:, None])
    sums = np.add.reduceat(quantities(units, LAYOUT, 0.0), np.searchsorted(cluster, np.arange(CLUSTERS)), axis=1)[:, PILOT:]  # fmt: skip
    total = np.cumsum(sums, axis=1)
    cross = np.cumsum(np.einsum("it,jt->ijt", sums, sums), axis=2)
    seen = np.linspace(PILOT, sums.shape[1], LOOKS).astype(int)
    values, errors = np.empty((2, LOOKS)), np.empty((2, LOOKS))
    for look, t in enumerate(seen):
        found = ClusterMoments(total[:, t - 1], cross[:, :, t - 1], int(t))
        values[:, look], rows = influence_rows(found.total, LAYOUT, ESTIMANDS)
        errors[:, look] = np.sqrt(np.diag(covariance(rows, found)))
    claims = np.empty((2, 3), dtype=bool)
    for i in range(2):
        sequence = confidence_sequence(seen, values[i], errors[i], OPTIONS)
        claims[i, 0] = np.any((sequence.lower > 0) | (sequence.upper < 0))
        peeked = np.abs(values[i] / errors[i]) > stats.t.ppf(0.975, seen - 1)
        claims[i, 1:] = peeked.any(), peeked[-1]
    return claims
