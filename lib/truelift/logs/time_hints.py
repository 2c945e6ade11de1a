"""Which ``source.time_format`` would read a time that the given one does not."""

from __future__ import annotations

import datetime
import re

from truelift.logs.sources.interaction_moments import iso_micros

# Units by how many make a second; a number of our age is of one of them only.
_EPOCHS = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
_FROM, _UNTIL = 631_152_000, 4_102_444_800  # 1990 and 2100, in seconds
_NUMBER = re.compile(r"(\d{9,19})(?:\.\d+)?", re.ASCII)
_CLOCK = r"(?P<clock>[ T]\d\d?:\d\d(?P<seconds>:\d\d)?(?P<half> ?[AaPp][Mm])?)?"
_DAY_FIRST = re.compile(rf"(\d\d?)([./-])(\d\d?)\2(\d{{4}}){_CLOCK}", re.ASCII)
_YEAR_FIRST = re.compile(rf"\d{{4}}([./])\d\d?\1\d\d?{_CLOCK}", re.ASCII)
_MAIL = re.compile(
    r"(?:[A-Za-z]{3,9}, *)?\d{1,2} [A-Za-z]{3} \d{4} \d\d:\d\d(?::\d\d)? (?:GMT|UTC?|Z|[+-]\d{4})"
)


def other_time_format(text: str, given: str) -> str | None:
    """A sentence on the format that a time seems to have; None where it seems to have none known.

    Parameters
    ----------
    text : str
        A time as the source wrote it.
    given : str
        ``source.time_format``.
    """
    bare = text.strip()
    found, meaning = _named(bare)
    if found is None or found == given:
        return None
    moment = f" (then it is {meaning:%Y-%m-%d %H:%M:%S} UTC)" if meaning is not None else ""
    return f"it looks like source.time_format: {found}{moment}"


def _named(text: str) -> tuple[str | None, datetime.datetime | None]:
    if (number := _NUMBER.fullmatch(text)) is not None:
        for name, unit in _EPOCHS.items():
            seconds = int(number[1]) / unit
            if _FROM <= seconds < _UNTIL:
                return name, datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
        return None, None
    if iso_micros(text) is not None:
        return "iso", None
    if _MAIL.fullmatch(text):
        return "rfc_2822", None
    if (found := _YEAR_FIRST.fullmatch(text)) is not None:
        return f"'{_pattern(f'yyyy{found[1]}M{found[1]}d', found)}'", None
    if (found := _DAY_FIRST.fullmatch(text)) is not None:
        first, sign, second = int(found[1]), found[2], int(found[3])
        order = ("M", "d") if second > 12 else ("d", "M")
        if max(first, second) <= 12:
            return f"'{_pattern(sign.join([*order, 'yyyy']), found)}', or M before d", None
        return f"'{_pattern(sign.join([*order, 'yyyy']), found)}'", None
    return None, None


def _pattern(date: str, found: re.Match[str]) -> str:
    if not found["clock"]:
        return date
    between = "'T'" if found["clock"][0] == "T" else " "
    clock = ("h:mm" if found["half"] else "H:mm") + (":ss" if found["seconds"] else "")
    half = "" if not found["half"] else " a" if " " in found["half"] else "a"
    return f"{date}{between}{clock}{half}"
