"""Rows of one unit whose treatment changes: what asks for unit effects, and gets none by adjustment.

Estimates compare rows of different arms that are alike in their covariates. Where the rows of an
arm are those of the same units at another time, three things may be in the comparison besides the
effect: what sets units apart that are treated early, what time does to all, and what an earlier
treatment still does (Goodman-Bacon 2021; Sun & Abraham 2021). Adjustment does not see that, so it
is said. The rules, on a sample of whole clusters and where chances are not known:

1. The unit's name (``effects.unit``) comes in several rows, in different arms.
2. In clusters with treated and untreated rows, all of the ones come before all of the others by a
   column that orders rows in time: in nine of ten such clusters, and more often than by chance if
   the treatment changed in any order. A panel of occasions, in which a unit is treated on this one
   and not on the next, has no such order.
3. Names of clusters are made of a unit and a time (``c12_2024-03``), and the unit comes in several
   arms: ordered as in rule 2 it stops, otherwise it is said.
4. All rows of one time are in one arm, over several times of each arm: nobody is seen at the same time
   with another treatment.
5. Rows of one unit lie in clusters of their own, as if they were independent.
6. Rows have no name of their own, so the cluster is the unit, treatment changes within it, and rows
   of one cluster share what the models did not foresee of treatment *and* outcome. That is measured
   as for levels of categories (:mod:`~.level_balance`), by pairs of rows of a cluster; and by what
   the comparison of a cluster's own rows says otherwise than the estimate, for rows before a
   treatment and after it are of opposite signs among the pairs. Customers
   who share a store pass, as long as the store has no hand in both. Where neither measure stops,
   but rows of a cluster surely share both, it is said. Where rows have names, pairs alone count
   and stop nothing, for earlier treatments may be what they share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_keys, mix
from truelift.effects.panel.columns import PanelColumns
from truelift.effects.panel.composite_names import is_text, pattern_of, stems, unit_and_time
from truelift.effects.panel.source import PanelSource
from truelift.effects.panel.start import ORDER, StartBuckets, plain, start_buckets
from truelift.effects.results import Caution, EffectsResult
from truelift.effects.scores.sums import Scoring
from truelift.effects.support.level_balance import BEYOND_CHANCE, MAX_BIAS, least_error
from truelift.effects.support.row_times import in_order, is_time_like, time_columns, times_of
from truelift.effects.support.shared_surprises import (
    difference_within,
    shared_surprise,
    shares_both,
    surprises_of,
)

#: Rows of the sample.
_ROWS = 10_000
#: Share of the clusters with both arms whose rows are in the order of treatment.
ORDERED = 0.9
#: By how many standard deviations more are than by chance.
_BEYOND = 4.0
# Units, or clusters, with both arms: fewer tell nothing.
_FEWEST = 10
# Share of the sample's rows that lie in clusters with both arms, for them to be the design.
_MIXED = 0.1
# Share of the rows that lie at a time with others, and of these that are in their time's arm.
_SHARED, _ONE_ARM = 0.8, 0.98
# Spans of time into which moments are cut that rows do not share.
_SPANS = 100

_ADVICE = (
    "Adjustment knows no unit and time effects, as staggered adoption asks for. Where treatment stays "
    "once it began, differences over time are told by effects.design: did. Otherwise keep one row a "
    "unit, after its treatment began or of a unit that is not treated, with what was before among "
    "the covariates."
)


@dataclass(frozen=True)
class SampleColumns:
    """The columns that are read."""

    names: tuple[str, ...]
    unit: str

    def of_moments(self) -> tuple[str, ...]:
        """As :meth:`~truelift.effects.panel.columns.PanelColumns.of_moments`."""
        return self.names


@dataclass(frozen=True)
class WholeClusters:
    """All rows of the clusters of a bucket whose hash is lowest, and the bucket as
    :data:`~truelift.effects.panel.start.ORDER`.
    """

    columns: SampleColumns
    start: StartBuckets
    cluster: str
    pattern: int | None = None

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """The rows of one bucket; none of a bucket that was not chosen."""
        table = tables["panel"]
        if bucket not in self.start.buckets:
            table = table.slice(0, 0)
        names = table[self.cluster]
        if self.pattern is not None:  # all names of one unit, not all of its rows
            names = pa.chunked_array([stems(_flat(plain(names)), self.pattern)])
        hashes, limit = mix(hash_keys(names)), self.start.rows_each
        kept = np.arange(len(hashes))
        if len(hashes) > limit:
            kept = np.flatnonzero(hashes <= np.partition(hashes, limit - 1)[limit - 1])
        if len(kept) > 4 * limit:  # a cluster too large to be taken whole
            names = hash_keys(table[self.columns.unit])[kept]
            kept = kept[np.argsort(names, kind="stable")[: 4 * limit]]
        taken = table.take(pa.array(np.sort(kept))).combine_chunks()
        named = {name: plain(taken[name]) for name in self.columns.of_moments()}
        return pa.table({ORDER.name: pa.array(np.full(len(kept), bucket, np.int64)), **named})


def repeat_cautions(
    source: PanelSource, scoring: Scoring, result: EffectsResult, drawn: pa.Table
) -> list[Caution]:
    """What repeated units take away, as cautions that stop.

    Parameters
    ----------
    source : PanelSource
    scoring : Scoring
    result : EffectsResult
    drawn : pyarrow.Table
        The start rows.
    """
    columns = scoring.columns
    alone = result.clusters >= result.n
    if columns.unit != columns.cluster and (caution := _apart(drawn, columns, alone)):
        return [caution]
    if columns.propensity:
        return []
    times = time_columns(source.schema, columns)
    if not alone:
        return list(_of_sample(rows_of_clusters(source, columns, times), scoring, result, times))
    found: list[Caution] = []
    if times:
        batch = rows_of_clusters(source, columns, times)
        found += _at_one_time(batch, times, columns.arms.codes(batch))
    for name in dict.fromkeys((columns.cluster, columns.unit)):
        if not found and is_text(source.schema.field(name).type):
            found += _of_names(source, scoring, name)
    return found


def rows_of_clusters(
    source: PanelSource, columns: PanelColumns, times: tuple[str, ...] = (),
    pattern: int | None = None, name: str = "",
) -> pa.RecordBatch:  # fmt: skip
    """All rows of some clusters (or values of another column), about ten thousand.

    Their bucket is the first column.
    """
    names = tuple(dict.fromkeys([*columns.of_rows(), *times]))
    start = start_buckets(source.bucket_rows(), _ROWS)
    kernel = WholeClusters(
        SampleColumns(names, columns.unit), start, name or columns.cluster, pattern
    )
    sample = source.start_rows(kernel).combine_chunks()  # type: ignore[arg-type]
    return pa.RecordBatch.from_arrays(
        [_flat(sample[name]) for name in sample.column_names], sample.column_names
    )


def _apart(drawn: pa.Table, columns: PanelColumns, alone: bool) -> Caution | None:
    """Units with rows in several arms; or in several clusters, where every row is one (``alone``)."""
    batch = drawn.select(columns.of_moments()).combine_chunks().to_batches()
    if not batch:
        return None
    arm = columns.arms.codes(batch[0])
    unit, rows = np.unique(drawn[ORDER.name].to_numpy(), return_inverse=True, return_counts=True)[
        1:
    ]
    if not columns.propensity and (caution := _of_units(unit, arm, columns.unit)):
        return caution
    several = int(np.count_nonzero(rows > 1))
    if not alone or several < max(_FEWEST, 0.01 * len(rows)):
        return None
    return Caution(
        f"Of a sample of {len(rows):,} units ({columns.unit!r}), {several:,} have several rows, each a "
        f"cluster ({columns.cluster!r}) of its own as if these were independent: standard errors are "
        f"too small. Set effects.cluster to {columns.unit!r}.",
        stops=True,
    )


def _of_names(source: PanelSource, scoring: Scoring, name: str) -> Iterator[Caution]:
    """Clusters of one row each, by a column whose names are made of a unit and a time."""
    columns = scoring.columns
    pattern = pattern_of(_names(rows_of_clusters(source, columns), name))
    if pattern is None:
        return
    batch = rows_of_clusters(source, columns, (), pattern, name)
    found = unit_and_time(_names(batch, name), pattern)
    if found is None:
        return
    arm = columns.arms.codes(batch)
    unit, time = found
    for treated in (arm > 0, arm == 0):
        count, ordered, surplus = in_order(unit, treated, time)
        if count >= _FEWEST and ordered >= ORDERED and surplus > _BEYOND:
            yield Caution(
                f"Names of {name!r} are made of a unit and a time, and of {count:,} units "
                f"of a sample {ordered:.0%} are first in one arm and then in another: the same units "
                f"are seen before and after their treatment. {_ADVICE}",
                stops=True,
            )
            return
    several = int(np.count_nonzero(np.bincount(unit) > 1))
    yield Caution(
        f"Names of {name!r} look like a unit and a time or number: in a sample {several:,} "
        "begin or end like others. If these rows belong together, standard errors are too small: "
        "set effects.cluster to a column of what they share.",
    )


def _names(batch: pa.RecordBatch, column: str) -> pa.Array:
    return batch.column(batch.schema.get_field_index(column))


def _of_sample(
    batch: pa.RecordBatch, scoring: Scoring, result: EffectsResult, times: tuple[str, ...]
) -> Iterator[Caution]:
    """What a sample of whole clusters with several rows each shows."""
    columns = scoring.columns
    if not batch.num_rows:
        return
    arm = columns.arms.codes(batch)
    cluster = _codes(batch, columns.cluster)
    named = columns.unit != columns.cluster
    if named and (caution := _of_units(_codes(batch, columns.unit), arm, columns.unit)):
        yield caution
        return
    for time in times:
        if caution := _in_time(batch, time, cluster, arm, columns.cluster):
            yield caution
            return
    found = list(_at_one_time(batch, times, arm))
    mixed = arms_by(cluster, arm)
    if not found and np.count_nonzero(mixed) >= _FEWEST and np.mean(mixed[cluster]) >= _MIXED:
        found = list(_of_clusters(batch, scoring, cluster, result, named))
    yield from found


def _at_one_time(
    batch: pa.RecordBatch, times: tuple[str, ...], arm: np.ndarray
) -> Iterator[Caution]:
    """A time that tells the arm: all rows of a time are in one, over several times of each arm."""
    for column in times:
        called = is_time_like(batch.schema.field(column))
        time = times_of(batch, column) if called else None
        if time is None:
            continue
        if int(time.max()) * 2 > len(time):  # hardly two rows at one moment: spans of equal size
            time = np.floor(time * _SPANS / len(time))
        counts = np.zeros((int(time.max()) + 1, int(arm.max()) + 1))
        np.add.at(counts, (time.astype(int), arm), 1.0)
        counts = counts[counts.sum(axis=1) > 1]
        own = counts.max(axis=1, initial=0.0).sum()
        shared = counts.sum()
        several = np.bincount(counts.argmax(axis=1), minlength=counts.shape[1]) > 1
        if (
            len(counts) and shared >= _SHARED * len(time) and own >= _ONE_ARM * shared
            and several.all() and counts.sum(axis=0).max() <= ORDERED * shared
        ):  # fmt: skip
            yield Caution(
                f"By {column!r} all rows of one time are in one arm: nobody is seen at the same time "
                "with another treatment, and whatever else changed over time is in the comparison. "
                f"{_ADVICE}",
                stops=True,
            )
            return


def arms_by(codes: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """Whether a unit or cluster has rows of several arms, by its code."""
    least = np.full(codes.max() + 1, np.iinfo(np.int64).max)
    most = np.full(codes.max() + 1, -1)
    np.minimum.at(least, codes, arm)
    np.maximum.at(most, codes, arm)
    return least < most


def _of_units(unit: np.ndarray, arm: np.ndarray, name: str) -> Caution | None:
    mixed = int(np.count_nonzero(arms_by(unit, arm)))
    if mixed < max(_FEWEST, 0.01 * (unit.max() + 1)):
        return None
    return Caution(
        f"Of a sample of {unit.max() + 1:,} units ({name!r}), {mixed:,} are seen with a treatment "
        f"and without it, or with two: treatment changes over a unit's rows. {_ADVICE}",
        stops=True,
    )


def _in_time(
    batch: pa.RecordBatch, column: str, cluster: np.ndarray, arm: np.ndarray, name: str
) -> Caution | None:
    time = times_of(batch, column)
    if time is None:
        return None
    for treated in (arm > 0, arm == 0):
        count, ordered, surplus = in_order(cluster, treated, time)
        if count >= _FEWEST and ordered >= ORDERED and surplus > _BEYOND:
            return Caution(
                f"Of a sample of {count:,} of {name!r} with treated and untreated rows, in "
                f"{ordered:.0%} all of the ones lie before all of the others by {column!r}: the "
                f"same units are seen before and after their treatment. {_ADVICE}",
                stops=True,
            )
    return None


def _of_clusters(
    batch: pa.RecordBatch, scoring: Scoring, cluster: np.ndarray, result: EffectsResult,
    named: bool,
) -> Iterator[Caution]:  # fmt: skip
    """What rows of one cluster share of treatment and outcome, for every arm and outcome."""
    arms, outcomes = scoring.layout.arms, scoring.layout.outcomes
    lines = surprises_of(batch, scoring)
    together, stopped = False, False
    for a, label in enumerate(scoring.columns.arms.labels):
        for j, (name, _, scale) in enumerate(scoring.outcomes):
            least = least_error(result, label, name)
            if not a or not least:
                continue
            pairs = [(lines[b], lines[arms + b * outcomes + j]) for b in (a, 0)]
            measured = [shared_surprise(cluster, *pairs)]
            if not named:
                measured.append(difference_within(cluster, *pairs))
                together = together or shares_both(cluster, *pairs)
            bias, error = max(measured, key=lambda pair: abs(pair[0]) - 2 * pair[1])
            if abs(bias) > BEYOND_CHANCE * error and (
                scale * (abs(bias) - 2 * error) > MAX_BIAS * least
            ):
                moved = (
                    f"The treatment changes over the rows of {scoring.columns.cluster!r}, and "
                    "these share what the covariates do not tell of treatment and outcome: that "
                    f"moves the effect of {label} on {name} by about {scale * bias:.3g}; its "
                    f"standard error is {least:.2g}."
                )
                why = (
                    "Either it is a confounder, whom covariates of what was before would catch, or "
                    "earlier treatments are still at work."
                    if named
                    else f"If rows are the same unit at several times: {_ADVICE} If they are "
                    "different units, name their column under effects.unit and add covariates of "
                    "what they share."
                )
                stopped = True
                yield Caution(f"{moved} {why}", stops=not named, arms=(label,), outcomes=(name,))
    if together and not stopped:
        yield Caution(
            f"Rows of one {scoring.columns.cluster!r} share their treatment beyond what the covariates "
            "tell, and their outcome too, and the treatment changes among them. If they are the same "
            f"unit at several times, the effect is wrong: {_ADVICE} If they are different units, name "
            "their column under effects.unit."
        )


def _codes(batch: pa.RecordBatch, name: str) -> np.ndarray:
    hashes = hash_keys(batch.column(batch.schema.get_field_index(name)))
    return np.unique(hashes, return_inverse=True)[1].astype(np.int64)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
