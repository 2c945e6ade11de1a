"""YAML layers to one frozen, validated :class:`~truelift.settings.Settings`.

Layers, later ones winning: ``conf/base.yaml``, ``conf/<env>.yaml``,
``conf/datasets/<dataset>.yaml`` (or a path to a YAML file of your own),
``conf/models/<recipe>.yaml`` where a recipe is named, then ``--set key=value`` from the command
line. ``{dataset}``, ``{env}`` and ``{scale}`` in path-like values
are filled in last; ``scale`` is empty for all users and ``-sample-0.05`` for a sample, so
that a try-out never writes over the full lake. MLflow's experiment and the registered model get it
even where a layer names them without: a sample's model must never be champion of the full run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from truelift.errors import ConfigError, TrueliftError
from truelift.older_names import Renamed, hint_of, in_sections, tell
from truelift.settings import EffectOptions, Settings
from truelift.settings.gone import refuse_gone
from truelift.settings.layer_files import (
    base_layer,
    dates_as_text,
    named_layer,
    read_resource,
    text_of,
)  # fmt: skip
from truelift.settings.panel_choice import changed, of_today, with_spans
from truelift.settings.panel_spec import PanelSpec
from truelift.spelling import load_as_written
from truelift.typed import from_plain, to_plain

Spec = TypeVar("Spec")
SECRET = re.compile(r"secret|password|passwd|token|credential|access[._-]?key|sas", re.IGNORECASE)
HIDDEN = "(hidden)"
INTERACTIONS = "interactions"
ENVIRONMENTS = ("local", "staging", "prod")


def load_settings(
    env: str = "local",
    dataset: str | None = None,
    overrides: Sequence[str] = (),
    lake: str | None = None,
    spec: str | None = None,
    table: str | None = None,
    recipe: str | None = None,
    interactions: str | None = None,
) -> Settings:
    """Resolve the configuration of a run.

    Parameters
    ----------
    env : str
        ``local``, ``staging`` or ``prod``.
    dataset : str, optional
        A name under ``conf/datasets`` or the path of a YAML file.
    overrides : sequence of str
        ``key.subkey=value`` items; values are read as YAML.
    lake : str, optional
        URI of the lake, in place of the configured one.
    spec : str, optional
        A YAML file, or a name under ``conf/effects``, that replaces keys of the section ``effects``.
    table : str, optional
        ``effects.table``; unless a data set is named, the run then goes by the table's name,
        with a lake and a report of its own.
    recipe : str, optional
        A sequence model's recipe: a name under ``conf/models`` or the path of a YAML file.
    interactions : str, optional
        A file of the data set ``interactions``; the run then goes by the file's name, address
        and content, and so does one whose ``source.path`` is set by an override.

    Raises
    ------
    ConfigError
        For a missing layer, an unknown key (the nearest known one is named) or a bad value.
    """
    if env not in ENVIRONMENTS:
        raise ConfigError(f"--env: found {env!r}, expected one of {', '.join(ENVIRONMENTS)}.")
    base = base_layer("base.yaml")
    name = (
        dataset
        or (INTERACTIONS if interactions else None)
        or str(base.get("dataset", "complete_journey"))
    )
    layers = [
        base,
        base_layer(f"{env}.yaml"),
        named_layer("datasets", "--dataset", "data set", name),
    ]
    if recipe:
        layers.append(named_layer("models", "--recipe", "recipe", recipe))
    title = Path(name).stem
    if table:
        layers.append({"effects": {"table": table}})
        title = title if dataset else f"table-{addressed_title(table)}"
    if interactions:
        layers.append({"source": {"path": interactions}})
    if spec:
        layers.append({"effects": _spec_layer(spec)})
    merged, older = _laid_over(layers)
    given, older_given = _laid_over([_override(item) for item in overrides])
    tell((*older, *older_given))
    source = _merge(merged, given).get("source") or {}
    if (interactions or name == INTERACTIONS) and source.get("path"):
        title = f"{title}-{interactions_title(source)}"
    merged = _merge(_merge(merged, {"env": env, "dataset": title}), given)
    if lake:
        merged["lake"] = lake
    refuse_gone(merged)
    return _fill(from_plain(Settings, merged))


def table_title(address: str) -> str:
    """A short name of a table: the last part of its address, without version and ending."""
    last = re.sub(r"@\d+$", "", address.rstrip("/")).rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", last.removesuffix(".parquet")) or "panel"


def addressed_title(address: str) -> str:
    """The title of a table, and where it lies: tables of one name in two folders are two lakes.

    A table of a lake goes by its name alone, whatever the folder that the job is started in.
    """
    title = table_title(address)
    where = re.sub(r"@\d+$", "", address.rstrip("/"))
    if re.fullmatch(r"(bronze|silver|gold)\.\w+", where):
        return title
    absolute = where if "://" in where else os.path.abspath(os.path.expanduser(where))
    return f"{title}-{hashlib.sha256(absolute.encode()).hexdigest()[:8]}"


def interactions_title(source: Mapping[str, Any]) -> str:
    """Name, address, content and reading of interaction files: of whatever differs, so does the lake.

    Files of one name in two folders are two data sets, and so are a file and its correction, and
    a file whose columns were called something else. A file that cannot be read goes by its
    address; whatever reads it then says what is wrong.
    """
    from truelift.files.raw import find_files, fingerprint

    path = str(source["path"])
    absolute = path if "://" in path else os.path.abspath(os.path.expanduser(path))
    reading = [source.get(key) for key in ("columns", "delimiter", "encoding")]
    digest = hashlib.sha256(f"{absolute}\n{[r for r in reading if r]}\n".encode())
    with contextlib.suppress(TrueliftError, OSError):
        for file in find_files(path, "source.path"):
            digest.update(f"{file.name}\n{fingerprint(file)}\n".encode())
    return f"{table_title(path)}-{digest.hexdigest()[:10]}"


def _spec_layer(path: str) -> dict[str, Any]:
    """What to estimate: the section ``effects`` of a file, or of a name under ``conf/effects``."""
    file = Path(path)
    text = text_of(file, "--spec") if file.is_file() else None
    if text is None and "/" not in path:
        text = read_resource(f"effects/{path}.yaml")
    if text is None:
        raise ConfigError(f"--spec: there is no file {path}, nor a {path}.yaml in conf/effects.")
    try:
        found = yaml.safe_load(text) or {}
        if isinstance(found, dict):
            within = "effects" if "effects" in found else ""
            found = load_as_written(text, EffectOptions, within)
    except yaml.YAMLError as error:
        raise ConfigError(f"--spec {path} is not YAML: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"--spec {path}: found {type(found).__name__}, expected keys and values.")
    inner = found.get("effects", found)
    if not isinstance(inner, dict):
        kind = type(inner).__name__
        raise ConfigError(f"--spec {path}: effects: found {kind}, expected keys and values.")
    return inner


def load_panel_spec(
    name: str,
    changes: Mapping[str, Any] | None = None,
    time_zone: str = "UTC",
    option: str = "--spec",
) -> PanelSpec:
    """The specification of a panel.

    Parameters
    ----------
    name : str
        A name under ``conf/panels`` or the path of a YAML file.
    changes : mapping, optional
        Keys of it as they shall be (``panel.changes``).
    time_zone : str
        Where the specification names none.
    option : str
        What names the specification, for messages.

    Raises
    ------
    ConfigError
        For an unknown key, a bad value, or a covariate that is measured after the treatment.
    """
    found = named_layer("panels", option, "panel", name, (PanelSpec, ""))
    plain = with_spans(changed(found, changes or {}))
    return from_plain(PanelSpec, {"time_zone": time_zone, **plain})


def panel_of_pipeline(settings: Settings) -> PanelSpec:
    """The specification of the panel that the pipeline makes (``panel.spec``, ``panel.changes``).

    Raises
    ------
    ConfigError
        As :func:`load_panel_spec`.
    """
    chosen = settings.panel
    return load_panel_spec(chosen.spec, chosen.changes, settings.source.time_zone, "panel.spec")


def load_spec(cls: type[Spec], folder: str, kind: str, name: str, option: str = "--spec") -> Spec:
    """A specification of a room of its own.

    Parameters
    ----------
    cls : dataclass
    folder : str
        Of ``conf``.
    kind : str
        What it is, for messages.
    name : str
        A name in that folder, or the path of a YAML file.
    option : str
        Of the command line, that names it.

    Raises
    ------
    ConfigError
        For an unknown key or a bad value.
    """
    return from_plain(cls, named_layer(folder, option, kind, name, (cls, "")))


def describe(settings: Settings) -> dict[str, Any]:
    """The resolved settings as flat ``section.key -> value``, as they are logged."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            flat[prefix] = value

    walk("", without_secrets(to_plain(settings)))
    return flat


