"""Groups of actions from a table about them: the cells of its columns, or clusters of its numbers.

An item embedding of several columns has a cell for each combination of their values; of numbers the cells are
clusters, made here by k-means on columns of standard deviation one. Actions are taken in the order of their
names, so that groups do not depend on that of the table.
"""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.cluster.vq import kmeans2

from truelift.effects.panel.columns import number_column
from truelift.errors import DataError, TableError
from truelift.policy.off_policy.chances import table_rows
from truelift.policy.off_policy.log import column_of, first_few, is_numeric, texts
from truelift.policy.off_policy.spec import GroupTable

_MOST_GROUPS = 1000
# Starts of k-means, the best of which counts.
_STARTS, _ITERATIONS = 8, 50


def groups_of_actions(table: GroupTable, actions: pa.Array) -> np.ndarray:
    """The group of each action (K).

    Parameters
    ----------
    table : GroupTable
    actions : pyarrow.Array of string

    Raises
    ------
    TableError, DataError
        For columns that are missing, actions without a group, those that have several, and too many groups.
    """
    columns = table.columns
    found, rows = table_rows(table.table, [table.action, *columns], "groups")
    labels = texts(column_of(rows, table.action))
    known = pc.is_valid(labels)
    labels, rows = labels.filter(known), rows.filter(known)
    if pc.count_distinct(labels).as_py() < len(labels):
        raise DataError(
            f"groups: {found.name} has several rows of one {table.action!r}; expected one."
        )
    place = pc.index_in(actions, value_set=labels)
    own = [column_of(rows, name) for name in columns]
    if table.clusters:
        for name, column in zip(columns, own, strict=True):
            if not is_numeric(column.type):
                raise TableError(
                    f"groups: {found.name}, column {name!r}: found type {column.type}, expected numbers, for "
                    "clusters are made of them."
                )
    there = pc.is_valid(place)
    for column in own:
        there = pc.and_(there, pc.fill_null(pc.is_valid(column).take(place), False))
    lacks = actions.filter(pc.invert(there)).to_pylist()
    if lacks:
        what = first_few(list(columns)) if len(columns) > 1 else repr(columns[0])
        raise DataError(
            f"groups: {found.name} has no {what} for {first_few(lacks)}; expected a group for "
            "every action of the log."
        )
    taken = rows.take(place)
    if table.clusters:
        (batch,) = taken.select(columns).combine_chunks().to_batches()
        numbers = np.column_stack([number_column(batch, name) for name in columns])
        of_action = clusters_of(numbers, table.clusters, found.name)
    else:
        of_action = _cells([column_of(taken, name) for name in columns])
    count = int(of_action.max(initial=0)) + 1
    if count > _MOST_GROUPS:
        raise DataError(
            f"groups: found {count:,}, expected at most {_MOST_GROUPS:,}. Name fewer columns, or make clusters "
            "of numbers (groups.clusters)."
        )
    return of_action


def _cells(columns: list[pa.Array]) -> np.ndarray:
    """A number for each combination of values, from the first action's on."""
    place = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        coded = texts(column).dictionary_encode()
        codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        # Renumbered at each column, so that no product grows beyond the number of actions.
        _, place = np.unique(place * len(coded.dictionary) + codes, return_inverse=True)
    return place.astype(np.int64)


def clusters_of(numbers: np.ndarray, count: int, table: str) -> np.ndarray:
    """Clusters of rows by k-means, the best of some starts (n).

    Parameters
    ----------
    numbers : ndarray, n x d
    count : int
    table : str
        For messages.

    Raises
    ------
    DataError
        For numbers that are none, and for fewer different rows than clusters.
    """
    if not np.isfinite(numbers).all():
        raise DataError(
            f"groups: {table}: found {int((~np.isfinite(numbers)).any(axis=1).sum()):,} actions whose numbers are "
            "none; expected finite ones, for clusters are made of them."
        )
    spread = numbers.std(axis=0)
    scaled = (numbers - numbers.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    different = len(np.unique(scaled, axis=0))
    if different < count:
        raise DataError(
            f"groups.clusters: found {count:,}, and {table} has {different:,} different actions in these columns; "
            "expected at most as many clusters."
        )
    best, least = np.zeros(len(scaled), np.int64), np.inf
    for start in range(_STARTS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of clusters that end up empty: they are not counted
            centres, found = kmeans2(
                scaled, count, _ITERATIONS, minit="++", seed=np.random.default_rng(start)
            )
        distance = float(((scaled - centres[found]) ** 2).sum())
        if distance < least * (1 - 1e-12):
            best, least = found.astype(np.int64), distance
    _, of_action = np.unique(best, return_inverse=True)
    return of_action.astype(np.int64)
