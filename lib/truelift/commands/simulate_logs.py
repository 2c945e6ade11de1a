"""Logs whose truth is known."""

from __future__ import annotations

import click

from truelift.command_line import command
from truelift.errors import ConfigError
from truelift.world_commands import RowCount


@command(
    "truelift simulate_logs --rows 1e6 --out /tmp/logs",
    "truelift simulate_logs --rows 1e8 --out s3a://bucket/logs --format parquet --set days=90",
    "truelift simulate_logs --rows 1e5 --out /tmp/logs --set dirt.duplicate=0.2 top_user_share=0.3",
    "truelift run_pipeline --dataset /tmp/logs/dataset.yaml",
    with_settings=False,
)
@click.option("--rows", required=True, type=RowCount(), metavar="N", help="events, such as 1e6")
@click.option("--out", required=True, metavar="URI", help="an empty or a new folder")
@click.option(
    "--format", "kind", default="csv", type=click.Choice(("csv", "jsonl", "parquet")),
    show_default=True, help="of the files",
)  # fmt: skip
@click.option("--seed", default=7, show_default=True, metavar="N", help="same seed, same logs")
@click.option(
    "--files-by", default="size", type=click.Choice(("size", "day")), show_default=True,
    help="day: a folder for each day of receipt, for trying daily deliveries",
)  # fmt: skip
@click.option(
    "--rows-per-task", default="5e5", type=RowCount(), metavar="N", show_default=True,
    help="rows of a file",
)  # fmt: skip
@click.option("--set", "world", multiple=True, metavar="KEY=VALUE ...", help="change the world")
@click.argument("more", nargs=-1, metavar="")
def simulate_logs(
    rows: int, out: str, kind: str, seed: int, files_by: str, rows_per_task: int,
    world: tuple[str, ...], more: tuple[str, ...],
) -> None:  # fmt: skip
    """Logs of any size whose sessions, bots and dirt are known."""
    from truelift.config import load_settings
    from truelift.simulate.traffic import job

    # Several may follow one --set.
    if more and not world:
        raise ConfigError(f"simulate_logs: found {more[0]!r}, expected --set before key=value.")
    changed = job.world_of([*world, *more])
    job.run(load_settings().spark, changed, rows, out, kind, seed, files_by, rows_per_task)
