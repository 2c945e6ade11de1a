"""Graphviz's DOT: ``digraph { a -> b; a -> c [dir=both]; u [latent=true]; }``."""

from __future__ import annotations

from truelift.graph.formats.braces import drawn_in, quoted
from truelift.graph.model import CausalGraph, Node, graph_of

_OURS = ("column", "tier", "level")


def read_dot(text: str, where: str) -> CausalGraph:
    """A graph from DOT; an arrow with two heads (``dir=both``) stands for an unrecorded cause.

    Raises
    ------
    ConfigError
        For a file that is none.
    """
    drawn = drawn_in(text, ("digraph",), where)
    nodes = []
    for name, said in drawn.nodes.items():
        latent = said.get("latent", said.get("observed") == "no" and "true") == "true"
        column, tier, level = (said.get(key, "") for key in _OURS)
        nodes.append(Node(name, column, latent, tier=tier, level=level))
    arrows, confounded = [], []
    for a, sign, b, said in drawn.arrows:
        if sign == "<->" or said.get("dir") == "both":
            confounded.append((a, b))
        else:
            turned = (sign == "<-") != (said.get("dir") == "back")
            arrows.append((b, a) if turned else (a, b))
    return graph_of(arrows, confounded, (), nodes)


def as_dot(graph: CausalGraph) -> str:
    """The graph in DOT; latent nodes are dashed."""
    lines = ["digraph {"]
    for node in graph.nodes:
        said = [f"{key}={quoted(getattr(node, key))}" for key in _OURS if getattr(node, key)]
        said = [s for s in said if s != f"column={quoted(node.name)}"]
        if node.latent:
            said += ["latent=true", "style=dashed"]
        attributes = f" [{', '.join(said)}]" if said else ""
        lines.append(f"  {quoted(node.name)}{attributes};")
    lines += [f"  {quoted(a)} -> {quoted(b)};" for a, b in graph.arrows]
    lines += [
        f"  {quoted(a)} -> {quoted(b)} [dir=both, style=dashed];" for a, b in graph.confounded
    ]
    return "\n".join([*lines, "}"]) + "\n"
