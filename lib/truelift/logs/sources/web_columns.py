"""The columns that every web server's log has here, whatever it writes and how.

They are those of an access log (:data:`~truelift.logs.sources.access_log.COLUMNS`), so that one
mapping fits all of them; what else a log has stands in columns of its own.
"""

from __future__ import annotations

import datetime
import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from truelift.logs.sources.access_log import COLUMNS, given, iso_time, request_parts, visitor
from truelift.logs.sources.client import address_of

__all__ = ["COLUMNS", "moment", "target_parts", "web_values"]

_EPOCH = datetime.datetime(1970, 1, 1)
_NUMBER = re.compile(r"(\d{9,19})(?:\.(\d+))?")
_WALL = re.compile(r"(\d{4})/(\d\d)/(\d\d)( \d\d:\d\d:\d\d.*)")


def web_values(
    host: str | None = None,
    forwarded: str | None = None,
    ident: str | None = None,
    user: str | None = None,
    time: str | None = None,
    request: str | None = None,
    method: str | None = None,
    path: str | None = None,
    query: str | None = None,
    protocol: str | None = None,
    status: str | None = None,
    size: str | None = None,
    referrer: str | None = None,
    user_agent: str | None = None,
    virtual_host: str | None = None,
) -> tuple[str | None, ...]:
    """The values of :data:`COLUMNS`; ``-`` and nothing are null.

    Parameters
    ----------
    host : str, optional
        The address that asked, with or without a port.
    forwarded : str, optional
        ``X-Forwarded-For``: the first of its addresses is the client's, before ``host``. One
        that is no address names nobody.
    time : str, optional
        As a web server writes it; see :func:`moment`.
    request : str, optional
        The request's line, in place of method, path, query and protocol.
    """
    asked = given(host)
    client = asked and (address_of(asked) or asked)
    if (hops := given(forwarded)) is not None:
        client = address_of(hops.split(",")[0])
    agent = given(user_agent)
    parts = request_parts(request) if given(request) else (None, None, None, None)
    named = (given(method), given(path), given(query), given(protocol))
    found = [name or part for name, part in zip(named, parts, strict=True)]
    stem, mark, arguments = (found[1] or "").partition("?")
    found[1], found[2] = stem or None, found[2] or (arguments if mark else None)
    return (
        client,
        given(ident),
        given(user),
        None if given(time) is None else moment(str(time)),
        *found,
        given(status),
        given(size),
        given(referrer),
        agent,
        None if client is None else visitor(client, agent),
        given(virtual_host),
    )


@lru_cache(maxsize=4096)
def moment(text: str) -> str:
    """A web server's time as ISO 8601, or as it came.

    Read are that of access logs, seconds, milliseconds, microseconds and nanoseconds since 1970
    (told apart by their size), and ``2024/03/05 10:00:00``.
    """
    if (number := _NUMBER.fullmatch(text)) is not None:
        digits, fraction = number[1], number[2] or ""
        steps = next(n for n in (0, 3, 6, 9) if int(digits) < 10 ** (11 + n))
        micros = int((digits + fraction)[: len(digits) + max(6 - steps, 0)].ljust(
            len(digits) + max(6 - steps, 0), "0"
        ))  # fmt: skip
        micros //= 10 ** max(steps - 6, 0)
        return (_EPOCH + datetime.timedelta(microseconds=micros)).isoformat() + "Z"
    if (wall := _WALL.fullmatch(text)) is not None:
        return f"{wall[1]}-{wall[2]}-{wall[3]}{wall[4]}"
    return iso_time(text)


@lru_cache(maxsize=4096)
def target_parts(url: str) -> tuple[str | None, str | None, str | None]:
    """Path, query and host of a request's target, which may be a whole URL."""
    if "://" not in url:
        path, mark, query = url.partition("?")
        return path or None, query if mark else None, None
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, None, None
    return parts.path or "/", parts.query or None, parts.netloc or None


@lru_cache(maxsize=65536)
def decoded(text: str) -> str:
    """A value in which blanks stand as ``%20`` (CloudFront) or as ``+`` (IIS)."""
    if " " in text:
        return text
    if "%" in text:
        return unquote(text)
    return text.replace("+", " ")
