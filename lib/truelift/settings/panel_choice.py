"""Which panel the pipeline makes: a specification, and what a data set says otherwise.

``panel.spec`` names the specification and ``panel.changes`` keys of it that are replaced, one by one.
Lengths that several keys share stand under ``spans`` of the specification and are named by them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from truelift.errors import ConfigError
from truelift.older_names import Renamed
from truelift.settings.checks import require

SPANS = "spans"
_NAMED = re.compile(r"(?P<sign>-?)(?P<name>[a-z][a-z0-9_]*)(\s*/\s*(?P<parts>[1-9][0-9]*))?")


@dataclass(frozen=True)
class PanelOptions:
    """The panel of the pipeline; docs/panels.md explains specifications.

    ``spec`` is a name under ``conf/panels`` or the path of a YAML file. ``changes`` are keys of it as
    they shall be (``{spans: {lookback: 14}}``); a key that is changed to nothing is taken out.
    """

    spec: str = "campaigns"
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(bool(self.spec), "panel.spec", self.spec, "a name of conf/panels, or a YAML file")


def changed(plain: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A specification with changes in it; a change to nothing (null) takes the key out."""
    found = dict(plain)
    for key, value in changes.items():
        below = found.get(key)
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(below, Mapping):
            found[key] = changed(below, value)
        else:
            found[key] = value
    return found


def with_spans(plain: Mapping[str, Any]) -> dict[str, Any]:
    """A specification with numbers in place of the lengths that it names.

    ``lookback``, ``-lookback`` and ``-lookback / 2`` may stand wherever a length does: in windows, in
    ``occasions.history`` and in ``eligible``.

    Raises
    ------
    ConfigError
        For a length that is no number.
    """
    rest = {key: value for key, value in plain.items() if key != SPANS}
    spans = plain.get(SPANS) or {}
    if not isinstance(spans, Mapping):
        raise ConfigError(f"{SPANS}: found {spans!r}, expected lengths by name.")
    for name, length in spans.items():
        number = isinstance(length, (int, float)) and not isinstance(length, bool)
        require(number and length >= 0, f"{SPANS}.{name}", length, "a number from 0 on")
    for part, key in _places(rest):
        part[key] = _length(part[key], spans)
    return rest


def _places(rest: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Where lengths stand, each as a container that may be written to and its key."""
    for section in ("outcomes", "covariates", "shares"):
        parts = rest.get(section)
        if not isinstance(parts, Mapping):
            continue
        rest[section] = {n: dict(p) if isinstance(p, Mapping) else p for n, p in parts.items()}
        for part in rest[section].values():
            if isinstance(part, dict) and isinstance(part.get("window"), (list, tuple)):
                part["window"] = list(part["window"])
                yield from ((part["window"], place) for place in range(len(part["window"])))
    for section, keys in (("occasions", ("history",)), ("eligible", None)):
        if isinstance(rest.get(section), Mapping):
            rest[section] = dict(rest[section])
            for key in [k for k in rest[section] if keys is None or k in keys]:
                yield rest[section], key


def _length(value: Any, spans: Mapping[str, float]) -> Any:
    """The number that a text names; what names none stays for the specification to judge."""
    found = _NAMED.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or found["name"] not in spans:
        return value
    length = spans[found["name"]] / int(found["parts"] or 1)
    return -length if found["sign"] else length


def of_today(plain: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Renamed, ...]]:
    """A layer of the configuration with the panel's keys of before as changes of a specification.

    Parameters
    ----------
    plain : mapping
        One layer: a later one goes first, under whichever names. ``panel.outcomes``, ``measured_in``,
        ``lookback_days``, ``min_history_days`` and ``require_complete_window``, and
        ``features.top_categories``, are keys of the specification now; they are read for one release.

    Returns
    -------
    configuration : dict
    renamed : tuple of (str, str)
        Each such key, and what to write instead.
    """
    panel, features = plain.get("panel"), plain.get("features")
    found, said = dict(plain), list[Renamed]()
    changes: dict[str, Any] = {}
    if isinstance(panel, Mapping):
        found["panel"] = {key: value for key, value in panel.items() if key not in _BEFORE}
        for key in (k for k in panel if k in _BEFORE):
            change = _BEFORE[key](panel[key])
            changes = _over(changes, change)
            said.append((f"panel.{key}", f"panel.changes: {_inline(change)}"))
    if isinstance(features, Mapping) and "top_categories" in features:
        found["features"] = {k: v for k, v in features.items() if k != "top_categories"}
        change = {"shares": {"x_share": {"most": features["top_categories"]}}}
        changes = _over(changes, change)
        said.append(("features.top_categories", f"panel.changes: {_inline(change)}"))
    if changes:
        now = dict(found.get("panel") or {})
        found["panel"] = {**now, "changes": _over(changes, now.get("changes") or {})}
    return found, tuple(said)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Changes over changes; what takes a key out stays."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _over(merged[key], value) if both else value
    return merged


def _inline(value: Any) -> str:
    """A change as YAML has it on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_inline(v)}" for k, v in value.items()) + "}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _outcomes(value: Any) -> dict[str, Any]:
    known = ("spend", "visits")
    fine = isinstance(value, (list, tuple)) and len(value) > 0
    require(fine, "panel.outcomes", value, "a list, such as [spend]")
    for name in value:
        require(name in known, "panel.outcomes", name, f"names out of {known}")
    return {"outcomes": {f"y_{name}": None for name in known if name not in value}}


def _measured_in(value: Any) -> dict[str, Any]:
    require(isinstance(value, Mapping), "panel.measured_in", value, "words by outcome")
    return {"measured_in": {f"y_{name}": words for name, words in value.items()}}


_BEFORE = {
    "outcomes": _outcomes,
    "measured_in": _measured_in,
    "lookback_days": lambda value: {SPANS: {"lookback": value}},
    "min_history_days": lambda value: {SPANS: {"min_history": value}},
    "require_complete_window": lambda value: {"occasions": {"complete": value}},
}
