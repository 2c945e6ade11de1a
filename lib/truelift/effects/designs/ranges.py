"""A light pass before sums: where the numbers of each column lie, and which rows have none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import count_nameless
from truelift.effects.panel.columns import Scale, number_column
from truelift.effects.panel.source import PanelSource, State
from truelift.errors import DataError
from truelift.lake.conditions import quoted
from truelift.settings import EffectOptions

BATCH_ROWS = 65536


@dataclass(frozen=True)
class RangeKernel:
    """Rows, and by column the largest and smallest finite value, nulls and infinite ones."""

    columns: tuple[str, ...]
    cluster: str

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State:
        """The state of one bucket."""
        m = len(self.columns)
        state = {
            "rows": np.zeros(1), "odd": np.zeros((m, 2)), "no_cluster": np.zeros(1),
            "max_ends": np.full((m, 2), -np.inf),
        }  # fmt: skip
        for batch in batches:
            state["rows"] += batch.num_rows
            state["no_cluster"] += count_nameless(
                batch.column(batch.schema.get_field_index(self.cluster))
            )[0]
            for j, name in enumerate(self.columns):
                values = number_column(batch, name)
                finite = values[np.isfinite(values)]
                state["odd"][j] += np.isnan(values).sum(), np.isinf(values).sum()
                if len(finite):
                    ends = (finite.max(), -finite.min())
                    np.maximum(state["max_ends"][j], ends, out=state["max_ends"][j])
        return state


@dataclass(frozen=True, eq=False)
class Ranges:
    """Where the numbers of each column lie.

    Parameters
    ----------
    names : tuple of str
    lowest, highest : ndarray
    missing : ndarray
        Rows without a value.
    rows : int
    """

    names: tuple[str, ...]
    lowest: np.ndarray
    highest: np.ndarray
    missing: np.ndarray
    rows: int

    def constant(self, name: str) -> bool:
        """Whether all values of a column are one."""
        place = self.names.index(name)
        return bool(self.lowest[place] == self.highest[place])

    def scale(self, names: Sequence[str]) -> Scale:
        """Middle and half width of the range of some columns: they only keep sums small."""
        places = [self.names.index(name) for name in names]
        half = (self.highest[places] - self.lowest[places]) / 2
        middle = (self.highest[places] + self.lowest[places]) / 2
        return Scale(tuple(names), middle, np.where(half > 0, half, 1.0))


def ranges_of(
    source: PanelSource, keys: Mapping[str, str], cluster: str, may_miss: Sequence[str] = ()
) -> Ranges:
    """Look at all rows.

    Parameters
    ----------
    source : PanelSource
    keys : mapping of str to str
        By column, the key of the specification that names it.
    cluster : str
    may_miss : sequence of str
        Columns in which rows without a value are allowed.

    Raises
    ------
    DataError
        For no rows, rows without a cluster, values that are infinite, or missing where none may be.
    """
    if not sum(source.bucket_rows().values()):
        raise DataError(f"{source.name} has no rows, so there is nothing to estimate.")
    names = tuple(keys)
    state = source.sum(RangeKernel(names, cluster), _unique(*names, cluster), BATCH_ROWS)
    rows = int(state["rows"][0])
    if nameless := int(state["no_cluster"][0]):
        raise DataError(
            f"{source.name}, cluster {cluster!r}: {nameless:,} rows are null, NaN or blank; together they "
            "would count as one cluster. Fill them in, or leave these rows out with effects.filter: "
            f"{quoted(cluster)} is not null."
        )
    for name, (absent, infinite) in zip(names, state["odd"].astype(int).tolist(), strict=True):
        wrong = infinite + (0 if name in may_miss else absent)
        if wrong:
            what = "infinite" if not absent or name in may_miss else "null, NaN or infinite"
            raise DataError(
                f"{source.name}, column {name!r} ({keys[name]}): {wrong:,} of {rows:,} rows are {what}; "
                "expected a number in every row. Fill them in, or leave these rows out with effects.filter: "
                f"{quoted(name)} is not null, if that is fair."
            )
    highest, lowest = state["max_ends"][:, 0], -state["max_ends"][:, 1]
    return Ranges(names, lowest, highest, state["odd"][:, 0], rows)


def refuse_weights(ranges: Ranges, options: EffectOptions, table: str) -> None:
    """Refuse weights that are not positive.

    Raises
    ------
    DataError
    """
    if not options.weight:
        return
    least = float(ranges.lowest[ranges.names.index(options.weight)])
    if least <= 0:
        raise DataError(
            f"{table}: the least weight {options.weight!r} (effects.weight) is {least:.6g}; expected positive "
            f"weights. Leave such rows out with effects.filter: {quoted(options.weight)} > 0."
        )


def _unique(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
