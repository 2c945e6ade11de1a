"""What policies that did not run would have earned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truelift.command_line import command
from truelift.tools import tool_job

if TYPE_CHECKING:
    from truelift.settings import Settings


@command("truelift evaluate_policies --log s3a://bucket/decisions --spec shop_window")
@click.option(
    "--log", required=True, metavar="URI[@VERSION]",
    help="a bandit log: a Delta, Parquet or CSV table, a row a decision",
)  # fmt: skip
@click.option(
    "--spec", required=True, metavar="NAME",
    help="of conf/policies, or a YAML file: the keys of docs/policies.md",
)  # fmt: skip
def evaluate_policies(settings: Settings, log: str, spec: str) -> int:
    """What other policies would earn, from the log of the one that ran."""
    from truelift.config import load_spec
    from truelift.policy.off_policy import job as off_policy
    from truelift.policy.off_policy.spec import BanditSpec

    wanted = load_spec(BanditSpec, "policies", "policy", spec)
    with tool_job("evaluate_policies", settings, summary=evaluate_policies.summary) as job:
        found = off_policy.evaluate_policies(job, log, wanted)
    print(found, flush=True)
    return found.exit_code
