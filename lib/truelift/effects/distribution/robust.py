"""Means without the weight of tails, as a look: of outcomes cut at both ends, and Huber's.

Both are estimands of their own, declared before the data are read. A winsorised mean is that of the outcome cut at
two numbers, the same in all arms. Huber's location of an arm is the number t with ``E psi(Y(a) - t) = 0`` for
``psi(u) = min(max(u, -c), c)`` (Huber 1964): doubly robust here, by steps of Newton's from the arm's own median, none
longer than c; its influence is that of ``psi`` over the share of outcomes within c of t.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from truelift.effects.designs.results import Named, family
from truelift.effects.distribution.arm_means import (
    Below,
    Between,
    Function,
    arm_means,
    arms_of_rows,
)
from truelift.effects.distribution.look import inflation
from truelift.effects.look import Look, Sight, not_made
from truelift.effects.nuisances.first_pass import start_rows
from truelift.effects.panel.columns import PanelColumns
from truelift.effects.results import EffectsResult, Estimate
from truelift.settings import EffectOptions

WINSORISED, HUBER = "winsorised ATE", "Huber effect"
_ROUNDS = 8
#: Of Huber's location, in standard errors: how near to its equation it is solved.
_CLOSE = 0.1
# The median absolute deviation times this is the standard deviation of a normal outcome.
_NORMAL = 1.4826


def _asked(options: EffectOptions, columns: PanelColumns) -> bool:  # noqa: ARG001
    return options.robust.winsorise is not None or options.robust.huber is not None


def _result(sight: Sight, found: None) -> EffectsResult:  # noqa: ARG001
    """The result with effects on means without tails."""
    columns, robust = sight.estimation.scoring.columns, sight.options.robust
    drawn = start_rows(sight.source, columns, sight.options, sight.progress)
    estimates: list[Estimate] = []
    failed: dict[str, str] = {}
    for outcome in columns.outcomes:
        values = drawn[outcome].to_numpy().astype(float)
        if robust.winsorise is not None:
            low, high = np.quantile(values, [robust.winsorise, 1.0 - robust.winsorise])
            if high > low:
                estimates += _winsorised(sight, outcome, float(low), float(high))
            else:
                failed[f"{WINSORISED} of {outcome}"] = _one_value(float(low))
        if robust.huber is not None:
            middle = float(np.median(values))
            cut = robust.huber * _NORMAL * float(np.median(np.abs(values - middle)))
            if cut > 0:
                made = _located(sight, outcome, _medians(drawn, columns, outcome), cut)
                estimates += made
                if not made:
                    failed[f"{HUBER} of {outcome}"] = _lost(cut)
            else:
                failed[f"{HUBER} of {outcome}"] = _one_value(middle)
    result = replace(sight.result, estimates=(*sight.result.estimates, *estimates))
    if columns.second_cluster is not None and estimates:
        told = f"their errors are clustered by {columns.cluster!r} alone."
        failed["robust effects in two ways of clusters"] = told
    return not_made(result, failed)


def _one_value(value: float) -> str:
    return (
        f"half of the outcomes or more are {value:.6g}, so what is left between the cuts does not vary. Take a "
        "wider cut, or quantiles."
    )


def _lost(cut: float) -> str:
    return (
        f"no number solves Huber's equation of an arm within {_ROUNDS} steps: next to no outcomes lie within "
        f"{cut:.6g} of it. Take a wider cut, or quantiles."
    )


def _medians(drawn: pa.Table, columns: PanelColumns, outcome: str) -> np.ndarray:
    """Of the outcome in every arm, to begin from; of all rows for an arm of which none was drawn."""
    values, arm = drawn[outcome].to_numpy().astype(float), arms_of_rows(drawn, columns)
    return np.array(
        [
            np.median(values[arm == a] if (arm == a).any() else values)
            for a in range(len(columns.arms.labels))
        ]
    )


def _winsorised(sight: Sight, outcome: str, low: float, high: float) -> list[Estimate]:
    arms = len(sight.estimation.scoring.columns.arms.labels)
    found = arm_means(sight, [(a, Between(outcome, low, high)) for a in range(arms)])
    told = f"all units, {outcome} cut at {low:.6g} and {high:.6g}"
    return _contrasts(
        sight, outcome, WINSORISED, told, found.values, found.covariance, found.clusters
    )


def _located(sight: Sight, outcome: str, start: np.ndarray, cut: float) -> list[Estimate]:
    """Effects on locations; none where an arm's was not found."""
    arms = len(start)
    at = start.copy()
    for _ in range(_ROUNDS):
        asked: list[tuple[int, Function]] = []
        for a, t in enumerate(at.tolist()):
            ends = (Below(outcome, t - cut), Below(outcome, t + cut))
            asked += [(a, Between(outcome, t - cut, t + cut)), *((a, end) for end in ends)]
        found = arm_means(sight, asked)
        within = np.clip(found.values[2::3] - found.values[1::3], 0.05, 1.0)
        rows = np.zeros((arms, len(asked)))
        rows[np.arange(arms), 3 * np.arange(arms)] = 1.0 / within
        spread = rows @ found.covariance @ rows.T
        step = np.clip((found.values[::3] - at) / within, -cut, cut)
        at = at + step
        if (np.abs(step) <= _CLOSE * np.sqrt(np.diag(spread))).all():
            break
    else:
        return []
    told = f"all units, {outcome} further than {cut:.6g} from the location counted as that"
    return _contrasts(sight, outcome, HUBER, told, at, spread, found.clusters)


def _contrasts(
    sight: Sight, outcome: str, name: str, told: str, values: np.ndarray, spread: np.ndarray,
    clusters: int,
) -> list[Estimate]:  # fmt: skip
    labels = sight.estimation.scoring.columns.arms.labels
    rows = np.hstack([-np.ones((len(labels) - 1, 1)), np.eye(len(labels) - 1)])
    wider = np.array([inflation(sight, outcome, label) for label in labels[1:]])
    how = f"cross-fitted doubly robust, {sight.result.learner} nuisances"
    named = [Named(name, outcome, label, told, how, labels[0]) for label in labels[1:]]
    covariance = rows @ spread @ rows.T * np.outer(wider, wider)
    return family(
        named, rows @ values, covariance, sight.options, sight.result.n, clusters, simultaneous=True
    )


ROBUST = Look("robust", _result, _asked)
