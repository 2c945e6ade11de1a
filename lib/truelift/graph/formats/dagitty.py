"""The text of dagitty (Textor et al. 2016): ``dag { U [latent] X -> Y X <-> Y }``."""

from __future__ import annotations

from truelift.graph.formats.braces import drawn_in, quoted
from truelift.graph.model import CausalGraph, Node, graph_of


def read_dagitty(text: str, where: str) -> CausalGraph:
    """A graph from dagitty's text; places on its canvas and its exposure and outcome are passed over.

    Raises
    ------
    ConfigError
        For a file that is none.
    """
    drawn = drawn_in(text, ("dag",), where)
    latents = ("latent", "l", "unobserved", "u")
    nodes = [
        Node(name, latent=any(key in said for key in latents)) for name, said in drawn.nodes.items()
    ]
    arrows = [(b, a) if sign == "<-" else (a, b) for a, sign, b, _ in drawn.arrows if sign != "<->"]
    confounded = [(a, b) for a, sign, b, _ in drawn.arrows if sign == "<->"]
    return graph_of(arrows, confounded, (), nodes)


def as_dagitty(graph: CausalGraph) -> str:
    """The graph in dagitty's text; tiers and columns are not in it."""
    nodes = [f"{quoted(node.name)}{' [latent]' * node.latent}" for node in graph.nodes]
    arrows = [f"{quoted(a)} -> {quoted(b)}" for a, b in graph.arrows]
    arrows += [f"{quoted(a)} <-> {quoted(b)}" for a, b in graph.confounded]
    return "\n".join(["dag {", *nodes, *arrows, "}"]) + "\n"
