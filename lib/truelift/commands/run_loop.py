"""The closed loop in a world whose truth is known."""

from __future__ import annotations

import click

from truelift.command_line import command
from truelift.errors import ConfigError
from truelift.world_commands import shop_named, world_options


@command(
    "truelift run_loop --world shop --rounds 10 --strategies random,click_greedy,effect --out /tmp/loop",
    "truelift run_loop --users 1e5 --seeds 20 --strategies click_greedy,effect,oracle --out /tmp/many",
    "truelift run_loop --replay --dataset shop.yaml",
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
    "--out", metavar="FOLDER",
    help="a new folder; one of the same loop is gone on with where it stopped",
)  # fmt: skip
@click.option(
    "--replay", is_flag=True,
    help="one honest round on a lake's own lists: estimate, adjust, value, plan the next experiment",
)  # fmt: skip
@click.option("--dataset", metavar="NAME", help="with --replay: of conf/, or a YAML file")
@click.option("--lake", metavar="URI", help="with --replay: where the tables lie")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="with --replay: one setting"
)
def run_loop(
    world: str, users: int | None, rounds: int, strategies: str, seeds: int, seed: int,
    explore: float, hide_propensities: bool, out: str | None, replay: bool, dataset: str | None,
    lake: str | None, overrides: tuple[str, ...],
) -> str | int:  # fmt: skip
    """Lists, what people do, what was learnt, the next lists: strategies side by side, against truth."""
    if replay:
        return _replay(dataset, lake, overrides)
    if out is None or dataset or lake or overrides:
        raise ConfigError(
            "run_loop: expected --out with a simulated world, or --replay with --dataset, --lake and --set, "
            f"found {'neither' if out is None else 'both'}."
        )
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


def _replay(dataset: str | None, lake: str | None, overrides: tuple[str, ...]) -> int:
    from truelift.config import load_settings
    from truelift.recommend.replay import READS, replayed
    from truelift.tools import tool_job

    settings = load_settings("local", dataset, overrides, lake)
    with tool_job("run_loop", settings, summary="one round on real logs", reads=READS) as job:
        found = replayed(job)
    print(found, flush=True)
    return found.exit_code