def without_secrets(value: Any, key: str = "") -> Any:
    """The configuration as it may be shown: values of secret keys and URI logins are hidden."""
    if isinstance(value, dict):
        return {k: without_secrets(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [without_secrets(v, key) for v in value]
    if isinstance(value, str) and value:
        return HIDDEN if SECRET.search(key) else re.sub(r"(?<=://)[^/@]+@", f"{HIDDEN}@", value)
    return value


def _laid_over(layers: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], tuple[Renamed, ...]]:
    """Layers in one, later ones winning, and what stood in them under an older name."""
    merged: dict[str, Any] = {}
    older: tuple[Renamed, ...] = ()
    for layer in layers:
        # First in its section: an older name in one layer and the newer in another are one setting.
        placed, of_panels = of_today(layer)
        placed, renamed = in_sections(Settings, placed)
        merged, older = _merge(merged, placed), (*older, *of_panels, *renamed)
    return merged, older


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        if key == "learner" and isinstance(value, Mapping):
            merged[key] = _merged_choice(merged.get(key), value)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _merged_choice(below: Any, above: Mapping[str, Any]) -> dict[str, Any]:
    """A learner's options over those of the same learner; another one begins with its own."""
    choice = {"name": below} if isinstance(below, str) else dict(below or {})
    names = {part["name"] for part in (choice, above) if "name" in part}
    return {**choice, **above} if len(names) < 2 else dict(above)


def _override(item: str) -> dict[str, Any]:
    key, sign, text = item.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"--set: found {item!r}, expected key=value, for example sample=0.05.")
    try:
        section, *path = key.strip().split(".")
        hint = hint_of(EffectOptions, path) if section == "effects" else Any
        value = dates_as_text(load_as_written(text, hint)) if text else ""
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {key}: the value {text!r} is not readable: {error}") from error
    nested: Any = value
    for part in reversed(key.strip().split(".")):
        nested = {part: nested}
    return nested


