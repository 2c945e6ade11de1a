"""Why rows were removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from truelift.command_line import command

if TYPE_CHECKING:
    from truelift.settings import Settings


@command(
    "truelift explain-quarantine --dataset complete_journey --examples 5",
    name="explain-quarantine",
)
@click.option(
    "--examples", type=int, default=3, metavar="N", show_default=True,
    help="rows shown for each reason",
)  # fmt: skip
def explain_quarantine(settings: Settings, examples: int) -> Any:
    """Why rows were removed: reasons, counts, examples."""
    from truelift.lake import Lake
    from truelift.logs import explain

    return explain.explain_quarantine(Lake.open(settings), examples)
