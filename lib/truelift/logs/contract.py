"""The contract on ``silver.events``: Great Expectations over its schema and a few metrics.

Expectations on millions of Spark rows are slow, so one aggregate pass computes the metrics
(counts, nulls, ranges) and the suite judges that single row and the schema. Its pages, the
Data Docs, are written beside the report.
"""

from __future__ import annotations

import datetime
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truelift.errors import MachineError
from truelift.lake import bucket_column
from truelift.lake.tables import table_spec
from truelift.logs.rules import LABELS, RuleContext, time_limits

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

REQUIRED = (
    "event_id",
    "user_key",
    "event_time",
    "event_type",
    "item_id",
    "source_file",
    "source_row",
    "bucket",
)


@dataclass(frozen=True)
class Expectation:
    """A metric (or column) with the bounds or the values it must have."""

    column: str
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[float | str, ...] = ()


@dataclass(frozen=True)
class ContractResult:
    """What the suite said.

    Attributes
    ----------
    expectations : int
        How many were checked.
    failures : tuple of str
        One sentence for each that does not hold.
    data_docs : str
        Path of the first page.
    labels : dict of str to int
        Rows per label, from the same pass.
    """

    expectations: int
    failures: tuple[str, ...]
    data_docs: str
    labels: dict[str, int] = field(default_factory=dict)


def check_contract(
    silver: DataFrame, context: RuleContext, buckets: int, folder: str
) -> ContractResult:
    """Check the frame that is about to become ``silver.events``.

    Parameters
    ----------
    silver : DataFrame
    context : RuleContext
        The limits that the rules applied; the contract checks them on its own.
    buckets : int
        Number of buckets of the lake.
    folder : str
        Where the report goes; the Data Docs are written to ``data_docs`` in it.

    Raises
    ------
    MachineError
        If the folder cannot be written to.
    """
    metrics = measure(silver, buckets)
    schema = {f.name: f.dataType.simpleString() for f in silver.schema}
    docs = _empty_folder(Path(folder) / "data_docs")
    wanted = {f.name: f.dataType.simpleString() for f in table_spec("silver.events").schema()}
    failures, count = validate(metrics, expected_metrics(context, buckets), schema, wanted, docs)
    labels = {name: int(metrics[f"labelled_{name}"]) for name in LABELS}
    return ContractResult(
        expectations=count,
        failures=failures,
        data_docs=str(docs / "index.html"),
        labels={name: rows for name, rows in labels.items() if rows},
    )


def measure(silver: DataFrame, buckets: int) -> dict[str, float]:
    """The metrics of the contract, in one pass; times as seconds since 1970."""
    from pyspark.sql import functions as F

    def rows_where(condition: Any) -> Any:
        return F.coalesce(F.sum(condition.cast("long")), F.lit(0))

    finite = F.lit(1.7976931348623157e308)
    seconds = F.unix_micros("event_time") / 1_000_000
    measures = {
        "rows": F.count(F.lit(1)),
        **{f"null_{c}": rows_where(F.col(c).isNull()) for c in REQUIRED},
        "earliest_event": F.min(seconds),
        "latest_event": F.max(seconds),
        **{f"not_finite_{c}": rows_where(~(F.abs(c) <= finite)) for c in ("quantity", "value")},
        "least_quantity": F.min("quantity"),
        "greatest_quantity": F.max("quantity"),
        "least_value": F.min("value"),
        "greatest_value": F.max("value"),
        "misplaced_users": rows_where(F.col("bucket") != bucket_column("user_key", buckets)),
        **{f"labelled_{n}": rows_where(F.array_contains("labels", n)) for n in LABELS},
    }
    row = silver.agg(*(measure.alias(name) for name, measure in measures.items())).collect()[0]
    return row.asDict()


def expected_metrics(context: RuleContext, buckets: int) -> tuple[Expectation, ...]:
    """What the metrics must be, given the settings."""
    options = context.options
    earliest, latest = time_limits(context)
    expectations = [
        Expectation("rows", minimum=1),
        *(Expectation(f"null_{column}", values=(0,)) for column in REQUIRED),
        Expectation("not_finite_quantity", values=(0,)),
        Expectation("not_finite_value", values=(0,)),
        Expectation("misplaced_users", values=(0,)),
        Expectation("latest_event", maximum=_seconds(latest)),
    ]
    if earliest is not None:
        expectations.append(Expectation("earliest_event", minimum=_seconds(earliest)))
    if not options.allow_negative_quantity:
        expectations.append(Expectation("least_quantity", minimum=0))
    if options.max_quantity is not None:
        expectations.append(Expectation("greatest_quantity", maximum=options.max_quantity))
    if options.max_value is not None:
        expectations.append(Expectation("greatest_value", maximum=options.max_value))
    return tuple(expectations)


def validate(
    metrics: Mapping[str, float | None],
    expected: tuple[Expectation, ...],
    schema: Mapping[str, str],
    wanted: Mapping[str, str],
    docs: Path,
) -> tuple[tuple[str, ...], int]:
    """Run both suites and write the Data Docs.

    Returns
    -------
    tuple of (tuple of str, int)
        A sentence for each failure, and the number of expectations.
    """
    import pandas as pd

    gx, context = _context(docs)
    ordered = gx.expectations.ExpectTableColumnsToMatchOrderedList(column_list=list(wanted))
    suites: dict[str, tuple[Any, list[Any]]] = {
        "metrics": (
            pd.DataFrame([dict(metrics)]),
            [_as_gx(gx, e) for e in expected],
        ),
        "schema": (
            pd.DataFrame([dict(schema)]),
            [ordered, *(_as_gx(gx, Expectation(c, values=(t,))) for c, t in wanted.items())],
        ),
    }
    failures: list[str] = []
    source = context.data_sources.add_pandas("silver_events")
    for name, (frame, expectations) in suites.items():
        asset = source.add_dataframe_asset(name)
        suite = gx.ExpectationSuite(f"silver_events_{name}", expectations=expectations)
        definition = gx.ValidationDefinition(
            name=f"silver_events_{name}",
            data=asset.add_batch_definition_whole_dataframe(name),
            suite=context.suites.add(suite),
        )
        checked = context.validation_definitions.add(definition).run(
            batch_parameters={"dataframe": frame}
        )
        failures += [_sentence(r, frame) for r in checked.results if not r.success]
    context.build_data_docs()
    return tuple(failures), sum(len(expectations) for _, expectations in suites.values())


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


def _sentence(result: Any, frame: Any) -> str:
    asked = dict(result.expectation_config.kwargs)
    column = asked.get("column")
    if column is None or column not in frame.columns:
        return f"columns are {list(frame.columns)}, expected {asked.get('column_list', column)}"
    found = frame[column].iloc[0]
    if "value_set" in asked:
        return f"{column} is {found}, expected {' or '.join(map(str, asked['value_set']))}"
    bounds: dict[str, Callable[[Any], str]] = {
        "min_value": "at least {}".format,
        "max_value": "at most {}".format,
    }
    limits = [say(asked[k]) for k, say in bounds.items() if asked.get(k) is not None]
    return f"{column} is {found}, expected {' and '.join(limits)}"


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
