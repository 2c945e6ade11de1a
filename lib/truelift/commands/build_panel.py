"""A panel of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from truelift.command_line import command
from truelift.tools import tool_job

if TYPE_CHECKING:
    from truelift.settings import Settings


@command("truelift build_panel --spec campaigns --lake s3a://bucket/lake")
@click.option(
    "--spec", required=True, metavar="NAME",
    help="a panel of conf/panels, or a YAML file: the keys of docs/panels.md",
)  # fmt: skip
@click.option("--out", metavar="URI", help="where it goes (default: gold/panel_<name>)")
def build_panel(settings: Settings, spec: str, out: str | None) -> Any:
    """A panel by a specification: units, treatment, outcomes, covariates known before it."""
    from truelift.config import load_panel_spec
    from truelift.features.panels import build

    panel = load_panel_spec(spec)
    with tool_job("build_panel", settings, "panel", summary=build_panel.summary) as job:
        return build.build_panel(job, panel, out)
