"""Cells of the coverage study: a world, what is estimated in it, and what theory promises."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from truelift.effects.panel.source import MemoryPanel
from truelift.settings import EffectOptions
from truelift.simulate.worlds.arms import POLICY
from truelift.simulate.worlds.arms import ArmsWorld as World
from truelift.simulate.worlds.world import Drawn

PLAIN = EffectOptions(
    outcomes=("y",),
    estimands=("ATE", "ATT", "ATO"),
    clip_levels=(),
    band_draws=1000,
)
EVERYTHING = replace(
    PLAIN,
    estimands=("ATE", "ATT", "ATO", "GATE", "policy value"),
    groups=("group",),
    policies={POLICY: "choice"},
)
CALIBRATED = replace(PLAIN, calibration=True)
PAIRS = replace(PLAIN, contrasts="all")
SQUARES = replace(PLAIN, expansion="squares")
EXPERIMENT = replace(
    PLAIN, estimands=("ATE", "naive difference"), propensity={"0": "0.5", "1": "0.5"}
)

TOSS = {"logits": (0.0,), "slopes": (0.0,)}
NULL = {"effects": (0.0,), "heterogeneity": (0.0,)}
THREE = {
    "logits": (-0.3, 0.2), "slopes": (0.7, -0.5), "effects": (1.0, 2.0), "heterogeneity": (0.5, -0.5)
}  # fmt: skip
BENT = {"curvature": 1.0, "odds_curvature": 0.3}


def in_memory(drawn: Drawn) -> MemoryPanel:
    """A draw as a panel of as many buckets as there are folds."""
    buckets = sorted(pc.unique(drawn.table["bucket"]).to_pylist())
    cut = {b: drawn.table.filter(pc.equal(drawn.table["bucket"], pa.scalar(b, pa.int32())))
           for b in buckets}  # fmt: skip
    return MemoryPanel({b: part.drop_columns(["bucket"]) for b, part in cut.items()})


@dataclass(frozen=True)
class Cell:
    """One world and one estimation.

    Parameters
    ----------
    world : World
    options : EffectOptions
    share : float
        Of the repetitions asked for; smaller where units are many.
    unpromised : tuple of str
        Estimands for which no theory promises the nominal level here.
    """

    world: World
    options: EffectOptions = PLAIN
    share: float = 1.0
    unpromised: tuple[str, ...] = ()


ALL = ("ATE", "ATT", "ATO")

CELLS: dict[str, Cell] = {
    "linear-500": Cell(World(500)),
    "linear-2000": Cell(World(2000), EVERYTHING),
    "linear-20000": Cell(World(20_000), EVERYTHING),
    "linear-100000": Cell(World(100_000), EVERYTHING),
    "ridge-500": Cell(World(500), replace(PLAIN, ridge=0.01)),
    "experiment-500": Cell(World(500, **TOSS), EXPERIMENT),
    "null-500": Cell(World(500, **NULL)),
    "null-2000": Cell(World(2000, **NULL)),
    "squares-2000": Cell(World(2000, **BENT), SQUARES),
    "squares-20000": Cell(World(20_000, **BENT), SQUARES),
    "outcome-wrong-2000": Cell(World(2000, curvature=1.0)),
    "outcome-wrong-20000": Cell(World(20_000, curvature=1.0)),
    "propensity-wrong-2000": Cell(World(2000, odds_curvature=0.5), PLAIN, 1.0, ALL),
    "propensity-wrong-20000": Cell(World(20_000, odds_curvature=0.5), PLAIN, 1.0, ALL),
    "both-wrong-2000": Cell(World(2000, **BENT), PLAIN, 1.0, ALL),
    "student-500": Cell(World(500, tails="student")),
    "student-2000": Cell(World(2000, tails="student")),
    "lognormal-2000": Cell(World(2000, tails="lognormal")),
    "weak-overlap-2000": Cell(World(2000, slopes=(2.0,))),
    "weak-overlap-20000": Cell(World(20_000, slopes=(2.0,))),
    "weak-overlap-outcome-wrong-2000": Cell(
        World(2000, slopes=(2.0,), curvature=1.0), PLAIN, 1.0, ALL
    ),
    "three-arms-500": Cell(World(500, **THREE), PAIRS),
    "three-arms-2000": Cell(World(2000, **THREE), PAIRS),
    "three-arms-20000": Cell(World(20_000, **THREE), PAIRS),
    "clusters-icc.3-2000": Cell(World(2000, 400, 0.3)),
    "clusters-icc.1-5000": Cell(World(5000, 1000, 0.1)),
    "clusters-icc.3-5000": Cell(World(5000, 1000, 0.3)),
    "clusters-icc.5-5000": Cell(World(5000, 1000, 0.5)),
    "clusters-null-5000": Cell(World(5000, 1000, 0.3, **NULL)),
    "clusters-arms-5000": Cell(World(5000, 1000, 0.3, **THREE), PAIRS),
    "clusters-icc.3-20000": Cell(World(20_000, 4000, 0.3), EVERYTHING),
    "clusters-icc.5-100000": Cell(World(100_000, 20_000, 0.5), EVERYTHING),
    "boosting-2000": Cell(World(2000), replace(PLAIN, learner="boosting")),
    "boosting-bent-2000": Cell(World(2000, **BENT), replace(PLAIN, learner="boosting")),
    "boosting-bent-20000": Cell(World(20_000, **BENT), replace(PLAIN, learner="boosting"), 0.05),
    "boosting-degree-2-bent-2000": Cell(
        World(2000, **BENT),
        replace(PLAIN, learner="boosting", boosting={"start_degree": 2}),
    ),
    "stack-2000": Cell(World(2000), replace(PLAIN, learner="stack")),
    "calibrated-500": Cell(World(500), CALIBRATED),
    "calibrated-2000": Cell(World(2000), CALIBRATED),
    "calibrated-propensity-wrong-2000": Cell(World(2000, odds_curvature=0.5), CALIBRATED, 1.0, ALL),
    "calibrated-weak-overlap-2000": Cell(World(2000, slopes=(2.0,)), CALIBRATED),
}
