"""The page of what was discovered: picture, edges with their frequencies, the curve over the floor."""

from __future__ import annotations

import datetime
from functools import partial
from pathlib import Path

from truelift.graph.discovery.pattern import sign_of
from truelift.graph.discovery.results import DiscoveryResult
from truelift.report.job import write_page
from truelift.report.markup import Html, bullets, definitions, element, section, table
from truelift.report.numbers import count, share
from truelift.report.page import document
from truelift.report.plots.discovery import floor_curve, learned_graph
from truelift.report.svg import figure_block

_NONE = "\N{EN DASH}"


def discovery_page(result: DiscoveryResult) -> str:
    """The page as one HTML document that needs nothing from outside."""
    at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    decided = sum(sign_of(line) == "->" for line in result.lines)
    body = element(
        "body",
        element("a", "Skip to the graph", href="#graph", class_="skip"),
        element(
            "header",
            element("p", f"Table: {result.table} version {result.version}", class_="eyebrow"),
            element("h1", "What can the data say of cause and effect?"),
            element(
                "p",
                f"{len(result.lines)} edges between {len(result.names)} columns; the data decide the direction "
                f"of {decided}. This is a class of graphs ({result.kind}), not one graph.",
                class_="finding",
            ),
            definitions(_figures(result), class_="figures"),
        ),
        element("main", _graph(result), _edges(result), _floor(result)),
        element("footer", element("p", f"Made {at} by truelift.")),
    )
    return document(f"truelift discovery: {result.table}", body)


def _figures(result: DiscoveryResult) -> list[tuple[str, Html | str]]:
    found: list[tuple[str, Html | str]] = [
        ("Rows learned on", count(result.rows)),
        ("Buckets learned on", f"{len(result.learned_on)} of {result.buckets}"),
        ("Graphs of halves", count(result.graphs)),
    ]
    if result.cluster:
        found.append(
            (
                f"Rows of one {result.cluster} that tell as much as one",
                f"{result.design_effect:.1f}",
            )
        )
    return found


def _graph(result: DiscoveryResult) -> Html:
    words = "; ".join(result.lines) or "no edge"
    return section(
        "graph",
        "The graph",
        figure_block(
            partial(learned_graph, result), "learned-graph",
            "Arrows: the data decide the direction. Dashed lines: they leave it open. The darker, the more often "
            "graphs of half of the clusters have the edge.",
            f"The graph as lines: {words}.",
        ),
        bullets([f"Method: {result.method}.", *result.notes, _left(result)]),
    )  # fmt: skip


def _left(result: DiscoveryResult) -> str:
    if not result.left:
        return "All buckets were learned on: an effect estimated on the same rows leans on what they happened to show."
    return (
        f"Buckets {', '.join(map(str, result.left))} of {result.buckets} were not looked at. Estimate effects on "
        "those, so that the graph does not choose its own proof."
    )


def _edges(result: DiscoveryResult) -> Html:
    rows = [
        (
            e.line or f"{e.first} ? {e.second} (not in the graph)",
            _part(e.chance),
            _part(e.frequency),
            _part(e.forward),
            _part(e.backward),
            _NONE if e.effect is None else f"{e.effect:.3f}",
        )
        for e in result.edges
        if e.line or (e.frequency or 0) >= 0.1
    ]
    header = (
        "Edge",
        "In new samples",
        "In halves",
        "First to second",
        "Second to first",
        "Strength",
    )
    return section(
        "edges",
        "How often each edge comes",
        element(
            "p",
            "The chance that a new sample of half the size shows the edge, beside the shares of graphs that were learned on half of "
            "these clusters each: for one edge those are too sure of themselves. Strength is the partial correlation (Cramer's V on tables) given what the "
            "graph holds fixed.",
        ),
        table("Edges and their frequencies", header, rows, frozenset({1, 2, 3, 4, 5})),
    )


def _part(value: float | None) -> str:
    return _NONE if value is None else share(value)


def _floor(result: DiscoveryResult) -> Html:
    dropped = [f"{p.floor:g}: without {', '.join(p.dropped)}" for p in result.curve if p.dropped]
    return section(
        "floor",
        "How small a dependence counts",
        element(
            "p",
            "With enough rows every dependence is significant. The floor says from which size on one counts as an "
            f"edge; it was {result.floor:g}.",
        ),
        figure_block(
            partial(floor_curve, result), "floor-curve", "Edges that are left at each floor.",
            "; ".join(f"{p.edges} edges at {p.floor:g}" for p in result.curve),
        ),
        bullets(dropped),
    )  # fmt: skip


def write_discovery_page(result: DiscoveryResult, folder: Path) -> Path:
    """Write the page into a folder.

    Raises
    ------
    MachineError
        If it cannot be written there.
    """
    return write_page(folder, discovery_page(result))
