"""A shop whose truth is known, as logs."""

from __future__ import annotations

import click

from truelift.command_line import command
from truelift.world_commands import shop_named, world_options

_POLICIES = ("nothing", "random", "operator", "popularity", "soft_popularity", "oracle")


@command(
    "truelift simulate_world --users 1e5 --rounds 10 --policy soft_popularity --out /tmp/world",
    "truelift run_pipeline --dataset /tmp/world/dataset.yaml",
    with_settings=False,
)
@world_options
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), metavar="N")
@click.option(
    "--policy", default="random", show_default=True, type=click.Choice(_POLICIES),
    help="who fills the lists",
)  # fmt: skip
@click.option("--seed", default=7, show_default=True, metavar="N", help="same seed, same logs")
@click.option("--out", required=True, metavar="FOLDER", help="an empty or a new folder")
def simulate_world(
    world: str, users: int | None, rounds: int, policy: str, explore: float, seed: int, out: str
) -> str:
    """Raw logs of a shop, its lists with their chances, and what is true beside them."""
    from truelift.progress import Progress
    from truelift.simulate.shop_world.policies import named_policy
    from truelift.simulate.shop_world.shop import Shop
    from truelift.simulate.shop_world.written import write_world

    shop = Shop(shop_named(world, users), seed)
    progress = Progress("simulate_world")
    try:
        found = write_world(shop, named_policy(shop, policy, explore), rounds, out, progress.update)
    finally:
        progress.close()
    return (
        f"simulate_world    {found.visits:,} visits  {found.events:,} events  {found.exposures:,} items "
        f"shown in {rounds} rounds  {found.folder}\n"
        f"next              truelift run_pipeline --dataset {found.dataset}"
    )
