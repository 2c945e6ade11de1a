"""What cannot be estimated, and why: too few clusters, or scores that do not vary.

An interval of width zero is never a finding. It comes of one cluster, whose own mean is the estimate, of
an outcome with a single value, or of a model that left no residual; then the variance is a rounding
error, and so would be every p-value made of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truelift.effects.scores.estimands import ClusterMoments, covariance, influence_rows
from truelift.effects.scores.layout import ScoreLayout
from truelift.effects.scores.presence import Presence
from truelift.effects.scores.ratios import Estimand

#: Clusters of an arm that a cell of a group, or the part that a policy sends there, needs at least.
FEWEST_CLUSTERS = 2
#: A variance below this share of what it would be without cancellation is a rounding error.
ROUNDING = 1e-12


def why_not(
    moments: ClusterMoments,
    layout: ScoreLayout,
    estimands: Sequence[Estimand],
    arms: Sequence[str] = (),
) -> list[str]:
    """By estimand, why it has no standard error; empty where it has one.

    Parameters
    ----------
    moments : ClusterMoments
        Without ``presence`` only what the sums show is found.
    layout : ScoreLayout
    estimands : sequence of Estimand
    arms : sequence of str
        Labels, for the reasons.
    """
    values, rows = influence_rows(moments.total, layout, estimands)
    presence = moments.presence
    found = [_by_presence(e, presence, arms) if presence is not None else "" for e in estimands]
    for i, estimand in enumerate(estimands):
        if not found[i] and not np.isfinite(values[i]):
            found[i] = "no unit is in its population"
        elif not found[i] and not _spread_over_clusters(moments, layout, estimand):
            found[i] = "its population lies in one cluster"
    left = [i for i, reason in enumerate(found) if not reason]
    flat = without_variance(rows[left], moments)
    for i, empty in zip(left, flat.tolist(), strict=True):
        if empty:
            found[i] = "its scores do not vary, so there is no standard error"
    return found


def without_variance(rows: np.ndarray, moments: ClusterMoments) -> np.ndarray:
    """Which variances are rounding errors (m).

    Parameters
    ----------
    rows : ndarray, m x S
        Of :func:`~.estimands.influence_rows`.
    moments : ClusterMoments
    """
    if not len(rows):
        return np.zeros(0, bool)
    alone = rows**2 @ np.clip(np.diag(moments.cross), 0.0, None)
    with np.errstate(invalid="ignore"):
        variance = np.sum((rows @ moments.cross) * rows, axis=1)
    found = ~(variance > ROUNDING * alone)
    if moments.second is not None and not found.all():
        kept = np.flatnonzero(~found)
        found[kept] = ~(np.diag(covariance(rows[kept], moments)) > ROUNDING * alone[kept])
    return found


def _spread_over_clusters(moments: ClusterMoments, layout: ScoreLayout, estimand: Estimand) -> bool:
    """Whether no single cluster makes up (nearly) all of a denominator."""
    for term in estimand.terms:
        place = layout.place(*term.denominator)
        squares = moments.cross[place, place]
        if moments.total[place] ** 2 < (1.0 + 1e-6) * squares:
            return False
    return True


def _by_presence(estimand: Estimand, presence: Presence, arms: Sequence[str]) -> str:
    keys = [key for term in estimand.terms for key, _ in term.numerator]
    for key in keys:
        if key[0] == "gate":
            _, group, level, arm, outcome = key
            if presence.cell_clusters[int(group)][int(level)] < FEWEST_CLUSTERS:
                return "one cluster"
            if presence.constant(int(outcome), presence.place(int(group), int(level))):
                return "the outcome has one value in it"
            clusters = int(presence.cells[int(group)][int(level), int(arm)])
            if clusters < FEWEST_CLUSTERS:
                return f"{_clusters(clusters)} with arm {_label(arms, int(arm))}"
        elif key[0] == "policy":
            for arm, units in enumerate(presence.chosen[int(key[1])]):
                clusters = int(presence.followed[int(key[1]), arm])
                if units > 0 and clusters < FEWEST_CLUSTERS:
                    label = _label(arms, arm)
                    return f"{_clusters(clusters)} with arm {label} where the policy chooses it"
    for key in keys:
        if presence.constant(int(key[-1])):
            return "the outcome has one value"
    return ""


def _label(arms: Sequence[str], arm: int) -> str:
    return arms[arm] if arms else f"number {arm}"


def _clusters(count: int) -> str:
    return {0: "no cluster", 1: "one cluster"}.get(count, f"{count:,} clusters")
