"""Chances and effects that a Bayesian network gives."""

from __future__ import annotations

import click

from truelift.command_line import command


@command("truelift query P(buy|do(mail),age=30) --network shop.bif", with_settings=False)
@click.argument("question")
@click.option("--network", required=True, metavar="FILE", help="BIF, as learn_network writes it")
def query(question: str, network: str) -> str:
    """Answer a question such as "P(buy | do(mail), age=30)" by exact inference."""
    from truelift.public import graphs

    return str(graphs.query(question, network))
