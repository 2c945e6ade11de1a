"""What the commands of simulated logs and worlds share: sizes as people write them, and which world."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from truelift.errors import ConfigError

if TYPE_CHECKING:
    from truelift.simulate.shop_world.parameters import ShopWorld

F = TypeVar("F", bound=Callable[..., Any])


class RowCount(click.ParamType):
    """A number of rows as people write it."""

    name = "rows"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """See :func:`~truelift.simulate.traffic.job.row_count`."""
        from truelift.simulate.traffic.job import row_count

        try:
            return row_count(str(value))
        except ConfigError as error:
            self.fail(f"{error}", param, ctx)


def world_options(function: F) -> F:
    """The options of commands that play rounds in a shop: which one, its users, who explores how much."""
    for option in reversed((
        click.option(
            "--world", default="shop", show_default=True, metavar="NAME",
            help="a world of conf/worlds, or a YAML file: the keys of docs/loop.md",
        ),
        click.option("--users", type=RowCount(), metavar="N", help="in place of the world's"),
        click.option(
            "--explore", default=0.1, show_default=True, type=click.FloatRange(0, 1), metavar="SHARE",
            help="of each slot's chance that is spread over all items",
        ),
    )):  # fmt: skip
        function = option(function)
    return function


def shop_named(world: str, users: int | None) -> ShopWorld:
    """The shop of a name or file, with as many users as were asked for.

    Raises
    ------
    ConfigError
        For an unknown world, key or value.
    """
    from truelift.config import load_spec
    from truelift.simulate.shop_world.parameters import ShopWorld, resized

    found = load_spec(ShopWorld, "worlds", "world", world, "--world")
    return resized(found, users) if users else found
