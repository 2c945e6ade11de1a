"""The contract on ``silver.events``: Great Expectations over its schema and a few metrics.

Expectations on millions of Spark rows are slow, so one aggregate pass computes the metrics
(counts, nulls, ranges) and the suites judge that single row, the schema, and the batch beside
those before it. Their pages, the Data Docs, are written beside the report. An expectation
that is broken stops the job before anything is published; those named in ``clean.warn``, and
drift, are reported only.
"""

from __future__ import annotations

import datetime
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truelift.errors import MachineError
from truelift.lake.tables import table_spec
from truelift.logs.accounts import REQUIRED, Account
from truelift.logs.quality import batch_metrics, drift_ranges
from truelift.logs.rules import RuleContext, time_limits

if TYPE_CHECKING:
    from truelift.settings import Settings


@dataclass(frozen=True)
class Expectation:
    """A metric (or column) with the bounds or the values it must have."""

    column: str
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[float | str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A broken expectation: the metric or column, and what was found and expected."""

    column: str
    sentence: str


@dataclass(frozen=True)
class ContractResult:
    """What the suites said.

    Attributes
    ----------
    expectations : int
        How many were checked.
    failures, warnings : tuple of str
        One sentence for each that does not hold, by its severity.
    data_docs : str
        Path of the first page.
    """

    expectations: int
    failures: tuple[str, ...]
    warnings: tuple[str, ...]
    data_docs: str


def check_contract(
    counted: Account,
    settings: Settings,
    latest: datetime.datetime,
    trailing: Mapping[str, Sequence[float]],
) -> ContractResult:
    """Check the rows that are about to be published in ``silver.events``.

    Parameters
    ----------
    counted : Account
    settings : Settings
        The limits that the rules applied; the contract checks them on its own. The report's
        folder receives the Data Docs, in ``data_docs``.
    latest : datetime
        No event may be later, where ``clean.times.max_time`` does not say so.
    trailing : mapping of str to sequence of float
        The batch metrics of the last batches; drift is not checked where it is empty.

    Raises
    ------
    MachineError
        If the folder cannot be written to.
    """
    spec = table_spec("silver.events").schema()
    wanted = {f.name: f.dataType.simpleString() for f in spec}
    docs = _empty_folder(Path(settings.report.path) / "data_docs")
    drift = tuple(
        Expectation(name, minimum=low, maximum=high)
        for name, (low, high) in drift_ranges(trailing).items()
    )
    batch = {name: 0.0 for name in trailing} | batch_metrics(counted)
    suites = {
        "metrics": (dict(counted.metrics), expected_metrics(settings, latest)),
        "schema": (wanted, tuple(Expectation(c, values=(t,)) for c, t in wanted.items())),
        "drift": (batch, drift),
    }
    failures, count = validate(suites, docs)
    soft = {*settings.clean.warn, *(e.column for e in drift)}
    return ContractResult(
        expectations=count,
        failures=tuple(f.sentence for f in failures if f.column not in soft),
        warnings=tuple(f.sentence for f in failures if f.column in soft),
        data_docs=str(docs / "index.html"),
    )


def expected_metrics(settings: Settings, latest: datetime.datetime) -> tuple[Expectation, ...]:
    """What the metrics must be, given the settings."""
    options = settings.clean
    earliest, limit = time_limits(RuleContext(options))
    expectations = [
        *(Expectation(f"null_{column}", values=(0,)) for column in REQUIRED),
        Expectation("not_finite_quantity", values=(0,)),
        Expectation("not_finite_value", values=(0,)),
        Expectation("misplaced_users", values=(0,)),
        Expectation("misplaced_times", values=(0,)),
        Expectation("latest_event", maximum=_seconds(limit or latest)),
        Expectation("earliest_event", minimum=0 if earliest is None else _seconds(earliest)),
    ]
    least = options.amounts.min_quantity
    if not options.amounts.allow_negative_quantity:
        least = max(0.0, least or 0.0)
    bounds = {
        "least_quantity": (least, None),
        "greatest_quantity": (None, options.amounts.max_quantity),
        "least_value": (options.amounts.min_value, None),
        "greatest_value": (None, options.amounts.max_value),
    }
    return tuple(expectations) + tuple(
        Expectation(name, minimum=low, maximum=high)
        for name, (low, high) in bounds.items()
        if low is not None or high is not None
    )


def validate(
    suites: Mapping[str, tuple[Mapping[str, Any], Sequence[Expectation]]], docs: Path
) -> tuple[list[Failure], int]:
    """Run the suites, each over one row of values, and write the Data Docs.

    Returns
    -------
    tuple of (list of Failure, int)
        What does not hold, and the number of expectations.
    """
    import pandas as pd

    gx, context = _context(docs)
    failures: list[Failure] = []
    source = context.data_sources.add_pandas("silver_events")
    for name, (values, expected) in suites.items():
        if not expected:
            continue
        frame = pd.DataFrame([dict(values)])
        asset = source.add_dataframe_asset(name)
        suite = gx.ExpectationSuite(
            f"silver_events_{name}", expectations=[_as_gx(gx, e) for e in expected]
        )
        definition = gx.ValidationDefinition(
            name=f"silver_events_{name}",
            data=asset.add_batch_definition_whole_dataframe(name),
            suite=context.suites.add(suite),
        )
        checked = context.validation_definitions.add(definition).run(
            batch_parameters={"dataframe": frame}
        )
        failures += [_failure(r, frame) for r in checked.results if not r.success]
    context.build_data_docs()
    return failures, sum(len(expected) for _, expected in suites.values())


def _context(docs: Path) -> tuple[Any, Any]:
    """Great Expectations without telemetry, stores or progress bars, writing pages to ``docs``."""
    # Read at import: without it the library reports its use to its makers.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    quiet: Any = {"globally": False, "metric_calculations": False}
    context.variables.progress_bars = quiet
    for site in list(context.get_site_names()):
        context.delete_data_docs_site(site)
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    pages: Any = {"class_name": "SiteBuilder", "site_index_builder": index, "store_backend": store}
    context.add_data_docs_site("truelift", pages)
    return gx, context


def _as_gx(gx: Any, expectation: Expectation) -> Any:
    if expectation.values:
        return gx.expectations.ExpectColumnValuesToBeInSet(
            column=expectation.column, value_set=list(expectation.values)
        )
    return gx.expectations.ExpectColumnValuesToBeBetween(
        column=expectation.column,
        min_value=expectation.minimum,
        max_value=expectation.maximum,
    )


def _failure(result: Any, frame: Any) -> Failure:
    asked = dict(result.expectation_config.kwargs)
    column = asked["column"]
    if column not in frame.columns:
        return Failure(column, f"{column} is not there")
    found = frame[column].iloc[0]
    if "value_set" in asked:
        expected = " or ".join(map(str, asked["value_set"]))
        return Failure(column, f"{column} is {found}, expected {expected}")
    bounds: dict[str, Callable[[Any], str]] = {
        "min_value": "at least {}".format,
        "max_value": "at most {}".format,
    }
    limits = [say(asked[k]) for k, say in bounds.items() if asked.get(k) is not None]
    return Failure(column, f"{column} is {found}, expected {' and '.join(limits)}")


def _empty_folder(folder: Path) -> Path:
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(
            f"report.path: the Data Docs cannot be written to {folder} ({error.strerror}). "
            "Give another folder with --set report.path=..."
        ) from error
    return folder.resolve()


def _seconds(moment: datetime.datetime) -> float:
    return moment.timestamp()
