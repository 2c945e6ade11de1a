"""Which columns a specification names, and whether they can play the parts that it gives them."""

from __future__ import annotations

import pyarrow as pa

from truelift.effects.panel.column_messages import missing_columns, no_number
from truelift.errors import ConfigError, DataError, TableError
from truelift.lake.conditions import condition_of
from truelift.settings import EffectOptions


def covariates_of(schema: pa.Schema, options: EffectOptions) -> tuple[str, ...]:
    """Numeric covariates: those listed, or all that begin with ``x_`` where the key is not there."""
    categories = options.features.categorical
    if options.design == "synthetic":
        return ()
    if options.covariates is not None:
        return tuple(n for n in options.covariates if n not in categories)
    taken = {
        *categories,
        *options.outcomes,
        options.treatment,
        *options.mediators,
        *options.front_door,
    }
    return tuple(n for n in schema.names if n.startswith("x_") and n not in taken)


def unit_of(schema: pa.Schema, options: EffectOptions) -> str:
    """The column that names the rows: the option's, unless it is not there or plays another part."""
    parts = (
        *covariates_of(schema, options), *options.features.categorical, *options.outcomes, options.weight,
        options.treatment, *options.experiment.pre_outcomes.values(),
    )  # fmt: skip
    named = options.unit in schema.names and options.unit not in parts
    return options.unit if named else options.cluster


def columns_asked_for(schema: pa.Schema, options: EffectOptions) -> tuple[str, ...]:
    """Every column that an estimation by these options may read, whether it is there or not."""
    optional = (options.second_cluster, options.weight, options.credibility.leave_out)
    condition = condition_of(options.filter, "effects.filter") if options.filter else None
    return distinct_names(
        options.treatment, *options.outcomes, *covariates_of(schema, options),
        *options.features.categorical, options.cluster, unit_of(schema, options),
        *(name for name in optional if name), *options.groups, *_known_propensity(options),
        *(c for c in options.policies.values() if c in schema.names),
        *options.experiment.pre_outcomes.values(), *options.credibility.benchmark_covariates,
        *options.instrument, *options.mediators, *options.front_door, *_of_differences(options),
        *(condition.columns if condition else ()),
    )  # fmt: skip


def check_parts(schema: pa.Schema, options: EffectOptions, table: str) -> None:
    """Refuse columns that are not there, are no numbers where these are needed, or play two parts.

    Raises
    ------
    ConfigError, TableError, DataError
        As for :func:`panel_columns`.
    """
    if options.filter:
        condition_of(options.filter, "effects.filter").check(schema, "effects.filter", table)
    covariates = covariates_of(schema, options)
    weight = [options.weight] if options.weight else []
    known = _known_propensity(options)
    _check_parts(options, covariates, table)
    _refuse_needs((*covariates, *options.features.categorical), schema, table)
    needed = {
        options.treatment: "effects.treatment",
        **dict.fromkeys(options.outcomes, "effects.outcomes"),
        **dict.fromkeys(covariates, "effects.covariates"),
        **dict.fromkeys(options.features.categorical, "effects.features.categorical"),
        options.cluster: "effects.cluster",
        **dict.fromkeys(weight, "effects.weight"),
        **dict.fromkeys(options.groups, "effects.groups"),
        **({options.shrink: "effects.shrink"} if options.shrink else {}),
        **dict.fromkeys(known, "effects.nuisances.propensity"),
        **dict.fromkeys(options.instrument, "effects.instrument"),
        **dict.fromkeys(options.mediators, "effects.mediators"),
        **dict.fromkeys(options.front_door, "effects.front_door"),
        **_of_differences(options),
    }
    if options.second_cluster:
        needed[options.second_cluster] = "effects.second_cluster"
    if missing := {n: key for n, key in needed.items() if n not in schema.names}:
        raise TableError(missing_columns(missing, schema.names, table))
    if (
        options.covariates is None
        and not covariates
        and not options.features.categorical
        and not options.nuisances.propensity
        and not options.design_name
    ):
        raise TableError(
            f"{table} has no covariates: no column begins with 'x_' and effects.covariates does "
            f"not list any. Its columns are {', '.join(schema.names)}. Say `covariates: []` if "
            "there is nothing to adjust for."
        )
    moves = bool(options.instrument or options.design)
    moved = (options.treatment, *options.instrument) if moves else ()
    moved += (str(options.differences.time),) if options.design else ()
    for name in (*covariates, *options.outcomes, *weight, *known, *moved):
        if not is_number(schema.field(name).type):
            raise TableError(no_number(name, needed[name], schema.field(name).type, table))
    _check_kind(schema, options.treatment, table, "texts that name the arms")
    for name in (*options.mediators, *options.front_door):
        _check_kind(schema, name, table, "texts (a moment as a number of days since another)")


