"""What a table can say of a causal graph."""

from __future__ import annotations

import click

from truelift.command_line import command


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(filter(None, (n.strip() for n in (text or "").split(","))))


@command(
    "truelift discover --table orders.parquet --cluster customer --tiers tiers.yaml",
    "truelift discover --table s3a://shop/observed@12 --method fci --out found",
    with_settings=False,
)
@click.option(
    "--table", required=True, metavar="URI[@VERSION]", help="a Delta, Parquet or CSV table"
)
@click.option(
    "--tiers", metavar="'A, B < C < D'",
    help="in which order causes come; a YAML file with groups and forbidden arrows does too",
)  # fmt: skip
@click.option("--required", metavar="'A -> B; C -> D'", help="arrows that are known to be there")
@click.option("--forbidden", metavar="'A -> B; C -> D'", help="arrows that cannot be")
@click.option("--columns", metavar="A,B", help="of the graph (default: those of the tiers, or all)")
@click.option("--categories", metavar="A,B", help="columns of numbers that are names")
@click.option("--cluster", metavar="COLUMN", help="what dependent rows share, such as the user")
@click.option(
    "--method", default="order", show_default=True, type=click.Choice(["order", "pc", "fci"]),
    help="a search over orders, tests, or tests that allow hidden common causes",
)  # fmt: skip
@click.option("--alpha", default=0.01, show_default=True, metavar="LEVEL", help="of each test")
@click.option(
    "--floor", default=0.01, show_default=True, metavar="SIZE",
    help="a partial correlation (Cramer's V on tables) below it counts as none",
)  # fmt: skip
@click.option(
    "--depth",
    default=4,
    show_default=True,
    metavar="N",
    help="of the largest sets that are held fixed",
)
@click.option("--buckets", default=80, show_default=True, metavar="N", help="of clusters")
@click.option(
    "--share", default=0.5, show_default=True, metavar="SHARE",
    help="of the buckets that is learned on; the rest is left for estimation",
)  # fmt: skip
@click.option(
    "--bootstraps",
    default=100,
    show_default=True,
    metavar="N",
    help="graphs of halves, for the frequencies",
)
@click.option(
    "--levels", default=20, show_default=True, metavar="N", help="most levels of a column"
)
@click.option("--seed", default=0, show_default=True, metavar="N")
@click.option(
    "--out",
    default="discovered",
    show_default=True,
    metavar="FOLDER",
    help="for page, graph and edges",
)
def discover(
    table: str, tiers: str | None, required: str | None, forbidden: str | None, columns: str | None, categories: str | None, cluster: str | None,
    method: str, alpha: float, floor: float, depth: int, buckets: int, share: float,
    bootstraps: int, levels: int, seed: int, out: str,
) -> str:  # fmt: skip
    """What a table can say of a causal graph: a class of graphs, and how often each edge comes."""
    from truelift.graph.discovery.discover import discover as learned
    from truelift.graph.discovery.files import write_result
    from truelift.graph.discovery.options import DiscoveryOptions, Tiers
    from truelift.lake.address import TableAddress
    from truelift.lake.foreign import open_foreign
    from truelift.progress import Progress
    from truelift.report.discovery import write_discovery_page

    options = DiscoveryOptions(
        columns=_names(columns), categories=_names(categories), cluster=cluster,
        tiers=Tiers.parse(tiers).having(required, forbidden), method=method, alpha=alpha, floor=floor, depth=depth,
        buckets=buckets, share=share, bootstraps=bootstraps, most_levels=levels, seed=seed,
    )  # fmt: skip
    progress = Progress("discover")
    try:
        result = learned(open_foreign(TableAddress.parse(table)), options, progress.update)
    finally:
        progress.close()
    folder = write_result(result, out)
    page = write_discovery_page(result, folder)
    return f"{result.summary()}\n\npage   {page}\ngraph  {folder / 'learned.graph.yaml'}"
