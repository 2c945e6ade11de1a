"""What a file's first line says of its format, for messages that lead on."""

from __future__ import annotations

import re

_ALB = re.compile(r"(https?|h2|grpcs?|wss?) \d{4}-\d\d-\d\dT\S+ \S+ ")
_ACCESS = re.compile(r'\S+ \S.* \[[^\]]+\] "')


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
