"""Looks beyond the estimates: rows of a registry, each a few passes over the panel, if any.

A look's passes are a generator: it yields a kernel, is sent the sums over all buckets, and returns what
it found. So a look that is made of several lets them share a pass by advancing each of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pyarrow as pa

from truelift.effects.estimate import Estimation
from truelift.effects.panel.columns import PanelColumns
from truelift.effects.panel.parts import is_number
from truelift.effects.panel.source import PanelSource, State, SumKernel
from truelift.effects.results import EffectsResult
from truelift.errors import TableError
from truelift.progress import Tell
from truelift.registries import LOOKS
from truelift.settings import EffectOptions

Found = TypeVar("Found")


@dataclass(frozen=True)
class Pass:
    """One reading of the panel: a kernel, and the columns that it reads beside the scores' own."""

    kernel: SumKernel
    columns: tuple[str, ...] = ()


#: Yields what is to be read, is sent its sums, returns what was found.
Passes = Generator[Pass, State, Found]


@dataclass(frozen=True, eq=False)
class Sight:
    """What a look sees.

    Parameters
    ----------
    source : PanelSource
        The rows that were looked at.
    estimation : Estimation
    options : EffectOptions
        Those for the outcomes that could be estimated.
    result : EffectsResult
        With what the looks before it found.
    progress : callable
    """

    source: PanelSource
    estimation: Estimation
    options: EffectOptions
    result: EffectsResult
    progress: Tell


@dataclass(frozen=True)
class NamedColumn:
    """A column that an option of a look names, and whether it has to be a number."""

    column: str
    number: bool = False


def _no_columns(options: EffectOptions) -> Mapping[str, NamedColumn]:  # noqa: ARG001
    return {}


def _no_metrics(result: EffectsResult) -> Mapping[str, float]:  # noqa: ARG001
    return {}


def _no_passes(sight: Sight) -> Passes[None]:  # noqa: ARG001
    yield from ()


@dataclass(frozen=True)
class Look:
    """Something that is looked for beside the estimates.

    Parameters
    ----------
    name : str
        What ``effects.looks``, metrics of seconds and ``not_made`` call it.
    result : callable
        ``(sight, found) -> EffectsResult``: the result with what was found in it.
    asks : callable, optional
        ``(options, columns) -> bool``: whether options of its own ask for it; ``effects.looks`` does so
        by its name.
    passes : callable
        ``(sight) -> Passes``: what it reads; nothing by default.
    weights : str
        Where it cannot weigh units: what of it counts each once, such as ``'the checks'``.
    columns : callable
        ``(options) -> mapping``: by the option's key, columns of the table that it names. They are
        checked before anything is read, of looks of other packages if ``effects.looks`` has them.
    metrics : callable
        ``(result) -> mapping``: a few numbers for the page of the run.
    """

    name: str
    result: Callable[[Sight, Any], EffectsResult]
    asks: Callable[[EffectOptions, PanelColumns], bool] | None = None
    passes: Callable[[Sight], Passes[Any]] = _no_passes
    weights: str = ""
    columns: Callable[[EffectOptions], Mapping[str, NamedColumn]] = _no_columns
    metrics: Callable[[EffectsResult], Mapping[str, float]] = _no_metrics

    def asked(self, options: EffectOptions, columns: PanelColumns) -> bool:
        """Whether the options ask for it."""
        if self.name in options.looks:
            return True
        return self.asks is not None and self.asks(options, columns)


@dataclass(frozen=True, eq=False)
class Further:
    """A result with what further looks found, and the seconds that each took."""

    result: EffectsResult
    seconds: dict[str, float] = field(default_factory=dict)


def look_further(
    source: PanelSource,
    estimation: Estimation,
    options: EffectOptions,
    progress: Tell = lambda text: None,
) -> Further:
    """Every look that the options ask for, in the registry's order.

    Parameters
    ----------
    source : PanelSource
        The panel of the estimation.
    estimation : Estimation
    options : EffectOptions
        ``non_inferiority_margin``, ``propensity``, ``pre_outcomes``, ``heterogeneity``,
        ``credibility`` and their keys.
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    Further
        What was asked for and could not be made is named in ``result.not_made``.
    """
    source, options = estimation.rows_of(source), estimation.options_for(options)
    columns = estimation.scoring.columns
    result = estimation.result
    seconds: dict[str, float] = {}
    for look in looks_of(options, columns):
        started = time.perf_counter()
        if look.weights and columns.weight is not None:
            result = not_made(
                result,
                {look.name: f"{look.weights} count every unit once, and effects.weight is set."},
            )
        else:
            sight = Sight(source, estimation, options, result, progress)
            result = look.result(sight, made(look.passes(sight), source, columns))
        if look.passes is not _no_passes:
            seconds[look.name] = time.perf_counter() - started
    if columns.second_cluster is not None and seconds:
        told = f"{', '.join(seconds)}: their errors are clustered by {columns.cluster!r} alone."
        result = not_made(result, {"clusters in two ways": told})
    return Further(result, seconds)


def looks_of(options: EffectOptions, columns: PanelColumns) -> Iterator[Look]:
    """The looks that are asked for."""
    return (look for look in LOOKS if look.asked(options, columns))


def made(passes: Passes[Found], source: PanelSource, columns: PanelColumns) -> Found:
    """What a look finds, each of its passes read from the source."""
    state = None
    try:
        while True:
            wanted = next(passes) if state is None else passes.send(state)
            names = tuple(dict.fromkeys([*columns.of_scores(), *wanted.columns]))
            state = source.sum(wanted.kernel, names, columns.batch_rows())
    except StopIteration as end:
        return end.value


def not_made(result: EffectsResult, why: Mapping[str, str]) -> EffectsResult:
    """The result with what could not be made."""
    return replace(result, not_made={**result.not_made, **why})


def columns_of_looks(options: EffectOptions) -> list[str]:
    """Columns that options of looks name."""
    asked = (look for look in LOOKS if look.asks is not None or look.name in options.looks)
    return [named.column for look in asked for named in look.columns(options).values()]


def check_columns(schema: pa.Schema, options: EffectOptions, table: str) -> None:
    """Refuse options of a look that name a column which is not there; nothing is read for it.

    Raises
    ------
    TableError
        For a missing column, or one that is no number where that is expected.
    """
    for look in LOOKS:
        if look.asks is None and look.name not in options.looks:
            continue
        for key, named in look.columns(options).items():
            if named.column not in schema.names:
                raise TableError(
                    f"{table} has no column {named.column!r} (effects.{key}); its columns are "
                    f"{', '.join(schema.names)}."
                )
            kind = schema.field(named.column).type
            if named.number and not is_number(kind):
                raise TableError(
                    f"{table}, column {named.column!r}: found type {kind}, expected a number "
                    f"(effects.{key})."
                )
