"""The right to be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from truelift.command_line import command
from truelift.tools import tool_job

if TYPE_CHECKING:
    from truelift.settings import Settings


@command("truelift forget_user --user 1234 --lake s3a://bucket/lake")
@click.option("--user", required=True, metavar="KEY", help="the person as the source names them")
def forget_user(settings: Settings, user: str) -> Any:
    """Remove a person from every table, and prove it."""
    from truelift.logs import forget

    with tool_job("forget_user", settings, summary=forget_user.summary) as job:
        return forget.forget_user(job, user)
