"""What a candidate policy is, in a specification: one of the ways to name one."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property

from truelift.errors import ConfigError
from truelift.policy.package import PolicyPackage


@dataclass(frozen=True)
class ChanceTable:
    """Chances of actions by context, in a table of their own.

    Parameters
    ----------
    table : str
        ``URI[@VERSION]``.
    by : tuple of str
        Columns of the context, in the table and in the log; none: the same everywhere.
    action, chance : str
        Columns of the table.
    """

    table: str
    by: tuple[str, ...] = ()
    action: str = "action"
    chance: str = "propensity"


@dataclass(frozen=True)
class PolicySpec:
    """A candidate policy: one of the ways to name one.

    Parameters
    ----------
    action : str, optional
        The column of the action that it takes.
    always : str or bool, optional
        The one action that it takes; YAML's ``yes`` and ``true`` are the action "true".
    uniform : bool
        All actions alike.
    logging : bool
        The policy that wrote the log.
    chances : mapping of str to str
        By action, the column of the chance that it takes it.
    table : ChanceTable, optional
        Chances by context.
    logged_chance : str, optional
        The column of its chance of the logged action; serves the estimators without a reward model.
    model : str, optional
        A policy that ``learn_policy`` made: a version or alias of the registry as ``models:/NAME@ALIAS``, or
        the file of a package.
    package : str
        What the model says, in JSON; filled in when it is read.
    explore : float
        Share of the rounds in which it takes any action instead, all alike.
    """

    action: str | None = None
    always: str | bool | None = None
    uniform: bool = False
    logging: bool = False
    chances: dict[str, str] = field(default_factory=dict)
    table: ChanceTable | None = None
    logged_chance: str | None = None
    model: str | None = None
    package: str = ""
    explore: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.always, bool):
            object.__setattr__(self, "always", "true" if self.always else "false")
        beside = ("explore", "package")
        ways = [f.name for f in fields(self) if f.name not in beside and getattr(self, f.name)]
        if len(ways) != 1:
            raise ConfigError(
                f"policies: found a policy by {' and '.join(ways) or 'nothing'}, expected one of "
                "action, always, uniform, logging, chances, table, logged_chance, model."
            )
        if not 0 <= self.explore <= 1 or (self.explore and (self.logging or self.logged_chance)):
            raise ConfigError(
                f"policies: found explore {self.explore:g}, expected a share from 0 to 1, of a policy "
                "whose chances of all actions are known."
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the log that it reads."""
        by = self.table.by if self.table else ()
        named = [name for name in (self.action, self.logged_chance) if name]
        return (*named, *self.chances.values(), *by, *self.numbers, *self.texts)

    @cached_property
    def learned(self) -> PolicyPackage | None:
        """The policy that a model holds, once it is read."""
        return PolicyPackage.from_text(self.package) if self.package else None

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns of numbers that a learned policy looks at."""
        return self.learned.rule.numbers if self.learned else ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Columns of texts that it looks at."""
        return self.learned.rule.texts if self.learned else ()
