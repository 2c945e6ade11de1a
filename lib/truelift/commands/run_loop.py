"""The closed loop in a world whose truth is known."""

from __future__ import annotations

import click

from truelift.command_line import command
from truelift.world_commands import shop_named, world_options


@command(
    "truelift run_loop --world shop --rounds 10 --strategies random,click_greedy,effect --out /tmp/loop",
    "truelift run_loop --users 1e5 --seeds 20 --strategies click_greedy,effect,oracle --out /tmp/many",
    with_settings=False,
)
@world_options
@click.option("--rounds", default=10, show_default=True, type=click.IntRange(2), metavar="N")
@click.option(
    "--strategies", default="nothing,random,popularity,click_greedy,bandit,effect,oracle",
    show_default=True, metavar="NAMES",
    help="also relevance, value, sasrec and gru; all of them start from the operator's lists",
)  # fmt: skip
@click.option(
    "--seeds", default=1, show_default=True, type=click.IntRange(1), metavar="N", help="worlds"
)
@click.option(
    "--seed", default=1, show_default=True, type=int, metavar="N", help="of the first world"
)
@click.option("--hide-propensities", is_flag=True, help="the operator's lists are taken for lots")
@click.option(
    "--out", required=True, metavar="FOLDER",
    help="a new folder; one of the same loop is gone on with where it stopped",
)  # fmt: skip
def run_loop(
    world: str, users: int | None, rounds: int, strategies: str, seeds: int, seed: int,
    explore: float, hide_propensities: bool, out: str,
) -> str:  # fmt: skip
    """Lists, what people do, what was learnt, the next lists: strategies side by side, against truth."""
    from pathlib import Path

    from truelift.loop.job import ROUNDS
    from truelift.loop.job import run_loop as run
    from truelift.loop.options import LoopOptions
    from truelift.loop.strategies import asked_for
    from truelift.progress import Progress
    from truelift.report.loop import write_loop_page

    options = LoopOptions(rounds=rounds, explore=explore, propensities=not hide_propensities)
    folder = Path(out).absolute()
    progress = Progress("run_loop")
    try:
        found = run(
            shop_named(world, users), options, asked_for(strategies), range(seed, seed + seeds), folder, Path(world).stem,
            progress.update,
        )  # fmt: skip
    finally:
        progress.close()
    page = write_loop_page(found, folder)
    return f"{found!r}\n\nrounds  {folder / ROUNDS}\npage    {page}"
