"""The step ``build_panel``, and panels of one's own by the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from truelift.command_line import command
from truelift.errors import ConfigError
from truelift.step_commands import dry_run_option, run_alone
from truelift.tools import tool_job

if TYPE_CHECKING:
    from truelift.settings import Settings


@command(
    "truelift build_panel --dataset complete_journey --set sample=0.05",
    "truelift build_panel --spec campaigns --lake s3a://bucket/lake",
)
@click.option(
    "--spec", metavar="NAME",
    help="a panel of conf/panels, or a YAML file: the keys of docs/panels.md (default: the "
    "pipeline's own, gold.panel)",
)  # fmt: skip
@click.option("--out", metavar="URI", help="where it goes (default: gold/panel_<name>)")
@dry_run_option
def build_panel(settings: Settings, spec: str | None, out: str | None, dry_run: bool) -> Any:
    """A panel by a specification: units, treatment, outcomes, covariates known before it."""
    if spec is None:
        if out is not None:
            raise ConfigError(
                "--out: found no --spec; expected the panel that is to be written there. The "
                "pipeline's own panel is gold.panel."
            )
        run_alone("build_panel", settings, dry_run)
        return None
    if dry_run:
        raise ConfigError(
            "--dry-run: found --spec beside it; expected none, for it tells what the pipeline's own "
            "panel would take. A panel of --spec is made whenever it is asked for."
        )
    from truelift.config import load_panel_spec
    from truelift.features.panels import build

    panel = load_panel_spec(spec, time_zone=settings.source.time_zone)
    with tool_job("build_panel", settings, "panel", summary=build_panel.summary) as job:
        return build.build_panel(job, panel, out)
