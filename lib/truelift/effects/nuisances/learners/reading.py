"""Blocks of a panel's features, for learners that look at rows and not at sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_keys
from truelift.effects.boosting.reading import Block
from truelift.effects.panel.columns import PanelColumns, Scale
from truelift.effects.panel.design import Design
from truelift.effects.panel.units import units_of


@dataclass(frozen=True, eq=False)
class DesignReader:
    """Blocks of a panel's features for the boosting package."""

    design: Design
    outcomes: Scale
    panel: PanelColumns

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of the features."""
        return self.design.names

    @property
    def arms(self) -> int:
        """A."""
        return len(self.panel.arms.values)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns to read."""
        return tuple(dict.fromkeys([*self.panel.of_moments(), self.panel.cluster]))

    @property
    def outcome_count(self) -> int:
        """J."""
        return len(self.outcomes.names)

    def __call__(self, batch: pa.RecordBatch, fold: int | np.ndarray) -> Block:
        """The batch's rows as arrays."""
        units = units_of(batch, fold, self.panel, self.design, self.outcomes)
        cluster = batch.column(batch.schema.get_field_index(self.panel.cluster))
        return Block(
            units.features[1:].astype(np.float32),
            units.arm,
            units.outcome,
            hash_keys(cluster),
            np.full(len(units), fold),
            units.weight,
        )
