"""Where the nodes of a graph are drawn: in columns by tier, or by the longest path to them."""

from __future__ import annotations

from collections.abc import Sequence

from truelift.graph.model import CausalGraph, hidden

#: Passes up and down that bring neighbours side by side.
_SWEEPS = 6


def columns_of(graph: CausalGraph) -> list[list[str]]:
    """Nodes in columns, causes to the left; within one, each near to what it is joined with.

    A latent node stands one column before the first that it moves. Pairs of ``confounded`` have no
    place of their own. By the barycentres of Sugiyama, Tagawa & Toda (1981).
    """
    column = _numbers(graph)
    found: dict[int, list[str]] = {}
    for name in graph.by_name:
        found.setdefault(column[name], []).append(name)
    columns = [found[number] for number in sorted(found)]
    joined: dict[str, list[str]] = {name: [] for name in graph.by_name}
    for a, b in (*graph.arrows, *graph.confounded):
        joined[a].append(b)
        joined[b].append(a)
    for sweep in range(_SWEEPS):
        height = {n: i - len(c) / 2 for c in columns for i, n in enumerate(c)}
        order = columns if sweep % 2 else columns[::-1]
        for names in order:
            middle = {
                n: sum(height[m] for m in joined[n]) / len(joined[n]) if joined[n] else height[n]
                for n in names
            }
            names.sort(key=middle.__getitem__)
            height |= {n: i - len(names) / 2 for i, n in enumerate(names)}
    return columns


def places_of(columns: Sequence[Sequence[str]]) -> dict[str, tuple[float, float]]:
    """By node, its column from the left and its height, 0 in the middle; odd columns are set off a little.

    So an arrow over a column does not run through the node in its middle.
    """
    places = {}
    for number, names in enumerate(columns):
        off = 0.18 if number % 2 else -0.18
        for i, name in enumerate(names):
            places[name] = (float(number), (len(names) - 1) / 2 - i + off)
    return places


def _numbers(graph: CausalGraph) -> dict[str, int]:
    """The column of each node: behind all its causes, and not before its tier."""
    import networkx as nx

    tiers = {tier: number for number, tier in enumerate(graph.tiers)}
    dag = graph.dag
    ghosts = {hidden(a, b) for a, b in graph.confounded}
    depth: dict[str, int] = {}
    first: dict[int, int] = {}
    for name in nx.topological_sort(dag):
        if name in ghosts:
            continue
        above = [
            depth[p] + 1 for p in dag.pred[name] if p not in ghosts and not _is_latent(graph, p)
        ]
        depth[name] = max(above, default=0)
    used = sorted({tiers[n.tier] for n in graph.nodes if n.tier})
    if used:
        start = 0
        for tier in used:
            inside = [n.name for n in graph.nodes if n.tier and tiers[n.tier] == tier]
            within = {n: _depth_within(graph, n, set(inside)) for n in inside}
            first[tier] = start
            depth |= {n: start + d for n, d in within.items()}
            start += max(within.values()) + 1
        for name in nx.topological_sort(dag):
            if name not in ghosts and not graph.by_name[name].tier:
                above = [depth[p] for p in dag.pred[name] if p not in ghosts]
                depth[name] = max((a + 1 for a in above), default=0)
    for name in graph.latent:
        if not graph.by_name[name].tier:
            moved = [depth[child] for child in dag.succ[name]]
            depth[name] = max(min(moved, default=1) - 1, 0)
    return depth


def _is_latent(graph: CausalGraph, name: str) -> bool:
    return name in graph.by_name and graph.by_name[name].latent


def _depth_within(graph: CausalGraph, name: str, inside: set[str]) -> int:
    above = [p for p in graph.dag.pred[name] if p in inside]
    return max((_depth_within(graph, p, inside) + 1 for p in above), default=0)
