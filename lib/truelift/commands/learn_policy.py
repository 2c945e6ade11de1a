"""A rule of whom to treat how."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from truelift.command_line import command
from truelift.tools import tool_job

if TYPE_CHECKING:
    from truelift.settings import Settings


@command("truelift learn_policy --panel gold.panel --spec campaigns --lake s3a://bucket/lake")
@click.option(
    "--panel", required=True, metavar="URI",
    help="whose scores: gold.panel, gold.panel_<name>, or a table that estimate_effects read",
)  # fmt: skip
@click.option(
    "--spec", required=True, metavar="NAME",
    help="of conf/policies, or a YAML file: the keys of docs/policy-learning.md",
)  # fmt: skip
def learn_policy(settings: Settings, panel: str, spec: str) -> Any:
    """Whom to treat how: a rule from the scores, valued on units that did not choose it."""
    from truelift.config import load_spec
    from truelift.policy import job as policy
    from truelift.policy.options import LearnOptions

    options = load_spec(LearnOptions, "policies", "policy", spec)
    named = f"{settings.tracking.model_name.removesuffix('-sequence')}-policy"
    own = replace(settings, tracking=replace(settings.tracking, model_name=named))
    with tool_job("learn_policy", own, summary=learn_policy.summary) as job:
        return policy.learn_policy(job, panel, options)
