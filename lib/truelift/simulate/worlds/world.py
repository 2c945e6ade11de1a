"""What a world is: it draws units, knows the truth about them, and lets a policy act.

A world is a frozen dataclass of its parameters; all chance comes from the seed of a draw, so one
seed is one panel. Worlds are rows of a registry (:data:`~.registry.WORLDS`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from truelift.errors import ConfigError

#: A seed, or a generator that goes on where it stands.
Seed = int | np.random.Generator
#: Covariates of the units that are new, to the chance of every arm for each of them (A x n).
Policy = Callable[[pa.Table], np.ndarray]


class Estimand(Protocol):
    """What is asked for the truth: an estimate itself will do."""

    @property
    def estimand(self) -> str:
        """Its name, such as ``ATE``."""

    @property
    def outcome(self) -> str:
        """Column of the outcome."""

    @property
    def arm(self) -> str:
        """Label of the arm."""

    @property
    def versus(self) -> str:
        """Label of the arm that it is compared with."""

    @property
    def population(self) -> str:
        """Over whom, such as ``group = 3``."""


@dataclass(frozen=True)
class Question:
    """An estimand by itself; without an outcome that of the world."""

    estimand: str
    outcome: str = ""
    arm: str = "1"
    versus: str = "0"
    population: str = ""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Units of a world.

    Parameters
    ----------
    table : pa.Table
        A row a unit: key, cluster, treatment, outcomes, covariates ``x_...``.
    propensity : np.ndarray, shape (units,) or (arms, units)
        Each unit's chance of treatment, or of every arm.
    unit_effect : np.ndarray, shape (units,) or (arms - 1, units)
        The effect on each unit, of every arm after the control.
    """

    table: pa.Table
    propensity: np.ndarray
    unit_effect: np.ndarray


class World(Protocol):
    """A way in which units, treatments and outcomes come about."""

    def draw(self, seed: Seed) -> Drawn:
        """Units as they come about when nobody decides: by the world's own propensities."""

    def truth(self, estimand: str | Estimand) -> float:
        """The true value of an estimand over the population.

        Raises
        ------
        ConfigError
            For an estimand whose truth the world does not know.
        """

    def step(self, policy: Policy, seed: Seed) -> pa.Table:
        """Logs of new units whose arms a policy chooses.

        The policy sees their covariates and gives chances; arms are drawn by these, and outcomes
        follow. The column ``chance`` holds the chance of the arm that was drawn.
        """


@dataclass(frozen=True)
class WorldKind:
    """A row of the registry: ``kind(**parameters)`` gives a world."""

    name: str
    summary: str
    kind: Callable[..., World]

    def __call__(self, **parameters: Any) -> World:
        return self.kind(**parameters)


def asked(estimand: str | Estimand) -> Estimand:
    """An estimand, also by its name alone."""
    return Question(estimand) if isinstance(estimand, str) else estimand


def unknown(world: object, estimand: Estimand, known: tuple[str, ...]) -> ConfigError:
    """That a world does not know a truth."""
    return ConfigError(
        f"{type(world).__name__}: there is no truth for {estimand.estimand!r} on "
        f"{estimand.outcome or 'its outcome'!r}; expected one of {', '.join(known)}."
    )


def chances_of(policy: Policy, covariates: pa.Table, arms: int) -> np.ndarray:
    """What a policy says of some units.

    Raises
    ------
    ConfigError
        If it does not give every unit chances that add up to one.
    """
    chances = np.asarray(policy(covariates), dtype=float)
    shape = (arms, covariates.num_rows)
    if chances.shape != shape:
        raise ConfigError(
            f"the policy gave chances of shape {chances.shape}; expected {shape} (arms, units)."
        )
    if not (np.all(chances >= 0) and np.allclose(chances.sum(axis=0), 1.0)):
        raise ConfigError("the policy gave chances that are below 0 or do not add up to 1.")
    return chances


def taken(chances: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """The chance of the arm that each unit got."""
    return chances[arm, np.arange(chances.shape[1])]
