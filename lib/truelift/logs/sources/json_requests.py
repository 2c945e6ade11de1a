"""Requests as JSON lines: Caddy's access log, and nginx' with a ``log_format`` of JSON.

The columns of an access log are made of the known keys; every other key keeps the name that it has
in JSON lines (:mod:`.json_lines`). nginx has no names of its own for JSON: those of its variables
are known (``remote_addr``, ``time_iso8601``, ``request_uri``, ...) and what is usual besides.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pyarrow as pa

from truelift.errors import SourceError
from truelift.files.raw import RawFile, open_raw
from truelift.logs.sources import json_lines
from truelift.logs.sources.columns import bronze_name
from truelift.logs.sources.file_format import FileFormat
from truelift.logs.sources.json_names import Path
from truelift.logs.sources.lines import full_lines
from truelift.logs.sources.unit import Unit
from truelift.logs.sources.web_columns import COLUMNS, web_values

_Values = dict[Path, str | None]
_PEEK = 100
_BATCH = 20_000
_TAKEN = frozenset(COLUMNS)
# nginx' variables and other usual keys for each value, the first that a line has.
_NGINX = {
    "host": (
        "remote_addr",
        "client_ip",
        "clientip",
        "client_addr",
        "remote_address",
        "remote_ip",
        "client",
        "ip",
    ),
    "forwarded": (
        "http_x_forwarded_for",
        "x_forwarded_for",
        "x-forwarded-for",
        "forwarded_for",
        "xff",
        "http_x_real_ip",
        "x_real_ip",
        "x-real-ip",
    ),
    "user": ("remote_user", "user"),
    "time": ("time_iso8601", "msec", "time_local", "@timestamp", "timestamp", "time", "ts"),
    "request": ("request",),
    "method": ("request_method", "method"),
    "path": ("request_uri", "uri", "document_uri", "path"),
    "query": ("args", "query_string", "query"),
    "protocol": ("server_protocol", "protocol"),
    "status": ("status",),
    "size": ("body_bytes_sent", "bytes_sent", "bytes", "size"),
    "referrer": ("http_referer", "http_referrer", "referer", "referrer"),
    "user_agent": ("http_user_agent", "user_agent", "user-agent", "useragent", "agent", "ua"),
    "virtual_host": ("host", "http_host", "server_name", "vhost", "virtual_host"),
}


def _nginx(values: _Values) -> tuple[str | None, ...] | None:
    by_key: dict[str, str | None] = {}
    for path in sorted(values, key=len):
        by_key.setdefault(path[-1].lower(), values[path])
    found = {
        name: next((by_key[key] for key in keys if by_key.get(key)), None)
        for name, keys in _NGINX.items()
    }
    if found["time"] is None or (found["path"] is None and found["request"] is None):
        return None
    return web_values(**found)


def _caddy(values: _Values) -> tuple[str | None, ...] | None:
    def of(*path: str) -> str | None:
        return values.get(path)

    headers = {path[2].lower(): _first(text) for path, text in values.items()
               if path[:2] == ("request", "headers") and len(path) == 3}  # fmt: skip
    if of("request", "uri") is None:
        return None
    client = of("request", "client_ip")
    return web_values(
        host=client or of("request", "remote_ip") or of("request", "remote_addr"),
        # Caddy knows which proxies to believe and says so in client_ip.
        forwarded=None if client else headers.get("x-forwarded-for"),
        user=of("user_id"),
        time=of("ts"),
        method=of("request", "method"),
        path=of("request", "uri"),
        protocol=of("request", "proto"),
        status=of("status"),
        size=of("size"),
        referrer=headers.get("referer"),
        user_agent=headers.get("user-agent"),
        virtual_host=of("request", "host"),
    )


def _first(text: str | None) -> str | None:
    """The first text of a JSON list, as Caddy writes a header."""
    if text is None or not text.startswith("["):
        return text
    found = json.loads(text)
    return str(found[0]) if found else None


_MAKERS: dict[str, Callable[[_Values], tuple[str | None, ...] | None]] = {
    "caddy": _caddy,
    "nginx_json": _nginx,
}


# Keys at the top that a column of an access log is made of and that bear its name.
_USED = {
    "caddy": _TAKEN & {"status"},
    "nginx_json": _TAKEN & {key for keys in _NGINX.values() for key in keys},
}


class JsonRequests:
    """The reader of one kind of requests, ``caddy`` or ``nginx_json``."""

    def __init__(self, kind: str):
        self._kind = kind
        self._made = _MAKERS[kind]

    def header(self, file: RawFile, options: dict[str, str]) -> list[str]:
        """The columns of an access log, then the keys of the first thousand objects.

        Raises
        ------
        SourceError
            If none of the first hundred lines is a request.
        """
        keys = json_lines.header(file, options)
        with open_raw(file.uri) as stream:
            lines = list(itertools.islice(full_lines(stream, options["encoding"]), _PEEK))
        if not any(self._web(text) for _, text, _ in lines):
            raise SourceError(
                f"{file.uri} has no request that source.format {self._kind!r} knows in its first "
                f"{len(lines)} lines. Keys found: {', '.join(keys)}. Expected those of "
                f"{'Caddy (ts, request.uri, ...)' if self._kind == 'caddy' else 'nginx'}; "
                "source.format: jsonl reads any keys with a mapping of yours."
            )
        return [*COLUMNS, *(key for key in keys if bronze_name(key).lower() not in _TAKEN)]

    def units(
        self, file: RawFile, source_file: str, batch_id: str, options: dict[str, str]
    ) -> list[Unit]:
        """One unit a file, with the keys of JSON lines behind the columns that are made."""
        (unit,) = json_lines.units(file, source_file, batch_id, options)
        paths = json.loads(unit.options["paths"])
        kept = [n for n, name in enumerate(unit.names[:-1]) if name.lower() not in _TAKEN]
        names = (*COLUMNS, *(unit.names[n] for n in kept), unit.names[-1])
        known = {**unit.options, "paths": json.dumps([paths[n] for n in kept])}
        return [replace(unit, source=self._kind, names=names, options=known)]

    def read(self, unit: Unit) -> Iterator[pa.RecordBatch]:
        """Rows of one file as text; a line that is no request is kept whole."""
        keys = replace(unit, names=unit.names[len(COLUMNS) :])
        paths = [tuple(path) for path in json.loads(unit.options["paths"])]
        with open_raw(unit.uri, unit.limit) as stream:
            lines = full_lines(stream, unit.options["encoding"])
            while held := list(itertools.islice(lines, _BATCH)):
                web = [None if fault else self._web(text) for _, text, fault in held]
                told = [
                    (n, text, fault or (text if made is None else None))
                    for (n, text, fault), made in zip(held, web, strict=True)
                ]
                rest = json_lines.batch_of(keys, paths, told, _TAKEN, _USED[self._kind])
                missing = (None,) * len(COLUMNS)
                made = zip(*(row or missing for row in web), strict=True)
                arrays = [pa.array(column, pa.string()) for column in made]
                names = [*COLUMNS, *rest.schema.names]
                yield pa.RecordBatch.from_arrays([*arrays, *rest.columns], names=names)

    def _web(self, line: str) -> tuple[str | None, ...] | None:
        values = json_lines.flat(line)
        return None if values is None else self._made(values)


_CADDY = JsonRequests("caddy")
#: The row of the registry.
CADDY = FileFormat("caddy", _CADDY.header, _CADDY.units, _CADDY.read, is_text=True)

_NGINX_JSON = JsonRequests("nginx_json")
#: The row of the registry.
NGINX_JSON = FileFormat(
    "nginx_json", _NGINX_JSON.header, _NGINX_JSON.units, _NGINX_JSON.read, is_text=True
)
