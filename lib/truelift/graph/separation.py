"""Which nodes tell of each other, given others: d-separation by walks that are open (Pearl 1988)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx as nx

#: How a walk comes to a node: along an arrow, or against one.
_DOWN, _UP = 0, 1


def ancestors(dag: nx.DiGraph, names: Iterable[str]) -> set[str]:
    """Some nodes and all that may cause them."""
    return _reached(dag.pred, names)


def descendants(dag: nx.DiGraph, names: Iterable[str]) -> set[str]:
    """Some nodes and all that they may change."""
    return _reached(dag.succ, names)


def open_path(
    dag: nx.DiGraph, start: str, targets: Iterable[str], given: Iterable[str] = ()
) -> list[str] | None:
    """The shortest open walk from a node to one of some, as names and arrows; None where all are closed.

    Parameters
    ----------
    dag : networkx.DiGraph
    start : str
    targets : iterable of str
    given : iterable of str
        What is held fixed: it opens colliders at and above it, and closes all else on a walk.

    Returns
    -------
    list of str, or None
        ``["x", "<-", "u", "->", "y"]``. None says that the nodes are d-separated.
    """
    fixed, goals = set(given), set(targets) - set(given)
    opened = ancestors(dag, fixed)
    came: dict[tuple[str, int], tuple[str, int] | None] = {(start, _UP): None}
    todo = deque(came)
    while todo:
        state = todo.popleft()
        name, way = state
        if name in goals and name != start:
            return _walk(came, state)
        onward: list[tuple[str, int]] = []
        if name not in fixed:
            onward += [(child, _DOWN) for child in dag.succ[name]]
            if way == _UP:
                onward += [(parent, _UP) for parent in dag.pred[name]]
        if way == _DOWN and name in opened:
            onward += [(parent, _UP) for parent in dag.pred[name]]
        for step in onward:
            if step not in came:
                came[step] = state
                todo.append(step)
    return None


def separated(dag: nx.DiGraph, a: str, b: str, given: Iterable[str] = ()) -> bool:
    """Whether two nodes tell nothing of each other, given some."""
    return open_path(dag, a, [b], given) is None


def separator(
    dag: nx.DiGraph, a: str, b: str, among: Iterable[str], having: Iterable[str] = ()
) -> set[str] | None:
    """A separating set from which nothing can be left out but ``having``; None where there is none.

    Parameters
    ----------
    dag : networkx.DiGraph
    a, b : str
    among : iterable of str
        Nodes that it may have.
    having : iterable of str
        Nodes that it must have.
    """
    import networkx as nx

    included = set(having)
    allowed = (set(among) | included) - {a, b}
    found: set[str] | None = nx.find_minimal_d_separator(
        dag, a, b, included=included, restricted=allowed
    )
    return found


def _reached(neighbours: nx.DiGraph, names: Iterable[str]) -> set[str]:
    seen = set(names)
    todo = list(seen)
    while todo:
        for name in neighbours[todo.pop()]:
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen


def _walk(came: dict[tuple[str, int], tuple[str, int] | None], end: tuple[str, int]) -> list[str]:
    parts: list[str] = [end[0]]
    state = end
    while (before := came[state]) is not None:
        parts += ["->" if state[1] == _DOWN else "<-", before[0]]
        state = before
    return parts[::-1]
