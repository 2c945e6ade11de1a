"""What an experiment changed, and what follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truelift.command_line import command
from truelift.tools import tool_job

if TYPE_CHECKING:
    from truelift.settings import Settings


@command(
    "truelift analyze_experiment --table s3a://bucket/observed --spec checkout --lake s3a://bucket/lake"
)
@click.option(
    "--spec", "experiments", required=True, multiple=True, metavar="NAME",
    help="an experiment of conf/experiments, or a YAML file; repeatable",
)  # fmt: skip
@click.option(
    "--table", "observed", required=True, metavar="URI[@VERSION]",
    help="what was observed: rows with unit, arm and metrics",
)  # fmt: skip
@click.option(
    "--looks", metavar="FOLDER",
    help="in place of the lake's gold.experiments, where looks are kept: a JSON file an experiment",
)  # fmt: skip
def analyze_experiment(
    settings: Settings, experiments: tuple[str, ...], observed: str, looks: str | None
) -> int:
    """What an experiment changed, and what its rule says: ship, hold or stop."""
    from truelift.config import load_spec
    from truelift.experiments.analysis.job import analyze_experiments
    from truelift.experiments.analysis.layout import check_table
    from truelift.experiments.analysis.results import Experiments
    from truelift.experiments.files import looked_at
    from truelift.experiments.spec import ExperimentSpec
    from truelift.lake.address import TableAddress
    from truelift.lake.foreign import open_foreign
    from truelift.report.experiments import write_experiments_page

    specs = [load_spec(ExperimentSpec, "experiments", "experiment", n) for n in experiments]
    address = TableAddress.parse(observed)
    table = open_foreign(address)
    for spec in specs:
        check_table(table.schema, table.name, spec)
    if looks is None:
        with tool_job("analyze_experiment", settings, summary=analyze_experiment.summary) as job:
            found = analyze_experiments(job, specs, address)
            page = write_experiments_page(found, settings)
            job.log_artifact(page, "report")
    else:
        found = Experiments(tuple(looked_at(table, spec, looks) for spec in specs))
        page = write_experiments_page(found, settings)
    print(f"{found!r}\n\npage  {page}", flush=True)
    return found.exit_code
