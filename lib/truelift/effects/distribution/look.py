"""Effects on quantiles and beyond them, as a look."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from truelift.effects.designs.results import Named, family
from truelift.effects.distribution.arm_means import arms_of_rows
from truelift.effects.distribution.quantiles import ArmQuantiles, arm_quantiles, bandwidth
from truelift.effects.look import Look, Sight, not_made
from truelift.effects.nuisances.first_pass import start_rows
from truelift.effects.panel.columns import PanelColumns
from truelift.effects.results import EffectsResult, Estimate
from truelift.settings import EffectOptions

QUANTILE, BEYOND = "quantile effect", "CVaR effect"


def _asked(options: EffectOptions, columns: PanelColumns) -> bool:  # noqa: ARG001
    return bool(options.quantiles)


def _result(sight: Sight, found: None) -> EffectsResult:  # noqa: ARG001
    """The result with effects on quantiles of every outcome, and on means beyond them."""
    options, columns = sight.options, sight.estimation.scoring.columns
    drawn = start_rows(sight.source, columns, options, sight.progress)
    units = sight.estimation.moments.arm_units
    estimates: list[Estimate] = []
    failed: dict[str, str] = {}
    for outcome in columns.outcomes:
        values = drawn[outcome].to_numpy().astype(float)
        levels, why = _smooth_in_every_arm(
            values, arms_of_rows(drawn, columns), columns.arms.labels, options.quantiles, units
        )
        failed |= {f"{QUANTILE} at {level:g} of {outcome}": text for level, text in why.items()}
        if levels:
            solved = arm_quantiles(sight, outcome, values, levels, units)
            failed |= _unsolved(outcome, columns.arms.labels, levels, solved)
            estimates += _effects(sight, outcome, levels, solved)
    if columns.second_cluster is not None:
        told = f"their errors are clustered by {columns.cluster!r} alone."
        failed[f"{QUANTILE}s in two ways of clusters"] = told
    result = replace(sight.result, estimates=(*sight.result.estimates, *estimates))
    return not_made(result, failed)


def _smooth_in_every_arm(
    values: np.ndarray, arm: np.ndarray, labels: tuple[str, ...], levels: tuple[float, ...],
    units: np.ndarray,
) -> tuple[tuple[float, ...], dict[float, str]]:  # fmt: skip
    """Levels about which every arm's own outcomes are spread: a value that all of one arm have is no rare one there."""
    why: dict[float, str] = {}
    for a, label in enumerate(labels):
        if (arm == a).any():
            _, found = smooth_levels(values[arm == a], levels, float(units[a]), label)
            why = found | why
    return tuple(level for level in levels if level not in why), why


def _unsolved(
    outcome: str, labels: tuple[str, ...], levels: tuple[float, ...], solved: ArmQuantiles
) -> dict[str, str]:
    """Levels that an arm's distribution was not found to meet."""
    found = {}
    for a, label in enumerate(labels):
        for k, level in enumerate(levels):
            if not np.isfinite(solved.quantile[a, k]):
                found[f"{QUANTILE} at {level:g} of {outcome}, arm {label}"] = (
                    "the arm's distribution does not rise through this level where its quantile is looked for: too "
                    "few units lie there. Take levels nearer to the middle, or more units."
                )
    return found


def smooth_levels(
    values: np.ndarray, levels: tuple[float, ...], units: float, arm: str
) -> tuple[tuple[float, ...], dict[float, str]]:
    """Levels about which an arm's outcome is spread, and why there is no density about the others.

    Parameters
    ----------
    values : ndarray
        Of the outcome, in the arm.
    levels : tuple of float
    units : float
        Of the arm.
    arm : str
    """
    kept, failed = [], {}
    found, counts = np.unique(values, return_counts=True)
    for level in levels:
        h = bandwidth(level, units)
        low, high = np.quantile(values, [level - h, level + h])
        inside = (found >= low) & (found <= high)
        share = float(counts[inside].max() / len(values)) if inside.any() else 0.0
        if share > h:
            value = float(found[inside][np.argmax(counts[inside])])
            failed[level] = (
                f"{share:.0%} of the rows of the arm {arm} have the one value {value:.6g} there, so a quantile jumps and has no "
                "standard error. Ask for levels where the outcome varies, or take it as shares of units above "
                "a number."
            )
        else:
            kept.append(level)
    return tuple(kept), failed


def _effects(
    sight: Sight, outcome: str, levels: tuple[float, ...], solved: ArmQuantiles
) -> list[Estimate]:
    labels = sight.estimation.scoring.columns.arms.labels
    arms, count = len(labels), len(levels)
    found: list[Estimate] = []
    told = {QUANTILE: "the {:g} quantile", BEYOND: "beyond the {:g} quantile"}
    for block, (name, values) in enumerate(((QUANTILE, solved.quantile), (BEYOND, solved.beyond))):
        named, rows, changes = [], [], []
        for a in range(1, arms):
            for k, level in enumerate(levels):
                if not np.isfinite(values[a, k] - values[0, k]):
                    continue
                row = np.zeros(2 * arms * count)
                row[(block * arms + a) * count + k], row[block * arms * count + k] = 1.0, -1.0
                rows.append(row * inflation(sight, outcome, labels[a]))
                changes.append(values[a, k] - values[0, k])
                how = f"cross-fitted doubly robust distributions, {sight.result.learner} nuisances"
                named.append(
                    Named(name, outcome, labels[a], told[name].format(level), how, labels[0])
                )
        if named:
            spread = np.array(rows) @ solved.covariance @ np.array(rows).T
            found += family(
                named, np.array(changes), spread, sight.options, sight.result.n, solved.clusters,
                simultaneous=True,
            )  # fmt: skip
    return found


def inflation(sight: Sight, outcome: str, arm: str) -> float:
    """The small-sample correction of the ATE of the same outcome and arm."""
    place = sight.estimation.scoring.columns.outcomes.index(outcome)
    by_key = sight.estimation.cluster_moments.precision
    found = [
        p.inflation for k, p in by_key.items() if k[0] == "ATE" and k[1] == place and k[2] == arm
    ]
    return max(found, default=1.0)


QUANTILES = Look("quantiles", _result, _asked)
