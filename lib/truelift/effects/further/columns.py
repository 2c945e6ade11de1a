"""Columns that looks beyond the estimates name, checked before anything is read."""

from __future__ import annotations

import pyarrow as pa

from truelift.effects.columns import is_number
from truelift.errors import TableError
from truelift.settings import EffectOptions


def check_columns(schema: pa.Schema, options: EffectOptions, table: str) -> None:
    """Refuse options that name a column which is not there.

    Raises
    ------
    TableError
        For a missing column, or an earlier outcome that is no number.
    """
    named = {f"pre_outcomes.{k}": v for k, v in options.pre_outcomes.items()}
    if options.leave_out is not None:
        named["leave_out"] = options.leave_out
    named |= {f"benchmark_covariates: {name}": name for name in options.benchmark_covariates}
    for key, column in named.items():
        if column not in schema.names:
            raise TableError(
                f"{table} has no column {column!r} (effects.{key}); its columns are "
                f"{', '.join(schema.names)}."
            )
        if key.startswith("pre_outcomes") and not is_number(schema.field(column).type):
            raise TableError(
                f"{table}, column {column!r}: found type {schema.field(column).type}, expected a "
                f"number (effects.{key})."
            )
