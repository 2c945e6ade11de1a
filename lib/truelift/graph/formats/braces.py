"""What DOT and dagitty have in common: names, arrows, ``[attributes]`` and groups in braces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from truelift.errors import ConfigError

_TOKEN = re.compile(
    r"""\s+|//[^\n]*|/\*.*?\*/|\#[^\n]*
    |(?P<text>"(?:\\.|[^"\\])*")|(?P<arrow><->|->|<-|--|@-@)|(?P<sign>[][{};,=])
    |(?P<word>[^\s"\][{};,=<>-]+(?:-(?![->])[^\s"\][{};,=<>-]+)*)""",
    re.VERBOSE | re.DOTALL,
)
_ARROWS = ("<->", "->", "<-")


@dataclass
class Drawn:
    """What a file draws: attributes by node, and arrows with theirs."""

    nodes: dict[str, dict[str, str]] = field(default_factory=dict)
    arrows: list[tuple[str, str, str, dict[str, str]]] = field(default_factory=list)


def drawn_in(text: str, kinds: tuple[str, ...], where: str) -> Drawn:
    """Read ``kind name { statements }``.

    Raises
    ------
    ConfigError
        For what is no such file, or has parts that no causal graph has.
    """
    tokens = list(_tokens(text, where))
    words = [token for token in tokens[: tokens.index("{") if "{" in tokens else 0]]
    if not any(word in kinds for word in words) or tokens[-1] != "}":
        raise ConfigError(f"{where}: expected {kinds[0]} {{ ... }}, found {text.strip()[:30]!r}.")
    return _Reader(tokens[len(words) + 1 : -1], where).read()


def quoted(name: str) -> str:
    """A name as both formats take it."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _tokens(text: str, where: str) -> Iterator[str]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise ConfigError(f"{where}: cannot read {text[place : place + 20]!r}.")
        place = found.end()
        if found["text"] is not None:
            yield "\0" + re.sub(r"\\(.)", r"\1", found["text"][1:-1])
        elif found.lastgroup is not None:
            yield found[0]


class _Reader:
    def __init__(self, tokens: list[str], where: str):
        self.tokens, self.where, self.place = tokens, where, 0

    def read(self) -> Drawn:
        drawn = Drawn()
        while self.place < len(self.tokens):
            if self._next() in (";", ","):
                self.place += 1
                continue
            groups, signs = [self._group()], []
            while self._next() in (*_ARROWS, "--", "@-@"):
                signs.append(self._take())
                groups.append(self._group())
            if self._next() == "=":  # an attribute of the whole graph
                self.place += 2
                continue
            attributes = self._attributes()
            if signs and set(signs) <= set(_ARROWS):
                self._join(drawn, groups, signs, attributes)
            elif signs:
                raise ConfigError(
                    f"{self.where}: found {signs[0]!r}, expected arrows with a head: a graph of causes "
                    "says which way each goes."
                )
            elif groups[0] not in (["graph"], ["node"], ["edge"], ["bb"]):
                for name in groups[0]:
                    drawn.nodes.setdefault(name, {}).update(attributes)
        return drawn

    def _join(
        self, drawn: Drawn, groups: list[list[str]], signs: list[str], attributes: dict[str, str]
    ) -> None:
        for left, sign, right in zip(groups, signs, groups[1:], strict=False):
            for name in (*left, *right):
                drawn.nodes.setdefault(name, {})
            drawn.arrows += [(a, sign, b, attributes) for a in left for b in right]

    def _next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def _take(self) -> str:
        token = self._next()
        self.place += 1
        return token

    def _group(self) -> list[str]:
        if self._next() != "{":
            return [self._name()]
        self.place += 1
        names = []
        while self._next() not in ("}", ""):
            if self._next() in (",", ";"):
                self.place += 1
            else:
                names.append(self._name())
        self.place += 1
        return names

    def _name(self) -> str:
        token = self._take()
        if token.startswith("\0"):
            return token[1:]
        if not token or token in "][{};,=" or token in (*_ARROWS, "--", "subgraph"):
            raise ConfigError(f"{self.where}: found {token or 'the end'!r}, expected a name.")
        return token

    def _attributes(self) -> dict[str, str]:
        found: dict[str, str] = {}
        if self._next() != "[":
            return found
        self.place += 1
        while self._next() not in ("]", ""):
            if self._next() in (",", ";"):
                self.place += 1
                continue
            key = self._name()
            found[key] = "true"
            if self._next() == "=":
                self.place += 1
                found[key] = self._name()
        self.place += 1
        return found
