"""Definitions taken at their word, for graphs of a few nodes: every set, every path, every latent model."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations, pairwise, product

import networkx as nx
import numpy as np

from truelift.graph.formula import Counts, Formula, evaluated
from truelift.graph.model import CausalGraph, Node, graph_of


def random_graph(
    rng: np.random.Generator,
    nodes: int,
    density: float = 0.4,
    confounding: float = 0.2,
    forward: bool = False,
) -> CausalGraph:
    """Measured nodes in a random order, arrows and hidden common causes by chance; ``x`` and ``y`` among them."""
    names = ["x", "y", *(f"z{i}" for i in range(nodes - 2))]
    order = _ordered(rng, names, forward)
    pairs = list(combinations(order, 2))
    arrows = [pair for pair in pairs if rng.random() < density]
    confounded = [pair for pair in pairs if rng.random() < confounding]
    return graph_of(arrows, confounded, (), [Node(name) for name in names])


def with_latents(
    rng: np.random.Generator, nodes: int, latent: int, density: float = 0.4, forward: bool = False
) -> CausalGraph:
    """A random graph some nodes of which are latent, wherever they stand."""
    names = ["x", "y", *(f"z{i}" for i in range(nodes - 2))]
    order = _ordered(rng, names, forward)
    arrows = [pair for pair in combinations(order, 2) if rng.random() < density]
    unseen = [str(n) for n in rng.choice(names[2:], latent, replace=False)]
    seen = [Node(name) for name in names if name not in unseen]
    return graph_of(arrows, (), unseen, seen)


def _ordered(rng: np.random.Generator, names: list[str], forward: bool) -> list[str]:
    """By chance; ``forward`` puts x before y, so that there may be an effect."""
    order = [str(name) for name in rng.permutation(names)]
    x, y = order.index("x"), order.index("y")
    if forward and x > y:
        order[x], order[y] = order[y], order[x]
    return order


def subsets(names) -> Iterator[tuple[str, ...]]:
    """All of them, the small ones first."""
    ordered = sorted(names)
    return chain.from_iterable(combinations(ordered, size) for size in range(len(ordered) + 1))


def paths(dag: nx.DiGraph, a: str, b: str) -> list[list[str]]:
    """All simple paths, whichever way the arrows go."""
    return [list(p) for p in nx.all_simple_paths(dag.to_undirected(), a, b)]


def is_blocked(dag: nx.DiGraph, path: list[str], given: set[str]) -> bool:
    """Whether a node on a path closes it: Pearl's definition."""
    for before, name, after in zip(path, path[1:], path[2:], strict=False):
        collider = dag.has_edge(before, name) and dag.has_edge(after, name)
        if collider and not ({name} | nx.descendants(dag, name)) & given:
            return True
        if not collider and name in given:
            return True
    return False


def is_separated(dag: nx.DiGraph, a: str, b: str, given: set[str]) -> bool:
    """Whether every path is blocked."""
    return all(is_blocked(dag, path, given) for path in paths(dag, a, b))


def is_directed(dag: nx.DiGraph, path: list[str]) -> bool:
    return all(dag.has_edge(a, b) for a, b in pairwise(path))


def is_adjustment(graph: CausalGraph, given: set[str]) -> bool:
    """The general criterion, path by path."""
    dag = graph.dag
    every = paths(dag, "x", "y")
    causal = {n for path in every if is_directed(dag, path) for n in path[1:]}
    below = causal.union(*(nx.descendants(dag, n) for n in causal))
    others = [path for path in every if not is_directed(dag, path)]
    return not given & (below | {"x", "y"}) and all(is_blocked(dag, path, given) for path in others)


