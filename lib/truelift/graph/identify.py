"""From a graph and a question to what estimates the answer."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from truelift.errors import ConfigError
from truelift.graph.adjustment import Adjustment
from truelift.graph.designs import front_door, instruments, judged_instrument, mediation
from truelift.graph.formula import Formula, P, Product, Sum
from truelift.graph.general import general_formula
from truelift.graph.model import CausalGraph
from truelift.graph.projection import projected, worth_measuring
from truelift.graph.results import Identification


def identified(
    graph: CausalGraph, treatment: str, outcome: str, adjust: Iterable[str] | None = None,
    mediators: Iterable[str] = (), instrument: str | None = None,
) -> Identification:  # fmt: skip
    """What identifies an effect: adjustment first, then the front door, any formula, an instrument.

    Parameters
    ----------
    graph : CausalGraph
    treatment, outcome : str
        Measured nodes.
    adjust : iterable of str, optional
        A set that shall be adjusted for; it is judged, and taken if it is valid.
    mediators : iterable of str
        Through which a share of the effect is asked; by default all that lie on the way.
    instrument : str, optional
        One that shall be used, whether or not adjustment does.

    Returns
    -------
    Identification

    Raises
    ------
    ConfigError
        For a name that is no node or that is latent.
    """
    for name in (treatment, outcome):
        if graph.node(name, "--effect").latent:
            raise ConfigError(
                f"--effect: {name} is latent, so there is nothing to estimate from. Expected measured "
                f"nodes: {', '.join(graph.measured)}."
            )
    if treatment == outcome:
        raise ConfigError(f"--effect: found {treatment} twice, expected a cause and its effect.")
    sets = Adjustment(graph, treatment, outcome)
    judged = None if adjust is None else sets.judged(adjust)
    minimal, precise, optimal = sets.minimal(), sets.precise(), sets.optimal()
    chosen = judged.names if judged is not None and judged.valid else precise
    asked = tuple(mediators)
    door = front_door(sets)
    tools = instruments(sets) if instrument is None else (judged_instrument(sets, instrument),)
    formula, method, missing = None, "none", None
    if instrument is not None:
        method, chosen = "instrument", tools[0].given
    elif chosen is not None:
        method, formula = "back door", adjusted(treatment, outcome, chosen)
    else:
        projection = projected(graph)
        formula = general_formula(projection, treatment, outcome)
        if formula is not None:
            method = "front door" if door else "formula"
        else:
            method = "instrument" if tools else "none"
            missing = worth_measuring(graph, treatment, outcome)
            chosen = tools[0].given if tools else None
    return Identification(
        graph, treatment, outcome, method, chosen or (), formula, outcome in sets.way, judged, minimal,
        optimal, door, tools, mediation(sets, asked), missing, bool(asked),
    )  # fmt: skip


def adjusted(treatment: str, outcome: str, covariates: tuple[str, ...]) -> Formula:
    """The formula of adjustment: outcomes given treatment and covariates, averaged over all units."""
    if not covariates:
        return P((outcome,), (treatment,))
    inside: Formula = Product(P((outcome,), (treatment, *covariates)), P(covariates))
    return reduce(lambda formula, name: Sum(name, formula), reversed(covariates), inside)
