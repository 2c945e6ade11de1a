"""A budget, and who gets what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from truelift.command_line import command
from truelift.tools import tool_job

if TYPE_CHECKING:
    from truelift.settings import Settings


@command("truelift allocate --panel gold.panel --spec campaign_budget --lake s3a://bucket/lake")
@click.option(
    "--panel", required=True, metavar="URI",
    help="whose scores: gold.panel, gold.panel_<name>, or a table that estimate_effects read",
)  # fmt: skip
@click.option(
    "--spec", required=True, metavar="NAME",
    help="of conf/policies, or a YAML file: the keys of docs/policy-learning.md",
)  # fmt: skip
def allocate(settings: Settings, panel: str, spec: str) -> Any:
    """What to do under a budget: the path of spend and gain, and who gets what."""
    from truelift.config import load_spec
    from truelift.policy import allocating
    from truelift.policy.allocation_options import AllocateOptions

    options = load_spec(AllocateOptions, "policies", "allocation", spec)
    with tool_job("allocate", settings, summary=allocate.summary) as job:
        return allocating.allocate_budget(job, panel, options)
