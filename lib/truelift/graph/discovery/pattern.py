"""A class of graphs that data cannot tell apart, as marks at the two ends of its edges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from truelift.graph.lines import quoted, unquoted

#: Marks at an end: no edge, a tail, an arrow, and "either, for all that is known".
NONE, TAIL, ARROW, CIRCLE = 0, 1, 2, 3
_LEFT = {TAIL: "-", ARROW: "<", CIRCLE: "o"}
_RIGHT = {TAIL: "-", ARROW: ">", CIRCLE: "o"}


@dataclass(frozen=True, eq=False)
class Pattern:
    """A CPDAG or a PAG.

    Parameters
    ----------
    names : tuple of str
    marks : ndarray of int8, p x p
        ``marks[i, j]`` stands at the end ``j`` of the edge between ``i`` and ``j``: so ``i -> j`` is
        ``marks[i, j] == ARROW`` and ``marks[j, i] == TAIL``.
    """

    names: tuple[str, ...]
    marks: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @property
    def adjacent(self) -> np.ndarray:
        """Which pairs have an edge."""
        return self.marks != NONE

    @property
    def directed(self) -> np.ndarray:
        """``directed[i, j]``: ``i -> j``, a tail at ``i`` and an arrow at ``j``."""
        return (self.marks == ARROW) & (self.marks.T == TAIL)

    def edges(self) -> Iterator[tuple[int, int]]:
        """Pairs with an edge; the cause of an arrow comes first."""
        for i, j in np.argwhere(np.triu(self.adjacent)):
            yield (int(j), int(i)) if self.directed[j, i] else (int(i), int(j))

    def line(self, i: int, j: int) -> str:
        """An edge in words: ``A -> B``, ``A -- B`` (either way), ``A <-> B``, ``A o-> B``."""
        left, right = int(self.marks[j, i]), int(self.marks[i, j])
        middle = "-" if TAIL not in {left, right} else ""
        sign = f"{_LEFT[left]}{middle}{_RIGHT[right]}"
        return f"{quoted(self.names[i])} {sign} {quoted(self.names[j])}"

    def lines(self) -> tuple[str, ...]:
        """All edges."""
        return tuple(self.line(i, j) for i, j in self.edges())


_LINE = re.compile(r'("(?:[^"]|"")*"|\S+) (\S+) ("(?:[^"]|"")*"|\S+)')


def sign_of(line: str) -> str:
    """The arrow of a line: ``->``, ``--``, ``<->``, ``o->``."""
    return _parts(line)[1]


def _parts(line: str) -> tuple[str, str, str]:
    found = _LINE.fullmatch(line)
    assert found is not None
    return unquoted(found[1]), found[2], unquoted(found[3])


def pattern_of_lines(names: Sequence[str], lines: Sequence[str]) -> Pattern:
    """The reverse of :meth:`Pattern.lines`."""
    place = {name: i for i, name in enumerate(names)}
    marks = np.zeros((len(names), len(names)), np.int8)
    ends = {"-": TAIL, "<": ARROW, ">": ARROW, "o": CIRCLE}
    for text in lines:
        left, arrow, right = _parts(text)
        i, j = place[left], place[right]
        marks[j, i], marks[i, j] = ends[arrow[0]], ends[arrow[-1]]
    return Pattern(tuple(names), marks)
