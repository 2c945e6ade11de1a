"""Who sent a request: the fields of an access log's line before its time, and behind its user agent.

They are ``host ident user``, and servers behind others write more: the virtual host before it
(``shop.example:443 192.0.2.1 - -``, Apache's ``vhost_combined``), or the header ``X-Forwarded-For``
(``192.0.2.7, 198.51.100.9 - -``), to which every proxy adds the address that it was asked by, so
that the client's is the first. nginx' own ``main`` format has that header at the end
(:func:`client_behind`). Where the fields do not say which of them is the client, nobody is
named: a wrong host would be a wrong person.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

_FIELD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_WITH_PORT = re.compile(r"(.+?):(\d{1,5})")
_LAST = re.compile(r'(?:"([^"]*)"|(\S+))(?: .*)?')
_INSIDE = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16",
                 "100.64.0.0/10", "fc00::/7", "fe80::/10", "::1/128")
]  # fmt: skip


@dataclass(frozen=True)
class Client:
    """Who sent a request; ``host`` is None where the server did not write it."""

    host: str | None
    ident: str
    user: str
    virtual_host: str | None = None


@lru_cache(maxsize=65536)
def client_of(before: str) -> Client | None:
    """The client by the fields before the time; None where they do not say who it is."""
    fields, starts = _fields(before)
    virtual = None
    if len(fields) > 3 and _is_virtual_host(fields):
        virtual, fields, starts = fields[0], fields[1:], starts[1:]
    if len(fields) > 3 and fields[0] == "-" and _first_address(fields[1]):
        fields, starts = fields[1:], starts[1:]  # a header that the request did not have
    if len(fields) < 3:
        return None
    host, address, others = fields[0], _first_address(fields[0]), fields[1:]
    if "," in host and address is None:
        return None
    second = _first_address(others[0])
    skip = 0
    if len(others) > 2 and second is not None:
        known = address == second or _is_forwarded(address, second)
        if "," not in host and ("," in others[0] or not known):
            return None
        skip = 1
    elif others[0] != "-" and (len(others) > 2 or second or _looks_like_host(others[0])):
        # Another name than the host's: the server's, where an address precedes it.
        if address is None or second is not None or virtual is not None:
            return None
        if _looks_like_host(others[0]):
            virtual, skip = others[0], int(len(others) > 2)
    if address is None and host != "-" and _WITH_PORT.fullmatch(host):
        return None
    ident = "-" if virtual == others[0] else others[skip]
    user = before[starts[2 + skip] :].strip()
    if user.startswith("- "):  # nobody, and a field that is none of a log's
        return None
    found = address or (None if host == "-" else host)
    return Client(found, ident, user, None if virtual == "-" else virtual)


def client_behind(rest: str | None, host: str | None) -> str | None:
    """The client where the header ``X-Forwarded-For`` follows the user agent, else the host.

    Parameters
    ----------
    rest : str, optional
        What follows the user agent. Several addresses in quotes are the header, and so is one
        without a port; without quotes, an outer address behind an inner host.
    host : str, optional
        The address that asked.

    Returns
    -------
    str or None
        None where the header says that its first address is not known.
    """
    found = _LAST.fullmatch(rest or "")
    if found is None:
        return host
    quoted, bare = found.groups()
    hops = (quoted or bare or "").split(",")
    first, asked = address_of(hops[0]), address_of(host or "")
    if quoted and len(hops) > 1 and all(address_of(hop) for hop in hops[1:]):
        return first
    if first is None or "," in (bare or ""):
        return host
    if asked is not None and _is_forwarded(first, asked):
        return first
    is_header = bool(quoted) and first == hops[0].strip()
    inner_to_outer = _is_inside(first) and not (asked is not None and _is_inside(asked))
    return first if is_header and not inner_to_outer else host


def _first_address(field: str) -> str | None:
    return address_of(field.split(",", maxsplit=1)[0])


@lru_cache(maxsize=65536)
def address_of(text: str) -> str | None:
    """An IP address without brackets and port, or None for anything else."""
    bare = text.strip().strip('"')
    for candidate in (bare, *_without_port(bare)):
        try:
            ipaddress.ip_address(candidate.removeprefix("[").removesuffix("]").split("%")[0])
        except ValueError:
            continue
        return candidate.removeprefix("[").removesuffix("]")
    return None


def _without_port(text: str) -> list[str]:
    found = _WITH_PORT.fullmatch(text)
    # Without brackets, what follows a colon of an IPv6 address is a part of it.
    return [found[1]] if found and (text.startswith("[") or text.count(":") == 1) else []


def _fields(before: str) -> tuple[list[str], list[int]]:
    """The fields and where each begins; addresses of a list are one field, without blanks."""
    fields: list[str] = []
    starts: list[int] = []
    for found in _FIELD.finditer(before):
        quoted, bare = found.groups()
        text = bare if quoted is None else re.sub(r"\s*,\s*", ",", quoted.strip()) or "-"
        # Only the first fields hold addresses; a user may hold anything.
        if 0 < len(fields) < 3 and (fields[-1].endswith(",") or text.startswith(",")):
            fields[-1] += text
        else:
            fields.append(text)
            starts.append(found.start())
    return fields, starts


def _is_virtual_host(fields: list[str]) -> bool:
    """Whether the first field is the server's name, for the one after it is the client."""
    first, second = fields[:2]
    if "," in first or address_of(first) is not None or not _is_name(first):
        return False
    if _WITH_PORT.fullmatch(first):
        return second != "-"
    return _first_address(second) is not None


def _is_name(text: str) -> bool:
    found = _WITH_PORT.fullmatch(text)
    return _NAME.fullmatch(found[1] if found else text) is not None


def _looks_like_host(text: str) -> bool:
    return _is_name(text) and ("." in text or ":" in text)


def _is_forwarded(first: str | None, second: str) -> bool:
    """Whether of two addresses the first is the client's: a proxy inside of the net follows."""
    return first is not None and not _is_inside(first) and _is_inside(second)


def _is_inside(address: str) -> bool:
    found = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    return any(found in net for net in _INSIDE if net.version == found.version)
