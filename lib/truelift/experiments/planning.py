"""A design, and where there is a table of past outcomes, the design drawn from it."""

from __future__ import annotations

from dataclasses import replace

from truelift.errors import TableError
from truelift.experiments.analysis.layout import is_numeric
from truelift.experiments.design import design_experiment
from truelift.experiments.design_results import Design
from truelift.experiments.history import (
    history_columns,
    read_history,
    resampled,
    with_answers,
    with_history,
)
from truelift.experiments.spec import ExperimentSpec
from truelift.lake.foreign import ForeignTable


def planned(
    spec: ExperimentSpec, past: ForeignTable | None = None, repetitions: int = 500
) -> Design:
    """The design of an experiment.

    Parameters
    ----------
    spec : ExperimentSpec
    past : ForeignTable, optional
        Past outcomes, read into this process: what the baseline does not state is taken from them,
        and experiments are drawn from them.
    repetitions : int
        Experiments drawn.

    Raises
    ------
    UserError
        For a design that finds nothing, or a column that is not there.
    """
    if past is None:
        return design_experiment(spec)
    columns = history_columns(spec)
    require_columns(past, columns, spec)
    for name in columns:
        kind = past.schema.field(name).type
        if name not in (*spec.units_of, spec.cluster) and not is_numeric(kind):
            raise TableError(f"{past.name}, column {name!r}: found type {kind}, expected a number.")
    if spec.metric(spec.decides).kind == "answer":
        return design_experiment(with_answers(spec, past.here(columns), past.name))
    history = read_history(past.here(columns), spec)
    spec = with_history(spec, history)
    design = design_experiment(spec)
    return replace(design, history=resampled(spec, design, history, past.name, repetitions))


def require_columns(table: ForeignTable, columns: tuple[str, ...], spec: ExperimentSpec) -> None:
    """Refuse a table that lacks a column.

    Raises
    ------
    TableError
        Naming it and what there is.
    """
    missing = [name for name in columns if name not in table.schema.names]
    if missing:
        raise TableError(
            f"{table.name} has no column {', '.join(map(repr, missing))}, which the experiment "
            f"{spec.name} names; its columns are {', '.join(table.schema.names)}."
        )
