"""Who is where in an experiment, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truelift.command_line import command
from truelift.errors import ConfigError
from truelift.tools import tool_job

if TYPE_CHECKING:
    from truelift.experiments.assignment import Assignment
    from truelift.settings import Settings


@command("truelift assign --table s3a://bucket/customers --spec checkout --lake s3a://bucket/lake")
@click.option(
    "--spec", "experiment", required=True, metavar="NAME",
    help="an experiment of conf/experiments, or a YAML file: the keys of docs/experiments.md",
)  # fmt: skip
@click.option(
    "--table", "units", required=True, metavar="URI[@VERSION]",
    help="rows that name the units, with their strata",
)  # fmt: skip
@click.option(
    "--out", metavar="FILE",
    help="Parquet, in place of the lake's gold.assignments; who takes part in one that is there stays",
)  # fmt: skip
@click.option(
    "--beside", multiple=True, metavar="FILE",
    help="with --out, another experiment's file: of one layer they may share no unit; repeatable",
)  # fmt: skip
def assign(
    settings: Settings, experiment: str, units: str, out: str | None, beside: tuple[str, ...]
) -> Assignment:
    """Who gets which arm of an experiment: a table of who is where and why."""
    from truelift.config import load_spec
    from truelift.experiments.assignment_job import assign_units
    from truelift.experiments.files import assigned
    from truelift.experiments.spec import ExperimentSpec
    from truelift.lake.address import TableAddress
    from truelift.lake.foreign import open_foreign

    spec = load_spec(ExperimentSpec, "experiments", "experiment", experiment)
    if out is None:
        if beside:
            raise ConfigError(
                "--beside: found without --out, expected no file: the lake knows them."
            )
        with tool_job("assign", settings, summary=assign.summary) as job:
            return assign_units(job, spec, TableAddress.parse(units))
    return assigned(open_foreign(TableAddress.parse(units)), spec, out, beside)
