"""Names of JSON keys as columns: one for each path through the objects, fixed for a whole file.

A key inside an object gets the names on the way to it with ``_`` between (``{"geo": {"city": 5}}``
is ``geo_city``). Where two paths would get one name (``user_id`` beside ``{"user": {"id": ...}}``),
the one with fewer steps keeps it and the other has ``__`` between its steps (``user__id``). Which
is which depends on the paths alone, never on the order of keys or lines.
"""

from __future__ import annotations

import itertools
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from truelift.logs.sources.columns import apart_name, bronze_name
from truelift.logs.sources.unit import Unit

Path = tuple[str, ...]


def spelled(path: Path) -> str:
    """A path as the configuration writes it: ``user.id``."""
    return ".".join(path)


@lru_cache(maxsize=65536)
def folded(path: Path) -> Path:
    """A path by what it means: case does not count, nor does how an accent is written."""
    return tuple(unicodedata.normalize("NFC", key).lower() for key in path)


def one_a_meaning(records: Iterable[Sequence[Path]]) -> list[Path]:
    """The paths of some objects; of spellings that no object has together, the one that has a name.

    Parameters
    ----------
    records : iterable of sequences of tuple of str
        The paths of each object.
    """
    paths: dict[Path, None] = {}
    rivals: set[Path] = set()
    for record in records:
        new = [path for path in record if path not in paths]
        paths.update(dict.fromkeys(new))
        meanings = [folded(path) for path in record]
        if len(set(meanings)) < len(meanings):
            rivals |= {meaning for meaning in meanings if meanings.count(meaning) > 1}
    named = names_of(paths)
    return [path for path in paths if path in named or folded(path) in rivals]


def names_of(paths: Iterable[Path]) -> dict[Path, str]:
    """A column's name for each path, in the order given.

    Of keys that differ in case only a table can hold one: the one in lower case, else the first
    in the order of characters. The others have no name here.

    Parameters
    ----------
    paths : iterable of tuple of str
        Keys from the outermost object inwards.
    """
    given = list(dict.fromkeys(paths))
    names: dict[str, Path] = {}
    spellings: set[Path] = set()
    for path in sorted(given, key=_rank):
        # Only case tells it from another key.
        if folded(path) in spellings:
            continue
        spellings.add(folded(path))
        name = next(n for n in _candidates(path) if n.lower() not in names)
        names[name.lower()] = path
    chosen = {path: lower for lower, path in names.items()}
    return {path: _as_spelled(path, chosen[path]) for path in given if path in chosen}


def late_name(path: Path, taken: Mapping[str, Path | None], used: Mapping[str, object]) -> str:
    """The name in ``_other`` of a path that a file's plan does not have.

    A key inside is spelled with its steps, so nothing at the top is taken for it, and one that only
    case tells from a column as it stands.

    Parameters
    ----------
    taken : mapping of str to tuple of str
        The paths of the file's columns by their names in lower case.
    used : mapping
        By the names that other such paths of the object have got.
    """
    free = (n for n in _candidates(path) if n.lower() not in taken)
    rival = taken.get(bronze_name(spelled(path)).lower())
    only_case = rival is not None and spelled(rival).lower() == spelled(path).lower()
    own = (spelled(path),) if len(path) > 1 or only_case else ()
    return next(n for n in itertools.chain(own, free) if n not in used)


def _rank(path: Path) -> tuple[int, bool, bool, str]:
    text = spelled(path)
    return len(path), bronze_name(text) != text, text != text.lower(), text


def _candidates(path: Path) -> Iterable[str]:
    name = bronze_name(spelled(path))
    apart = apart_name(spelled(path))
    first = (name,) if apart is None else (name, apart)
    return itertools.chain(first, (f"{name}_{number}" for number in itertools.count(2)))


def _as_spelled(path: Path, lower: str) -> str:
    """The candidate with its capitals."""
    return next(n for n in _candidates(path) if n.lower() == lower)


def aligned(units: Sequence[Unit], held: Iterable[str]) -> list[Unit]:
    """The units with one name for a path inside, also where only some files have a rival of it.

    A file in which ``user.id`` is alone calls it ``user_id``; where another file, or the table, has
    ``user__id`` for it, or another file a key ``user_id`` at the top, it is ``user__id`` there too.

    Parameters
    ----------
    units : sequence of Unit
    held : iterable of str
        Columns that the table has.
    """
    planned = [(unit, planned_paths(unit)) for unit in units]
    top = {name.lower() for _, names in planned for name, path in names.items() if len(path) == 1}
    inside = {name.lower() for _, names in planned for name, path in names.items() if len(path) > 1}
    apart_held = inside | {name.lower() for name in held}
    result = []
    for unit, names in planned:
        renamed = {}
        for name, path in names.items():
            apart = apart_name(spelled(path))
            if len(path) == 1 or apart is None or name != bronze_name(spelled(path)):
                continue
            if apart.lower() in apart_held or name.lower() in top:
                renamed[name] = apart
        new = tuple(renamed.get(name, name) for name in unit.names)
        fits = len({name.lower() for name in new}) == len(new)
        result.append(replace(unit, names=new) if renamed and fits else unit)
    return result


def planned_paths(unit: Unit) -> dict[str, Path]:
    """The paths of a unit by their names; none of a unit that is not of JSON."""
    paths = json.loads(unit.options.get("paths", "[]"))
    # Columns that are made of the objects come first, and _other last.
    return dict(zip(unit.names[-1 - len(paths) : -1], map(tuple, paths), strict=True))
