"""Effects of do(A) and do(U) in the words of the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.graph.need.columns import Coding
from truelift.graph.need.results import Need, NeedEffect
from truelift.graph.need.spec import CATEGORY, COUNT, NUMBER
from truelift.models.need.acting import forecast, means_of, measured
from truelift.models.need.coordinates import Model
from truelift.models.need.information import Covariance
from truelift.models.need.states import StateModel

ALL = "all steps"
#: Expected steps after a need under a level of what is shown, from which on something is said of where it goes then:
#: of fewer the prior says as much as the data, and the sandwich, in which it is not, finds no error.
FEWEST = 20


@dataclass(frozen=True, eq=False)
class Said:
    """What a model says in the words of the table.

    Parameters
    ----------
    needs : tuple of Need
    moves : dict of str to tuple
    effects : tuple of NeedEffect
    steps : ndarray, M
        By level of what is shown.
    notes : list of str
    """

    needs: tuple[Need, ...]
    moves: dict[str, tuple[tuple[float, ...], ...]]
    effects: tuple[NeedEffect, ...]
    steps: np.ndarray
    notes: list[str]


def of_states(
    coding: Coding, model: StateModel, covariance: Covariance, part: dict[str, np.ndarray], z: float
) -> Said:
    """Of needs that are states, from the parts of all users' sums."""
    moved = part["transition"].sum(axis=2)
    steps = moved.sum(axis=1) + part["initial"].sum(axis=1)
    moves = {
        coding.input_name(a): tuple(tuple(map(float, row)) for row in model.transition[a])
        for a in range(coding.inputs)
        if moved[a].sum() > 0.5
    }
    return Said(
        needs_of(coding, model, covariance, z), moves if coding.spec.model == "states" else {},
        effects_of(coding, model, covariance, z, moved), steps, left_out(coding, model.needs, moved, steps > 0),
    )  # fmt: skip


@dataclass(frozen=True)
class _Shown:
    """A number that :func:`~.acting.means_of` gives: the chance of a level, or the mean of a column."""

    column: str
    level: str | None = None

    @property
    def name(self) -> str:
        return self.column if self.level is None else f"{self.column}={self.level}"


def _shown(coding: Coding) -> list[_Shown]:
    levels = [_Shown(c, level) for c in coding.of_kind(CATEGORY) for level in coding.levels[c]]
    return [*levels, *(_Shown(c) for c in (*coding.of_kind(COUNT), *coding.of_kind(NUMBER)))]


def _units(coding: Coding) -> tuple[np.ndarray, np.ndarray]:
    """Middle and size of the unit of each number that is shown."""
    units = [coding.units.get(one.column) for one in _shown(coding)]
    return (
        np.array([0.0 if unit is None else unit.middle for unit in units]),
        np.array([1.0 if unit is None else unit.size for unit in units]),
    )


def need_names(model: Model) -> list[str]:
    """``need 1``, ``need 2``, ..."""
    return [f"need {k + 1}" for k in range(model.needs)]


def needs_of(
    coding: Coding, model: StateModel, covariance: Covariance, z: float
) -> tuple[Need, ...]:
    """Every need, with its share of the steps and what shows it."""
    names = [one.name for one in _shown(coding)]
    middle, size = _units(coding)
    means = middle + size * means_of(model)
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
    coding: Coding, model: StateModel, covariance: Covariance, z: float, moved: np.ndarray
) -> tuple[NeedEffect, ...]:
    """Of every level of what is shown against the base, and of every need against the first.

    Parameters
    ----------
    coding : Coding
    model : StateModel
    covariance : Covariance
    z : float
    moved : ndarray, M x K
        Expected steps after each need, by what was shown before them: where there are fewer than ``FEWEST``, nothing is said.
    """
    told = [i for i, one in enumerate(_shown(coding)) if _of_outcome(coding, one)]
    found: list[NeedEffect] = []
    if coding.spec.model == "states" and model.needs > 1:
        for shown in range(coding.inputs):
            if shown != coding.base:
                found += _of_input(coding, model, covariance, z, shown, told, moved >= FEWEST)
    if model.needs > 1 and told:
        found += _of_needs(coding, model, covariance, z, told)
    return tuple(found)


