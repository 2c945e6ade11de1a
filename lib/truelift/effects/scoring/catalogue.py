"""The estimands that a run asks for, each written as ratios of sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from truelift.effects.columns import PanelColumns
from truelift.effects.scoring.estimands import Estimand, Ratio, contrast
from truelift.effects.scoring.layout import ScoreLayout
from truelift.effects.scoring.sums import TRIM_LEVELS
from truelift.settings import EffectOptions

UNIT = ("unit",)
JACKKNIFE = "jackknife"


def layout_of(columns: PanelColumns, options: EffectOptions) -> ScoreLayout:
    """The summands that the options' estimands need."""
    return ScoreLayout(
        arms=len(columns.arms.values),
        outcomes=len(columns.outcomes),
        cells=tuple(len(g.values) for g in columns.groups) if "GATE" in options.estimands else (),
        policies=len(columns.policies) if "policy value" in options.estimands else 0,
        clips=len(clip_levels_of(columns, options)),
        trims=len(TRIM_LEVELS),
        att="ATT" in options.estimands,
        ato="ATO" in options.estimands,
    )


def clip_of(columns: PanelColumns, options: EffectOptions) -> float:
    """Where propensities are clipped: nowhere if they are known.

    A small chance that is known is what was done; with another in its place the estimate is biased
    and its standard error too small. A small one that was estimated may be an error.
    """
    return 0.0 if columns.propensity else options.clip


def clip_levels_of(columns: PanelColumns, options: EffectOptions) -> tuple[float, ...]:
    """Levels at which the ATE is followed: none where propensities are known."""
    return () if columns.propensity else options.clip_levels


def estimands_of(columns: PanelColumns, options: EffectOptions) -> tuple[Estimand, ...]:
    """All estimands of a run: outcome after outcome, by name, then by arm."""
    makers = {
        "APO": _means,
        "ATE": _effects,
        "ATT": _effects_on_treated,
        "ATO": _effects_in_overlap,
        "GATE": _group_effects,
        "policy value": _policies,
        "naive difference": _naive,
    }
    return tuple(
        estimand
        for outcome in range(len(columns.outcomes))
        for name in makers
        if name in options.estimands
        for estimand in makers[name](columns, options, outcome)
    )


def corrected_of(columns: PanelColumns, options: EffectOptions) -> tuple[Estimand, ...]:
    """Those whose standard errors are corrected for few clusters: the run's, and always the ATE.

    What follows the ATE within clip levels and trimming takes the ATE's correction.
    """
    if options.small_samples != JACKKNIFE:
        return ()
    wanted = tuple(dict.fromkeys([*options.estimands, "ATE"]))
    return estimands_of(columns, replace(options, estimands=wanted))


def pairs_of(columns: PanelColumns, options: EffectOptions) -> list[tuple[int, int]]:
    """Pairs (arm, versus): every arm with the control, or every two."""
    arms = len(columns.arms.values)
    if options.contrasts == "all":
        return [(b, a) for a, b in combinations(range(arms), 2)]
    return [(a, 0) for a in range(1, arms)]


def _means(columns: PanelColumns, options: EffectOptions, j: int) -> Iterator[Estimand]:
    for a, label in enumerate(columns.arms.labels):
        ratio = Ratio(((("apo", a, j), 1.0),), UNIT)
        yield Estimand("APO", j, (ratio,), arm=label, level=True)


def _effects(columns: PanelColumns, options: EffectOptions, j: int) -> Iterator[Estimand]:
    labels = columns.arms.labels
    for a, b in pairs_of(columns, options):
        keys = ((("apo", a, j), 1.0), (("apo", b, j), -1.0))
        yield contrast("ATE", keys, UNIT, j, arm=labels[a], versus=labels[b])


def _effects_on_treated(
    columns: PanelColumns, options: EffectOptions, j: int
) -> Iterator[Estimand]:
    labels = columns.arms.labels
    for a in range(1, len(labels)):
        yield contrast(
            "ATT", [(("att", a, j), 1.0)], ("arm", a), j, arm=labels[a], versus=labels[0],
            population=f"units of arm {labels[a]}",
        )  # fmt: skip


def _effects_in_overlap(
    columns: PanelColumns, options: EffectOptions, j: int
) -> Iterator[Estimand]:
    labels = columns.arms.labels
    for a in range(1, len(labels)):
        yield contrast(
            "ATO", [(("ato", a, j), 1.0)], ("ato weight", a), j, arm=labels[a], versus=labels[0],
            population="units weighted by overlap",
        )  # fmt: skip


def _group_effects(columns: PanelColumns, options: EffectOptions, j: int) -> Iterator[Estimand]:
    labels = columns.arms.labels
    for g, levels in enumerate(columns.groups):
        for cell, name in enumerate(levels.labels):
            for a, b in pairs_of(columns, options):
                keys = ((("gate", g, cell, a, j), 1.0), (("gate", g, cell, b, j), -1.0))
                yield contrast(
                    "GATE", keys, ("cell", g, cell), j, arm=labels[a], versus=labels[b],
                    population=f"{levels.column} = {name}",
                )  # fmt: skip


def _policies(columns: PanelColumns, options: EffectOptions, j: int) -> Iterator[Estimand]:
    for s, (name, _) in enumerate(columns.policies):
        ratio = Ratio(((("policy", s, j), 1.0),), UNIT)
        yield Estimand("policy value", j, (ratio,), arm=name, level=True)
        keys = ((("policy", s, j), 1.0), (("apo", 0, j), -1.0))
        yield contrast("policy gain", keys, UNIT, j, arm=name, versus=columns.arms.labels[0])


def _naive(columns: PanelColumns, options: EffectOptions, j: int) -> Iterator[Estimand]:
    labels = columns.arms.labels
    for a, b in pairs_of(columns, options):
        terms = (
            Ratio(((("raw", a, j), 1.0),), ("arm", a)),
            Ratio(((("raw", b, j), 1.0),), ("arm", b), -1.0),
        )
        yield Estimand(
            "naive difference", j, terms, arm=labels[a], versus=labels[b],
            population="units as they are",
        )  # fmt: skip


def followed_of(columns: PanelColumns, options: EffectOptions) -> tuple[Estimand, ...]:
    """The ATE at every clip level, then within every trimming threshold, against the control."""
    labels = columns.arms.labels
    found = []
    for j in range(len(columns.outcomes)):
        for a in range(1, len(labels)):
            for c, level in enumerate(clip_levels_of(columns, options)):
                found.append(
                    contrast(
                        "ATE", [(("clipped", c, a, j), 1.0)], UNIT, j, arm=labels[a],
                        versus=labels[0], population=f"all units, clipped at {level:g}",
                    )
                )  # fmt: skip
            for t, level in enumerate(TRIM_LEVELS):
                found.append(
                    contrast(
                        "ATE", [(("trimmed", t, a, j), 1.0)], ("kept", t, a), j, arm=labels[a],
                        versus=labels[0], population=f"units with chances in [{level:g}, {1 - level:g}]",
                    )
                )  # fmt: skip
    return tuple(found)
