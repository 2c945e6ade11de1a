"""Networks for the nuisances of effects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from truelift.command_line import command
from truelift.step_commands import spec_option, table_option
from truelift.tools import tool_job

if TYPE_CHECKING:
    from truelift.settings import Settings


@command("truelift train_causal --table s3a://bucket/panel --spec effects.yaml")
@table_option
@spec_option
def train_causal(settings: Settings) -> Any:
    """Networks for the effects' nuisances, trained by Horovod processes and registered."""
    from truelift.effects.neural import job as neural
    from truelift.effects.panel.any_table import TableAddress, panel_plan
    from truelift.effects.panel.lake_panel import LakePanel

    options, tracking = settings.effects, settings.tracking
    named = replace(tracking, model_name=f"{tracking.model_name.removesuffix('-sequence')}-causal")
    with tool_job(
        "train_causal", replace(settings, tracking=named), "effects", summary=train_causal.summary
    ) as job:
        if options.table is None:
            plan = job.lake.plan("gold.panel")
        else:
            job.progress.update("bringing the table into buckets")
            address = TableAddress.parse(options.table)
            plan = panel_plan(job.lake, address, options, settings.buckets)
        job.run.log_table(plan.table, plan.uri, plan.version, "input")
        return neural.train_causal(job, LakePanel(job.lake, plan))
