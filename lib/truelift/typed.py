"""Plain nested dictionaries to typed frozen dataclasses, and back.

Used twice: for configuration (YAML to :class:`~truelift.settings.Settings`) and for the
results that steps leave behind (JSON to result dataclasses).
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from truelift.errors import ConfigError
from truelift.older_names import in_sections, older_paths, tell

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

T = TypeVar("T")
_QUOTE_IT = (
    " YAML reads the words yes, no, on, off, true and false as truth values and null, or nothing, "
    "as none: if it is a name, put it in quotes, such as 'no'."
)
#: What is expected, by pydantic's name of the mistake.
_EXPECTED = {
    "int_type": "int",
    "float_type": "float",
    "float_parsing": "float",
    "bool_type": "bool",
    "string_type": "str",
    "dict_type": "a mapping",
    "dataclass_type": "a mapping of keys",
    "none_required": "nothing",
}


def to_plain(value: Any) -> Any:
    """Dataclasses, tuples and mappings as JSON-able dictionaries and lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if hasattr(value, "as_written"):
            return to_plain(value.as_written())
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        return value.item()
    return value


def from_plain(cls: type[T], data: Any, where: str = "") -> T:
    """Build ``cls`` from ``data``, checking every key and type (by pydantic).

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
    # Help and the processes that read no settings do without it: it takes a third of a second.
    from pydantic_core import ValidationError

    if not isinstance(data, dict):
        raise ConfigError(
            f"{where or 'configuration'}: found {data!r}, expected a mapping of keys."
        )
    data, renamed = in_sections(cls, data)
    tell(renamed)
    try:
        return typing.cast(T, _validator(typing.cast(Any, cls)).validate_python([data])[0])
    except ValidationError as error:
        found = [{**one, "loc": one["loc"][1:]} for one in error.errors(include_url=False)]
    raise ConfigError(_sentence(cls, data, where, found))


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
    meant = known[near[0]] if near and isinstance(known, dict) else "".join(near)
    full = f"{prefix}.{meant}" if near and prefix else meant
    hint = f" Did you mean {full!r}?" if near else f" Known here: {', '.join(sorted(known))}."
    return f"Unknown configuration key {path!r}.{hint}"


@cache
def _validator(cls: Any) -> SchemaValidator:
    from pydantic import TypeAdapter
    from pydantic_core import SchemaValidator

    # Of a list, since what is allowed cannot be said for a dataclass itself, only for what holds it.
    adapter = TypeAdapter(list[cls], config={"arbitrary_types_allowed": True})
    return SchemaValidator(_as_written(adapter.core_schema))


def _as_written(schema: Any) -> Any:
    """What pydantic makes of a class, less the liberties that it takes with what people wrote.

    No key beside the fields; a truth value or a text is no whole number, and a truth value no number
    at all; a number where a text is wanted is its text; of several types the first that fits.
    """
    if isinstance(schema, list):
        return [_as_written(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = ("default", "metadata", "cls", "expected")
    made = {key: v if key in kept else _as_written(v) for key, v in schema.items()}
    match made.get("type"):
        case "dataclass-args":
            made["extra_behavior"] = "forbid"
        case "int" | "bool":
            made["strict"] = True
        case "str":
            made["coerce_numbers_to_str"] = True
        case "union":
            made["mode"] = "left_to_right"
        case "float":
            refusal = {"type": "no-info", "function": _no_truth_value}
            return {"type": "function-before", "function": refusal, "schema": made}
    return made


def _no_truth_value(value: Any) -> Any:
    from pydantic_core import PydanticKnownError

    if isinstance(value, bool):
        raise PydanticKnownError("float_type")
    return value


def _sentence(cls: type, data: Any, where: str, found: list[Any]) -> str:
    """What is wrong, of all that pydantic found: an unknown key, else what lies deepest.

    (Of a union each type says what it misses; what was meant is the one that got furthest.)
    """
    unknown = [one for one in found if one["type"] == "unexpected_keyword_argument"]
    error = (unknown or sorted(found, key=lambda one: -len(one["loc"])))[0]
    kind, value = error["type"], error["input"]
    if error["loc"][-1:] == ("[key]",):
        path = _path(where, data, error["loc"][:-2])
        return f"{path}: found the key {_as_yaml(value)}.{_QUOTE_IT}"
    path = _path(where, data, error["loc"])
    if kind == "unexpected_keyword_argument":
        return unknown_key(path, _keys_at(cls, error["loc"][:-1]))
    if kind == "missing":
        parent = error["loc"][:-1]
        names = [str(one["loc"][-1]) for one in found if one["loc"][:-1] == parent]
        path = _path(where, data, parent)
        if isinstance(value, (list, tuple)):
            return f"{path}: found {len(value)} values, expected {len(value) + len(names)}."
        return f"{path or cls.__name__}: missing {', '.join(names)}."
    if kind == "too_long":
        return f"{path}: found {len(value)} values, expected {error['ctx']['max_length']}."
    if kind == "string_type" and (value is None or isinstance(value, bool)):
        return f"{path}: found {_as_yaml(value)}, expected text.{_QUOTE_IT}"
    if kind == "tuple_type":
        return f"{path}: found {value!r}, expected a list{_as_list(value)}."
    return f"{path}: found {value!r}, expected {_EXPECTED.get(kind, error['msg'])}."


def _path(where: str, data: Any, loc: tuple[Any, ...]) -> str:
    """The dotted path of a place in the data; names of a union's types are no part of it."""
    for part in loc:
        if isinstance(data, dict) and (part in data or part == loc[-1]):
            where = f"{where}.{part}" if where else str(part)
            data = data.get(part)
        elif isinstance(data, (list, tuple)) and isinstance(part, int):
            where = f"{where}[{part}]"
            data = data[part] if part < len(data) else None
    return where


def _keys_at(cls: Any, loc: tuple[Any, ...]) -> dict[str, str]:
    """What the dataclass at a place takes: its fields, and those of its sections with these."""
    for part in loc:
        if dataclasses.is_dataclass(cls):
            cls = typing.get_type_hints(cls).get(str(part), cls)
        elif typing.get_origin(cls) in (dict, tuple):
            cls = next(a for a in reversed(typing.get_args(cls)) if a is not Ellipsis)
        options = [a for a in typing.get_args(cls) if dataclasses.is_dataclass(a)]
        if typing.get_origin(cls) in (typing.Union, types.UnionType) and options:
            cls = next((a for a in options if getattr(a, "__name__", "") == part), options[0])
    own = [f.name for f in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else []
    inner = {name: ".".join(path) for name, path in older_paths(cls).items()}
    return {**inner, **{name: name for name in own}}


def _as_list(value: Any) -> str:
    """How a list of what was meant is written."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    if str(value).strip().lower() in ("", "none", "null", "nothing"):
        return "; [] is an empty one"
    return f", such as [{value}]"


def _as_yaml(value: bool | None) -> str:
    return "nothing" if value is None else f"the truth value {str(value).lower()}"
