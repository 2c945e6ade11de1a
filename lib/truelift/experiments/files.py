"""Assignments and looks that are kept in files, without a lake."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from truelift.errors import ConfigError, MachineError
from truelift.experiments.analysis.results import Analysis, Look
from truelift.experiments.analysis.run import analyze
from truelift.experiments.analysis.sources import rows_here
from truelift.experiments.assignment import (
    SCHEMA,
    Assignment,
    assign,
    assignment_columns,
    check_layer,
)
from truelift.experiments.planning import require_columns
from truelift.experiments.spec import ExperimentSpec
from truelift.lake.foreign import ForeignTable
from truelift.typed import from_plain, to_plain


def assigned(
    table: ForeignTable, spec: ExperimentSpec, out: str, beside: Sequence[str] = ()
) -> Assignment:
    """Assign the units of a table, and write a Parquet file of who is where and why.

    Parameters
    ----------
    table : ForeignTable
    spec : ExperimentSpec
    out : str
        A file; who takes part in one that is there stays.
    beside : sequence of str
        Files of other experiments: those of the same layer may share no unit.

    Raises
    ------
    UserError
        For a missing column, a unit without a name or in two strata, one that takes part in another
        experiment of the layer, too, or a file that is no assignment; nothing is written.
    """
    columns = assignment_columns(spec)
    require_columns(table, columns, spec)
    place = Path(out)
    known = _known(place) if place.exists() else None
    made = assign(table.here(columns), spec, known)
    others = {other: _known(Path(other)) for other in beside}
    layer = spec.assignment.layer
    check_layer(
        spec, made,
        {n: t for n, t in others.items() if layer and t.num_rows and t["layer"][0].as_py() == layer},
    )  # fmt: skip
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f"{place.name}.{os.getpid()}.part")
        pq.write_table(made.table, part)
        part.replace(place)
    except OSError as error:
        raise MachineError(f"--out {out} cannot be written ({error.strerror}).") from error
    return made


def _known(place: Path) -> pa.Table:
    try:
        found = pq.read_table(place)
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"{place}: found no Parquet file, expected an assignment.") from error
    if not set(SCHEMA.names) <= set(found.column_names):
        raise ConfigError(
            f"{place}: found the columns {', '.join(found.column_names)}, expected an assignment "
            f"({', '.join(SCHEMA.names)}). Name another file."
        )
    return found


def looked_at(table: ForeignTable, spec: ExperimentSpec, folder: str | None) -> Analysis:
    """Analyse an experiment with its earlier looks, and keep this one beside them.

    Parameters
    ----------
    table : ForeignTable
    spec : ExperimentSpec
    folder : str, optional
        Where looks are kept, in ``<name>.json``.

    Raises
    ------
    UserError
        For a column or an arm that is missing, units in two arms, or looks that cannot be read.
    """
    source = rows_here(table, spec)
    place = Path(folder) / f"{spec.name}.json" if folder else None
    analysis = analyze(source, spec, _earlier(place))
    if place is not None:
        text = json.dumps([to_plain(look) for look in analysis.looks], indent=1)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise MachineError(f"--looks {place} cannot be written ({error.strerror}).") from error
    return analysis


def _earlier(place: Path | None) -> tuple[Look, ...]:
    if place is None or not place.exists():
        return ()
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"--looks {place} cannot be read as JSON ({error}).") from error
    return tuple(from_plain(Look, look, f"{place.name}") for look in found)
