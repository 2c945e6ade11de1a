"""Effects of do(A) and do(U) in the words of the table."""

from __future__ import annotations

import numpy as np

from truelift.graph.need.columns import Coding
from truelift.graph.need.results import Need, NeedEffect
from truelift.graph.need.spec import CATEGORY, COUNT, NUMBER
from truelift.models.need.acting import forecast, means_of, measured
from truelift.models.need.information import Covariance
from truelift.models.need.states import StateModel

ALL = "all steps"


def shown_names(coding: Coding) -> list[str]:
    """Names of what :func:`~.acting.means_of` gives."""
    names = [f"{c}={level}" for c in coding.of_kind(CATEGORY) for level in coding.levels[c]]
    return [*names, *coding.of_kind(COUNT), *coding.of_kind(NUMBER)]


def need_names(model: StateModel) -> list[str]:
    """``need 1``, ``need 2``, ..."""
    return [f"need {k + 1}" for k in range(model.needs)]


def needs_of(
    coding: Coding, model: StateModel, covariance: Covariance, z: float
) -> tuple[Need, ...]:
    """Every need, with its share of the steps and what shows it."""
    names, means = shown_names(coding), means_of(model)
    share = covariance.vector[-model.needs :]
    error = np.sqrt(np.maximum(np.diag(covariance.matrix)[-model.needs :], 0.0))
    return tuple(
        Need(
            name, float(share[k]), float(max(share[k] - z * error[k], 0.0)), float(min(share[k] + z * error[k], 1.0)),
            dict(zip(names, map(float, means[k]), strict=True)),
        )
        for k, name in enumerate(need_names(model))
    )  # fmt: skip


def effects_of(
    coding: Coding, model: StateModel, covariance: Covariance, z: float, seen: np.ndarray
) -> tuple[NeedEffect, ...]:
    """Of every level of what is shown against the base, and of every need against the first."""
    names = shown_names(coding)
    told = [i for i, name in enumerate(names) if _of_outcome(coding, name)]
    found: list[NeedEffect] = []
    if coding.spec.model == "states":
        for shown in range(coding.inputs):
            if shown != coding.base and seen[shown] and seen[coding.base]:
                found += _of_input(coding, model, covariance, z, shown, told)
    if model.needs > 1 and told:
        found += _of_needs(coding, model, covariance, z, told)
    return tuple(found)


def _of_outcome(coding: Coding, name: str) -> bool:
    column, _, level = name.partition("=")
    if column not in coding.spec.outcomes:
        return False
    # Of two levels the second says it all.
    levels = coding.levels.get(column)
    return levels is None or len(levels) > 2 or level == levels[-1]


def _of_input(
    coding: Coding, model: StateModel, covariance: Covariance, z: float, shown: int, told: list[int]
) -> list[NeedEffect]:
    needs, base, steps = model.needs, coding.base, coding.spec.horizon

    def quantity(near: StateModel, share: np.ndarray) -> np.ndarray:
        # From all steps as they are, then from each need.
        now = np.concatenate([share[None], np.eye(needs)])
        change = forecast(near, now, shown, base, steps) - forecast(near, now, base, base, steps)
        return np.concatenate([change, change @ means_of(near)[:, told]], axis=-1)

    got = measured(model, covariance, quantity)
    shape = (steps, needs + 1, needs + len(told))
    estimate, error = got.estimate.reshape(shape), got.standard_error.reshape(shape)
    names = [*need_names(model), *(shown_names(coding)[i] for i in told)]
    groups = [ALL, *(f"in {name}" for name in need_names(model))]
    intervention, versus = f"do({coding.input_name(shown)})", coding.input_name(base)
    return [
        _effect(intervention, versus, of, group, t + 1, estimate[t, g, c], error[t, g, c], z)
        for g, group in enumerate(groups)
        for c, of in enumerate(names)
        for t in range(steps)
    ]


def _of_needs(
    coding: Coding, model: StateModel, covariance: Covariance, z: float, told: list[int]
) -> list[NeedEffect]:
    def quantity(near: StateModel, _: np.ndarray) -> np.ndarray:
        means = means_of(near)[:, told]
        return means[1:] - means[:1]

    got = measured(model, covariance, quantity)
    shape = (model.needs - 1, len(told))
    estimate, error = got.estimate.reshape(shape), got.standard_error.reshape(shape)
    names, needs = [shown_names(coding)[i] for i in told], need_names(model)
    return [
        _effect(f"do({needs[k + 1]})", needs[0], of, ALL, 1, estimate[k, c], error[k, c], z)
        for k in range(model.needs - 1)
        for c, of in enumerate(names)
    ]


def _effect(
    intervention: str, versus: str, of: str, population: str, step: int, estimate: float, error: float, z: float
) -> NeedEffect:  # fmt: skip
    value, spread = float(estimate), float(error)
    return NeedEffect(
        intervention, versus, of, population, step, value, spread, value - z * spread, value + z * spread
    )  # fmt: skip
