"""Whether the arms have the sizes that known chances promise, whatever the chances depend on.

The sum of ``1[D = a] - e_a`` over all units has mean zero if the chances are what was done, and its
variance follows from the sums by cluster. A mismatch (sample ratio mismatch, Fabijan et al. 2019) voids
an experiment: whatever lost or moved the units may depend on what they did.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from truelift.effects.nuisances.moments import Moments
from truelift.effects.panel.source import State
from truelift.effects.results import Caution

#: Below this p-value the sizes are a mismatch: the check is made in every experiment.
LEVEL = 0.001
IN_DOUBT = "The arms do not have the sizes that were promised"
_ADVICE = (
    "The assignment or the logging is in doubt: find out what lost or moved units before anything "
    "is concluded."
)


def assignment_cautions(sums: State, moments: Moments) -> tuple[Caution, ...]:
    """A stopping caution where the arms' sizes are not those of the known chances.

    Parameters
    ----------
    sums : State
        Of the scores pass, with ``surprise_total`` (A) and ``surprise_cross`` (A x A) over clusters.
    moments : Moments
    """
    if not moments.columns.propensity:
        return ()
    total, clusters = sums["surprise_total"], float(sums["clusters"][0])
    p_value = mismatch(total, sums["surprise_cross"], clusters)
    if p_value >= LEVEL:
        return ()
    observed = moments.gram[:, :, 0, 0].sum(axis=0)
    weighted = "weight" if moments.columns.weight else "units"
    sizes = ", ".join(
        f"{label} {found:,.0f} ({found - beyond:,.0f} expected)"
        for label, found, beyond in zip(moments.columns.arms.labels, observed, total, strict=True)
    )
    return (Caution(f"{IN_DOUBT}: {weighted} {sizes}, p {p_value:.2g}. {_ADVICE}", stops=True),)


def sample_ratio_caution(sentence: str) -> Caution:
    """The same of an experiment's own test."""
    return Caution(f"{sentence} {_ADVICE}", stops=True)


def mismatch(total: np.ndarray, cross: np.ndarray, clusters: float) -> float:
    """P-value of Hotelling's test that all sums have mean zero.

    Parameters
    ----------
    total : ndarray, A
        Sums over clusters; they add up to zero, so the first is left out.
    cross : ndarray, A x A
        Sums of products over clusters.
    clusters : float
    """
    total, cross = total[1:], cross[1:, 1:]
    # About the mean: a mismatch is no part of the noise that it is measured by.
    around = cross - np.outer(total, total) / clusters
    values, vectors = np.linalg.eigh(around)
    kept = values > 1e-12 * max(float(np.trace(cross)), 1e-300)
    rank = int(np.count_nonzero(kept))
    if not rank or clusters <= rank + 1:
        return 1.0
    statistic = float(np.sum((vectors.T @ total)[kept] ** 2 / values[kept]))
    statistic *= (clusters - 1) / clusters
    f = statistic * (clusters - rank) / (rank * (clusters - 1))
    return float(special.fdtrc(rank, clusters - rank, f))
