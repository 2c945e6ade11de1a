"""Where YAML layers lie, in a checkout, a folder of one's own or a wheel, and how one is read."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import yaml

from truelift.errors import ConfigError
from truelift.settings import EffectOptions
from truelift.spelling import load_as_written

# Whose texts stay as they are written, and the section in which they stand.
TEXTS: tuple[type, str] = (EffectOptions, "effects")


def conf_directory() -> Path:
    """The folder of YAML layers: ``TRUELIFT_CONF``, the checkout's, or the wheel's own."""
    if chosen := os.environ.get("TRUELIFT_CONF"):
        return Path(chosen)
    checkout = Path(__file__).resolve().parents[3] / "conf"
    return checkout if (checkout / "base.yaml").is_file() else Path(__file__).parents[1] / "conf"


def read_resource(relative: str) -> str | None:
    """The text of a file of ``conf``, also of one in a zip; None where there is none."""
    path = conf_directory() / relative
    if path.is_file():
        return path.read_text(encoding="utf-8")
    # Inside a wheel that Spark put on the path as a zip there are no files to open.
    try:
        from importlib.resources import files

        resource = files("truelift").joinpath("conf", *relative.split("/"))
        return resource.read_text(encoding="utf-8") if resource.is_file() else None
    except (FileNotFoundError, NotADirectoryError, ModuleNotFoundError):
        return None


def base_layer(relative: str) -> dict[str, Any]:
    """A layer that must be there."""
    text = read_resource(relative)
    if text is None:
        raise ConfigError(f"Configuration layer {relative} not found in {conf_directory()}.")
    return parse(text, relative)


def named_layer(
    folder: str, option: str, kind: str, name: str, texts: tuple[type, str] = TEXTS
) -> dict[str, Any]:
    """A layer by its name in a folder of ``conf``, or by the path of a file."""
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            if Path(name).is_dir():
                raise ConfigError(f"{option}: {name} is a folder; expected a YAML file.")
            raise ConfigError(f"{option}: there is no file {name}.")
        return parse(text_of(Path(name), option), name, texts)
    text = read_resource(f"{folder}/{name}.yaml")
    if text is None:
        place = conf_directory() / folder
        known = sorted(p.stem for p in place.glob("*.yaml")) if place.is_dir() else []
        raise ConfigError(
            f"{option}: unknown {kind} {name!r}. Known: {', '.join(known) or 'none'}; "
            "or give the path of a YAML file."
        )
    return parse(text, f"{folder}/{name}.yaml", texts)


def text_of(file: Path, option: str) -> str:
    """The text of a file that an option names."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise ConfigError(f"{option}: {file} cannot be read: {said}.") from error


def parse(text: str, name: str, texts: tuple[type, str] = TEXTS) -> dict[str, Any]:
    """A layer from its text."""
    try:
        data = load_as_written(text, *texts)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is not readable as YAML: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: found {type(data).__name__}, expected a mapping of keys.")
    return dates_as_text(data)


def dates_as_text(value: Any) -> Any:
    """YAML makes dates of what looks like one; settings take the text."""
    if isinstance(value, dict):
        return {k: dates_as_text(v) for k, v in value.items()}
    if isinstance(value, list):
        return [dates_as_text(v) for v in value]
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    return value
