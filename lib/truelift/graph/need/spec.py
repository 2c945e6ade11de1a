"""What a table of steps says of needs: its columns, and how to learn from them."""

from __future__ import annotations

from dataclasses import dataclass, field

from truelift.errors import ConfigError

#: Kinds of columns.
CATEGORY, COUNT, NUMBER = "category", "count", "number"
_KINDS = (CATEGORY, COUNT, NUMBER)
#: Needs that are numbers, beside those that are states and classes.
NUMBERS = "numbers"
_MODELS = ("states", "classes", NUMBERS)


@dataclass(frozen=True)
class NeedSpec:
    """A specification of needs (docs/needs.md).

    Parameters
    ----------
    user, time : str
        Columns; a row is a step of a user.
    behaviour, outcomes : tuple of str
        Columns of what the user did, and of what one wants of it. Needs make both; effects are told on outcomes.
    inputs : tuple of str
        Columns of what was shown before the step.
    kinds : dict of str to str
        By column, ``category``, ``count`` or ``number``, where its values do not say it.
    base : dict of str to str
        By input, the level that others are compared with; by default the first in order.
    model : str
        ``states`` (needs change from step to step), ``classes`` (a user has one need for good) or ``numbers`` (needs are more
        or less, and all columns numbers).
    needs : tuple of int
        Numbers of needs that are tried.
    starts, passes : int
        Starts of each number of needs, and the most passes of one.
    sample_users : int
        Users on whom starts and numbers of needs are tried.
    horizon : int
        Steps over which effects are followed.
    prior_rows : float
        Rows a distribution that know nothing.
    confidence : float
        Of intervals of effects.
    posterior : float
        Of intervals of a user's needs.
    draws : int
        Of the model, for those.
    seed : int
    """

    user: str
    time: str
    behaviour: tuple[str, ...]
    outcomes: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)
    base: dict[str, str] = field(default_factory=dict)
    model: str = "states"
    needs: tuple[int, ...] = (1, 2, 3, 4, 5)
    starts: int = 8
    passes: int = 500
    sample_users: int = 5000
    horizon: int = 3
    prior_rows: float = 1.0
    confidence: float = 0.95
    posterior: float = 0.9
    draws: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if self.model not in _MODELS:
            raise ConfigError(f"model: found {self.model!r}, expected one of {', '.join(_MODELS)}.")
        if not self.behaviour and not self.outcomes:
            raise ConfigError("behaviour: found no columns, expected those that needs show in.")
        named = [self.user, self.time, *self.inputs, *self.seen]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ConfigError(
                f"found {', '.join(twice)} twice among user, time, inputs, behaviour and outcomes, expected "
                "each column in one place: what is shown is no part of what is seen."
            )
        for name, kind in self.kinds.items():
            if name not in self.seen or kind not in _KINDS:
                raise ConfigError(
                    f"kinds.{name}: found {kind!r}, expected one of {', '.join(_KINDS)} for a column of "
                    f"behaviour or outcomes ({', '.join(self.seen)})."
                )
            if self.model == NUMBERS and kind != NUMBER:
                raise ConfigError(
                    f"kinds.{name}: found {kind!r} with model: numbers, expected number: such needs show in numbers "
                    "alone. Leave the column out, or take model: states."
                )
        if self.model == NUMBERS and self.needs and min(self.needs) > len(self.seen):
            raise ConfigError(
                f"needs: found {list(self.needs)} with {len(self.seen)} columns of numbers, expected no more needs than columns: "
                "the columns are what needs are told apart by."
            )
        for name in self.base:
            if name not in self.inputs:
                raise ConfigError(
                    f"base.{name}: found a column that is no input; inputs are "
                    f"{', '.join(self.inputs) or 'none'}."
                )
        if self.model == "classes" and self.inputs:
            raise ConfigError(
                f"inputs: found {', '.join(self.inputs)} with model: classes, expected none. A need that never "
                "changes is not moved by what is shown; model: states lets it change."
            )
        if not self.needs or min(self.needs) < 1 or max(self.needs) > 20:
            raise ConfigError(f"needs: found {list(self.needs)}, expected numbers from 1 to 20.")
        for name, low, high in (
            ("starts", 1, 1000), ("passes", 20, 100_000), ("sample_users", 20, 10_000_000), ("horizon", 1, 100),
            ("draws", 2, 1000), ("seed", 0, 2**63 - 1),
        ):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name}: found {value}, expected {low:,} to {high:,}.")
        if not 0 < self.prior_rows < float("inf"):
            raise ConfigError(
                f"prior_rows: found {self.prior_rows:g}, expected a number above zero: chances of exactly zero "
                "have no errors."
            )
        for name in ("confidence", "posterior"):
            if not 0.5 <= getattr(self, name) < 1:
                raise ConfigError(
                    f"{name}: found {getattr(self, name):g}, expected a number from .5 to below 1."
                )

    @property
    def seen(self) -> tuple[str, ...]:
        """What needs show in."""
        return (*self.behaviour, *self.outcomes)

    @property
    def columns(self) -> tuple[str, ...]:
        """All that are read."""
        return (self.user, self.time, *self.inputs, *self.seen)
