"""Columns that the data name: which levels get one, what they are called, and their flags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from truelift.arrays.texts import codes_among, sorted_codes
from truelift.features.panels.occasions import Occasion
from truelift.settings.panel_spec import PanelSpec


@dataclass(frozen=True)
class AttributeLevels:
    """The levels of an attribute that get a column, and whether a missing column is due.

    The most frequent level is the reference: it has no column.
    """

    name: str
    levels: tuple[str, ...]
    has_missing: bool

    def names(self) -> list[str]:
        """What its columns say, the missing one last."""
        said = [f"{self.name}_{level}" if self.name else level for level in self.levels]
        missing = f"{self.name}_missing" if self.name else "missing"
        return [*said, missing] if self.has_missing else said


@dataclass(frozen=True)
class ChosenLevels:
    """What the data decide of a panel's columns.

    Parameters
    ----------
    shares : mapping of str to tuple of str
        By share its levels, the most frequent first.
    indicators : mapping of str to tuple of AttributeLevels
    """

    shares: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    indicators: Mapping[str, tuple[AttributeLevels, ...]] = field(default_factory=dict)

    def columns(self, spec: PanelSpec, occasions: Sequence[Occasion]) -> tuple[str, ...]:
        """Names of the columns, in order: shares, indicators, those of the occasions."""
        names: list[str] = []
        for prefix, levels in self.shares.items():
            names += column_names(f"{prefix}_", levels)
        for prefix, attributes in self.indicators.items():
            said = [name for each in attributes for name in each.names()]
            names += column_names(f"{prefix}_", said)
        if spec.occasions.indicators is not None:
            later = [occasion.name for occasion in occasions[1:]]
            names += column_names(f"{spec.occasions.indicators}_", later)
        return tuple(names)


def column_names(prefix: str, values: Sequence[str]) -> list[str]:
    """Distinct column names for arbitrary text: lower case, digits and underscores."""
    names: list[str] = []
    for value in values:
        plain = value.lower().replace("+", " plus ").replace("<", " under ").replace(">", " over ")
        base = prefix + (re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or "other")
        name, count = base, 2
        while name in names:
            name, count = f"{base}_{count}", count + 1
        names.append(name)
    return names


def most_frequent(counts: Mapping[str, int], most: int) -> tuple[str, ...]:
    """The levels with the most rows; of equally frequent ones the first by name."""
    return tuple(sorted((level for level in counts if counts[level]), key=_order(counts))[:most])


def attribute_levels(
    counts: Mapping[str, Mapping[str, int]], known: Mapping[str, int], subjects: int, most: int
) -> tuple[AttributeLevels, ...]:
    """The attributes that can be groups, with the levels that get a column.

    Parameters
    ----------
    counts : mapping of str to mapping of str to int
        By attribute and level, how many subjects have it.
    known : mapping of str to int
        By attribute, how many subjects have any level.
    subjects : int
        How many there are.
    most : int
        Attributes of more levels are left out, as those of one level that nobody lacks.
    """
    chosen = []
    for name, found in sorted(counts.items()):
        if len(found) > most:
            continue
        rest = tuple(sorted(sorted(found, key=_order(found))[1:]))
        has_missing = known[name] < subjects
        if rest or has_missing:
            chosen.append(AttributeLevels(name, rest, has_missing))
    return tuple(chosen)


def _order(counts: Mapping[str, int]):  # type: ignore[no-untyped-def]
    return lambda level: (-counts[level], level)


@dataclass(frozen=True, eq=False)
class AttributeRows:
    """Which subject has which level of which attribute: each once.

    Parameters
    ----------
    subject, attribute, level : np.ndarray of int64, shape (rows,)
        Codes into the subjects, ``attributes`` and ``levels``.
    attributes, levels : pa.Array
        Distinct texts, ascending.
    subjects : int
    """

    subject: np.ndarray
    attribute: np.ndarray
    level: np.ndarray
    attributes: pa.Array
    levels: pa.Array
    subjects: int

    @classmethod
    def of(
        cls, subject: np.ndarray, name: pa.Array | None, value: pa.Array, subjects: int
    ) -> AttributeRows:
        """From rows with the subject's code (-1: of nobody); rows without a level are left out."""
        named = name if name is not None else pa.array([""] * len(value), pa.string())
        attributes, attribute = sorted_codes(named)
        levels, level = sorted_codes(value)
        known = (subject >= 0) & (attribute >= 0) & (level >= 0)
        rows = np.stack([subject[known], attribute[known], level[known]])
        one = np.unique(rows, axis=1) if rows.shape[1] else rows
        return cls(one[0], one[1], one[2], attributes, levels, subjects)

    def counts(self) -> Iterable[tuple[str, str | None, int]]:
        """Attribute, level and how many subjects have it; None as level: any."""
        levels = self.levels.to_pylist()
        for code, name in enumerate(self.attributes.to_pylist()):
            mine = self.attribute == code
            if mine.any():
                yield name, None, len(np.unique(self.subject[mine]))
                found = np.bincount(self.level[mine], minlength=len(levels))
                yield from ((name, levels[i], int(n)) for i, n in enumerate(found) if n)

    def flags(self, chosen: Sequence[AttributeLevels]) -> list[np.ndarray]:
        """Columns of 0 and 1, each of shape (subjects,), in the order of their names."""
        names = pa.array([each.name for each in chosen], pa.string())
        place = np.append(codes_among(self.attributes, names), -1)[self.attribute]
        columns: list[np.ndarray] = []
        for number, each in enumerate(chosen):
            mine = place == number
            level = codes_among(self.levels, pa.array(each.levels, pa.string()))[self.level[mine]]
            subject = self.subject[mine]
            columns += [self._flags(subject[level == code]) for code in range(len(each.levels))]
            if each.has_missing:
                columns.append(1.0 - self._flags(subject))
        return columns

    def _flags(self, subject: np.ndarray) -> np.ndarray:
        flags = np.zeros(self.subjects)
        flags[subject] = 1.0
        return flags
