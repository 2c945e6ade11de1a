"""BIF, the Interchange Format of Bayesian networks (0.15), in double precision.

Each number is the double nearest to what stands in the file, and is written in as many digits as give it back.
"""

from __future__ import annotations

import re

import numpy as np

from truelift.errors import ConfigError
from truelift.graph.network.model import BayesianNetwork

#: A quoted name, which may hold any sign (a quote or a backslash of its own behind a backslash), or a comment.
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|//[^\n]*|/\*.*?\*/', re.DOTALL)
#: What stands for a quoted name while the file is taken apart.
_STAND_IN = re.compile("\x01(\\d+)\x01")
_VARIABLE = re.compile(
    r"\bvariable\s+([^\s{]+)\s*\{(.*?)\}\s*;?\s*(?:property[^;]*;\s*)*\}", re.DOTALL
)
_LEVELS = re.compile(r"type\s+discrete\s*\[\s*(\d+)\s*\]\s*\{(.*)", re.DOTALL)
_PROBABILITY = re.compile(r"\bprobability\s*\(([^)|]*)(?:\|([^)]*))?\)\s*\{(.*?)\}", re.DOTALL)
_ROW = re.compile(r"\(([^)]*)\)\s*([^;]*);|\b(table|default)\s+([^;]*);")


def read_bif(text: str, where: str) -> BayesianNetwork:
    """A network from the text of a BIF file.

    Raises
    ------
    ConfigError
        For a file that is none, a node without a table, or a table that lacks rows.
    """
    quoted: list[str] = []
    text = _QUOTED.sub(lambda found: _kept_apart(found, quoted), text)
    levels: dict[str, tuple[str, ...]] = {}
    for name, inside in _VARIABLE.findall(text):
        found = _LEVELS.search(inside)
        (bare,) = _names(name, quoted)
        if found is None:
            raise ConfigError(f"{where}: variable {bare}: expected type discrete [ n ] {{ ... }}.")
        levels[bare] = _names(found[2], quoted)
    if not levels:
        raise ConfigError(f"{where}: found no variable, expected a network in BIF.")
    parents: dict[str, tuple[str, ...]] = {}
    tables: dict[str, np.ndarray] = {}
    for child, given, inside in _PROBABILITY.findall(text):
        names, above = _names(child, quoted), _names(given, quoted)
        name = " ".join(names)
        unknown = [n for n in (name, *above) if n not in levels]
        if unknown:
            raise ConfigError(f"{where}: P({name}) names {unknown[0]!r}, which is no variable.")
        parents[name] = above
        each = [levels[n] for n in (*above, name)]
        tables[name] = _table(inside, each, quoted, f"{where}: P({name})")
    missing = [name for name in levels if name not in tables]
    if missing:
        raise ConfigError(f"{where}: found no table of {missing[0]!r}, expected one a variable.")
    return BayesianNetwork(levels, {n: parents[n] for n in levels}, {n: tables[n] for n in levels})


def as_bif(network: BayesianNetwork) -> str:
    """The network as a BIF file."""
    lines = ["network truelift {", "}"]
    for name, levels in network.levels.items():
        lines += [
            f"variable {_quoted(name)} {{",
            f"  type discrete [ {len(levels)} ] {{ {', '.join(map(_quoted, levels))} }};",
            "}",
        ]
    for name, above in network.parents.items():
        given = f" | {', '.join(map(_quoted, above))}" if above else ""
        lines.append(f"probability ( {_quoted(name)}{given} ) {{")
        table = network.tables[name]
        for place in np.ndindex(table.shape[:-1]):
            values = [_quoted(network.levels[p][i]) for p, i in zip(above, place, strict=True)]
            head = f"({', '.join(values)})" if above else "table"
            lines.append(f"  {head} {', '.join(repr(float(v)) for v in table[place])};")
        lines.append("}")
    return "\n".join(lines) + "\n"


def _table(text: str, levels: list[tuple[str, ...]], quoted: list[str], where: str) -> np.ndarray:
    shape = tuple(len(of) for of in levels)
    places = [{value: i for i, value in enumerate(of)} for of in levels[:-1]]
    table = np.full(shape, np.nan)
    for values, row, word, whole in _ROW.findall(text):
        numbers = _numbers(row or whole, where)
        if word == "table" and len(shape) > 1:
            _check_size(numbers, int(np.prod(shape)), where)
            # The first name of the head, the child, varies slowest.
            table = np.moveaxis(numbers.reshape(shape[-1], *shape[:-1]), 0, -1)
            continue
        _check_size(numbers, shape[-1], where)
        if word:
            table[np.isnan(table).any(axis=-1)] = numbers
            continue
        named = _names(values, quoted)
        try:
            table[tuple(of[v] for of, v in zip(places, named, strict=True))] = numbers
        except (KeyError, ValueError):
            raise ConfigError(
                f"{where}: found a row of ({', '.join(named)}), which are no levels of its parents."
            ) from None
    if np.isnan(table).any():
        raise ConfigError(f"{where}: found rows missing, expected {int(np.prod(shape[:-1]))}.")
    return table


def _check_size(numbers: np.ndarray, wanted: int, where: str) -> None:
    if len(numbers) != wanted:
        raise ConfigError(f"{where}: found {len(numbers)} numbers in a row, expected {wanted}.")


def _numbers(text: str, where: str) -> np.ndarray:
    try:
        return np.array([float(part) for part in text.replace(",", " ").split()])
    except ValueError as error:
        raise ConfigError(f"{where}: {error}, expected numbers.") from None


def _kept_apart(found: re.Match[str], quoted: list[str]) -> str:
    """A quoted name goes to a list, so that its signs are not taken for those of the file."""
    if found[1] is None:
        return ""
    quoted.append(re.sub(r"\\([\"\\])", r"\1", found[1]))
    return f"\x01{len(quoted) - 1}\x01"


def _names(text: str, quoted: list[str]) -> tuple[str, ...]:
    """Names that stand in a row, with blanks or commas between them."""
    parts = re.findall(r"[^\s,{}]+", text)
    held = (_STAND_IN.fullmatch(part) for part in parts)
    return tuple(
        part if own is None else quoted[int(own[1])] for part, own in zip(parts, held, strict=True)
    )


def _quoted(name: str) -> str:
    if re.fullmatch(r"[^\s,\"{}()\[\]|;/\\\x01]+", name):
        return name
    escaped = re.sub(r"([\"\\])", r"\\\1", name)
    return f'"{escaped}"'
