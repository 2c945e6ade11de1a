"""A simulated shop with the marginals of a lake."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from truelift.command_line import command
from truelift.errors import ConfigError
from truelift.tools import tool_job
from truelift.world_commands import RowCount, shop_named

if TYPE_CHECKING:
    from truelift.settings import Settings

_MOST_USERS = 1_000_000


@command(
    "truelift calibrate_world --dataset mine.yaml --out mine_world.yaml",
    "truelift run_loop --world mine_world.yaml --rounds 10 --out /tmp/mine",
)
@click.option(
    "--world", default="shop", show_default=True, metavar="NAME",
    help="to begin from: of conf/worlds, or a YAML file",
)  # fmt: skip
@click.option(
    "--users", type=RowCount(), default="1e3", show_default=True, metavar="N",
    help="simulated to compare with the lake",
)  # fmt: skip
@click.option(
    "--round-days", default=1.0, show_default=True, metavar="DAYS",
    type=click.FloatRange(0, min_open=True), help="how long a round of the world is",
)  # fmt: skip
@click.option("--out", required=True, metavar="FILE", help="the world, as YAML")
def calibrate_world(settings: Settings, world: str, users: int, round_days: float, out: str) -> Any:
    """Fit a simulated shop to a lake: baskets, gaps between visits, popularity, clicks by slot."""
    if not math.isfinite(round_days):
        raise ConfigError(f"--round-days: found {round_days}, expected a number of days.")
    if users > _MOST_USERS:
        raise ConfigError(
            f"--users: found {users:,}, expected at most {_MOST_USERS:,}, who are all held to be compared."
        )
    from truelift.simulate.calibration import job as calibration
    from truelift.simulate.calibration.lake import READS

    start, file = shop_named(world, None), Path(out).absolute()
    if file.is_dir() or not file.parent.is_dir():
        raise ConfigError(f"--out: found {out!r}, expected a file in a folder that there is.")
    with tool_job("calibrate_world", settings, summary=calibrate_world.summary, reads=READS) as job:
        found = calibration.calibrate_world(job, start, users, round_days, file)
    return f"{found!r}\nworld        {file}"
