"""Whether a panel over time supports its effects, and what is to be kept in mind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truelift.effects.designs.differences.aggregates import FEWEST
from truelift.effects.designs.differences.results import TrendCheck
from truelift.effects.designs.differences.timeline import Timeline
from truelift.effects.panel.source import State
from truelift.effects.results import Caution
from truelift.effects.support.supported import Support
from truelift.settings import EffectOptions

NO_PERIODS = "no cohort has two periods before its treatment"
NOTHING_VARIES = "nothing varies before the treatment"
FEW = "there are two clusters"

# From these shares of the treated on whose chance is cut, effects are to be read with care, and are not supported.
_CARE, _TOO_MANY = 0.05, 0.25
# Cells that are named one by one.
_NAMED = 3


def judged(sums: State, checks: Sequence[TrendCheck], options: EffectOptions) -> Support:
    """Whether enough clusters are treated and compared with, how far these are alike, and what is known of trends."""
    least = options.support.min_clusters_per_arm
    few = [
        f"{what} lie in {found:,} clusters ({options.cluster!r}), expected at least {least}: standard errors would "
        "be too small. Use more of them, or lower effects.support.min_clusters_per_arm."
        for what, found in zip(
            ("Units that are treated", "Units to compare them with"),
            sums["sides"].astype(int).tolist(), strict=True,
        )
        if found < least
    ]  # fmt: skip
    treated, cut = sums["beyond"].tolist()
    share = cut / treated if treated else 0.0
    alike = (
        f"The chance of being treated given the covariates is cut at 1 - {options.support.clip:g} for {share:.0%} of the "
        "treated: next to nobody to compare them with is like them."
    )
    if share > _TOO_MANY:
        few.append(alike)
    if few:
        return Support("overall ATT", "", False, tuple(few))
    untested = [c.untested for c in checks if c.pre_trend is None]
    apart = any(c.apart for c in checks)
    if untested:
        said = f"{untested[0][0].upper()}{untested[0][1:]}, so nothing in the data tests parallel trends."
    elif apart:
        said = "Trends moved apart before the treatment: read how much they may differ before the effect is gone."
    else:
        said = (
            "There are units to compare with, and trends before the treatment show no difference."
        )
    told = (alike, said) if share > _CARE else (said,)
    return Support("overall ATT", "", True, told, careful=bool(untested) or apart or share > _CARE)


def panel_cautions(
    sums: State, line: Timeline, told: Sequence[str], rows: int, options: EffectOptions
) -> list[Caution]:
    """What the panel lacks: periods of some units, units or clusters of some cells."""
    units, holes, _, _, gone = sums["units"].astype(int).tolist()
    found = []
    if gone:
        found.append(
            Caution(
                f"{gone:,} units are treated from the first period ({told[0]}) on. They have no period before their "
                "treatment and are left out."
            )
        )
    if holes:
        found.append(
            Caution(
                f"The panel is not balanced: {holes:,} of {units:,} units lack some period ({rows:,} rows). Each "
                "effect is of the units seen in both of its periods, so effects are of somewhat different units."
            )
        )
    if varying := int(sums["varying"][0]):
        found.append(
            Caution(
                f"Covariates or weights of {varying:,} units change over time. Those of a unit's first period are "
                "taken: what the treatment changes is nothing to adjust for."
            )
        )
    held = sums["held"]
    least = np.array(
        [min(held[at], held[at + 2]) for at in map(line.place, range(len(line.cells)))]
    )
    if (least < FEWEST).any():
        found.append(
            Caution(
                f"Not estimated, for fewer than {FEWEST} clusters are treated or to compare with: "
                f"{_listed(line, least < FEWEST, told)}. No average has them in it."
            )
        )
    few = options.support.min_clusters_per_arm
    if (thin := (least >= FEWEST) & (least < few)).any():
        found.append(
            Caution(
                f"Fewer than {few} clusters ({options.cluster!r}) are treated or to compare with in "
                f"{_listed(line, thin, told)}: intervals of these effects are too narrow."
            )
        )
    return found


def trend_cautions(checks: Sequence[TrendCheck]) -> list[Caution]:
    """A word on every outcome whose trends moved apart."""
    return [
        Caution(
            f"Trends of {c.outcome} moved apart before the treatment ({c.pre_trend.restrictions} differences, "
            f"p {c.pre_trend.p_value:.3g}).", outcomes=(c.outcome,),
        )
        for c in checks
        if c.pre_trend is not None and c.apart
    ]  # fmt: skip


def _listed(line: Timeline, chosen: np.ndarray, told: Sequence[str]) -> str:
    names = [
        f"the cohort of {told[cell.cohort]} in {told[cell.period]}"
        for cell, taken in zip(line.cells, chosen.tolist(), strict=True)
        if taken
    ]
    rest = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{rest}"
