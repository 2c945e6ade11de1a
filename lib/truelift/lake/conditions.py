"""Conditions on the rows of a table: a small part of SQL, read without Spark.

A condition is text, so it travels in a plan and says in a result which rows were taken::

    country in ('CH', 'AT') and age >= 18 and `e-mail` is not null

Comparisons ``= == != <> < <= > >=``, ``[not] in (...)``, ``[not] between a and b``,
``[not] like 'a%'``, ``is [not] null``, a column that is true or false, ``and``, ``or``, ``not`` and
brackets. Names with other signs than letters, digits and underscores stand in backticks. As in SQL,
a row is taken where the condition is true, not where a null leaves it open; a NaN is a null.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import ConfigError

_TOKEN = re.compile(
    r"\s*(?:(?P<name>`(?:[^`]|``)+`|[^\W\d]\w*)|(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r"|(?P<text>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|(?P<sign><=|>=|<>|!=|==|[=<>(),]))"
)
_COMPARE: dict[str, Callable[..., Any]] = {
    "=": pc.equal, "==": pc.equal, "!=": pc.not_equal, "<>": pc.not_equal,
    "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}  # fmt: skip
_WORDS = {"and", "or", "not", "in", "between", "like", "is", "null", "true", "false"}


@dataclass(frozen=True)
class Operand:
    """A column, or a literal where ``column`` is None."""

    column: str | None
    value: Any = None

    def of(self, batch: pa.RecordBatch) -> Any:
        """The column's values (a NaN as a null), or the literal."""
        if self.column is None:
            return self.value
        found = batch.column(batch.schema.get_field_index(self.column))
        if pa.types.is_dictionary(found.type):
            found = found.cast(found.type.value_type)
        if pa.types.is_floating(found.type):
            found = pc.if_else(pc.is_nan(found), pa.scalar(None, found.type), found)
        return found


@dataclass(frozen=True)
class Node:
    """A part of a condition: an operator, and what it is applied to."""

    operator: str
    operands: tuple[Any, ...]

    def of(self, batch: pa.RecordBatch) -> Any:
        """True, false or null, a row."""
        parts = self.operands
        if self.operator in ("and", "or"):
            join = pc.and_kleene if self.operator == "and" else pc.or_kleene
            return join(parts[0].of(batch), parts[1].of(batch))
        if self.operator == "not":
            return pc.invert(parts[0].of(batch))
        if self.operator == "is null":
            return pc.is_null(parts[0].of(batch))
        if self.operator == "holds":
            return _flags(parts[0].of(batch))
        if self.operator == "like":
            return pc.match_like(parts[0].of(batch), parts[1])
        if self.operator == "in":
            column = parts[0].of(batch)
            wanted = pa.array([_as(value, column.type).as_py() for value in parts[1]], column.type)
            found = pc.is_in(column, value_set=wanted)
            return pc.if_else(pc.is_null(column), pa.scalar(None, pa.bool_()), found)
        left, right = (part.of(batch) for part in parts)
        if parts[0].column is None:
            left = _as(left, right.type)
        elif parts[1].column is None:
            right = _as(right, left.type)
        return _COMPARE[self.operator](left, right)


def _flags(column: pa.Array) -> pa.Array:
    if not pa.types.is_boolean(column.type):
        raise TypeError(f"a column of type {column.type} is neither true nor false by itself")
    return column


def _as(value: Any, kind: pa.DataType) -> pa.Scalar:
    """A literal in a column's type; text for texts, dates and times, numbers for numbers."""
    is_text = isinstance(value, str)
    textual = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if textual != is_text and not (is_text and pa.types.is_temporal(kind)):
        quoted = "in quotes" if textual else "without quotes"
        raise TypeError(f"{value!r} beside a column of type {kind}: write it {quoted}")
    if pa.types.is_boolean(kind):
        if value not in (0, 1):
            raise TypeError(f"{value!r} beside a column of type {kind}: write true or false")
        return pa.scalar(bool(value))
    if is_text and not textual:
        return _moment(value, kind)
    if pa.types.is_integer(kind) and not float(value).is_integer():
        return pa.scalar(float(value))
    if pa.types.is_decimal(kind):
        return pa.scalar(decimal.Decimal(repr(value)), kind)
    if pa.types.is_integer(kind):
        return pa.scalar(int(value))
    return pa.scalar(value, kind)


def _moment(text: str, kind: pa.DataType) -> pa.Scalar:
    """A date or a time; one without a zone is UTC where the column has one."""
    try:
        return pa.scalar(text).cast(kind)
    except pa.ArrowInvalid:
        if not pa.types.is_timestamp(kind) or not kind.tz:
            raise
        plain = pa.scalar(text).cast(pa.timestamp(kind.unit))
        return plain.cast(pa.int64()).cast(kind)


