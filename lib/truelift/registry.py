"""Registries: one row for each thing of a kind, ours and those that other packages bring.

Our own rows are named by where they lie, and only those that are asked for are imported. A package
adds one by an entry point whose name is the row's::

    [project.entry-points."truelift.estimands"]
    "effect on the few" = "my_package.effects:ON_THE_FEW"
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from truelift.errors import ConfigError

Row = TypeVar("Row")


@dataclass(frozen=True)
class Registry(Generic[Row]):
    """Rows by name; ours first, in their order, then those of other packages by name.

    Parameters
    ----------
    group : str
        Of the entry points, such as ``'truelift.estimands'``.
    own : mapping of str to str
        By name, ``'module:attribute'``.
    """

    group: str
    own: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """All names; nothing is imported for them."""
        return (*self.own, *sorted(name for name in self._added() if name not in self.own))

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self._added()

    def __iter__(self) -> Iterator[Row]:
        return (self.row(name) for name in self.names)

    def added(self, names: Iterable[str]) -> tuple[Row, ...]:
        """Rows of other packages among the names.

        Raises
        ------
        ConfigError
            As :meth:`row`.
        """
        points = self._added()
        return tuple(self.row(name) for name in names if name in points)

    def row(self, name: str, key: str = "") -> Row:
        """The row of a name.

        Parameters
        ----------
        name : str
        key : str
            Of the option that names it, for messages.

        Raises
        ------
        ConfigError
            For a name that there is not, with the nearest that there is; for a row of another
            package that cannot be imported, or takes a name of ours.
        """
        if name not in self:
            near = get_close_matches(name, self.names, n=1, cutoff=0.55)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"{key or self.group}: found {name!r}, expected one of {', '.join(self.names)}.{hint}"
            )
        added = self._added().get(name)
        if added is None:
            return _imported(self.own[name])
        if name in self.own:
            raise ConfigError(
                f"{self.group}: {_whose(added)} brings {name!r}, which truelift has itself. "
                "Expected another name; rename the entry point."
            )
        try:
            row = added.load()
        except Exception as error:
            raise ConfigError(
                f"{self.group}: {name!r} of {_whose(added)} ({added.value}) cannot be imported: "
                f"{type(error).__name__}: {error}. Mend or remove that package."
            ) from error
        if getattr(row, "name", None) != name:
            raise ConfigError(
                f"{self.group}: the entry point {name!r} of {_whose(added)} gives "
                f"{getattr(row, 'name', row)!r}; expected a row of the same name."
            )
        return row

    def _added(self) -> dict[str, EntryPoint]:
        return _entry_points(self.group, tuple(sys.path))


@cache
def _imported(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:  # noqa: ARG001
    # The metadata of every package is looked at: some milliseconds, once for a path.
    return {point.name: point for point in entry_points(group=group)}


def _whose(point: EntryPoint) -> str:
    return f"the package {point.dist.name!r}" if point.dist is not None else "another package"
