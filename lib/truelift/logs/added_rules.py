"""Rules of cleaning that another package brings, by an entry point; ``clean.actions`` asks for them.

A rule is found by its name and does what ``clean.actions`` says (``reject``, ``label``); without that it
does nothing, so that a package that is only installed changes no result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truelift.errors import ConfigError
from truelift.settings import CleanOptions
from truelift.settings.clean import NEIGHBOUR_RULES, ROW_RULES

if TYPE_CHECKING:
    from pyspark.sql import Column

    from truelift.logs.neighbours.order import UserEvents
    from truelift.logs.rules import RuleContext


@dataclass(frozen=True)
class RowRule:
    """A rule on a row, of the group ``truelift.row_rules``.

    Parameters
    ----------
    name : str
        The reason or label.
    meaning : str
        A sentence for those who ask why a row was removed.
    condition : callable
        ``(context) -> Column or None``: true where the rule meets a row; see :mod:`truelift.logs.rules`
        for the columns that there are.
    """

    name: str
    meaning: str
    condition: Callable[[RuleContext], Column | None]


@dataclass(frozen=True)
class NeighbourRule:
    """A rule on a row among those of its user, of the group ``truelift.neighbour_rules``.

    Parameters
    ----------
    name, meaning : str
        As those of a :class:`RowRule`.
    marks : callable
        ``(events, counted) -> ndarray of bool, shape (n,)``: the events that it meets, of whole users in
        their order (:class:`~truelift.logs.neighbours.order.UserEvents`); ``counted`` says which
        are no copies. It has to travel to the tasks.
    reach_seconds : float
        How far in time a row can matter to another.
    """

    name: str
    meaning: str
    marks: Callable[[UserEvents, np.ndarray], np.ndarray]
    reach_seconds: float = 0.0

    def found(self, events: UserEvents, counted: np.ndarray) -> np.ndarray:
        """The events that it meets; a copy is never one.

        Raises
        ------
        ConfigError
            Where the package gives something else.
        """
        marked = np.asarray(self.marks(events, counted))
        if marked.shape != counted.shape or marked.dtype != bool:
            raise ConfigError(
                f"clean.actions.{self.name}: the package that brings this rule gave {marked.dtype} of "
                f"shape {marked.shape}, expected one truth value for each of {len(counted):,} events."
            )
        return marked & counted


def row_rules(options: CleanOptions) -> tuple[RowRule, ...]:
    """Rules on rows that are asked for."""
    return ROW_RULES.added(options.actions)


def neighbour_rules(options: CleanOptions) -> tuple[NeighbourRule, ...]:
    """Rules on neighbours that are asked for."""
    return NEIGHBOUR_RULES.added(n for n, action in options.actions.items() if action != "ignore")


def added_meanings() -> dict[str, str]:
    """What each rule of another package says, asked for or not."""
    of_rows = ROW_RULES.added(n for n in ROW_RULES.names if n not in ROW_RULES.own)
    neighbours = (n for n in NEIGHBOUR_RULES.names if n not in NEIGHBOUR_RULES.own)
    of_neighbours = NEIGHBOUR_RULES.added(neighbours)
    told = {rule.name: rule.meaning for rule in of_rows}
    return {**told, **{rule.name: rule.meaning for rule in of_neighbours}}
