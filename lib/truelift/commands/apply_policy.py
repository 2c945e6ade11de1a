"""A registered policy over a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from truelift.command_line import command
from truelift.tools import tool_job

if TYPE_CHECKING:
    from truelift.settings import Settings


@command("truelift apply_policy --table s3a://bucket/customers --out s3a://bucket/decisions")
@click.option(
    "--model", default="challenger", metavar="VERSION|ALIAS",
    help="of the registered policy, or models:/NAME@ALIAS (default: challenger)",
)  # fmt: skip
@click.option("--table", required=True, metavar="URI[@VERSION]", help="the units")
@click.option("--unit", default="unit_id", metavar="COLUMN", help="what names them")
@click.option("--out", required=True, metavar="URI", help="where the decisions go (Delta)")
def apply_policy(settings: Settings, model: str, table: str, unit: str, out: str) -> Any:
    """A registered policy over a table: what each unit gets, and with what chance."""
    from truelift.policy import applying

    named = f"{settings.tracking.model_name.removesuffix('-sequence')}-policy"
    own = f"models:/{named}{'/' if model.isdigit() else '@'}{model}"
    with tool_job("apply_policy", settings, summary=apply_policy.summary) as job:
        whole = model if model.startswith("models:/") else own
        return applying.apply_policy(job, whole, table, unit, out)
