"""What has no estimate, and what hangs on few clusters or on an outcome that does not vary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from truelift.effects.panel.columns import PanelColumns
from truelift.effects.results import Caution
from truelift.effects.scores.estimable import why_not
from truelift.effects.scores.estimands import ClusterMoments
from truelift.effects.scores.layout import ScoreLayout
from truelift.effects.scores.presence import Presence
from truelift.effects.scores.ratios import Estimand

_JUDGED = ("ATE", "ATT", "ATO")
_MOST_NAMED = 8
# Clusters are unequal where they are worth this much fewer, and one holds this share.
_TIMES_UNEQUAL, _MUCH_IN_ONE = 4.0, 0.05


def not_estimable(
    moments: ClusterMoments, layout: ScoreLayout, estimands: Sequence[Estimand],
    columns: PanelColumns,
) -> tuple[dict[str, str], list[Caution]]:  # fmt: skip
    """What was asked for and has no standard error, with why; and whose support goes with it.

    Parameters
    ----------
    moments : ClusterMoments
    layout : ScoreLayout
    estimands : sequence of Estimand
        All that were asked for.
    columns : PanelColumns

    Returns
    -------
    not_made : dict of str to str
        The cells of a group column together, everything else one by one.
    cautions : list of Caution
    """
    reasons = why_not(moments, layout, estimands, columns.arms.labels)
    found: dict[str, str] = {}
    cautions = []
    cells: dict[str, dict[str, dict[str, None]]] = {}
    for estimand, reason in zip(estimands, reasons, strict=True):
        if not reason:
            continue
        outcome = columns.outcomes[estimand.outcome]
        if estimand.name == "GATE":
            column, _, cell = estimand.population.partition(" = ")
            cells.setdefault(column, {}).setdefault(reason, {})[cell] = None
            continue
        arm = f" of {estimand.arm}" if estimand.arm else ""
        found[f"{estimand.name}{arm} on {outcome}"] = f"{reason}."
        known = moments.presence is not None and moments.presence.constant(estimand.outcome)
        if estimand.name in _JUDGED and not known:
            text = f"There is no {estimand.name} of {estimand.arm} on {outcome}: {reason}."
            cautions.append(Caution(text, True, (estimand.name,), (estimand.arm,), (outcome,)))
    for column, by_reason in cells.items():
        levels = next(g for g in columns.groups if g.column == column)
        without = {cell for named in by_reason.values() for cell in named}
        listed = "; ".join(f"{reason}: {_some(list(named))}" for reason, named in by_reason.items())
        found[f"GATE by {column}"] = (
            f"{len(without):,} of {len(levels.values):,} cells have no estimate, or not of every arm "
            f"and outcome ({listed}). Merge levels."
        )
    return found, cautions


def presence_cautions(
    presence: Presence, columns: PanelColumns, units: int, fewest: int
) -> Iterator[Caution]:
    """Outcomes with one value, rows that are in no group, cells and policies with few clusters.

    Parameters
    ----------
    presence : Presence
    columns : PanelColumns
    units : int
    fewest : int
        Clusters an arm below which a cell gets a word (``effects.support.min_clusters_per_arm``).
    """
    labels = columns.arms.labels
    for j, outcome in enumerate(columns.outcomes):
        if presence.constant(j):
            yield Caution(
                f"The outcome {outcome!r} has the same value in every row, so there is nothing to "
                "estimate. Look at how it was made.",
                stops=True,
                outcomes=(outcome,),
            )
            continue
        still = presence.lowest[j, 0] >= presence.highest[j, 0]
        for a in np.flatnonzero(still).tolist():
            concerned = () if a == 0 else (labels[a],)
            yield Caution(
                f"The outcome {outcome!r} has the same value in every row of arm {labels[a]}. Its "
                "standard errors know the other arm alone: take intervals as too narrow.",
                arms=concerned,
                outcomes=(outcome,),
            )
    for group, homeless in zip(columns.groups, presence.homeless.astype(int), strict=False):
        if homeless:
            yield Caution(
                f"{homeless:,} of {units:,} rows ({homeless / units:.1%}) have no value in the group "
                f"column {group.column!r} and are in no group effect; all other effects count them.",
                estimands=("GATE",),
            )
    yield from _few(presence, columns, fewest)


def size_cautions(
    moments: ClusterMoments, layout: ScoreLayout, columns: PanelColumns
) -> Iterator[Caution]:
    """A word where one cluster may hold much of the rows: unknown customers under one name.

    ``sqrt(sum n_c^2) / sum n_c`` is at least the largest cluster's share, and hardly more where it is
    alone; ``(sum n_c)^2 / sum n_c^2`` is how many clusters of one size these are worth.
    """
    place = layout.place("unit")
    total, squares = float(moments.total[place]), float(moments.cross[place, place])
    if total <= 0 or squares <= 0:
        return
    worth, most = total**2 / squares, float(np.sqrt(squares)) / total
    if worth < moments.clusters / _TIMES_UNEQUAL and most > _MUCH_IN_ONE:
        yield Caution(
            f"Clusters ({columns.cluster!r}) are of very unequal size: {moments.clusters:,} are worth "
            f"{worth:,.0f} of one size, and the largest may hold up to {most:.0%} of the rows. If its "
            "name stands for many that are not known (-1, unknown, guest), leave it out with "
            "effects.filter; otherwise the intervals allow for it."
        )


def _few(presence: Presence, columns: PanelColumns, fewest: int) -> Iterator[Caution]:
    for group, clusters in zip(columns.groups, presence.cells, strict=False):
        least = clusters.min(axis=1).astype(int)
        few = {
            f"{label} {count:,}": None
            for label, count in zip(group.labels, least.tolist(), strict=True)
            if 2 <= count < fewest
        }
        if few:
            yield Caution(
                f"{len(few):,} of {len(least):,} cells of {group.column!r} have fewer than {fewest} "
                f"clusters ({columns.cluster!r}) in an arm ({_some(list(few))}): their intervals may "
                "be too narrow. Merge levels, or take them as hints.",
                estimands=("GATE",),
            )
    for (name, _), clusters, units in zip(
        columns.policies, presence.followed, presence.chosen, strict=False
    ):
        least = int(clusters[units > 0].min()) if (units > 0).any() else 0
        if 2 <= least < fewest:
            yield Caution(
                f"Policy {name}: {least} clusters ({columns.cluster!r}) have the arm that it chooses "
                f"for them, of one of its arms, fewer than {fewest}: its intervals may be too narrow.",
                estimands=("policy value", "policy gain"),
                arms=(name,),
            )


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
