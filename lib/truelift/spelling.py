"""YAML whose texts stay as they were written, where a text is what is wanted.

YAML 1.1 reads ``no`` as false, ``1e3`` and ``012`` as numbers and ``2024-01-01`` as a date. Where a
dataclass has a text, such as the label of an arm or the name of a column, the plain scalar is the
text that stands in the file: ``control: no`` is the label "no", ``propensity: {yes: .5, no: .5}``
has the keys "yes" and "no".
"""

from __future__ import annotations

import dataclasses
import types
import typing
from functools import cache
from typing import Any

import yaml

from truelift.older_names import hint_of, older_paths

_TEXT = "tag:yaml.org,2002:str"
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"


def load_as_written(text: str, hint: Any, section: str = "") -> Any:
    """What :func:`yaml.safe_load` gives, but for the texts of a type.

    Parameters
    ----------
    text : str
    hint : type
        A dataclass, or the type of one of its fields.
    section : str
        The key under which it stands, where the text has other sections too.

    Raises
    ------
    yaml.YAMLError
        As ``safe_load`` does, and for a key that is there twice: ``safe_load`` takes the last.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_repeated_keys(node)
        for found in _inside(node, section) if section else [node]:
            _retag(found, hint)
        return loader.construct_document(node)
    finally:
        loader.dispose()


@cache
def _hints(cls: type) -> dict[str, Any]:
    """Types of a class's fields, and of what had an older name; worked out once a process."""
    older = {name: hint_of(cls, [name]) for name in older_paths(cls)}
    return {**older, **typing.get_type_hints(cls)}


def _refuse_repeated_keys(node: yaml.Node) -> None:
    """Refuse a mapping, at any depth, in which a key comes twice."""
    inner = list(node.value) if isinstance(node, yaml.SequenceNode) else []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None,
                        None,
                        f"the key {key.value!r} is there twice; keep one",
                        key.start_mark,
                    )
                seen.add(key.value)
            inner.append(value)
    for part in inner:
        _refuse_repeated_keys(part)


def _inside(node: yaml.Node, section: str) -> list[yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [value for key, value in node.value if key.value == section]


def _retag(node: yaml.Node, hint: Any) -> None:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        for one in inner:
            _retag(node, one)
    elif isinstance(node, yaml.ScalarNode):
        if hint is str and node.style is None and node.tag != _NULL:
            node.tag = _TEXT
    elif isinstance(node, yaml.SequenceNode):
        if origin is tuple:
            for item in node.value:
                _retag(item, inner[0])
    elif isinstance(node, yaml.MappingNode):
        is_type = isinstance(hint, type) and dataclasses.is_dataclass(hint)
        hints = _hints(hint) if is_type else {}
        for key, value in node.value:
            if origin is dict:
                if key.tag != _MERGE:
                    _retag(key, str)
                _retag(value, inner[1])
            elif isinstance(key, yaml.ScalarNode) and key.value in hints:
                _retag(value, hints[key.value])
