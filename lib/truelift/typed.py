"""Plain nested dictionaries to typed frozen dataclasses, and back.

Used twice: for configuration (YAML to :class:`~truelift.settings.Settings`) and for the
results that steps leave behind (JSON to result dataclasses).
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from typing import Any, TypeVar

from truelift.errors import ConfigError

T = TypeVar("T")
_QUOTE_IT = (
    " YAML reads the words yes, no, on, off, true and false as truth values and null, or nothing, "
    "as none: if it is a name, put it in quotes, such as 'no'."
)


def to_plain(value: Any) -> Any:
    """Dataclasses, tuples and mappings as JSON-able dictionaries and lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        return value.item()
    return value


def from_plain(cls: type[T], data: Any, where: str = "") -> T:
    """Build ``cls`` from ``data``, checking every key and type.

    Parameters
    ----------
    cls : type
        A frozen dataclass whose fields are scalars, tuples, dictionaries or dataclasses.
    data : dict
        Nested plain values; a missing key takes the field's default.
    where : str
        Dotted path of ``data``, for messages.

    Raises
    ------
    ConfigError
        For an unknown key (naming the nearest known one) or a value of the wrong type.
    """
    if not isinstance(data, dict):
        raise ConfigError(
            f"{where or 'configuration'}: found {data!r}, expected a mapping of keys."
        )
    hints = typing.get_type_hints(cls)
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in data:
        if key not in known:
            raise ConfigError(unknown_key(f"{where}.{key}" if where else str(key), known))
    values = {
        key: _convert(hints[key], value, f"{where}.{key}" if where else key)
        for key, value in data.items()
    }
    missing = [
        name
        for name, f in known.items()
        if name not in values
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where or cls.__name__}: missing {', '.join(missing)}.")
    return cls(**values)


def from_older(cls: type[T], data: Any, where: str = "") -> tuple[T | None, tuple[str, ...]]:
    """Build ``cls`` from what another version may have written; nothing is raised.

    Returns
    -------
    value : cls or None
        None where a field is missing or of another type.
    said : tuple of str
        A sentence for what could not be read, or was left out because ``cls`` has no such field.
    """
    gone: list[str] = []
    known = _known_part(cls, data, where or cls.__name__, gone)
    try:
        value = from_plain(cls, known, where or cls.__name__)
    except ConfigError as error:
        return None, (f"{where or cls.__name__} cannot be read by this version ({error})",)
    left_out = f"this version does not know {', '.join(gone)} and leaves it out"
    return value, ((left_out,) if gone else ())


def _known_part(hint: Any, value: Any, where: str, gone: list[str]) -> Any:
    """The value without keys that the dataclasses of a type do not have; these go to ``gone``."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = [a for a in typing.get_args(hint) if a is not type(None)]
        # Of several classes the keys tell which one it is, so all of them are needed.
        return _known_part(options[0], value, where, gone) if len(options) == 1 else value
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        hints = typing.get_type_hints(hint)
        gone += [f"{where}.{key}" for key in value if key not in hints]
        return {
            key: _known_part(hints[key], inner, f"{where}.{key}", gone)
            for key, inner in value.items()
            if key in hints
        }
    args = typing.get_args(hint)
    if origin is tuple and isinstance(value, (list, tuple)):
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else [*args]
        if len(kinds) == len(value):
            pairs = enumerate(zip(kinds, value, strict=True))
            return [_known_part(kind, v, f"{where}[{i}]", gone) for i, (kind, v) in pairs]
    if origin is dict and isinstance(value, dict):
        return {k: _known_part(args[1], v, f"{where}.{k}", gone) for k, v in value.items()}
    return value


def unknown_key(path: str, known: Any) -> str:
    """The message for a key that does not exist, with the nearest that does."""
    prefix, _, name = path.rpartition(".")
    near = difflib.get_close_matches(name, [str(k) for k in known], n=1, cutoff=0.55)
    full = f"{prefix}.{near[0]}" if near and prefix else (near[0] if near else "")
    hint = f" Did you mean {full!r}?" if near else f" Known here: {', '.join(sorted(known))}."
    return f"Unknown configuration key {path!r}.{hint}"


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        options = [a for a in typing.get_args(hint) if a is not type(None)]
        if value is None:
            return None
        for option in options[:-1]:
            try:
                return _convert(option, value, where)
            except ConfigError:
                if typing.get_origin(option) is tuple and isinstance(value, (list, tuple)):
                    raise
        return _convert(options[-1], value, where)
    if dataclasses.is_dataclass(hint):
        return from_plain(typing.cast(type, hint), value, where)
    if origin is tuple:
        return _convert_tuple(typing.get_args(hint), value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: found {value!r}, expected a mapping.")
        item = typing.get_args(hint)[1]
        for key in value:
            if key is None or isinstance(key, bool):
                raise ConfigError(f"{where}: found the key {_as_yaml(key)}.{_QUOTE_IT}")
        return {str(k): _convert(item, v, f"{where}.{k}") for k, v in value.items()}
    return _convert_scalar(hint, value, where)


def _convert_tuple(args: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where}: found {value!r}, expected a list{_as_list(value)}.")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_convert(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if len(args) != len(value):
        raise ConfigError(f"{where}: found {len(value)} values, expected {len(args)}.")
    return tuple(
        _convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(args, value, strict=True))
    )


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):
        # YAML 1.1 reads 1e-8 (no dot) as text; people write it all the same.
        try:
            return float(value)
        except ValueError:
            pass
    if hint is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if hint is str and (value is None or isinstance(value, bool)):
        raise ConfigError(f"{where}: found {_as_yaml(value)}, expected text.{_QUOTE_IT}")
    if isinstance(value, bool) and hint is not bool:
        raise ConfigError(f"{where}: found {value!r}, expected {hint.__name__}.")
    if not isinstance(value, hint):
        raise ConfigError(f"{where}: found {value!r}, expected {hint.__name__}.")
    return value


def _as_list(value: Any) -> str:
    """How a list of what was meant is written."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    if str(value).strip().lower() in ("", "none", "null", "nothing"):
        return "; [] is an empty one"
    return f", such as [{value}]"


def _as_yaml(value: bool | None) -> str:
    return "nothing" if value is None else f"the truth value {str(value).lower()}"
