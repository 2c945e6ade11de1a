"""Costs that are effects themselves: what an arm does to an outcome that counts money.

A unit's place on the path follows from the ratio of two forecasts, its gain by its cost; what is then gained
and spent, from the scores of both. A budget stops the path where the scored spend reaches it, so that the
influence function of the gain is that of known costs with the scored cost in their place: at any budget it is
a ratio of two effects' slopes that money is worth (Sverdrup, Wu, Athey & Wager 2025 for known costs).
"""

from __future__ import annotations

import numpy as np

from truelift.errors import NotSupportedError
from truelift.policy.budget.path import Offers
from truelift.policy.means import Ratios

#: Share of an arm's mean cost below which no unit's forecast of it counts.
LEAST_SHARE = 0.1


def forecast_costs(
    forecast: np.ndarray, paid: np.ndarray, weight: np.ndarray, arms: tuple[str, ...], outcome: str,
    cluster: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Forecasts of every arm's cost against the control, kept above zero (n x K).

    A regression may forecast that some unit costs nothing, or less; such a unit would come first whatever
    it gains. It counts with a tenth of the arm's mean cost.

    Parameters
    ----------
    forecast, paid : ndarray, n x K
        Of costs against the control, by the regressions and by the scores.
    weight : ndarray, n
    arms : tuple of str
        The control first.
    outcome : str
        That counts the money.
    cluster : ndarray, n, optional
        Units that share it may be dependent.

    Raises
    ------
    NotSupportedError
        For an arm of which the scores do not say that it costs anything.
    """
    shares = weight / weight.sum()
    mean = shares @ paid
    place = np.arange(len(paid)) if cluster is None else np.unique(cluster, return_inverse=True)[1]
    moved = (shares[:, None] * (paid - mean)).T
    error = np.sqrt([np.square(np.bincount(place, line)).sum() for line in moved])
    for arm, cost, spread in zip(arms[1:], mean, error, strict=True):
        if not cost > 2 * spread:
            raise NotSupportedError(
                f"cost_outcome: by the scores of {outcome} {arm} costs {cost:.4g} ± {spread:.2g} a unit, which is "
                "not surely above zero, so no budget can be divided by it. Name its costs in reward.costs, or "
                "limit the number of units by capacity."
            )
    return np.maximum(forecast, LEAST_SHARE * mean)


def ratios_of_effects(offers: Offers) -> Ratios:
    """What every arm gains for one unit of money where all get it: a ratio of two effects (K)."""
    place, clusters = offers.clusters
    gain, cost = offers.weights @ offers.score, offers.weights @ offers.paid
    ratio = gain / cost
    psi = offers.weights[:, None] * (offers.score - ratio * offers.paid) / cost
    sums = np.stack([np.bincount(place, column, clusters) for column in psi.T])
    return Ratios(ratio, sums @ sums.T * clusters / max(clusters - 1, 1), clusters)
