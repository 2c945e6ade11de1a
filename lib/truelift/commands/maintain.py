"""Tending a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from truelift.command_line import command

if TYPE_CHECKING:
    from truelift.settings import Settings


@command("truelift maintain --lake s3a://bucket/lake --retain-hours 336")
@click.option(
    "--retain-hours", type=float, default=168.0, metavar="H", show_default=True,
    help="keep what younger versions need",
)  # fmt: skip
@click.option(
    "--force", is_flag=True, help="allow less than a week; no job may be running"
)  # fmt: skip
def maintain(settings: Settings, retain_hours: float, force: bool) -> Any:
    """Compact the tables and delete files that no version needs."""
    from truelift.lake import Lake, maintenance

    return maintenance.maintain(Lake.open(settings), retain_hours, force)
