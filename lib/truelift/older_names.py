"""Options in sections, and the flat names that they had before: these are still read for one release.

A class of options with sections (fields that are dataclasses themselves) is decorated with
:func:`sectioned`. What stood beside each other in it (``effects.confidence``) then stands in a section
(``effects.inference.confidence``); files, ``--set``, keyword arguments and attributes by the older
name go on working, and one message names the newer. A truth value in a section's place
(``credibility: true``) says whether it is on.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
import typing
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from truelift.errors import ConfigError

C = TypeVar("C")
_PACKAGE = __name__.partition(".")[0]
# The option of a section that a truth value in its place stands for.
_ASKED = "enabled"
Path = tuple[str, ...]
Renamed = tuple[str, str]


class OlderName(FutureWarning):
    """A setting by the name that it had in an earlier release."""


def sectioned(key: str, *flat: str, **older: str) -> Callable[[type[C]], type[C]]:
    """Let a class of options with sections be given its options by their older, flat names.

    Parameters
    ----------
    key : str
        Where the class stands in the settings, for messages.
    *flat : str
        Sections whose options lay flat in the class before.
    **older : str
        By older name the path of the new one, where it is not that of its section and itself.
    """

    def decorate(cls: type[C]) -> type[C]:
        paths = {name: tuple(path.split(".")) for name, path in older.items()}
        sections = _sections(typing.cast(Any, cls))
        for section in flat:
            for inner in dataclasses.fields(sections[section]):
                if inner.name != _ASKED:
                    paths.setdefault(inner.name, (section, inner.name))
        now = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        paths = {name: path for name, path in paths.items() if name not in now}
        # What an older name gave a part of, such as the options of one learner.
        parts = {path[:2] for path in paths.values() if len(path) > 2}
        original = cls.__init__

        @functools.wraps(original)
        def __init__(self: Any, **given: Any) -> None:
            inner, said = _apart(paths, given, key)
            for section, kind in sections.items():
                base = given.get(section)
                if isinstance(base, bool):
                    given[section] = kind(**{_ASKED: base}, **inner.pop(section, {}))
                elif section in inner:
                    here = base if base is not None else kind()
                    for name, value in inner[section].items():
                        if (section, name) in parts:
                            inner[section][name] = {**getattr(here, name), **value}
                    given[section] = dataclasses.replace(here, **inner[section])
            original(self, **given)
            tell(said)

        def __getattr__(self: Any, name: str) -> Any:
            if name not in paths:
                raise AttributeError(f"{cls.__name__!r} object has no attribute {name!r}")
            tell([(f"{key}.{name}", ".".join((key, *paths[name])))], level=2)
            value = self
            for part in paths[name]:
                value = value.get(part, {}) if isinstance(value, dict) else getattr(value, part)
            return value.older() if hasattr(value, "older") else value

        for name, made in (("__init__", __init__), ("__getattr__", __getattr__)):
            setattr(cls, name, made)
        cls._older_names = (key, paths)  # type: ignore[attr-defined]
        return cls

    return decorate


def in_sections(cls: Any, data: Any) -> tuple[Any, tuple[Renamed, ...]]:
    """Plain values of a class with every older name in its section, and what was renamed.

    Raises
    ------
    ConfigError
        Where a setting is there by both of its names.
    """
    if not isinstance(data, Mapping) or not _has_sections(cls):
        return data, ()
    said: tuple[Renamed, ...] = ()
    placed = dict(data)
    if hasattr(cls, "_older_names"):
        key, paths = cls._older_names
        inner, said = _apart(paths, placed, key)
        for section in _sections(cls):
            if isinstance(placed.get(section), bool):
                placed[section] = {_ASKED: placed[section]}
            if section in inner:
                placed[section] = _over(
                    placed.get(section) or {}, inner[section], f"{key}.{section}"
                )
    for name, hint in typing.get_type_hints(cls).items():
        if name in placed and isinstance(hint, type):
            placed[name], more = in_sections(hint, placed[name])
            said += more
    return placed, said


def older_paths(cls: Any) -> Mapping[str, Path]:
    """By older name of an option where it stands now; none for a class without sections."""
    return cls._older_names[1] if hasattr(cls, "_older_names") else {}


def hint_of(cls: type, path: list[str]) -> Any:
    """The type of a field by its keys; ``Any`` where there is none."""
    hint: Any = cls
    left = [*path]
    while left:
        part = left.pop(0)
        if dataclasses.is_dataclass(hint):
            hints, older = typing.get_type_hints(hint), older_paths(hint)
            if part in older:
                left = [*older[part], *left]
            else:
                hint = hints.get(part, Any)
        elif typing.get_origin(hint) is dict:
            hint = typing.get_args(hint)[1]
        else:
            return Any
    return hint


def tell(renamed: Iterable[Renamed], level: int = 0) -> None:
    """Name the newer names, in one message; ``level`` frames up, or to whoever called the package."""
    if pairs := list(dict.fromkeys(renamed)):
        said = ", ".join(f"{old} is {new} now" for old, new in pairs)
        warnings.warn(
            f"Older names of settings, which are read until the next release: {said}.",
            OlderName,
            stacklevel=level + 1 if level else _out_of_the_package(),
        )


def _out_of_the_package() -> int:
    """How far up the first frame is that is no code of ours, seen from :func:`tell`."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and _root(frame) in (_PACKAGE, "dataclasses"):
        frame, level = frame.f_back, level + 1
    return level


def _root(frame: types.FrameType) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]


def _apart(
    paths: Mapping[str, Path], given: dict[str, Any], key: str
) -> tuple[dict[str, Any], tuple[Renamed, ...]]:
    """Take what has an older name out of what was given: by section, and what it is called now."""
    inner: dict[str, Any] = {}
    found = [name for name in given if name in paths]
    for name in found:
        place = inner
        for part in paths[name][:-1]:
            place = place.setdefault(part, {})
        value = given.pop(name)
        last = paths[name][-1]
        both = isinstance(value, Mapping) and isinstance(place.get(last), Mapping)
        place[last] = {**place[last], **value} if both else value
    return inner, tuple((f"{key}.{n}", ".".join((key, *paths[n]))) for n in found)


def _over(below: Any, above: Mapping[str, Any], key: str) -> dict[str, Any]:
    """What came by older names laid over a section; one setting by both names is refused."""
    if not isinstance(below, Mapping):
        raise ConfigError(f"{key}: found {below!r}, expected a mapping of keys.")
    merged = dict(below)
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(name), Mapping):
            merged[name] = _over(merged[name], value, f"{key}.{name}")
        elif name in merged:
            raise ConfigError(
                f"{key}.{name}: found {merged[name]!r}, and {value!r} by its older name "
                f"{key.split('.', maxsplit=1)[0]}.{name}. Keep the first."
            )
        else:
            merged[name] = value
    return merged


@functools.cache
def _sections(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {n: h for n, h in hints.items() if isinstance(h, type) and dataclasses.is_dataclass(h)}


@functools.cache
def _has_sections(cls: Any) -> bool:
    return bool(dataclasses.is_dataclass(cls)) and (
        hasattr(cls, "_older_names") or any(_has_sections(kind) for kind in _sections(cls).values())
    )
