"""What the sums of the scores pass show that no estimate may be made of."""

from __future__ import annotations

from truelift.effects.panel.columns import PanelColumns
from truelift.effects.panel.source import State
from truelift.errors import DataError
from truelift.inference.clusters import clusters_in_two_buckets
from truelift.lake.conditions import quoted
from truelift.settings import EffectOptions

_WAYS = ("cluster", "second_cluster")


def told_arms(columns: PanelColumns) -> tuple[str, ...]:
    """What people call the arms: of two, the control and the treated."""
    labels = columns.arms.labels
    return ("control", "treated") if len(labels) == 2 else labels


def refuse_sums(sums: State, columns: PanelColumns, options: EffectOptions, table: str) -> None:
    """Refuse what the scores pass has met and no estimate may be made of.

    Parameters
    ----------
    sums : dict of str to ndarray
        Of the scores pass.
    columns : PanelColumns
    options : EffectOptions
    table : str
        Its name, for messages.

    Raises
    ------
    DataError
        For rows without a cluster, clusters in several buckets, known chances that are none, arms that a
        policy chooses and nobody knows, and arms of too few clusters.
    """
    for name, nameless in zip(_WAYS, sums["no_cluster"][:, 0], strict=True):
        if nameless:
            column = getattr(columns, name)
            raise DataError(
                f"{table}, {name} {column!r}: {int(nameless):,} rows are null, NaN or blank; "
                "together they would count as one cluster. Expected the unit that each row "
                f"belongs to: fill it in, or leave these rows out with effects.filter: "
                f"{quoted(column)} is not null (where it is a text, and {quoted(column)} != '')."
            )
    refuse_cut_clusters(sums, columns.cluster, table)
    _check_chances(sums, columns, table)
    if wrong := int(sums["odd_choice"][0]):
        raise DataError(
            f"{table}: policies choose no known arm in {wrong:,} rows; expected one of "
            f"{', '.join(columns.arms.labels)} in every row (effects.policies)."
        )
    for name, found in zip(told_arms(columns), sums["clusters"][1:].astype(int), strict=True):
        if found < options.support.min_clusters_per_arm:
            raise DataError(
                f"{table}: the {name} arm has {found:,} clusters ({columns.cluster!r}), expected "
                f"at least {options.support.min_clusters_per_arm}: standard errors would be too small. "
                "Use more of them, or lower effects.support.min_clusters_per_arm."
            )


def refuse_cut_clusters(sums: State, cluster: str, table: str) -> None:
    """Refuse clusters that lie in several buckets, as their sketch (``max_sketch``) shows.

    Raises
    ------
    DataError
    """
    if cut := clusters_in_two_buckets(sums["max_sketch"]):
        raise DataError(
            f"{table}: at least {cut:,} values of the cluster column {cluster!r} lie in "
            "more than one bucket. Expected each cluster in one bucket: partition the table by a "
            f"hash of {cluster!r}, or name the column that it is partitioned by as "
            "effects.cluster."
        )


def _check_chances(sums: State, columns: PanelColumns, table: str) -> None:
    outside, elsewhere = sums["odd_propensity"].astype(int).tolist()
    if outside:
        raise DataError(
            f"{table}: the known propensities of {outside:,} rows are missing, or not above 0 and "
            "below 1. Expected in every row a chance of every arm (effects.nuisances.propensity); filter out "
            "rows that an arm cannot have."
        )
    if elsewhere:
        most, least = (sums["max_propensity_total"] * (1.0, -1.0)).tolist()
        raise DataError(
            f"{table}: the known propensities of {elsewhere:,} rows do not add up to one over the "
            f"arms {', '.join(columns.arms.labels)} (found {least:.6g} to {most:.6g}). Expected in "
            "every row the chance of each arm (effects.nuisances.propensity)."
        )


def refuse_second_way(sums: State, columns: PanelColumns, table: str) -> None:
    """Refuse a second way of clustering in which all rows are one cluster.

    Raises
    ------
    DataError
    """
    if (found := int(sums["second_clusters"][0])) < 2:
        raise DataError(
            f"{table}: the column {columns.second_cluster!r} (effects.second_cluster) has {found} "
            "value(s), expected at least 2: all rows would be one cluster. Leave the key out, or "
            "name a column that cuts the rows finer."
        )
