"""The one sentence in which an option is refused."""

from __future__ import annotations

from typing import Any

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
