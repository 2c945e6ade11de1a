"""The needs behind what users do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truelift.command_line import command
from truelift.tools import tool_job

if TYPE_CHECKING:
    from truelift.settings import Settings


@command(
    "truelift fit_needs --spec sessions --lake s3a://bucket/lake",
    "truelift fit_needs --table s3a://shop/weeks@12 --spec weeks.yaml",
)
@click.option(
    "--spec", default="sessions", show_default=True, metavar="NAME",
    help="of conf/needs, or a YAML file: the keys of docs/needs.md",
)  # fmt: skip
@click.option(
    "--table", metavar="URI[@VERSION]",
    help="a Delta, Parquet or CSV table with a row a user and step (default: the lake's sessions)",
)  # fmt: skip
def fit_needs(settings: Settings, spec: str, table: str | None) -> str:
    """What users need at each step, as far as what they do shows it, and what acting changes."""
    from truelift.config import load_spec
    from truelift.graph.need import job as needs
    from truelift.graph.need.spec import NeedSpec
    from truelift.report.needs import write_needs_page

    wanted = load_spec(NeedSpec, "needs", "needs", spec)
    with tool_job("fit_needs", settings, summary=fit_needs.summary) as job:
        found = needs.fit_needs(job, wanted, table)
        page = write_needs_page(found.result, settings)
        job.log_artifact(page, "report")
    return f"{found.result.summary()}\n\npage  {page}"