def _fill(settings: Settings) -> Settings:
    scale = "" if settings.sample == 1 else f"-sample-{settings.sample:g}"
    names = {"dataset": settings.dataset, "env": settings.env, "scale": scale}

    def fill(text: str, key: str) -> str:
        unknown = set(re.findall(r"{(\w+)}", text)) - set(names)
        if unknown:
            raise ConfigError(
                f"{key}: unknown placeholder {sorted(unknown)}; known: {sorted(names)}."
            )
        return text.format(**names) if "{" in text else text

    return replace(
        settings,
        lake=fill(settings.lake, "lake").rstrip("/"),
        tracking=replace(
            settings.tracking,
            uri=fill(settings.tracking.uri, "tracking.uri"),
            artifacts=fill(settings.tracking.artifacts, "tracking.artifacts")
            if settings.tracking.artifacts
            else None,
            experiment=_of_the_sample(
                fill(settings.tracking.experiment, "tracking.experiment"), scale
            ),
            # A registry may take a dot for the end of a catalogue's or a schema's name.
            model_name=_of_the_sample(
                fill(settings.tracking.model_name, "tracking.model_name").replace(
                    scale, scale.replace(".", "_")
                ),
                scale.replace(".", "_"),
            ),
        ),
        report=replace(settings.report, path=fill(settings.report.path, "report.path")),
    )


def _of_the_sample(name: str, scale: str) -> str:
    """A name in MLflow that the full run does not have; what is made of ``-sequence`` stays."""
    if scale in name:
        return name
    stem = name.removesuffix("-sequence")
    return f"{stem}{scale}{name[len(stem) :]}"
