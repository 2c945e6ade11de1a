"""A batch of a panel's rows as arrays: the one place where rows are decoded for the kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from truelift.effects.panel.columns import PanelColumns, Scale, weight_column

if TYPE_CHECKING:
    from truelift.effects.panel.design import Design


@dataclass(frozen=True, eq=False)
class Units:
    """Rows as they were observed.

    Parameters
    ----------
    features : ndarray, (1 + p) x n
        Intercept and features of the design; no lines without a design.
    arm : ndarray of int, n
        Arm codes.
    outcome : ndarray, J x n
        In the scale of the kernels; no lines without outcomes.
    weight : ndarray, n, optional
        None stands for one each.
    """

    features: np.ndarray
    arm: np.ndarray
    outcome: np.ndarray
    weight: np.ndarray | None

    def __len__(self) -> int:
        return len(self.arm)

    @property
    def size(self) -> float:
        """The sum of the weights."""
        return len(self.arm) if self.weight is None else float(self.weight.sum())


def units_of(
    batch: pa.RecordBatch,
    fold: int | np.ndarray | None,
    columns: PanelColumns,
    design: Design | None = None,
    outcomes: Scale | None = None,
) -> Units:
    """The rows of a batch.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
    fold : int, ndarray or None
        Of its bucket: encodings by outcome have not seen the fold that they are asked about.
    columns : PanelColumns
    design : Design, optional
        Without it features are not made.
    outcomes : Scale, optional
        Without it outcomes are not read.
    """
    n = batch.num_rows
    features = np.empty((0, n)) if design is None else design.block(batch, fold)
    outcome = np.empty((0 if outcomes is None else len(outcomes.names), n))
    if outcomes is not None:
        outcome = outcomes.rows(batch, outcome)
    arm, weight = columns.arms.codes(batch), weight_column(batch, columns.weight)
    return Units(features, arm, outcome, weight)
