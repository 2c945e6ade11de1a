"""Machine code of loops, kept outside of the sources by what it was made of.

Numba keeps it beside the source, by the text of that one file. Another checkout, or one that a package
manager has written anew, compiles all of it once more; and where a loop calls a loop of another file,
or reads a number there, a change of that file is not noticed: the old code runs. Here the key is the
loop's byte code with that of every loop that it can reach, and the values that it takes from modules.

The folder is ``NUMBA_CACHE_DIR``, or ``truelift/loops`` in the user's cache; nothing is lost with it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numba
import numpy as np
from numba.core import caching
from numba.core.dispatcher import Dispatcher

_PACKAGE = "truelift"
_LONG = 20


def folder() -> Path:
    """Where code of loops is kept."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / _PACKAGE / "loops"


def identity(function: FunctionType) -> str:
    """A hash of all that a loop's machine code is made of, but for types, machine and compiler.

    Parameters
    ----------
    function : function
        A loop as it was written; called once its module has been read to the end.
    """
    found = hashlib.sha256(f"{numba.__version__} {np.__version__}".encode())
    for part in _told(function, set()):
        found.update(part.encode())
        found.update(b"\0")
    return found.hexdigest()[:_LONG]


def _told(value: Any, seen: set[int]) -> Iterator[str]:
    value = value.py_func if isinstance(value, Dispatcher) else value
    if isinstance(value, FunctionType):
        if id(value) in seen:
            return
        seen.add(id(value))
        yield f"{value.__module__}.{value.__qualname__} {value.__defaults__!r}"
        yield from _code(value.__code__)
        for cell in value.__closure__ or ():
            yield from _told(cell.cell_contents, seen)
        names = sorted(set(_names(value.__code__)))
        for name in names:
            if name in value.__globals__:
                yield name
                yield from _told_global(value.__globals__[name], names, seen)
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape} {value.tobytes().hex()}"
    else:
        yield f"{type(value).__name__} {value!r}"


def _told_global(value: Any, names: list[str], seen: set[int]) -> Iterator[str]:
    """A module of ours counts by what is taken from it."""
    if not isinstance(value, ModuleType):
        yield from _told(value, seen)
        return
    yield value.__name__
    if value.__name__.partition(".")[0] == _PACKAGE:
        for name in names:
            if hasattr(value, name):
                yield from _told(getattr(value, name), seen)


def _code(code: CodeType) -> Iterator[str]:
    """What a function does; not in which file and line that is written."""
    yield code.co_code.hex()
    yield repr((code.co_argcount, code.co_names, code.co_varnames, code.co_freevars))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        elif isinstance(constant, frozenset):
            yield repr(sorted(constant, key=repr))
        else:
            yield repr(constant)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


class _Place(caching._CacheLocator):
    """The folder and the name for one loop."""

    def __init__(self, function: FunctionType):
        self._py_file = function.__code__.co_filename  # named in Numba's own warnings
        self._identity = identity(function)
        self._path = folder() / function.__module__

    def get_cache_path(self) -> str:
        return str(self._path)

    def get_source_stamp(self) -> str:
        return self._identity

    def get_disambiguator(self) -> str:
        return self._identity

    @classmethod
    def from_function(cls, py_func: FunctionType, py_file: str) -> _Place | None:  # noqa: ARG003
        place = cls(py_func)
        try:
            place.ensure_cache_path()
        except OSError:
            return None  # Numba's own places come next
        return place


_PLACES: list[Any] = [_Place, *caching.CompileResultCacheImpl._locator_classes]


class _Results(caching.CompileResultCacheImpl):
    _locator_classes = _PLACES


class _Files(caching.Cache):
    _impl_class: Any = _Results


class KeptLoop(caching._Cache):
    """What Numba asks for a loop's code, and gives it to.

    The files are looked for at the first call: only then are all modules read whose loops it calls.
    """

    def __init__(self, function: FunctionType):
        self._function = function

    @cached_property
    def _files(self) -> caching._Cache:
        try:
            return _Files(self._function)
        except RuntimeError:  # there is no place that can be written: compile each time
            return caching.NullCache()

    @property
    def cache_path(self) -> str | None:
        return self._files.cache_path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        return self._files.load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        self._files.save_overload(sig, data)

    def enable(self) -> None:
        self._files.enable()

    def disable(self) -> None:
        self._files.disable()

    def flush(self) -> None:
        self._files.flush()
