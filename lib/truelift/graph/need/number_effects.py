"""What needs that are numbers show in, how they go on, and what acting changes, in the words of the table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truelift.errors import DataError, NotSupportedError
from truelift.graph.need.columns import Coding
from truelift.graph.need.effects import ALL, FEWEST, Said, effect, need_names
from truelift.graph.need.results import Need, NeedEffect
from truelift.graph.need.spec import NUMBER
from truelift.models.need.acting import measured, pushed_on
from truelift.models.need.coordinates import Model
from truelift.models.need.information import Covariance
from truelift.models.need.linear import NARROWEST, LinearModel
from truelift.models.need.rows import NeedRows

#: What :attr:`~.results.NeedsResult.moves` is called where it does not hang on what is shown.
LATER = "a step later"
# Standard errors by which a need must show in the column that tells it apart, or its sign is as good as drawn.
_SHOWS = 3.0


def require_steps(name: str, parts: Sequence[NeedRows]) -> None:
    """See that users have steps after a first one.

    Raises
    ------
    DataError
        Otherwise: how needs go on would be anything.
    """
    later = sum(len(part) - part.users for part in parts)
    if later < FEWEST:
        raise DataError(
            f"{name}: found {later} steps after a user's first one, expected {FEWEST} or more: model: numbers learns how needs "
            "go on from step to step."
        )


def require_noise(name: str, columns: Sequence[str], model: Model, sd: np.ndarray) -> None:
    """See that no column is made of needs alone.

    Parameters
    ----------
    name : str
        Of the table.
    columns : sequence of str
    model : Model
        Of states: nothing is asked of it.
    sd : ndarray
        Of the columns, in the model's units.

    Raises
    ------
    NotSupportedError
        Otherwise: the likelihood rises without end as that column's noise goes to zero, and errors mean nothing.
    """
    if not isinstance(model, LinearModel):
        return
    for i in np.flatnonzero(model.noise < 2 * NARROWEST * sd)[:1].tolist():
        raise NotSupportedError(
            f"{name}, column {columns[i]!r}: found no noise of its own beside {model.needs} needs, expected some. Where it is another "
            "column in another unit, or a sum of others, leave it out; or name fewer needs."
        )


def of_numbers(
    coding: Coding,
    model: LinearModel,
    covariance: Covariance,
    part: dict[str, np.ndarray],
    z: float,
) -> Said:
    """From the parts of all users' sums.

    Raises
    ------
    NotSupportedError
        If a column that tells a need apart hardly shows it.
    """
    columns, k = coding.of_kind(NUMBER), model.needs
    _require_directions(columns, model, covariance)
    size = np.array([coding.units[c].size for c in columns])
    pushes = np.diag(part["before"])[k:]
    shows = size[:, None] * model.loading
    needs = tuple(
        Need(name, 1.0, 1.0, 1.0, dict(zip(columns, map(float, shows[:, i]), strict=True)))
        for i, name in enumerate(need_names(model))
    )
    told = [i for i, c in enumerate(columns) if c in coding.spec.outcomes]
    effects: list[NeedEffect] = []
    for level in model.layout.pushing.tolist():
        if min(pushes[level], pushes[coding.base]) >= FEWEST:
            effects += _of_input(coding, model, covariance, z, level, told)
    effects += _of_needs(coding, model, covariance, z, told)
    notes = [
        f"inputs: {coding.input_name(a)} or {coding.input_name(coding.base)} was shown before fewer than {FEWEST} steps that came after "
        "another one, so no effect between them is told."
        for a in model.layout.pushing.tolist()
        if part["start_steps"][a] + pushes[a] > 0 and min(pushes[a], pushes[coding.base]) < FEWEST
    ]
    moves = {LATER: tuple(tuple(map(float, row)) for row in model.moves.T)}
    return Said(needs, moves, tuple(effects), part["start_steps"] + pushes, notes)


def _require_directions(columns: Sequence[str], model: LinearModel, covariance: Covariance) -> None:
    got = measured(model, covariance, lambda near, _: np.diag(near.loading))
    for i in np.flatnonzero(got.estimate < _SHOWS * got.standard_error)[:1].tolist():
        raise NotSupportedError(
            f"needs: column {columns[i]!r} is to tell need {i + 1} apart and rises by {got.estimate[i]:.2g} standard deviations with it, "
            f"standard error {got.standard_error[i]:.2g}: which way that need goes is as good as drawn. Name a column that shows it "
            f"in place {i + 1} of behaviour, or fewer needs."
        )


def _of_input(
    coding: Coding,
    model: LinearModel,
    covariance: Covariance,
    z: float,
    shown: int,
    told: list[int],
) -> list[NeedEffect]:
    columns = coding.of_kind(NUMBER)
    size = np.array([coding.units[columns[i]].size for i in told])

    def quantity(near: LinearModel, _: np.ndarray) -> np.ndarray:
        added = pushed_on(near, shown, coding.base, coding.spec.horizon)
        return np.concatenate([added, (added @ near.loading[told].T) * size], axis=1)

    got = measured(model, covariance, quantity)
    names = [*need_names(model), *(columns[i] for i in told)]
    estimate, error = (
        x.reshape(coding.spec.horizon, -1) for x in (got.estimate, got.standard_error)
    )
    intervention, versus = f"do({coding.input_name(shown)})", coding.input_name(coding.base)
    return [
        effect(intervention, versus, of, ALL, t + 1, estimate[t, i], error[t, i], z)
        for i, of in enumerate(names)
        for t in range(coding.spec.horizon)
    ]


def _of_needs(
    coding: Coding, model: LinearModel, covariance: Covariance, z: float, told: list[int]
) -> list[NeedEffect]:
    columns = coding.of_kind(NUMBER)
    size = np.array([coding.units[columns[i]].size for i in told])

    def quantity(near: LinearModel, _: np.ndarray) -> np.ndarray:
        return near.loading[told] * size[:, None]

    got = measured(model, covariance, quantity)
    estimate, error = (
        x.reshape(len(told), model.needs) for x in (got.estimate, got.standard_error)
    )
    return [
        effect(f"do({name} + 1)", name, columns[i], ALL, 1, estimate[row, k], error[row, k], z)
        for k, name in enumerate(need_names(model))
        for row, i in enumerate(told)
    ]
