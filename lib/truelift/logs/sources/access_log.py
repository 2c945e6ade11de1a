"""Web server access logs in the common and the combined log format.

A line of either is ``host ident user [time] "request" status bytes``; the combined format adds
``"referrer" "user agent"``. The format is that of Apache's and nginx' documentation; a file may
hold both. Before the host the virtual host may stand, and in place of it or before it the
addresses of ``X-Forwarded-For`` (see :mod:`.client`). ``-`` stands for a missing value and becomes
null. What follows the user agent goes into ``_other``, and names the client where it is the header
``X-Forwarded-For``, as in nginx' own ``main`` format. Four columns are made: ``method``, ``path``, ``query`` and ``protocol`` out of the request,
``time`` as ISO 8601 with its own offset, and ``visitor``, the usual stand-in for a user where
nobody logs in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache

import pyarrow as pa

from truelift.errors import SourceError
from truelift.files.raw import RawFile
from truelift.logs.sources.client import client_behind, client_of
from truelift.logs.sources.columns import OTHER
from truelift.logs.sources.file_format import FileFormat
from truelift.logs.sources.other_formats import other_format
from truelift.logs.sources.parsed_lines import foreign_start, read_parsed
from truelift.logs.sources.unit import Unit

COLUMNS = (
    "host", "ident", "user", "time", "method", "path", "query", "protocol", "status", "bytes",
    "referrer", "user_agent", "visitor", "virtual_host",
)  # fmt: skip
_OPENED = r'"((?:[^"\\]|\\.)*)'
_LINE = re.compile(
    # Some servers do not escape a quote inside the request: it ends before the status.
    r'(\S.*?) \[([^\]]*)\] "(.*?)" (\d{3}|-) (\d+|-)'
    # A server that bounds its lines may cut the last field.
    rf'(?: {_OPENED}" {_OPENED}(?:"|$))?(?: (.*))?'
)
# A server that does not escape quotes inside of the user agent.
_LOOSE = re.compile(r'"([^"]*)" "((?:(?!" ").)*)"')
_REQUEST = re.compile(r"([A-Za-z][A-Za-z-]*) (\S.*?)(?: (HTTP/[\d.]+))?\s*")
_TIME = re.compile(
    r"(\d{1,2})/([A-Za-z]{3})/(\d{4}):(\d{2}:\d{2}:\d{2}(?:\.\d+)?)(?: ([+-]\d{2}):?(\d{2}))?"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def header(file: RawFile, options: dict[str, str]) -> list[str]:
    """The columns that every access log has.

    Raises
    ------
    SourceError
        If none of the first hundred lines is a line of an access log.
    """
    foreign = foreign_start(file, options["encoding"], parse)
    if foreign is not None:
        looked_at, first = foreign
        hint = " " + other if (other := other_format(first)) else ""
        raise SourceError(
            f"{file.uri} is no access log: none of its first {looked_at} lines is of the common "
            'or combined format, host ident user [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" '
            "200 123, with a virtual host or forwarded addresses before the host where it is clear "
            f"which one is the client. Its first line: {first!r}.{hint}"
        )
    return list(COLUMNS)


def units(file: RawFile, source_file: str, batch_id: str, options: dict[str, str]) -> list[Unit]:
    """One unit a file. What follows the known fields of a line goes into ``_other``."""
    return [Unit("access_log", file.uri, source_file, batch_id, (*COLUMNS, OTHER), options=options)]


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Rows of one file as text; the row number is the line's."""
    return read_parsed(unit, parse)


def parse(line: str) -> tuple[str | None, ...] | None:
    """The values of a line in the order of :data:`COLUMNS`, then the rest of the line.

    None for a line that is in neither format.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    before, time, request, status, size, referrer, agent, rest = found.groups()
    client = client_of(before)
    if client is None:
        return None
    if agent is None and rest is not None and (loose := _LOOSE.fullmatch(rest)) is not None:
        referrer, agent, rest = loose[1], loose[2], None
    host = client.host if agent is None else client_behind(rest, client.host)
    return (
        host,
        given(client.ident),
        given(client.user),
        iso_time(time),
        *request_parts(request),
        given(status),
        given(size),
        given(referrer),
        given(agent),
        None if host is None else visitor(host, given(agent)),
        client.virtual_host,
        rest or None,
    )


def given(value: str | None) -> str | None:
    """A value, or None where the log has a dash or nothing."""
    return value if value and value != "-" else None


@lru_cache(maxsize=4096)
def request_parts(request: str) -> tuple[str | None, str | None, str | None, str | None]:
    """Method, path, query and protocol; what is no request at all is all path."""
    found = _REQUEST.fullmatch(request)
    method, target, protocol = found.groups() if found else (None, given(request), None)
    path, mark, query = (target or "").partition("?")
    return method, path or None, query if mark else None, protocol


@lru_cache(maxsize=4096)
def iso_time(text: str) -> str:
    """``17/May/2015:10:05:03 +0000`` as ``2015-05-17T10:05:03+00:00``; else as it came."""
    found = _TIME.fullmatch(text)
    if found is None or found[2].lower() not in _MONTHS:
        return text
    day, month, year, clock, hours, minutes = found.groups()
    number = _MONTHS.index(month.lower()) + 1
    offset = f"{hours}:{minutes}" if hours else ""
    return f"{year}-{number:02}-{int(day):02}T{clock}{offset}"


@lru_cache(maxsize=65536)
def visitor(host: str, user_agent: str | None) -> str:
    """Sixteen hexadecimal digits for a host and a user agent together.

    Behind one address many people may sit; their browsers often tell them apart. Map ``host``
    or ``user`` as the user instead where that fits better.
    """
    return hashlib.blake2b(f"{host}\n{user_agent or ''}".encode(), digest_size=8).hexdigest()


#: The row of the registry.
ACCESS_LOG = FileFormat("access_log", header, units, read, (".log",), is_text=True)
