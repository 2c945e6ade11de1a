"""What policies that give other doses would have earned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truelift.command_line import command
from truelift.tools import tool_job

if TYPE_CHECKING:
    from truelift.settings import Settings


@command("truelift evaluate_doses --log s3a://bucket/discounts --spec discounts")
@click.option(
    "--log", required=True, metavar="URI[@VERSION]",
    help="a log whose action is a number: a Delta, Parquet or CSV table, a row a decision",
)  # fmt: skip
@click.option(
    "--spec", required=True, metavar="NAME",
    help="of conf/policies, or a YAML file: the keys of docs/policies.md",
)  # fmt: skip
def evaluate_doses(settings: Settings, log: str, spec: str) -> int:
    """What other doses (prices, discounts) would earn, by kernels, from a log with their densities."""
    from truelift.config import load_spec
    from truelift.policy.doses import job as doses
    from truelift.policy.doses.spec import DoseSpec

    wanted = load_spec(DoseSpec, "policies", "policy", spec)
    with tool_job("evaluate_doses", settings, summary=evaluate_doses.summary) as job:
        found = doses.evaluate(job, log, wanted)
    print(found, flush=True)
    return found.exit_code