@dataclass(frozen=True)
class Condition:
    """A condition that was read.

    Parameters
    ----------
    text : str
    columns : tuple of str
        That it looks at.
    root : Node
    """

    text: str
    columns: tuple[str, ...]
    root: Node

    def check(self, schema: pa.Schema, key: str, table: str) -> None:
        """Refuse what does not fit the columns of a table, before any row is read.

        Raises
        ------
        ConfigError
            Naming ``key``, for a column that is not there or values of another type.
        """
        if missing := [name for name in self.columns if name not in schema.names]:
            raise ConfigError(
                f"{key}: {table} has no column {', '.join(map(repr, missing))}; its columns are "
                f"{', '.join(schema.names)}. Texts stand in quotes: country = 'CH'."
            )
        empty = pa.schema([schema.field(name) for name in self.columns]).empty_table()
        rows = pa.RecordBatch.from_arrays([c.combine_chunks() for c in empty], schema=empty.schema)
        try:
            self.root.of(rows)
        except (TypeError, pa.ArrowException) as error:
            raise ConfigError(
                f"{key}: {self.text!r} does not fit the columns of {table}: {error}."
            ) from None

    def rows(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows for which it is true."""
        return batch.filter(self.root.of(batch), null_selection_behavior="drop")


@lru_cache(maxsize=64)
def condition_of(text: str, key: str = "filter") -> Condition:
    """Read a condition.

    Raises
    ------
    ConfigError
        Naming ``key``, where the text is none.
    """
    return _Reader(text, key).condition()


def all_of(texts: Sequence[str]) -> Condition:
    """Several conditions as one."""
    return condition_of(" and ".join(f"({text})" for text in texts))


def one_of(column: str, values: Sequence[Any]) -> str:
    """The condition that a column has one of some values, or none at all."""
    name = quoted(column)
    listed = ", ".join(_literal(value) for value in values)
    return f"({name} in ({listed}) or {name} is null)"


def quoted(column: str) -> str:
    """A column's name in backticks."""
    return "`" + column.replace("`", "``") + "`"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value) if isinstance(value, (int, float)) else str(value)


class _Reader:
    """Recursive descent over the tokens of a condition."""

    def __init__(self, text: str, key: str):
        self._text, self._key = text, key
        self._tokens = list(self._cut())
        self._at = 0
        self._columns: dict[str, None] = {}

    def condition(self) -> Condition:
        root = self._either()
        if self._at < len(self._tokens):
            raise self._refused(
                f"found {self._tokens[self._at][1]!r}, expected 'and', 'or' or the end"
            )
        return Condition(self._text, tuple(self._columns), root)

    def _cut(self):  # type: ignore[no-untyped-def]
        at, end = 0, len(self._text.rstrip())
        while at < end:
            found = _TOKEN.match(self._text, at)
            if found is None:
                raise self._refused(f"cannot read {self._text[at : at + 20].strip()!r}")
            at = found.end()
            kind = str(found.lastgroup)
            yield kind, found.group(kind)

    def _refused(self, why: str) -> ConfigError:
        return ConfigError(
            f"{self._key}: {self._text!r} is no condition on rows: {why}. Expected comparisons "
            "(= != < <= > >=), in (...), between, like, is null, joined by and, or, not; names with "
            "blanks or other signs in backticks, texts in quotes."
        )

    def _word(self) -> str:
        """The next token where it is a word of the language or a sign, else ''."""
        if self._at >= len(self._tokens):
            return ""
        kind, text = self._tokens[self._at]
        if kind == "sign":
            return str(text)
        return text.lower() if kind == "name" and text.lower() in _WORDS else ""

    def _took(self, *words: str) -> bool:
        if self._word() in words and self._word():
            self._at += 1
            return True
        return False

    def _need(self, word: str) -> None:
        if not self._took(word):
            found = self._tokens[self._at][1] if self._at < len(self._tokens) else "the end"
            raise self._refused(f"found {found!r}, expected {word!r}")

    def _either(self) -> Node:
        left = self._both()
        while self._took("or"):
            left = Node("or", (left, self._both()))
        return left

    def _both(self) -> Node:
        left = self._one()
        while self._took("and"):
            left = Node("and", (left, self._one()))
        return left

    def _one(self) -> Node:
        if self._took("not"):
            return Node("not", (self._one(),))
        if self._took("("):
            inner = self._either()
            self._need(")")
            return inner
        return self._test(self._operand())

    def _test(self, left: Operand) -> Node:
        if self._word() in _COMPARE:
            sign = self._word()
            self._at += 1
            right = self._operand()
            if left.column is None and right.column is None:
                raise self._refused("a comparison without a column")
            return Node(sign, (left, right))
        if left.column is None:
            raise self._refused(f"found {left.value!r}, expected a column")
        if self._took("is"):
            negated = self._took("not")
            self._need("null")
            found = Node("is null", (left,))
            return Node("not", (found,)) if negated else found
        negated = self._took("not")
        if self._took("in"):
            found = Node("in", (left, self._listed()))
        elif self._took("between"):
            low = self._operand()
            self._need("and")
            found = Node("and", (Node(">=", (left, low)), Node("<=", (left, self._operand()))))
        elif self._took("like"):
            pattern = self._operand()
            if pattern.column is not None or not isinstance(pattern.value, str):
                raise self._refused("'like' needs a text in quotes")
            found = Node("like", (left, pattern.value))
        elif negated:
            raise self._refused(
                "found 'not' after a column, expected 'not in', 'not between', 'not like'"
            )
        else:
            found = Node("holds", (left,))
        return Node("not", (found,)) if negated else found

    def _listed(self) -> tuple[Any, ...]:
        self._need("(")
        values = []
        while True:
            operand = self._operand()
            if operand.column is not None:
                raise self._refused(
                    f"{operand.column!r} among the values of 'in': texts stand in quotes"
                )
            values.append(operand.value)
            if not self._took(","):
                break
        self._need(")")
        return tuple(values)

    def _operand(self) -> Operand:
        if self._at >= len(self._tokens):
            raise self._refused("it ends too early")
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            return Operand(None, int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text))
        if kind == "text":
            return Operand(None, text[1:-1].replace(text[0] * 2, text[0]))
        if kind == "name" and text.lower() in ("true", "false"):
            return Operand(None, text.lower() == "true")
        if kind == "sign" or (text.lower() in _WORDS):
            raise self._refused(f"found {text!r}, expected a column or a value")
        name = text[1:-1].replace("``", "`") if text.startswith("`") else text
        self._columns[name] = None
        return Operand(name)
