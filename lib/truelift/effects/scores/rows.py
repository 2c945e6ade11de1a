"""Rows of ``gold.scores``: what every unit contributes, for policies and for people to look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.effects.scores.quantities import arm_scores, clipped
from truelift.effects.scores.sums import Scoring
from truelift.lake.tables import table_spec


@dataclass(frozen=True, eq=False)
class ScoreRowsKernel:
    """One row a unit, outcome and arm, in the outcome's own units.

    The mean of ``score`` over an arm's rows is the estimate of the arm's mean, the mean of the
    difference of two arms' scores that of their contrast.

    Parameters
    ----------
    scoring : Scoring
    panel : str
        Name of the panel that the units are of; the table holds several.
    version : int
        Its version.
    """

    scoring: Scoring
    panel: str = ""
    version: int = 0

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        """Scores of one bucket."""
        scoring = self.scoring
        parts = [
            part
            for batch in tables["panel"].to_batches(scoring.columns.batch_rows())
            for part in self._parts(bucket, batch)
        ]
        return pa.concat_tables(parts) if parts else _SCHEMA.empty_table()

    def _parts(self, bucket: int, batch: pa.RecordBatch) -> list[pa.Table]:
        scoring, names = self.scoring, batch.schema.names
        columns = scoring.columns
        _, units = scoring.units(batch, bucket)
        propensity = clipped(units.propensity, scoring.clip)
        scores = arm_scores(units, propensity)
        unit = batch.column(names.index(columns.unit)).cast(pa.string())
        cluster = batch.column(names.index(columns.cluster)).cast(pa.string())
        weight = np.ones(len(unit)) if units.weight is None else units.weight
        parts = []
        for j, (outcome, centre, scale) in enumerate(scoring.outcomes):
            for a, label in enumerate(columns.arms.labels):
                regression = units.outcome_regression[a, j]
                parts.append(
                    pa.table(
                        {
                            "panel": pa.repeat(pa.scalar(self.panel), len(unit)),
                            "panel_version": pa.repeat(
                                pa.scalar(self.version, pa.int64()), len(unit)
                            ),
                            "unit_id": unit,
                            "user_key": cluster,
                            "outcome": pa.repeat(pa.scalar(outcome), len(unit)),
                            "arm": pa.repeat(pa.scalar(label), len(unit)),
                            "in_arm": pa.array(units.arm == a),
                            "propensity": pa.array(propensity[a]),
                            "outcome_regression": pa.array(centre + scale * regression),
                            "score": pa.array(centre + scale * scores[a, j]),
                            "weight": pa.array(weight),
                            "fold": pa.repeat(
                                pa.scalar(bucket % scoring.folds, pa.int32()), len(unit)
                            ),
                            "bucket": pa.repeat(pa.scalar(bucket, pa.int32()), len(unit)),
                        },
                        schema=_SCHEMA,
                    )
                )
        return parts


_SCHEMA = table_spec("gold.scores").arrow