def _of_differences(options: EffectOptions) -> dict[str, str]:
    """Columns of differences over time, with the key that names each."""
    if not options.design:
        return {}
    return {str(options.differences.time): "effects.differences.time", options.unit: "effects.unit"}


def _check_kind(schema: pa.Schema, name: str, table: str, texts: str) -> None:
    kind = schema.field(name).type
    told = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not (told or pa.types.is_dictionary(kind) or is_number(kind)):
        raise TableError(
            f"{table}, column {name!r}: found type {kind}, expected numbers or {texts}."
        )


def _known_propensity(options: EffectOptions) -> tuple[str, ...]:
    """Columns among the known propensities; a text that is no number has to be one."""
    return tuple(v for v in options.nuisances.propensity.values() if as_number(v) is None)


#: What a table of needs infers (docs/needs.md), by the columns that no other table has together.
_INFERRED = ("need", "filtered", "filtered_lower", "filtered_upper", "smoothed", "likely")


def _refuse_needs(adjusted: tuple[str, ...], schema: pa.Schema, table: str) -> None:
    """See that no effect is adjusted for a need, which behaviour after the treatment and outcomes have made."""
    found = [name for name in adjusted if name in _INFERRED]
    if found and {"need", "filtered", "smoothed"} <= set(schema.names):
        raise ConfigError(
            f"effects.covariates: found {', '.join(found)} of {table}, a table of needs; expected what was recorded. A need is "
            "inferred from behaviour and outcomes, so an effect that is adjusted for it is not identified by that. Needs "
            "before the treatment may be groups (docs/needs.md)."
        )


def _check_parts(options: EffectOptions, covariates: tuple[str, ...], table: str) -> None:
    parts: dict[str, str] = {}
    named = [("treatment", options.treatment), ("cluster", options.cluster)]
    named += [("weight", options.weight)] if options.weight else []
    named += [("outcome", n) for n in options.outcomes]
    named += [("covariate", n) for n in (*covariates, *options.features.categorical)]
    named += [("instrument", n) for n in options.instrument]
    named += [("mediator", n) for n in (*options.mediators, *options.front_door)]
    for part, name in named:
        if parts.get(name) == part:
            raise DataError(
                f"{table}: column {name!r} is listed twice as {part}; each column may play one part."
            )
        if name in parts:
            raise DataError(
                f"{table}: column {name!r} is both {parts[name]} and {part}; each column may "
                "play one part. An outcome or the treatment among the covariates would explain "
                "itself: take it out of effects.covariates."
            )
        parts[name] = part


def as_number(text: str) -> float | None:
    """The number that a text is, or None."""
    try:
        return float(text)
    except ValueError:
        return None


def is_number(found: pa.DataType) -> bool:
    """Whether a column holds numbers or truth values."""
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(kind(found) for kind in kinds)


def distinct_names(*names: str) -> tuple[str, ...]:
    """Names in their order, each once."""
    return tuple(dict.fromkeys(names))
