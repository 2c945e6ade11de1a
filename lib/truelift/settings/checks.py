"""The one sentence in which an option is refused."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Callable, Iterable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from truelift.errors import ConfigError


def require(condition: bool, key: str, found: Any, expected: str) -> None:
    """Refuse the value of an option.

    Raises
    ------
    ConfigError
        Naming the key, what was found and what is expected.
    """
    if not condition:
        raise ConfigError(f"{key}: found {found!r}, expected {expected}.")


def needs(key: str, options: Any) -> Callable[[str, bool, str], None]:
    """:func:`require` for the options of a section: ``need(name, condition, expected)``."""

    def need(name: str, condition: bool, expected: str) -> None:
        require(condition, f"{key}.{name}", getattr(options, name), expected)

    return need


def require_known(names: Iterable[str], known: Iterable[str], key: str) -> None:
    """Refuse a name that nothing listens to.

    Raises
    ------
    ConfigError
        With the nearest name that there is, or all of them.
    """
    there = list(dict.fromkeys(known))
    for name in names:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1, cutoff=0.55)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(there))}."
            raise ConfigError(f"{key}: there is no {name!r}. {hint}")


def require_time_zone(name: str, key: str) -> None:
    """Refuse a time zone that this machine does not know.

    Raises
    ------
    ConfigError
    """
    require(_is_time_zone(name), key, name, "a name such as UTC or Europe/Berlin")


def require_moment(text: str | None, key: str) -> None:
    """Refuse a date that is none.

    Raises
    ------
    ConfigError
    """
    if text is None:
        return
    try:
        datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        require(False, key, text, "a date such as 2024-12-31")


def _is_time_zone(name: str) -> bool:
    if name == "UTC":
        return True
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
