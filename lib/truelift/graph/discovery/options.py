"""What is asked of discovery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from truelift.errors import ConfigError
from truelift.graph.lines import arrows_of, parted
from truelift.graph.model import graph_of

METHODS = ("order", "pc", "fci")
_FEWEST_BUCKETS = 10
#: Parents that a node may be required to have: those of a family are bits of a number.
MOST_REQUIRED = 60


@dataclass(frozen=True)
class Tiers:
    """An order of groups of columns in which causes come: no arrow points backwards.

    Parameters
    ----------
    groups : tuple of tuple of str
        The earliest first.
    forbidden, required : tuple of str
        Further arrows that cannot be, and that are known to be there, as lines ``a -> b``.
    """

    groups: tuple[tuple[str, ...], ...] = ()
    forbidden: tuple[str, ...] = ()
    required: tuple[str, ...] = ()

    @staticmethod
    def parse(text: str | None) -> Tiers:
        """``age, region < mailed < visits < sales``, or a YAML file with ``groups``, ``forbidden``, ``required``.

        Raises
        ------
        ConfigError
            For what is neither, and for a column that is named twice.
        """
        if not text:
            return Tiers()
        if text.endswith((".yaml", ".yml")) or _is_file(text):
            from truelift.config import load_spec

            tiers = load_spec(Tiers, "tiers", "order of tiers", text, "--tiers")
        else:
            groups = [
                tuple(filter(None, (n.strip() for n in part.split(","))))
                for part in text.split("<")
            ]
            tiers = Tiers(tuple(groups))
        return tiers.checked(text)

    @staticmethod
    def of(groups: Sequence[tuple[str, ...]]) -> Tiers:
        """Tiers of columns, the earliest first.

        Raises
        ------
        ConfigError
            As for :meth:`parse`.
        """
        return Tiers(tuple(groups)).checked(list(groups))

    def checked(self, said: object) -> Tiers:
        """The tiers, if each has columns and no column has two.

        Raises
        ------
        ConfigError
            Else.
        """
        if any(not group for group in self.groups):
            raise ConfigError(
                f"--tiers: found {said!r}, expected names of columns between the signs, such as "
                "'age, region < mailed < sales', or a YAML file."
            )
        if twice := sorted({n for n in self.names if self.names.count(n) > 1}):
            raise ConfigError(
                f"--tiers: found {', '.join(twice)} more than once, expected one place each."
            )
        return self

    def having(self, required: str | None, forbidden: str | None) -> Tiers:
        """With further arrows, as lines with semicolons or line breaks between them."""
        return replace(
            self,
            required=(*self.required, *filter(None, parted(required or ""))),
            forbidden=(*self.forbidden, *filter(None, parted(forbidden or ""))),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that have a tier."""
        return tuple(name for group in self.groups for name in group)

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        """The tier of each column; zero for all where there are no tiers."""
        tier = {name: i for i, group in enumerate(self.groups) for name in group}
        return np.array([tier.get(name, 0) for name in names], np.int64)

    def ruled_out(self, names: Sequence[str]) -> np.ndarray:
        """``[i, j]``: no ``i -> j``, by tiers or by name.

        Raises
        ------
        ConfigError
            For a line that is no arrow between two of the columns.
        """
        tiers = self.numbers(names)
        return (tiers[:, None] > tiers[None, :]) | _arrows(self.forbidden, names, "forbidden")

    def needed(self, names: Sequence[str]) -> np.ndarray:
        """``[i, j]``: ``i -> j`` is known to be there.

        Raises
        ------
        ConfigError
            For a line that is no arrow between two of the columns, arrows against the tiers or against
            forbidden ones, and a cycle of them.
        """
        found = _arrows(self.required, names, "required")
        tiers, forbidden = self.numbers(names), _arrows(self.forbidden, names, "forbidden")
        for i, j in np.argwhere(found).tolist():
            arrow = f"{names[i]} -> {names[j]}"
            if tiers[i] > tiers[j]:
                raise ConfigError(
                    f"required: found {arrow}, from a later tier back to an earlier one. Expected causes in the "
                    "order of the tiers; turn the arrow, or mend --tiers."
                )
            if forbidden[i, j]:
                raise ConfigError(
                    f"required: found {arrow}, which forbidden rules out. Take it out of one of the two."
                )
        for j in np.flatnonzero(found.sum(axis=0) > MOST_REQUIRED).tolist():
            raise ConfigError(
                f"required: found {int(found[:, j].sum())} arrows into {names[j]}, expected at most {MOST_REQUIRED}: "
                "families of more parents are not scored. Require the surest ones."
            )
        graph_of([(names[i], names[j]) for i, j in np.argwhere(found).tolist()])  # refuses a cycle
        return found


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # names of many columns, too long for a path
        return False


