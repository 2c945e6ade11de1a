"""The command ``analyze_experiment`` on a lake: looks at experiments, and what was decided when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from truelift.errors import ConfigError
from truelift.experiments.analysis.results import Analysis, Conclusion, Experiments, Look
from truelift.experiments.analysis.run import analyze
from truelift.experiments.analysis.sources import rows_in_lake
from truelift.experiments.spec import ExperimentSpec
from truelift.lake.address import TableAddress
from truelift.lake.foreign import open_foreign
from truelift.lake.tables import table_spec
from truelift.tool_records import keep_record

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.lake import Lake

TABLE = "gold.experiments"
_OF_LOOK = ("units", "at", "estimate", "statistic", "lower", "upper", "arm", "decision", "reason")


def analyze_experiments(
    job: Job, specs: Sequence[ExperimentSpec], address: TableAddress
) -> Experiments:
    """Analyse experiments on one table; a row a look goes into ``gold.experiments``.

    A look at no more units than an earlier one takes its place, so that a job that runs again spends
    nothing of the level.

    Parameters
    ----------
    job : Job
    specs : sequence of ExperimentSpec
    address : TableAddress
        Of what was observed.

    Raises
    ------
    UserError
        For a column or an arm that is missing, or units in two arms; nothing is written for that
        experiment.
    """
    names = [spec.name for spec in specs]
    if len(set(names)) < len(names):
        raise ConfigError(f"--spec: found the experiments {', '.join(names)}, expected each once.")
    table, found = open_foreign(address), []
    for spec in specs:
        job.progress.update(f"{spec.name}: bringing the table into buckets")
        source = rows_in_lake(job.lake, address, table, spec)
        known = _looks(job.lake, spec.name)

        def tell(text: str, name: str = spec.name) -> None:
            job.progress.update(f"{name}: {text}")

        analysis = replace(analyze(source, spec, tuple(map(_look, known)), tell), table=address.uri)
        _write(job, analysis, known)
        found.append(analysis)
        job.log_metrics(metrics_of(analysis))
    result = Experiments(tuple(found), conclusions(job.lake))
    job.run.log_tags(
        {f"truelift.decision.{a.name}": f"{a.decision}: {a.reasons[0]}" for a in found}
    )
    job.run.describe("\n\n".join("\n\n".join(a.sentences()) for a in found))
    job.save_result(result)
    keep_record(job, "", sum(a.units for a in found), len(found))
    return result


def metrics_of(analysis: Analysis) -> dict[str, float]:
    """Metrics of the run: the effect that decides, and whether the arms have their shares."""
    own = analysis.looks[-1]
    return {
        f"{analysis.name}.units": float(analysis.units),
        f"{analysis.name}.estimate": own.estimate,
        f"{analysis.name}.ci_lower": own.lower,
        f"{analysis.name}.ci_upper": own.upper,
        f"{analysis.name}.sample_ratio_p_value": analysis.sample_ratio_p_value,
    }


def conclusions(lake: Lake) -> tuple[Conclusion, ...]:
    """Where every experiment of a lake stands, the newest first."""
    if lake.version(TABLE) is None:
        return ()
    names = ("experiment", "look", "at", "decision", "reason")
    rows = sorted(lake.read(TABLE).select(*names).collect(), key=lambda row: row["look"])
    newest = {row["experiment"]: Conclusion(*(row[name] for name in names)) for row in rows}
    return tuple(sorted(newest.values(), key=lambda c: c.at, reverse=True))


def _looks(lake: Lake, name: str) -> list[Any]:
    """Rows of earlier looks at an experiment, in order."""
    from pyspark.sql import functions as F

    if lake.version(TABLE) is None:
        return []
    rows = lake.read(TABLE).where(F.col("experiment") == name).collect()
    return sorted(rows, key=lambda row: row["look"])


def _look(row: Any) -> Look:
    return Look(number=row["look"], rule=row["rule"], **{name: row[name] for name in _OF_LOOK})


def _write(job: Job, analysis: Analysis, known: Sequence[Any]) -> None:
    schema = table_spec(TABLE).schema()
    look = analysis.looks[-1]
    versus = next(e.versus for e in analysis.effects if e.arm == look.arm)
    row = {
        **vars(look), "experiment": analysis.name, "look": look.number, "metric": analysis.primary,
        "planned_units": analysis.planned_units, "versus": versus, "log": analysis.table,
        "log_version": analysis.table_version, "run_id": str(job.run.run_id),
    }  # fmt: skip
    rows = [tuple(past) for past in known if past["units"] < analysis.units]
    rows.append(tuple(row[name] for name in schema.names))
    frame = job.lake.spark.createDataFrame(rows, schema)
    job.replace_part(TABLE, frame, "experiment", analysis.name)
