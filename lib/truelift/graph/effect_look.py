"""What the table of an effect says against the graph that the effect rests on (``effects.graph``).

Violations that an outcome's effect leans on are cautions beside it; how many claims hold is told with the checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from truelift.effects.look import Look, NamedColumn, Sight, not_made
from truelift.effects.panel.columns import PanelColumns
from truelift.effects.panel.source import MemoryPanel, PanelSource
from truelift.effects.results import Caution, EffectsResult, Finding
from truelift.effects.support.cautions import with_cautions
from truelift.errors import ConfigError
from truelift.settings import EffectOptions

if TYPE_CHECKING:
    from truelift.graph.falsify import Falsification
    from truelift.graph.model import CausalGraph
    from truelift.graph.results import Identification
    from truelift.lake.foreign import ForeignTable


def _asked(options: EffectOptions, columns: PanelColumns) -> bool:  # noqa: ARG001
    return bool(options.graph)


def _columns(options: EffectOptions) -> Mapping[str, NamedColumn]:
    if not options.graph:
        return {}
    graph = _graph_of(options)
    return {
        f"graph, node {name}": NamedColumn(graph.by_name[name].column) for name in graph.measured
    }


def _graph_of(options: EffectOptions) -> CausalGraph:
    from truelift.extras import naming_extras

    with naming_extras():
        from truelift.graph.files import read_graph

        graph = read_graph(str(options.graph))
    for column in (options.treatment, *options.outcomes):
        _node_of(graph, column)
    return graph


def _node_of(graph: CausalGraph, column: str) -> str:
    found = [name for name in graph.measured if graph.by_name[name].column == column]
    if not found:
        raise ConfigError(
            f"effects.graph: no node stands for the column {column!r}, expected the treatment and all outcomes in "
            "the graph. Draw it, or say under nodes what its column is."
        )
    return found[0]


def _result(sight: Sight, found: None) -> EffectsResult:  # noqa: ARG001
    from truelift.extras import naming_extras

    with naming_extras():
        from truelift.graph.coded_columns import coded_columns
        from truelift.graph.falsify import falsified

        graph, options = _graph_of(sight.options), sight.options
        if (
            options.weight
        ):  # what by the graph does not identify the effect does so whatever units weigh
            effects = {outcome: _identified(graph, sight, outcome) for outcome in options.outcomes}
            cautions = [
                caution
                for outcome, effect in effects.items()
                for caution in _unidentified(effect, options.treatment, outcome)
            ]
            why = "its tests count every unit once, and effects.weight is set."
            return with_cautions(not_made(sight.result, {"claims of the graph": why}), cautions)
        sight.progress("the graph's claims")
        columns = {name: graph.by_name[name].column for name in graph.measured}
        coded = coded_columns(_table_of(sight.source), columns, options.cluster)
        result, sentences = sight.result, list[str]()
        for outcome in options.outcomes:
            effect = _identified(graph, sight, outcome)
            told = falsified(graph, coded, effect)
            sentences += [] if sentences else [_claims_sentence(told)]
            result = with_cautions(result, _cautions(effect, told, options.treatment, outcome))
    finding = Finding(
        "graph", tuple(sentences), {"claims": float(len(told.claims)), "violated": float(len(told.violated))}
    )  # fmt: skip
    return _with(result, finding)


def _with(result: EffectsResult, finding: Finding) -> EffectsResult:
    from dataclasses import replace

    return replace(result, findings=(*result.findings, finding))


def _identified(graph: CausalGraph, sight: Sight, outcome: str) -> Identification:
    from truelift.graph.identify import identified

    columns = sight.estimation.scoring.columns
    by_column = {graph.by_name[name].column: name for name in graph.measured}
    adjusted = [*columns.covariates, *columns.categories]
    known = tuple(by_column[column] for column in adjusted if column in by_column)
    ends = _node_of(graph, sight.options.treatment), _node_of(graph, outcome)
    return identified(graph, *ends, known if len(known) == len(adjusted) else None)


def _claims_sentence(told: Falsification) -> str:
    if not told.violated:
        return f"The data contradict none of the {len(told.claims)} independences that the graph claims."
    worst = told.violated[0]
    return (
        f"The data contradict {len(told.violated)} of the {len(told.claims)} independences that the graph claims, most "
        f"of all that of {worst.claim} (association {worst.strength:.2f})."
    )


def _cautions(
    effect: Identification, told: Falsification, treatment: str, outcome: str
) -> list[Caution]:
    if unidentified := _unidentified(effect, treatment, outcome):
        return unidentified
    return [
        Caution(
            f"The effect of {treatment} on {outcome} leans on a claim of the graph that the data contradict: "
            f"{one.claim} should tell nothing of each other, and do (association {one.strength:.2f}). Draw what "
            "joins them, and see whether the effect is still identified.",
            outcomes=(outcome,),
        )
        for one in told.violated
        if one.leaning
    ]


def _unidentified(effect: Identification, treatment: str, outcome: str) -> list[Caution]:
    if effect.given is None or effect.given.valid:
        return []
    text = (
        f"By the graph, what is adjusted for does not identify the effect of {treatment} on {outcome}: "
        f"{effect.given.reason}. Take the set that truelift identify names."
    )
    return [Caution(text, outcomes=(outcome,))]


def _table_of(source: PanelSource) -> ForeignTable:
    """The rows of the panel, as tests of claims read them."""
    import pyarrow as pa

    from truelift.lake.foreign import ForeignTable

    if isinstance(source, MemoryPanel):
        held = pa.concat_tables(source.buckets[b] for b in sorted(source.buckets))
        return ForeignTable(source.name, str(source.version), held.schema, held=held)
    plan = source.plan  # type: ignore[attr-defined]
    return ForeignTable(source.name, str(source.version), source.schema, plan)


#: The row of the registry.
GRAPH = Look("graph", _result, _asked, columns=_columns)
