"""A Bayesian network from a graph and a table."""

from __future__ import annotations

import click

from truelift.command_line import command


@command(
    "truelift learn_network --graph shop.graph.yaml --table s3a://shop/orders --out shop.bif",
    with_settings=False,
)
@click.option("--graph", required=True, metavar="FILE", help="as truelift identify takes it")
@click.option("--table", required=True, metavar="URI[@VERSION]", help="Delta, Parquet or CSV")
@click.option("--out", required=True, metavar="FILE", help="where the network goes, as BIF")
@click.option("--prior", default="bdeu:1", show_default=True, help="none, k2, or bdeu:ROWS")
@click.option("--cluster", metavar="COLUMN", help="rows that share it are held out together")
def learn_network(graph: str, table: str, out: str, prior: str, cluster: str | None) -> str:
    """Tables of a Bayesian network, and how likely they make users not seen."""
    from truelift.extras import naming_extras
    from truelift.graph.files import write_network
    from truelift.public import graphs

    with naming_extras():
        found = graphs.learn_network(graph, table, prior=prior, cluster=cluster)
        print(found, flush=True)
        write_network(found.network, out)
    return f"  written   {out}"