def _arrows(lines: Sequence[str], names: Sequence[str], key: str) -> np.ndarray:
    """``[i, j]``: a line has ``i -> j``."""
    place = {name: i for i, name in enumerate(names)}
    found = np.zeros((len(names), len(names)), bool)
    for line in lines:
        arrows, confounded = arrows_of([line], key)
        if confounded or any(name not in place for pair in arrows for name in pair):
            raise ConfigError(
                f"{key}: found {line!r}, expected 'a -> b' with two of the columns {', '.join(names)}."
            )
        for cause, effect in arrows:
            found[place[cause], place[effect]] = True
    return found


@dataclass(frozen=True)
class DiscoveryOptions:
    """How to learn a graph.

    Parameters
    ----------
    columns : tuple of str
        Nodes; empty for those that the tiers name, or else all columns besides the cluster's.
    categories : tuple of str
        Columns of numbers that are names.
    cluster : str or None
        Rows that share it may depend, as those of a user do.
    tiers : Tiers
    method : str
        ``order`` (a search over orders), ``pc`` (tests; no hidden common causes), ``fci`` (tests; hidden
        common causes allowed).
    alpha : float
        Level of each test.
    floor : float
        A dependence that is smaller counts as none.
    depth : int
        Of the largest sets that tests are conditioned on.
    buckets : int
        Of clusters; half of them are learned on.
    share : float
        Of the buckets that is learned on; the rest is left for estimation.
    bootstraps : int
        Graphs of half of the learned-on buckets each, for the frequencies.
    most_levels : int
        Of a column; rarer ones count as one.
    seed : int
    """

    columns: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    cluster: str | None = None
    tiers: Tiers = Tiers()
    method: str = "order"
    alpha: float = 0.01
    floor: float = 0.01
    depth: int = 4
    buckets: int = 80
    share: float = 0.5
    bootstraps: int = 100
    most_levels: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(
                f"--method: found {self.method!r}, expected one of {', '.join(METHODS)}."
            )
        for name, value, low, high in (
            ("--alpha", self.alpha, 0.0, 0.5), ("--share", self.share, 0.0, 1.0000001),
        ):  # fmt: skip
            if not low < value < high:
                raise ConfigError(
                    f"{name}: found {value}, expected a number above {low:g} and below {high:g}."
                )
        if not 0 <= self.floor < 1:
            raise ConfigError(f"--floor: found {self.floor}, expected a number from 0 to below 1.")
        if self.depth < 0 or self.bootstraps < 0 or not 2 <= self.most_levels <= 250:
            raise ConfigError(
                f"found --depth {self.depth}, --bootstraps {self.bootstraps}, --levels "
                f"{self.most_levels}: expected no negative numbers, and 2 to 250 levels."
            )
        if len(self.learned_on) < _FEWEST_BUCKETS:
            raise ConfigError(
                f"--buckets: found {self.buckets}, of which {len(self.learned_on)} are learned on "
                f"(--share {self.share:g}), expected at least {_FEWEST_BUCKETS}: the spread over "
                "buckets is what errors are made of."
            )

    @property
    def learned_on(self) -> tuple[int, ...]:
        """Buckets that the graph is learned on, spread evenly."""
        ends = [int((b + 1) * self.share + 1e-9) for b in range(self.buckets)]
        before = [0, *ends[:-1]]
        return tuple(b for b, (a, e) in enumerate(zip(before, ends, strict=True)) if e > a)

    @property
    def left(self) -> tuple[int, ...]:
        """Buckets that are left for estimation."""
        return tuple(b for b in range(self.buckets) if b not in set(self.learned_on))
