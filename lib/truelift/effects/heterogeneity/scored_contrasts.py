"""Scores of several contrasts of one batch: what explorations and their forecasts look at."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from truelift.effects.heterogeneity.blocks import ScoredBlock
from truelift.effects.scores.quantities import arm_scores, clipped
from truelift.effects.scores.sums import Scoring


@dataclass(frozen=True)
class Contrast:
    """An arm against the control, and an outcome, by their positions."""

    arm: int
    outcome: int


@dataclass(frozen=True, eq=False)
class ScoredContrasts:
    """Turns a batch into one scored block a contrast, in the outcomes' own units.

    The score is the difference of the two arms' doubly robust scores, so that its mean given x is
    the effect at x. Features are those of the nuisance models.
    """

    scoring: Scoring
    contrasts: tuple[Contrast, ...]

    def __call__(self, batch: pa.RecordBatch, fold: int) -> tuple[ScoredBlock, ...]:
        """Blocks in the order of the contrasts."""
        scoring = self.scoring
        # The models depend on the bucket through its fold alone.
        block, units = scoring.units(batch, fold)
        scores = arm_scores(units, clipped(units.propensity, scoring.clip))
        x, cluster = block[1:], scoring.clusters(batch)
        return tuple(
            ScoredBlock(
                (scores[c.arm, c.outcome] - scores[0, c.outcome])
                * scoring.outcomes.scale[c.outcome],
                x,
                cluster,
                units.weight,
            )
            for c in self.contrasts
        )
