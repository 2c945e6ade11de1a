"""The estimands that a run asks for, each written as ratios of sums."""

from __future__ import annotations

from dataclasses import replace

from truelift.effects.panel.columns import PanelColumns
from truelift.effects.scores.kinds.kind import asked_of
from truelift.effects.scores.layout import ScoreLayout
from truelift.effects.scores.ratios import UNIT, Estimand, contrast
from truelift.effects.scores.sums import TRIM_LEVELS
from truelift.settings import EffectOptions

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
        own=tuple(kind.sums for kind in asked_of(options) if kind.sums is not None),
    )


def clip_of(columns: PanelColumns, options: EffectOptions) -> float:
    """Where propensities are clipped: nowhere if they are known.

    A small chance that is known is what was done; with another in its place the estimate is biased
    and its standard error too small. A small one that was estimated may be an error.
    """
    return 0.0 if columns.propensity else options.support.clip


def clip_levels_of(columns: PanelColumns, options: EffectOptions) -> tuple[float, ...]:
    """Levels at which the ATE is followed: none where propensities are known."""
    return () if columns.propensity else options.support.clip_levels


def estimands_of(columns: PanelColumns, options: EffectOptions) -> tuple[Estimand, ...]:
    """All estimands of a run: outcome after outcome, by name, then by arm."""
    builders = [kind.build for kind in asked_of(options) if kind.build is not None]
    return tuple(
        estimand
        for outcome in range(len(columns.outcomes))
        for build in builders
        for estimand in build(columns, options, outcome)
    )


def corrected_of(columns: PanelColumns, options: EffectOptions) -> tuple[Estimand, ...]:
    """Those whose standard errors are corrected for few clusters: the run's, and always the ATE.

    What follows the ATE within clip levels and trimming takes the ATE's correction.
    """
    if options.inference.small_samples != JACKKNIFE:
        return ()
    wanted = tuple(dict.fromkeys([*options.estimands, "ATE"]))
    return estimands_of(columns, replace(options, estimands=wanted))


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
