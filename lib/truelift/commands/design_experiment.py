"""An experiment before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truelift.command_line import command

if TYPE_CHECKING:
    from truelift.settings import Settings


@command("truelift design_experiment --spec checkout --table s3a://bucket/past_orders")
@click.option(
    "--spec", "experiment", required=True, metavar="NAME",
    help="an experiment of conf/experiments, or a YAML file: the keys of docs/experiments.md",
)  # fmt: skip
@click.option(
    "--table", "past", metavar="URI[@VERSION]",
    help="past outcomes: moments that the spec does not state, and experiments drawn from them",
)  # fmt: skip
@click.option(
    "--plot", metavar="FILE", help="where the power curve goes (default: beside the report)"
)
def design_experiment(
    settings: Settings, experiment: str, past: str | None, plot: str | None
) -> str:
    """How many units an experiment takes, what it can find, how long it lasts."""
    from truelift.config import load_spec
    from truelift.experiments.planning import planned
    from truelift.experiments.spec import ExperimentSpec
    from truelift.lake.address import TableAddress
    from truelift.lake.foreign import open_foreign
    from truelift.report.files import save_figure
    from truelift.report.plots.experiments import power_curve

    spec = load_spec(ExperimentSpec, "experiments", "experiment", experiment)
    table = open_foreign(TableAddress.parse(past)) if past else None
    design = planned(spec, table)
    drawn = save_figure(settings, f"{spec.name}-power.png", power_curve(design), plot)
    return f"{design!r}\n\npower curve  {drawn}"
