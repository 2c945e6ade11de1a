"""Machine code of loops, kept outside of the sources by what it was made of.

Numba keeps it beside the source, by the text of that one file. Another checkout, or one that a package
manager has written anew, compiles all of it once more; and where a loop calls a loop of another file,
or reads a number there, a change of that file is not noticed: the old code runs. Here the key is the
loop's byte code with that of every loop that it can reach, and the values that it takes from modules.

The folder is ``NUMBA_CACHE_DIR``, or ``truelift/loops`` in the user's cache, or else beside the source;
nothing is lost with it. What no loop has taken up for 60 days goes when the next one is kept.
"""

from __future__ import annotations

import glob
import hashlib
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

import llvmlite
import numba
import numpy as np
from numba.core import caching, config
from numba.core.dispatcher import Dispatcher

_PACKAGE = "truelift"
# What these do hangs on their version, which is told, and on Python's, which is in the name of a file.
_FIXED = frozenset({"math", "numba", "numpy"})
_LONG = 20
_KEPT_SECONDS = 60 * 24 * 3600


def folder() -> Path:
    """Where code of loops is kept."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / _PACKAGE / "loops"


def identity(loop: Any) -> str:
    """A hash of all that a loop's machine code is made of, but for types and machine.

    Parameters
    ----------
    loop : loop or function
        As it was written; called once its module has been read to the end.
    """
    options = config.BOUNDSCHECK, int(config.OPT)  # type: ignore[attr-defined]
    compiler = (numba.__version__, llvmlite.__version__, np.__version__, options)
    found = hashlib.sha256(repr(compiler).encode())
    for part in _told(loop, {}):
        found.update(part.encode())
        found.update(b"\0")
    return found.hexdigest()[:_LONG]


def _told(value: Any, seen: dict[int, int]) -> Iterator[str]:
    if isinstance(value, Dispatcher):
        yield repr(sorted(value.targetoptions.items()))
        value = value.py_func
    if isinstance(value, FunctionType):
        if id(value) in seen:
            yield f"told {seen[id(value)]}"
            return
        seen[id(value)] = len(seen)
        yield f"{value.__module__}.{value.__qualname__}"
        yield from _told(value.__defaults__, seen)
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
    elif isinstance(value, (tuple, list)):
        yield f"{type(value).__name__} {len(value)}"
        for one in value:
            yield from _told(one, seen)
    elif isinstance(value, type):
        members = [(one.name, one.value) for one in value] if issubclass(value, Enum) else ()
        yield f"{value!r} {getattr(value, '_fields', ())} {members}"
    else:
        # Functions that are not Python's own show where in memory they lie.
        called = getattr(value, "__qualname__", None)
        shown = f"{getattr(value, '__module__', None)}.{called}" if called else repr(value)
        yield f"{type(value).__name__} {shown}"


def _told_global(value: Any, names: list[str], seen: dict[int, int]) -> Iterator[str]:
    """A module counts by what is taken from it."""
    if not isinstance(value, ModuleType):
        yield from _told(value, seen)
        return
    yield value.__name__
    if value.__name__.partition(".")[0] not in _FIXED:
        for name in names:
            if hasattr(value, name):
                yield from _told_global(getattr(value, name), names, seen)


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

    def __init__(self, path: Path, identity: str, source: str):
        self._path = path
        self._identity = identity
        self._py_file = source  # named in Numba's own warnings

    def get_cache_path(self) -> str:
        return str(self._path)

    def get_source_stamp(self) -> str:
        return self._identity

    def get_disambiguator(self) -> str:
        return self._identity


def _place(function: FunctionType, identity: str) -> _Place | None:
    """The first folder that can be written; both hold code by what it was made of."""
    source = function.__code__.co_filename
    for path in (
        lambda: folder() / function.__module__,
        lambda: Path(source).parent / "__pycache__",
    ):
        try:
            place = _Place(path(), identity, source)
            place.ensure_cache_path()
        except (OSError, RuntimeError):  # the latter where a user has no home
            continue
        return place
    return None


class _Results(caching.CompileResultCacheImpl):
    def __init__(self, function: FunctionType, place: _Place):
        self._lineno = function.__code__.co_firstlineno
        self._locator = place
        self._filename_base = self.get_filename_base(function.__qualname__, sys.abiflags)


class _Index(caching.IndexDataCacheFile):
    """No two processes give code the same name, so that an index never names another type's code."""

    def _data_name(self, number: int) -> str:  # noqa: ARG002
        return self._data_name_pattern.replace("{number:d}", uuid.uuid4().hex[:_LONG])

    def load(self, key: Any) -> Any:
        found = super().load(key)
        if found is not None:
            with suppress(OSError):  # another user's, in a folder that several share
                os.utime(self._index_path)
        return found

    def save(self, key: Any, data: Any) -> None:
        super().save(key, data)
        for index in Path(self._cache_path).glob(f"*-{'[0-9a-f]' * _LONG}.py*.nbi"):
            if index.stat().st_mtime < time.time() - _KEPT_SECONDS:
                for file in index.parent.glob(f"{glob.escape(index.stem)}.*"):
                    file.unlink(missing_ok=True)


class _Files(caching.Cache):
    def __init__(self, function: FunctionType, place: _Place):
        self._impl_class: Any = lambda function: _Results(function, place)
        super().__init__(function)
        self._cache_file = _Index(
            place.get_cache_path(), self._impl.filename_base, place.get_source_stamp()
        )


class KeptLoop(caching._Cache):
    """What Numba asks for a loop's code, and gives it to.

    The files are looked for at the first call: only then are all modules read whose loops it calls.
    Where a value that the loop reads has changed since, what is compiled of then and now can no longer
    be told apart, and nothing is kept.

    Parameters
    ----------
    loop : Dispatcher
        A loop of Numba's that is not kept otherwise.
    """

    def __init__(self, loop: Dispatcher):
        self._loop = loop
        self._identity = ""
        self._found: caching._Cache = caching.NullCache()

    @property
    def _files(self) -> caching._Cache:
        now = identity(self._loop)
        if not self._identity:
            self._identity = now
            function = cast(FunctionType, self._loop.py_func)
            place = _place(function, now)
            if place is not None:
                self._found = _Files(function, place)
        return self._found if now == self._identity else caching.NullCache()

    @property
    def cache_path(self) -> str | None:
        return self._files.cache_path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        files = self._files
        try:
            return files.load_overload(sig, target_context)
        except (
            Exception
        ):  # a file that is damaged can fail in any way; it is compiled and kept anew
            with suppress(OSError):
                files.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):  # a full disk: the code is here, the next process compiles it again
            self._files.save_overload(sig, data)

    def enable(self) -> None:
        self._files.enable()

    def disable(self) -> None:
        self._files.disable()

    def flush(self) -> None:
        self._files.flush()
