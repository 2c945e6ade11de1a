"""The pipeline: all steps in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truelift.command_line import command
from truelift.step_commands import dry_run_option, interaction_options, show_plan

if TYPE_CHECKING:
    from truelift.settings import Settings


@command("truelift run_pipeline --dataset complete_journey --set sample=0.05")
@click.option("--from", "start", metavar="STEP", help="run again from this step on")
@interaction_options
@click.option("--only", metavar="STEP", help="run this step alone")
@dry_run_option
def run_pipeline(settings: Settings, start: str | None, only: str | None, dry_run: bool) -> None:
    """All jobs in order, resumable."""
    if dry_run:
        show_plan(settings, start, only)
        return
    from truelift import pipeline
    from truelift.console import closing_table, step_line

    outcomes = pipeline.run_pipeline(
        settings,
        start=start,
        only=only,
        announce=lambda outcome: print(step_line(outcome), flush=True),
    )
    print(closing_table(outcomes, settings), flush=True)
