"""The design ``front_door:`` from a panel to its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from truelift.effects.designs.results import Named, designed, family
from truelift.effects.designs.through.nested import Nested, nested_fits
from truelift.effects.designs.through.scores import FrontDoorScores
from truelift.effects.panel.selection import (
    control_caution,
    outcome_cautions,
    selected,
    spelt_arms,
)
from truelift.effects.panel.source import PanelSource
from truelift.effects.results import Caution, EffectsResult, Estimate
from truelift.effects.support.cautions import with_cautions
from truelift.effects.support.supported import Support
from truelift.errors import DataError
from truelift.progress import Tell
from truelift.settings import EffectOptions

NAME = "front-door ATE"
#: From these shares of clipped units on an effect is to be read with care, and is not supported.
_CARE, _TOO_MANY = 0.05, 0.25


def front_door_effects(
    source: PanelSource, options: EffectOptions, progress: Tell
) -> EffectsResult:
    """Effects that mediators carry wholly, of a treatment that something unmeasured moves with the outcome.

    Parameters
    ----------
    source : PanelSource
        The rows that count.
    options : EffectOptions
    progress : callable
    """
    chosen = selected(source, replace(options, filter=None))
    fits = nested_fits(
        chosen.source, options, tuple(options.front_door), "effects.front_door", progress
    )
    if not fits.varying:
        raise DataError(
            f"{source.name}: {', '.join(options.front_door)} (effects.front_door) are constant or follow from the "
            "covariates, so nothing can go through them. Expected columns that the treatment moves."
        )
    columns = fits.inner.scoring.columns
    labels, outcomes = columns.arms.labels, columns.outcomes
    count = len(outcomes)
    means, beyond = fits.means(FrontDoorScores(), len(labels) * count, progress)
    total = int(fits.outer.moments.arm_units.sum())
    learner = fits.inner.fitted.nuisances.name
    estimates: list[Estimate] = []
    for j, outcome in enumerate(outcomes):
        rows = np.zeros((len(labels) - 1, len(means.values)))
        for a in range(1, len(labels)):
            rows[a - 1, a * count + j], rows[a - 1, j] = 1.0, -1.0
        how = f"cross-fitted doubly robust front door through {', '.join(options.front_door)}, {learner} nuisances"
        named = [Named(NAME, outcome, label, "all units", how, labels[0]) for label in labels[1:]]
        estimates += family(
            named, rows @ means.values, rows @ means.covariance @ rows.T, options, total,
            means.clusters, simultaneous=True,
        )  # fmt: skip
    judged = _judged(options, beyond, means.clusters, fits.settling())
    result = designed(
        source, options, estimates, [judged], "front_door",
        learner, folds=options.nuisances.folds, covariates=len(fits.outer.scoring.design),
        selection=chosen.sentence(total, replace(options, filter=None)),
    )  # fmt: skip
    cautions = [
        *control_caution(columns, options),
        *spelt_arms(columns),
        *outcome_cautions(fits.inner.moments.left_out),
        *gap_cautions(fits),
    ]
    return with_cautions(result, cautions)


def gap_cautions(fits: Nested) -> list[Caution]:
    """A word on mediators that some rows have no value of."""
    return [
        Caution(
            f"Some rows have no value of {', '.join(gaps)}, which counts as a value of its own. Where there is one "
            "that nobody recorded, a part of what goes through it is not seen."
        )
        for gaps in (fits.gaps(),)
        if gaps
    ]


def _judged(
    options: EffectOptions, beyond: np.ndarray, clusters: int, settling: Sequence[str]
) -> Support:
    """Whether chances leave the arms comparable, without the mediators and with them."""
    through = ", ".join(options.front_door)
    given = ("the covariates", f"the covariates and {through}")
    shares = list(zip(given, beyond.tolist(), strict=True))
    needed = options.support.min_clusters_per_arm
    far = [
        f"Given {told}, the chance of an arm is cut at {options.support.clip:g} for {share:.0%} of the units, so they "
        "cannot be compared."
        for told, share in shares
        if share > _TOO_MANY
    ]
    far += [
        f"The mediator {told}: who has the same value of it is in one arm." for told in settling
    ]
    if clusters < needed:
        far.append(f"There are {clusters:,} clusters ({options.cluster!r}), fewer than {needed}.")
    if far:
        return Support(NAME, "", False, tuple(far))
    near = [
        f"Given {told}, the chance of an arm is cut for {share:.0%} of the units."
        for told, share in shares
        if share > _CARE
    ]
    if near:
        return Support(NAME, "", True, tuple(near), careful=True)
    said = f"The arms overlap; nothing in the data says that {through} carry all of the effect."
    return Support(NAME, "", True, (said,))
