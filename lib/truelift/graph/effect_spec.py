"""What a graph says, as keys of an effect's specification (docs/effects.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truelift.errors import ConfigError, MachineError, NotSupportedError
from truelift.graph.results import Identification
from truelift.settings import EffectOptions
from truelift.typed import from_plain

if TYPE_CHECKING:
    import pyarrow as pa


def effect_keys(found: Identification, schema: pa.Schema | None = None) -> dict[str, Any]:
    """The keys that an identified effect fixes: treatment, outcome, and what its design needs.

    Parameters
    ----------
    found : Identification
    schema : pyarrow.Schema, optional
        Of the table: covariates that are texts become categories.

    Raises
    ------
    NotSupportedError
        Where nothing identifies the effect, or where what does is no design of ``estimate_effects``.
    """
    if not found.supported:
        given = found.given is not None and not found.given.valid
        why = "the set that was given is not valid" if given else "the graph identifies no effect"
        raise NotSupportedError(f"There is nothing to write: {why}.")
    graph, covariates = found.graph, found.covariates
    keys: dict[str, Any] = {
        "treatment": graph.columns([found.treatment])[0],
        "outcomes": list(graph.columns([found.outcome])),
    }
    if found.method == "formula":
        raise NotSupportedError(
            f"There is nothing to write: {found.formula_text()} is no design of estimate_effects."
        )
    if found.method == "instrument":
        keys["instrument"] = list(graph.columns([found.instruments[0].name]))
    if found.method == "front door":
        keys["front_door"] = list(graph.columns(found.front_door or ()))
    if found.asked_mediators and found.mediation is not None:
        if found.mediation.reason:
            raise NotSupportedError(
                f"There is nothing to write: shares through {', '.join(found.mediation.mediators)} are not "
                f"identified, for {found.mediation.reason}."
            )
        keys["mediators"] = list(graph.columns(found.mediation.mediators))
        covariates = found.mediation.given
    known = {one.name for one in fields(EffectOptions)}
    for key, value in keys.items():
        if key not in known:
            raise NotSupportedError(
                f"There is nothing to write: estimate_effects has no design {key!r} ({value})."
            )
    columns = graph.columns(covariates)
    texts = [c for c in columns if schema is not None and _is_text(schema, c)]
    keys["covariates"] = [c for c in columns if c not in texts]
    if texts:
        keys["features"] = {"categorical": dict.fromkeys(texts, "one_hot")}
    return keys


def write_spec(keys: Mapping[str, Any], path: str | Path, said: str) -> None:
    """Put keys into a specification: other keys of a file that is there stay as they are.

    Parameters
    ----------
    keys : mapping
    path : str or Path
        A YAML file; made where there is none.
    said : str
        What the graph says, for its head.

    Raises
    ------
    ConfigError
        If the file is no specification, or would be none with these keys.
    MachineError
        If it cannot be written.
    """
    import yaml

    place = Path(path)
    whole = _read(place)
    section = whole.get("effects", whole)
    if not isinstance(section, dict):
        raise ConfigError(f"--write {place}: effects: expected keys and values.")
    features = {**(section.get("features") or {})}
    # Of an earlier graph: categories count among the covariates.
    features.pop("categorical", None)
    features |= keys.get("features", {})
    section.pop("features", None)
    for gone in ("instrument", "front_door", "mediators"):
        section.pop(gone, None)
    section |= {**keys, **({"features": features} if features else {})}
    from_plain(EffectOptions, section, "effects")
    head = "".join(f"# {line}\n" for line in said.splitlines())
    text = yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)
    try:
        place.write_text(head + text, encoding="utf-8")
    except OSError as error:
        raise MachineError(f"--write: {place} cannot be written: {error.strerror}.") from error


def _read(place: Path) -> dict[str, Any]:
    import yaml

    if not place.exists():
        return {}
    try:
        found = yaml.safe_load(place.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"--write: {place} is there and cannot be read ({error}).") from error
    if not isinstance(found, dict):
        raise ConfigError(
            f"--write: {place} is there and is no specification: expected keys and values."
        )
    return found


def _is_text(schema: pa.Schema, column: str) -> bool:
    import pyarrow as pa

    if column not in schema.names:
        return False
    kind = schema.field(column).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
