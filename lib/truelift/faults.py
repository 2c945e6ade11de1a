"""Errors of the system and of libraries that a user can mend, as one sentence of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator

from truelift.errors import MachineError, StorageError, TrueliftError
from truelift.extras import missing_extra

# What operating systems, databases and object stores say, whichever library passes it on.
_REFUSED = re.compile(
    r"[^\n]*(permission denied|access ?denied|operation not permitted|read-only file system"
    r"|readonly database|unable to open database file|not a directory|is a directory"
    r"|file exists \(os error|unable to create dir)[^\n]*",
    re.IGNORECASE,
)
_FULL = re.compile(r"[^\n]*(no space left on device|disk quota exceeded)[^\n]*", re.IGNORECASE)
_LONGEST = 400


def fault_of(error: BaseException) -> TrueliftError | None:
    """The error that a user should see in the place of another, if it is about a place or a package.

    A place that this user may not read or write is for the user to mend; one that is full is a
    failure.
    """
    for cause in _causes(error):
        text = str(cause)
        if isinstance(cause, ModuleNotFoundError) and (lacks := missing_extra(cause.name or "")):
            return lacks
        if found := _FULL.search(text):
            return StorageError(
                f"A place to write to is full: {_cut(found[0])}. Tables hold their last finished "
                "commit; make room and run again."
            )
        if isinstance(cause, PermissionError) or (found := _REFUSED.search(text)):
            said = _cut(found[0] if found else text)
            return MachineError(
                f"A place cannot be read or written as it should: {said}. Tables hold their last "
                "finished commit. Give this user the right to it, or other places: --lake, --set "
                "tracking.uri=..., --set report.path=..."
            )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    now: BaseException | None = error
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        yield now
        now = now.__cause__ or now.__context__


def _cut(text: str) -> str:
    plain = " ".join(text.split()).rstrip(".")
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"
