"""What a table says against a graph."""

from __future__ import annotations

import click

from truelift.command_line import command


@command(
    "truelift falsify --graph shop.graph.yaml --table s3a://shop/orders --cluster customer",
    with_settings=False,
)
@click.option("--graph", required=True, metavar="FILE", help="as truelift identify takes it")
@click.option(
    "--table", required=True, metavar="URI[@VERSION]", help="Delta, Parquet or CSV: has the columns"
)
@click.option("--cluster", metavar="COLUMN", help="rows that share it may be dependent (a user)")
@click.option("--effect", metavar="'A -> B'", help="mark violations on which it leans")
@click.option(
    "--floor",
    type=float,
    default=0.01,
    show_default=True,
    help="associations below it count as none",
)
def falsify(graph: str, table: str, cluster: str | None, effect: str | None, floor: float) -> int:
    """Test every independence that a causal graph claims, beside graphs of shuffled nodes."""
    from truelift.extras import naming_extras
    from truelift.public import graphs

    with naming_extras():
        found = graphs.falsify(graph, table, cluster=cluster, effect=effect, floor=floor)
        print(found, flush=True)
    return found.exit_code
