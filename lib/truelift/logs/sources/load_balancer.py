"""Logs of AWS load balancers: the application load balancer's, and the classic one's.

Values are parted by blanks, some in quotes, in an order that AWS documents and adds to at the end.
The columns of an access log are made of them; every other value keeps its own name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pyarrow as pa

from truelift.errors import SourceError
from truelift.files.raw import RawFile
from truelift.logs.sources.access_log import given
from truelift.logs.sources.columns import OTHER
from truelift.logs.sources.file_format import FileFormat
from truelift.logs.sources.other_formats import other_format
from truelift.logs.sources.parsed_lines import foreign_start, read_parsed
from truelift.logs.sources.unit import Unit
from truelift.logs.sources.web_columns import COLUMNS, target_parts, web_values

_TIMES = ("request_processing_time", "target_processing_time", "response_processing_time")
_CLASSIC = (
    "at", "elb", "client", "target", *_TIMES, "elb_status_code", "target_status_code",
    "received_bytes", "sent_bytes", "request", "agent", "ssl_cipher", "ssl_protocol",
)  # fmt: skip
_APPLICATION = (
    "type", *_CLASSIC, "target_group_arn", "trace_id", "domain_name", "chosen_cert_arn",
    "matched_rule_priority", "request_creation_time", "actions_executed", "redirect_url",
    "error_reason", "target_port_list", "target_status_code_list", "classification",
    "classification_reason", "conn_trace_id",
)  # fmt: skip
_MADE = ("at", "request", "agent", "elb_status_code", "sent_bytes")
OWN = tuple(name for name in _APPLICATION if name not in _MADE)
_LEAST = 13
_VALUE = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_KINDS = frozenset({"http", "https", "h2", "grpc", "grpcs", "ws", "wss"})


def header(file: RawFile, options: dict[str, str]) -> list[str]:
    """The columns of an access log, then the load balancer's own.

    Raises
    ------
    SourceError
        If none of the first hundred lines is a load balancer's.
    """
    foreign = foreign_start(file, options["encoding"], parse)
    if foreign is not None:
        looked_at, first = foreign
        raise SourceError(
            f"{file.uri} is no log of a load balancer: none of its first {looked_at} lines is "
            "like 'https 2024-03-05T10:00:00.000000Z app/name/id 192.0.2.7:51234 10.0.0.1:80 ...'. "
            f"Its first line: {first!r}. {other_format(first) or ''}".rstrip()
        )
    return [*COLUMNS, *OWN]


def units(file: RawFile, source_file: str, batch_id: str, options: dict[str, str]) -> list[Unit]:
    """One unit a file. Values after those that are known go into ``_other``."""
    names = (*COLUMNS, *OWN, OTHER)
    return [Unit("alb", file.uri, source_file, batch_id, names, options=options)]


def read(unit: Unit) -> Iterator[pa.RecordBatch]:
    """Rows of one file as text; the row number is the line's."""
    return read_parsed(unit, parse)


def parse(line: str) -> tuple[str | None, ...] | None:
    """The values of a line by column, with what follows them; None for another line."""
    found = (match.groups() for match in _VALUE.finditer(line))
    values = [bare if quoted is None else quoted for quoted, bare in found]
    names = _APPLICATION if values and values[0] in _KINDS else _CLASSIC
    entry = dict(zip(names, values, strict=False))
    if len(values) < _LEAST or not _TIME.fullmatch(entry["at"]):
        return None
    method, _, target = entry["request"].partition(" ")
    url, _, protocol = target.rpartition(" ")
    # What was no request has no method, and no path that somebody asked for.
    asked = url if given(method) else ""
    path, query, named = target_parts(asked) if asked else (None, None, None)
    web = web_values(
        host=entry["client"],
        time=entry["at"],
        method=method,
        path=path,
        query=query,
        protocol=protocol,
        status=entry["elb_status_code"],
        size=entry["sent_bytes"],
        user_agent=entry.get("agent"),
        virtual_host=given(entry.get("domain_name")) or named,
    )
    rest = values[len(names) :]
    other = json.dumps({"values": " ".join(rest)}) if rest else None
    return (*web, *(given(entry.get(name)) for name in OWN), other)


#: The row of the registry.
ALB = FileFormat("alb", header, units, read, is_text=True)
