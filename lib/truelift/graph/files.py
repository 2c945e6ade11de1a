"""Graphs in files: YAML of our own (``*.graph.yaml``), lines of arrows, DOT, dagitty and BIF."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from truelift.config import load_spec
from truelift.errors import ConfigError, MachineError
from truelift.graph.formats import bif, dagitty, dot
from truelift.graph.lines import arrows_of, parted, quoted, unquoted
from truelift.graph.model import TIERS, CausalGraph, Node, graph_of
from truelift.graph.network.model import BayesianNetwork


@dataclass(frozen=True)
class NodeSpec:
    """What a graph's file says of a node; the keys are those of :class:`~.model.Node`."""

    column: str = ""
    latent: bool = False
    measurable: bool = True
    tier: str = ""
    level: str = ""
    cuts: tuple[float, ...] = ()


@dataclass(frozen=True)
class GraphSpec:
    """The keys of a graph's file; docs/graphs.md explains them."""

    nodes: dict[str, NodeSpec | None] = field(default_factory=dict)
    latents: tuple[str, ...] = ()
    arrows: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    tiers: tuple[str, ...] = TIERS

    def graph(self) -> CausalGraph:
        """The graph that it describes."""
        nodes = []
        for name, given in self.nodes.items():
            said = dict(vars(given or NodeSpec()))
            said["latent"] |= name in self.latents
            nodes.append(Node(name, **said))
        arrows, confounded = arrows_of(self.arrows, "arrows")
        known = {key: tuple(_plain_arrows(getattr(self, key), key)) for key in _KNOWN}
        return graph_of(arrows, confounded, self.latents, nodes, **known, tiers=self.tiers)


_KNOWN = ("required", "forbidden")
_ARROW = re.compile("->|<-")


def read_graph(given: str) -> CausalGraph:
    """A graph from a file, a name of ``conf/graphs``, or from lines of arrows.

    Parameters
    ----------
    given : str
        A path that ends with ``.yaml``, ``.bif``, ``.dot``, ``.gv``, ``.dagitty`` or ``.txt`` (lines of
        arrows); or the lines themselves: ``"age -> campaign -> sales; age -> sales"``.

    Raises
    ------
    ConfigError
        For a file that is not there or that cannot be read, and a graph that cannot be.
    """
    if _ARROW.search(given):
        return _of_lines(given, "--graph")
    reader = _READERS.get(Path(given).suffix.lower())
    if reader is None:
        return load_spec(GraphSpec, "graphs", "graph", given, "--graph").graph()
    return reader(_text(given), given)


def read_network(path: str) -> BayesianNetwork:
    """A network from a BIF file.

    Raises
    ------
    ConfigError
        For a file that is not there or is none.
    """
    return bif.read_bif(_text(path, "--network"), path)


def write_network(network: BayesianNetwork, path: str | Path) -> None:
    """Write a network as BIF, in as many digits as its numbers have.

    Raises
    ------
    MachineError
        If it cannot be written there.
    """
    _write(path, bif.as_bif(network), "network")


def write_graph(graph: CausalGraph, path: str | Path) -> None:
    """Write a graph in the format that the name's ending asks for.

    Raises
    ------
    ConfigError
        For an ending that is not known.
    MachineError
        If it cannot be written there.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise ConfigError(
            f"{path}: found the ending {suffix!r}, expected one of {', '.join(_WRITERS)}."
        )
    _write(path, _WRITERS[suffix](graph), "graph")


def as_yaml(graph: CausalGraph) -> str:
    """The file of :func:`read_graph` for a graph."""
    import yaml

    found: dict[str, Any] = {}
    if graph.tiers != TIERS:
        found["tiers"] = list(graph.tiers)
    found["nodes"] = {node.name: _said(node) for node in graph.nodes}
    found["arrows"] = _shown(graph.arrows) + [
        f"{a} <-> {b}" for a, b in map(_both, graph.confounded)
    ]
    for key in _KNOWN:
        if getattr(graph, key):
            found[key] = _shown(getattr(graph, key))
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True, default_flow_style=None)


def as_lines(graph: CausalGraph) -> str:
    """Lines of arrows; tiers, columns and knowledge are not in them."""
    lines = [*(f"latent {quoted(name)}" for name in graph.latent), *_shown(graph.arrows)]
    lines += [f"{a} <-> {b}" for a, b in map(_both, graph.confounded)]
    joined = {name for pair in (*graph.arrows, *graph.confounded) for name in pair}
    alone = [f"node {quoted(name)}" for name in graph.measured if name not in joined]
    return "\n".join([*lines, *alone]) + "\n"


def _said(node: Node) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if node.column not in ("", node.name):
        said["column"] = node.column
    if node.latent:
        said["latent"] = True
    if not node.measurable:
        said["measurable"] = False
    for key in ("tier", "level"):
        if getattr(node, key):
            said[key] = getattr(node, key)
    if node.cuts:
        said["cuts"] = list(node.cuts)
    return said


def _shown(arrows: tuple[tuple[str, str], ...]) -> list[str]:
    return [f"{a} -> {b}" for a, b in map(_both, arrows)]


def _both(pair: tuple[str, str]) -> tuple[str, str]:
    return quoted(pair[0]), quoted(pair[1])


def _plain_arrows(lines: tuple[str, ...], key: str) -> list[tuple[str, str]]:
    arrows, confounded = arrows_of(lines, key)
    if confounded:
        raise ConfigError(f"{key}: found '<->', expected arrows of one head, such as 'a -> b'.")
    return arrows


def _of_lines(text: str, where: str) -> CausalGraph:
    """Lines, parted by line breaks or semicolons; ``latent U`` and ``node a`` declare names."""
    declared: dict[str, list[str]] = {"latent": [], "node": []}
    drawn = []
    for line in filter(None, parted(text)):
        word, _, rest = line.partition(" ")
        if word in declared and rest and not _ARROW.search(re.sub(r'"[^"]*"', "", rest)):
            declared[word] += _listed(rest)
        else:
            drawn.append(line)
    nodes = [Node(name) for name in declared["node"]]
    return graph_of(*arrows_of(drawn, where), declared["latent"], nodes)


def _listed(text: str) -> list[str]:
    """Names with commas between them."""
    parts = re.findall(r'"(?:[^"]|"")*"|[^",]+', text)
    return [unquoted(name) for part in parts if (name := part.strip())]


def _write(path: str | Path, text: str, what: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise MachineError(f"The {what} cannot be written to {path}: {error.strerror}.") from error


def _text(path: str, option: str = "--graph") -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"{option}: {path} cannot be read: {said}.") from error


_READERS: Mapping[str, Callable[[str, str], CausalGraph]] = {
    ".txt": _of_lines,
    ".bif": lambda text, path: bif.read_bif(text, path).graph(),
    ".dot": dot.read_dot,
    ".gv": dot.read_dot,
    ".dagitty": dagitty.read_dagitty,
}
_WRITERS: Mapping[str, Callable[[CausalGraph], str]] = {
    ".yaml": as_yaml,
    ".txt": as_lines,
    ".dot": dot.as_dot,
    ".gv": dot.as_dot,
    ".dagitty": dagitty.as_dagitty,
}
