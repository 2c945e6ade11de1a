"""The step ``recommend``, with its short options."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from truelift.command_line import command, setting
from truelift.step_commands import dry_run_option, interaction_options, run_alone

if TYPE_CHECKING:
    from truelift.settings import Settings


# Those of settings.recommend, which help does not load.
_WAYS = ("relevance", "effect", "value", "mixture")


@command(
    "truelift recommend --dataset complete_journey --set sample=0.05",
    "truelift recommend --interactions ratings.txt --items in_stock.txt",
    "truelift recommend --dataset shop.yaml --by effect",
    "truelift recommend --dataset shop.yaml --by value --stock units.csv --budget 500",
)
@interaction_options
@setting(
    "--items", metavar="FILE", help="ids, one a line: offer these alone",
    stands_for=lambda path: [f"recommend.items={json.dumps(path)}"],
)  # fmt: skip
@setting(
    "--users", metavar="FILE", help="ids, one a line: rank for these alone",
    stands_for=lambda path: [f"recommend.users={json.dumps(path)}"],
)  # fmt: skip
@setting(
    "--by", type=click.Choice(_WAYS), help="what comes next, or what being shown adds: docs/loop.md",
    stands_for=lambda way: [f"recommend.by={way}"],
)  # fmt: skip
@setting(
    "--stock", metavar="FILE", help="lines item,units: no item on more lists than it has units",
    stands_for=lambda path: [f"recommend.limits.stock={json.dumps(path)}"],
)  # fmt: skip
@setting(
    "--budget", type=float, metavar="AMOUNT", help="most that the items of all lists may cost",
    stands_for=lambda amount: [f"recommend.limits.budget={amount}"],
)  # fmt: skip
@dry_run_option
def recommend(settings: Settings, dry_run: bool, interactions: str | None) -> None:
    """The next items of every user."""
    run_alone("recommend", settings, dry_run, interactions)
