"""What a graph says of an effect, and what the table says of the graph."""

from __future__ import annotations

import click

from truelift.command_line import command
from truelift.errors import TrueliftError


@command(
    "truelift identify --graph shop.graph.yaml --effect 'campaign->sales' --write mail.yaml",
    "truelift identify --graph 'age->mail->sales;age->sales' --effect 'mail->sales'",
    with_settings=False,
)
@click.option(
    "--graph", required=True, metavar="FILE",
    help="YAML, DOT, dagitty, BIF or lines of arrows, or the lines themselves",
)  # fmt: skip
@click.option("--effect", required=True, metavar="'A -> B'", help="treatment and outcome")
@click.option("--adjust", metavar="A,B", help="a set to adjust for: judged, with the reason")
@click.option("--mediators", default="", metavar="A,B", help="through which a share is asked")
@click.option("--instrument", metavar="A", help="one to use, where adjustment does too")
@click.option(
    "--table", metavar="URI[@VERSION]", help="has the columns; the graph is held to its rows"
)
@click.option("--cluster", metavar="COLUMN", help="rows that share it may be dependent (a user)")
@click.option("--write", metavar="FILE", help="the effect's specification: its keys are put there")
@click.option("--plot", metavar="FILE", help="where the picture goes (.svg, .png)")
def identify(
    graph: str, effect: str, adjust: str | None, mediators: str, instrument: str | None,
    table: str | None, cluster: str | None, write: str | None, plot: str | None,
) -> int:  # fmt: skip
    """Whether an effect follows from a graph, by what, and what would have to be measured."""
    from truelift.extras import naming_extras
    from truelift.public.graphs import causal_graph, draw_graph, falsify
    from truelift.public.graphs import identify as answered

    with naming_extras():
        drawn = causal_graph(graph)
        found = answered(
            drawn, effect, adjust=names_of(adjust), mediators=names_of(mediators) or (),
            instrument=instrument,
        )  # fmt: skip
        schema, code = None, found.exit_code
        if table:
            from truelift.public.tables import opened

            schema = opened(table).schema
            tested = falsify(drawn, table, cluster=cluster, effect=found)
            print(tested, flush=True)
            code = max(code, tested.exit_code)
        print(found, flush=True)
        if table and found.method in ("front door", "formula"):
            from truelift.graph.plug_in import plugged_in
            from truelift.public.tables import opened

            try:
                print(plugged_in(found, opened(table), cluster), flush=True)
            except TrueliftError as error:  # the graph's answer stands without them
                print(f"  chances   not told: {error}", flush=True)
        if plot:
            from truelift.report.files import save_at

            print(f"  picture   {save_at(plot, draw_graph(found))}", flush=True)
        if write:
            from truelift.graph.effect_spec import write_spec

            keys = found.effect_keys(schema) | ({"cluster": cluster} if cluster else {})
            write_spec(keys, write, found.sentence())
            print(f"  written   {write}", flush=True)
    return code


def names_of(text: str | None) -> tuple[str, ...] | None:
    """Names that an option lists, with commas between."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())
