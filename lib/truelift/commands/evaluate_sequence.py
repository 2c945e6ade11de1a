"""Registered sequence models beside the baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truelift.command_line import command
from truelift.step_commands import interaction_options, test_option
from truelift.tools import tool_job

if TYPE_CHECKING:
    from truelift.settings import Settings


@command("truelift evaluate_sequence --model challenger --model champion")
@click.option(
    "--model", multiple=True, metavar="VERSION|ALIAS",
    help="a registered version or alias; repeatable (default: challenger and champion)",
)  # fmt: skip
@interaction_options
@test_option
@click.option("--items", metavar="FILE", help="ids, one a line: only these compete")
@click.option("--users", metavar="FILE", help="ids, one a line: only these are tested")
def evaluate_sequence(
    settings: Settings, model: tuple[str, ...], items: str | None, users: str | None
) -> str:
    """Registered sequence models beside the baselines, on Spark.

    File, columns and least rating of interactions are those that the models were trained with.
    """
    from truelift.evaluation.job import evaluate_sequence as evaluated

    with tool_job(
        "evaluate_sequence", settings, "sequence", summary=evaluate_sequence.summary
    ) as job:
        return evaluated(job, model, items, users).summary()
