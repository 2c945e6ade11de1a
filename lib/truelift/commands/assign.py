"""Who is where in an experiment, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truelift.command_line import command

if TYPE_CHECKING:
    from truelift.experiments.assignment import Assignment
    from truelift.settings import Settings


@command("truelift assign --table s3a://bucket/customers --spec checkout --out checkout.parquet")
@click.option(
    "--spec", "experiment", required=True, metavar="NAME",
    help="an experiment of conf/experiments, or a YAML file: the keys of docs/experiments.md",
)  # fmt: skip
@click.option(
    "--table", "units", required=True, metavar="URI[@VERSION]",
    help="rows that name the units, with their strata",
)  # fmt: skip
@click.option(
    "--out", required=True, metavar="FILE",
    help="Parquet: who is where and why; who takes part in one that is there stays",
)  # fmt: skip
@click.option(
    "--beside", multiple=True, metavar="FILE",
    help="another experiment's: of one layer they may share no unit; repeatable",
)  # fmt: skip
def assign(
    settings: Settings,  # noqa: ARG001
    experiment: str,
    units: str,
    out: str,
    beside: tuple[str, ...],
) -> Assignment:
    """Who gets which arm of an experiment: a table of who is where and why."""
    from truelift.config import load_spec
    from truelift.experiments.files import assigned
    from truelift.experiments.spec import ExperimentSpec
    from truelift.lake.address import TableAddress
    from truelift.lake.foreign import open_foreign

    spec = load_spec(ExperimentSpec, "experiments", "experiment", experiment)
    return assigned(open_foreign(TableAddress.parse(units)), spec, out, beside)
