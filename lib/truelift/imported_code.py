"""Which files of the package some code runs, read from its imports; their hash is its identity.

A module runs what it imports, and what that imports (:mod:`~.module_imports`). Of a package's
``__init__`` that does nothing but hand names on, the modules behind the names that are asked for
count. A text that is a module's name (``python -m``, ``"module:function"``) is an import,
and one that is the name of a data file beside the module (a style sheet) makes that file count.

The options of a step count by their values and by the module of their class, given by the caller:
``truelift.settings`` hands out those of every room, so its imports would make one of all steps.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from truelift.module_imports import ModuleImports, read_imports

PACKAGE = "truelift"
# What hands out the options of every room.
SETTINGS = f"{PACKAGE}.settings"
# A change of what is read from a module makes another cache.
_FORM = 1
_LONG, _SHORT = 32, 12


def code_digest(*roots: str, sections: Iterable[type] = ()) -> str:
    """A hash of :func:`code_of`."""
    return digest_of(code_of(roots, sections))


def digest_of(code: Mapping[str, str]) -> str:
    """One hash of the hashes of some files."""
    text = json.dumps(code, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_SHORT]


def code_of(roots: Sequence[str], sections: Iterable[type] = ()) -> dict[str, str]:
    """The modules that some modules run, with themselves, and data files, each with its hash.

    Parameters
    ----------
    roots : sequence of str
        Names of modules, such as ``truelift.logs.clean``.
    sections : iterable of type
        Classes of the options that the code is given.

    Returns
    -------
    dict of str to str
        By the module's name (``truelift.logs.rules``) or the file's (``report/style.css``).
    """
    classes = {one.__module__ for one in sections if one.__module__.startswith(f"{PACKAGE}.")}
    return dict(package_code().reached(tuple(roots), tuple(sorted(classes))))


class SourceTree:
    """The sources of a package, read once.

    Parameters
    ----------
    folder : Traversable
        The package's folder; inside of a zip file too.
    package : str
        Its name.
    cache : Path, optional
        File that keeps what was read from a source, by the source's hash.
    apart : tuple of str
        Packages whose imports are not followed, unless a module of theirs is asked for.
    """

    def __init__(
        self,
        folder: Any,
        package: str = PACKAGE,
        cache: Path | None = None,
        apart: tuple[str, ...] = (SETTINGS,),
    ):
        self._package, self._apart, self._cache = package, apart, cache
        self._modules: dict[str, Any] = {}
        self._data: dict[str, Any] = {}
        self._is_package: set[str] = set()
        self._hashes: dict[str, str] = {}
        self._imports: dict[str, ModuleImports] = {}
        self._kept = _read_cache(cache)
        self._news = False
        self._list(folder, package)

    def reached(self, roots: tuple[str, ...], classes: tuple[str, ...] = ()) -> dict[str, str]:
        """Hashes of everything that the roots run; ``classes`` are modules in ``apart``.

        Raises
        ------
        ValueError
            For a root that is no module.
        """
        if unknown := [root for root in roots if root not in self._modules]:
            raise ValueError(f"{self._package} has no module {', '.join(unknown)}.")
        seen: set[str] = set()
        waiting = list(roots)
        while waiting:
            place = waiting.pop()
            if place not in seen and not self._is_apart(place):
                seen.add(place)
                waiting += self._next(place)
        waiting = list(classes)
        while waiting:
            place = waiting.pop()
            if place not in seen and place in self._modules:
                seen.add(place)
                waiting += [n for n in self._next(place) if n not in self._apart]
                # The package that hands all options out: its own lines, not all that it imports.
                waiting = [] if place in self._apart else waiting
        self._write_cache()
        return {place: self._hash(place) for place in sorted(seen)}

    def _is_apart(self, place: str) -> bool:
        return any(place == one or place.startswith(f"{one}.") for one in self._apart)

    def _next(self, place: str) -> list[str]:
        """Modules and data files that one place runs or reads directly."""
        if place not in self._modules or place == self._package:
            return []  # the package itself only hands its public face out, which no step runs
        found = self._read(place)
        near = [*(m for m in found.modules if m in self._modules)]
        for module, name in found.names:
            near += self._behind(module, name)
        folder = place if place in self._is_package else place.rpartition(".")[0]
        if found.computed:
            near += [m for m in self._modules if m.startswith(f"{folder}.")]
        beside = folder.removeprefix(self._package).lstrip(".").replace(".", "/")
        for text in found.texts:
            module = text.partition(":")[0]
            if module in self._modules and module not in self._is_package:
                near.append(module)
            data = f"{beside}/{text}" if beside else text
            if data in self._data:
                near.append(data)
        return near

    def _behind(self, module: str, name: str) -> list[str]:
        """What ``from module import name`` runs."""
        if f"{module}.{name}" in self._modules:
            return [f"{module}.{name}"]
        if module not in self._modules:
            return []
        if module in self._is_package and not self._is_apart(module):
            found = self._read(module)
            if found.hands_on and name in found.bound:
                source = found.bound[name]
                return self._behind(source, name) if source != module else [module]
        return [module]

    def _list(self, folder: Any, name: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                if entry.name != "__pycache__":
                    self._list(entry, f"{name}.{entry.name}")
            elif entry.name == "__init__.py":
                self._modules[name] = entry
                self._is_package.add(name)
            elif entry.name.endswith(".py"):
                self._modules[f"{name}.{entry.name[:-3]}"] = entry
            elif not entry.name.endswith((".pyc", ".so")):
                path = f"{name}.".removeprefix(f"{self._package}.").replace(".", "/")
                self._data[f"{path}{entry.name}"] = entry

    def _hash(self, place: str) -> str:
        if place not in self._hashes:
            held = self._modules[place] if place in self._modules else self._data[place]
            self._hashes[place] = _hash_of(held.read_bytes())
        return self._hashes[place][:_SHORT]

    def _read(self, place: str) -> ModuleImports:
        if place not in self._imports:
            source = self._modules[place].read_bytes()
            self._hashes[place] = key = _hash_of(source)
            if key not in self._kept:
                self._kept[key] = _plain(read_imports(source, place, place in self._is_package))
                self._news = True
            self._imports[place] = _from_plain(self._kept[key])
        return self._imports[place]

    def _write_cache(self) -> None:
        if self._cache is None or not self._news:
            return
        self._news = False
        part = self._cache.with_name(f"{self._cache.name}.{os.getpid()}.part")
        with contextlib.suppress(OSError):  # a cache that cannot be kept costs a second
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            # Only what the sources of now say: an old one would never be asked for again.
            held = {h: self._kept[h] for h in self._hashes.values() if h in self._kept}
            part.write_text(json.dumps({"form": _FORM, "sources": held}), encoding="utf-8")
            part.replace(self._cache)


@lru_cache(maxsize=1)
def package_code() -> SourceTree:
    """The sources of truelift itself, as they were when they were first asked for."""
    return SourceTree(files(PACKAGE), cache=_cache_file())


def _hash_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_LONG]


def _plain(found: ModuleImports) -> list[Any]:
    names = [list(pair) for pair in found.names]
    return [list(found.modules), names, list(found.texts), dict(found.bound), found.computed,
            found.hands_on]  # fmt: skip


def _from_plain(held: list[Any]) -> ModuleImports:
    modules, names, texts, bound, computed, hands_on = held
    pairs = tuple((module, name) for module, name in names)
    return ModuleImports(tuple(modules), pairs, tuple(texts), bound, computed, hands_on)


def _cache_file() -> Path | None:
    cache = os.environ.get("XDG_CACHE_HOME")
    with contextlib.suppress(RuntimeError):  # a user without a home
        folder = Path(cache) if cache else Path.home() / ".cache"
        return folder / PACKAGE / "imports.json"
    return None


def _read_cache(cache: Path | None) -> dict[str, list[Any]]:
    if cache is None:
        return {}
    try:
        held = json.loads(cache.read_text(encoding="utf-8"))
        return dict(held["sources"]) if held["form"] == _FORM else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