def is_front_door(graph: CausalGraph, doors: set[str]) -> bool:
    """Pearl's three conditions, path by path."""
    dag = graph.dag
    directed = [p for p in paths(dag, "x", "y") if is_directed(dag, p)]
    if not directed or any(not doors & set(path[1:-1]) for path in directed):
        return False
    for door in doors:
        for path in paths(dag, "x", door):
            if dag.has_edge(path[1], "x") and not is_blocked(dag, path, set()):
                return False
        for path in paths(dag, door, "y"):
            proper = not doors & set(path[1:])  # what passes through another door is that one's
            into = dag.has_edge(path[1], door)
            if proper and into and not is_blocked(dag, path, {"x"}):
                return False
    return True


def has_hedge(parents: dict[str, frozenset[str]], siblings: dict[str, frozenset[str]]) -> bool:
    """Whether a pair of sets is a hedge for the effect of ``x`` on ``y``, every pair tried.

    P(y | do(x)) is not identified if and only if there are sets F and F' of F without x, F with x, both held
    together by hidden causes, with the same roots, all of which are ancestors of y when x is cut off
    (Shpitser & Pearl 2006). Arrows that are too many may be left out of a forest, so that what is asked is
    that every node of a set reaches its roots inside of it.
    """

    def above(names, within):
        found = set(names)
        while True:
            more = {p for n in found for p in parents[n]} & within - found
            if not more:
                return found
            found |= more

    def together(names):
        names = set(names)
        found = {min(names)}
        while True:
            more = {s for n in found for s in siblings[n]} & names - found
            if not more:
                return found == names
            found |= more

    everything = set(parents)
    near = above({"y"}, everything - {"x"})
    forests = [set(s) for s in subsets(everything) if s and together(s)]
    for roots in subsets(near):
        if not roots:
            continue
        whole = [f for f in forests if set(roots) <= f and above(roots, f) == f]
        if any("x" in f for f in whole) and any("x" not in f for f in whole):
            with_x = [f for f in whole if "x" in f]
            if any(g < f for f in with_x for g in whole if "x" not in g):
                return True
    return False


def random_tables(graph: CausalGraph, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A binary model of all nodes, latent ones too: the chance of a 1 by the parents' values."""
    dag = graph.dag
    return {n: rng.uniform(0.1, 0.9, [2] * len(list(dag.predecessors(n)))) for n in dag}


def cells_of(graph: CausalGraph, tables, do=None) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Codes of all nodes and the chance of each cell; ``do`` fixes nodes."""
    dag, fixed = graph.dag, do or {}
    names = list(dag)
    cells = np.array(list(product((0, 1), repeat=len(names))), int)
    codes = {n: cells[:, i] for i, n in enumerate(names)}
    chance = np.ones(len(cells))
    for n in names:
        if n in fixed:
            chance *= codes[n] == fixed[n]
            continue
        one = tables[n][tuple(codes[p] for p in dag.predecessors(n))]
        chance *= np.where(codes[n] == 1, one, 1 - one)
    return codes, chance


def effects_of_formula(graph: CausalGraph, tables, formula: Formula) -> np.ndarray:
    """P(y = 1 | do(x = v)) for v of 0 and 1, from the measured cells alone; free nodes beside averaged."""
    codes, chance = cells_of(graph, tables)
    measured = {name: codes[name] for name in graph.measured}
    found = evaluated(formula, Counts(measured, dict.fromkeys(measured, 2), chance))
    # A formula may depend on more than the treatment only in appearance (r of the napkin).
    names = ("y", *(n for n in found.names if n not in ("x", "y")), "x")
    values = np.broadcast_to(found.along(names), [2] * len(names))[1]
    for number in range(values.ndim - 1):
        assert np.allclose(np.take(values, 0, number), np.take(values, 1, number), atol=1e-11)
    return values.reshape(-1, 2)[0]


def effects_of_model(graph: CausalGraph, tables) -> np.ndarray:
    """P(y = 1 | do(x = v)) for v of 0 and 1, by the model itself."""
    found = []
    for value in (0, 1):
        codes, chance = cells_of(graph, tables, {"x": value})
        found.append(chance[codes["y"] == 1].sum())
    return np.array(found)