def left_out(coding: Coding, needs: int, moved: np.ndarray, seen: np.ndarray) -> list[str]:
    """Sentences about levels of what is shown whose effects are not told, or not all of them."""
    if coding.spec.model != "states" or coding.inputs < 2:
        return []
    if needs == 1:
        return [
            "inputs: with one need there is nothing that what is shown could move, so no effect of it is told."
        ]
    found = []
    for shown in np.flatnonzero(seen & (moved < FEWEST).any(axis=1)).tolist():
        short = ", ".join(f"need {k + 1}" for k in np.flatnonzero(moved[shown] < FEWEST))
        found.append(
            f"inputs: {coding.input_name(shown)} was shown before fewer than {FEWEST} steps that came after {short}, so no "
            "effect between it and another level is told there, or for all steps. A user's first step comes after none."
        )
    return found


def _of_outcome(coding: Coding, one: _Shown) -> bool:
    if one.column not in coding.spec.outcomes:
        return False
    # Of two levels the second says it all.
    levels = coding.levels.get(one.column)
    return levels is None or len(levels) > 2 or one.level == levels[-1]


def _of_input(
    coding: Coding, model: StateModel, covariance: Covariance, z: float, shown: int, told: list[int],
    enough: np.ndarray,
) -> list[NeedEffect]:  # fmt: skip
    needs, base, steps = model.needs, coding.base, coding.spec.horizon
    size = _units(coding)[1][told]
    # By group, all steps first, over how many steps it can be followed: after the first, all needs are passed through.
    at_first = np.r_[enough[[shown, base]].all(), enough[[shown, base]].all(axis=0)]
    follows = np.where(at_first, steps if enough[base].all() else 1, 0)

    def quantity(near: StateModel, share: np.ndarray) -> np.ndarray:
        # From all steps as they are, then from each need.
        now = np.concatenate([share[None], np.eye(needs)])
        change = forecast(near, now, shown, base, steps) - forecast(near, now, base, base, steps)
        return np.concatenate([change, change @ (size * means_of(near)[:, told])], axis=-1)

    got = measured(model, covariance, quantity)
    shape = (steps, needs + 1, needs + len(told))
    estimate, error = got.estimate.reshape(shape), got.standard_error.reshape(shape)
    names = [*need_names(model), *(_shown(coding)[i].name for i in told)]
    groups = [ALL, *(f"in {name}" for name in need_names(model))]
    intervention, versus = f"do({coding.input_name(shown)})", coding.input_name(base)
    return [
        effect(intervention, versus, of, group, t + 1, estimate[t, g, c], error[t, g, c], z)
        for g, group in enumerate(groups)
        for c, of in enumerate(names)
        for t in range(follows[g])
    ]


def _of_needs(
    coding: Coding, model: StateModel, covariance: Covariance, z: float, told: list[int]
) -> list[NeedEffect]:
    size = _units(coding)[1][told]

    def quantity(near: StateModel, _: np.ndarray) -> np.ndarray:
        means = size * means_of(near)[:, told]
        return means[1:] - means[:1]

    got = measured(model, covariance, quantity)
    shape = (model.needs - 1, len(told))
    estimate, error = got.estimate.reshape(shape), got.standard_error.reshape(shape)
    names, needs = [_shown(coding)[i].name for i in told], need_names(model)
    return [
        effect(f"do({needs[k + 1]})", needs[0], of, ALL, 1, estimate[k, c], error[k, c], z)
        for k in range(model.needs - 1)
        for c, of in enumerate(names)
    ]


def effect(
    intervention: str, versus: str, of: str, population: str, step: int, estimate: float, error: float, z: float
) -> NeedEffect:  # fmt: skip
    """An effect with its interval."""
    value, spread = float(estimate), float(error)
    return NeedEffect(
        intervention, versus, of, population, step, value, spread, value - z * spread, value + z * spread
    )  # fmt: skip
