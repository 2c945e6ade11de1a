"""What a file's first line says of its format, for messages that lead on."""

from __future__ import annotations

import re

_ALB = re.compile(r"(https?|h2|grpcs?|wss?) \d{4}-\d\d-\d\dT\S+ \S+ ")
_ACCESS = re.compile(r'\S+ \S.* \[[^\]]+\] "')


def json_hint(line: str) -> str | None:
    """How to make JSON lines of a file whose first line is JSON in another form."""
    text = line.lstrip("\ufeff").lstrip("\x1e").strip()
    if text.startswith("["):
        return "It is an array: 'jq -c .[] FILE' writes one object a line."
    if re.match(r"\{\s*'", text):
        return "It is a dictionary as Python prints it; json.dumps writes JSON."
    if text.startswith("{"):
        return "Its objects go over several lines, or share one: 'jq -c . FILE' writes one a line."
    return None


def other_format(line: str) -> str | None:
    """A sentence on the ``source.format`` that a line looks like; None where it looks like none."""
    text = line.lstrip("\ufeff").strip()
    if text.startswith(("#Fields:", "#Version:", "#Software:", "#Date:")):
        found = "a log in W3C extended format (IIS, CloudFront): source.format: w3c"
    elif _ALB.match(text):
        found = "a log of an AWS load balancer: source.format: alb"
    elif text.startswith("{") and text.endswith("}"):
        found = (
            "JSON lines: source.format: jsonl (or nginx_json, caddy, which make host, path and "
            "visitor)"
        )
    elif text.startswith("PAR1"):
        found = "Parquet: source.format: parquet"
    elif _ACCESS.match(text):
        found = "a web server's access log: source.format: access_log"
    else:
        return None
    return f"It looks like {found}."
