"""Which ``source.decimal`` and ``source.thousands`` would read a number that the given ones do not."""

from __future__ import annotations

import re

from truelift.logs.parsing import number_pattern
from truelift.settings.source import THOUSANDS

_YAML = {".": '"."', ",": '","', " ": '" "', "'": '"\'"'}


def other_number_format(text: str) -> str | None:
    """A sentence on how a text that is no number seems to be written; None where it seems none.

    Parameters
    ----------
    text : str
        A quantity or a value as the source wrote it.
    """
    bare = text.strip()
    found: list[str] = []
    for decimal in (".", ","):
        for sign, marks in (("", ""), *THOUSANDS.items()):
            if sign == decimal or (sign and not any(mark in bare for mark in marks)):
                continue
            if re.fullmatch(number_pattern(decimal, marks), bare):
                keys = [f"source.decimal: {_YAML[decimal]}"] if decimal in bare else []
                keys += [f"source.thousands: {_YAML[sign]}"] if sign else []
                found.append(" with ".join(keys))
    ways = " or ".join(dict.fromkeys(way for way in found if way))
    return f"it looks like a number by {ways}" if ways else None
