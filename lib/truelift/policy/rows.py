"""Rows that a policy is learned on: a unit's scores of all arms beside what the panel knows of it.

``gold.scores`` has a row a unit and arm. A row here has a unit's scores side by side, and the panel's
columns that the policy looks at, under numbers: a user's column may have any name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.keys import hash_repeated
from truelift.effects.panel.columns import number_column
from truelift.errors import DataError

_OWN = (("unit_id", pa.string()), ("user_key", pa.string()), ("fold", pa.int32()), ("weight", pa.float64()))  # fmt: skip


@dataclass(frozen=True)
class RowColumns:
    """The columns of the rows.

    Parameters
    ----------
    arms : tuple of str
        Labels, the control first.
    carried : tuple of str
        Columns of the panel.
    texts : tuple of str
        Those of them that are kept as texts; the others are numbers.
    paid : str, optional
        An outcome that counts money: its scores stand beside those of the one that is looked at.
    """

    arms: tuple[str, ...]
    carried: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    paid: str | None = None

    def place(self, column: str) -> str:
        """What a column of the panel is called here."""
        return f"panel_{self.carried.index(column)}"

    @property
    def schema(self) -> pa.Schema:
        """Names and types."""
        arms = range(len(self.arms))
        fields = [*_OWN, *((f"score_{a}", pa.float64()) for a in arms)]
        fields += [(f"forecast_{a}", pa.float64()) for a in arms]
        if self.paid is not None:
            fields += [(f"{part}_{a}", pa.float64()) for part in ("paid", "to_pay") for a in arms]
        fields += [
            (self.place(c), pa.string() if c in self.texts else pa.float64()) for c in self.carried
        ]
        return pa.schema([*fields, ("bucket", pa.int32())])


@dataclass(frozen=True)
class JoinKernel:
    """A row kernel: the scores of one outcome and the panel's columns, joined by the unit.

    Parameters
    ----------
    columns : RowColumns
    panel, outcome : str
        Which rows of ``gold.scores``.
    unit : str
        The panel's column that names the units.
    """

    columns: RowColumns
    panel: str
    outcome: str
    unit: str

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """Rows of one bucket, in the order of the panel."""
        every, panel = tables["scores"], tables["panel"]
        every = every.filter(pc.equal(every["panel"], self.panel))
        scores = every.filter(pc.equal(every["outcome"], self.outcome))
        names = panel[self.unit].cast(pa.string()).combine_chunks()
        if len(pc.unique(names)) < len(names):
            raise DataError(
                f"{self.panel}: the column {self.unit!r} names several rows by one value, so scores "
                "and rows cannot be joined. Expected a unit's name of its own in every row: name "
                "its column as effects.unit, estimate the effects again, and name it here as unit."
            )
        found: dict[str, pa.Array | pa.ChunkedArray] = {}
        keep = None
        for a, label in enumerate(self.columns.arms):
            own = scores.filter(pc.equal(scores["arm"], label))
            at = pc.index_in(names, own["unit_id"].combine_chunks())
            keep = pc.is_valid(at) if keep is None else keep
            taken = own.take(at)
            if a == 0:
                found |= {n: taken[n] for n, _ in _OWN}
                # Of the rows of the panel that have scores, none may be missing.
                if lost := own.num_rows - (pc.sum(keep).as_py() or 0):
                    raise DataError(
                        f"{self.panel}: {lost:,} units of bucket {bucket} in gold.scores are not in "
                        "this version of the panel. Run estimate_effects on it again."
                    )
            found[f"score_{a}"] = taken["score"]
            found[f"forecast_{a}"] = taken["outcome_regression"]
            if self.columns.paid is not None:
                ours = pc.and_(
                    pc.equal(every["outcome"], self.columns.paid), pc.equal(every["arm"], label)
                )
                cost = every.filter(ours)
                cost = cost.take(pc.index_in(names, cost["unit_id"].combine_chunks()))
                found |= {f"paid_{a}": cost["score"], f"to_pay_{a}": cost["outcome_regression"]}
        for column in self.columns.carried:
            kind = self.columns.schema.field(self.columns.place(column)).type
            found[self.columns.place(column)] = plain(panel[column]).cast(kind, safe=False)
        found["bucket"] = pa.repeat(pa.scalar(bucket, pa.int32()), len(names))
        table = pa.table(found, schema=self.columns.schema)
        return table.filter(keep) if len(names) else table


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column without a dictionary."""
    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


@dataclass(frozen=True, eq=False)
class PolicyBlock:
    """A batch of rows as arrays.

    Parameters
    ----------
    rewards : ndarray, n x A
        Worth of the score, less the cost.
    forecasts : ndarray, n x A
        The same of the outcome regression, which has not seen the unit's fold.
    costs : ndarray, n x A
        Known, with the forecasts of those that are estimated.
    paid : ndarray, n x A
        The same with the scores of those that are estimated.
    weight, fold : ndarray, n
    cluster : ndarray of uint64, n
    batch : pyarrow.RecordBatch
    """

    rewards: np.ndarray
    forecasts: np.ndarray
    costs: np.ndarray
    paid: np.ndarray
    weight: np.ndarray
    fold: np.ndarray
    cluster: np.ndarray
    batch: pa.RecordBatch

    def __len__(self) -> int:
        return len(self.fold)


@dataclass(frozen=True)
class BlockReader:
    """Decodes batches of the rows.

    Parameters
    ----------
    columns : RowColumns
    worth : float
    costs : tuple of (float or str)
        By arm, a number or a column of the panel.
    """

    columns: RowColumns
    worth: float
    costs: tuple[float | str, ...]

    def __call__(self, batch: pa.RecordBatch) -> PolicyBlock:
        """A batch as arrays.

        Raises
        ------
        DataError
            For costs or scores that are not finite.
        """
        arms = range(len(self.columns.arms))
        costs = np.empty((batch.num_rows, len(arms)))
        for a, cost in enumerate(self.costs):
            costs[:, a] = self.number(batch, cost) if isinstance(cost, str) else np.float64(cost)
            _finite(costs[:, a], f"costs.{self.columns.arms[a]}")

        def by_arm(part: str) -> np.ndarray:
            return np.column_stack([number_column(batch, f"{part}_{a}") for a in arms])

        scores, forecasts, paid = by_arm("score"), by_arm("forecast"), costs
        _finite(scores, "gold.scores, score")
        if self.columns.paid is not None:
            costs, paid = costs + by_arm("to_pay"), costs + by_arm("paid")
            _finite(paid, f"gold.scores, score of {self.columns.paid}")
        return PolicyBlock(
            self.worth * scores - paid,
            self.worth * forecasts - costs,
            costs,
            paid,
            number_column(batch, "weight"),
            batch.column(batch.schema.get_field_index("fold")).to_numpy(),
            hash_repeated(batch.column(batch.schema.get_field_index("user_key"))),
            batch,
        )

    def number(self, batch: pa.RecordBatch, column: str) -> np.ndarray:
        """A carried column of numbers."""
        return number_column(batch, self.columns.place(column))

    def texts(self, batch: pa.RecordBatch, column: str) -> pa.Array:
        """A carried column of texts."""
        return batch.column(batch.schema.get_field_index(self.columns.place(column)))


def _finite(values: np.ndarray, name: str) -> None:
    if wrong := int(np.count_nonzero(~np.isfinite(values))):
        raise DataError(f"{name}: {wrong:,} values are missing or not finite, expected numbers.")
