"""What the pipeline would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truelift.command_line import command
from truelift.step_commands import interaction_options, show_plan

if TYPE_CHECKING:
    from truelift.settings import Settings


@command("truelift plan --dataset complete_journey --set sample=0.05")
@click.option("--from", "start", metavar="STEP", help="as if run again from this step on")
@interaction_options
@click.option("--only", metavar="STEP", help="as if this step were run alone")
def plan(settings: Settings, start: str | None, only: str | None) -> None:
    """What run_pipeline would run, and why; nothing is run."""
    show_plan(settings, start, only)
