"""Causal graphs at hand: what they identify, what the data say of them, how they look."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from truelift.extras import naming_extras
from truelift.graph.coded_columns import coded_columns
from truelift.graph.discovery.discover import discover as learned_class
from truelift.graph.discovery.options import DiscoveryOptions, Tiers
from truelift.graph.discovery.results import DiscoveryResult
from truelift.graph.falsify import FLOOR, SHUFFLED, Falsification, falsified
from truelift.graph.files import read_graph, read_network
from truelift.graph.identify import identified
from truelift.graph.lines import effect_of
from truelift.graph.model import CausalGraph
from truelift.graph.network.learn import LearnedNetwork, learned_network
from truelift.graph.network.model import BayesianNetwork
from truelift.graph.network.parameters import Prior
from truelift.graph.network.query import Answer, answered
from truelift.graph.results import Identification
from truelift.public.tables import opened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Names = str | Iterable[str]


def causal_graph(given: str | os.PathLike[str] | CausalGraph) -> CausalGraph:
    """A causal graph from a file, or from lines of arrows.

    Parameters
    ----------
    given : str, path or CausalGraph
        ``shop.graph.yaml``, DOT, dagitty or BIF; or ``"age -> campaign -> sales; age -> sales"``.

    Raises
    ------
    TrueliftError
        For a file that cannot be read, a cycle, or a name that is no node.
    """
    return given if isinstance(given, CausalGraph) else read_graph(os.fspath(given))


def identify(
    graph: str | os.PathLike[str] | CausalGraph, effect: str, *, adjust: Names | None = None,
    mediators: Names = (), instrument: str | None = None,
) -> Identification:  # fmt: skip
    """Whether an effect follows from a graph, and by what: the answer of ``truelift identify``.

    Parameters
    ----------
    graph : str, path or CausalGraph
    effect : str
        ``"campaign -> sales"``.
    adjust : str or list of str, optional
        A set to adjust for: it is judged, with the reason.
    mediators : str or list of str, optional
        Through which a share of the effect is asked.
    instrument : str, optional
        One to use, whether or not adjustment does.

    Returns
    -------
    Identification
        Prints the sentence, the formula and the sets; ``effect_keys()`` are arguments of
        :func:`truelift.estimate_effects`.

    Raises
    ------
    TrueliftError
        For a graph, a name or a set that cannot be.

    Examples
    --------
    >>> import truelift as tl
    >>> found = tl.identify("age -> mail -> sales; age -> sales", "mail -> sales")  # doctest: +SKIP
    >>> tl.estimate_effects(orders, cluster="customer", **found.effect_keys())  # doctest: +SKIP
    """
    with naming_extras():
        treatment, outcome = effect_of(effect)
        names = None if adjust is None else _names(adjust)
        return identified(
            causal_graph(graph), treatment, outcome, names, _names(mediators), instrument
        )


def falsify(
    graph: str | os.PathLike[str] | CausalGraph, table: Any, *, cluster: str | None = None,
    effect: str | Identification | None = None, shuffled: int = SHUFFLED, floor: float = FLOOR,
) -> Falsification:  # fmt: skip
    """What a table says against a graph: every independence that it claims, tested.

    Parameters
    ----------
    graph : str, path or CausalGraph
    table : DataFrame, Arrow table, str or path
        As :func:`truelift.estimate_effects` takes it; read into this process.
    cluster : str, optional
        Rows that share it may be dependent (a user with several orders).
    effect : str or Identification, optional
        Violations on which it leans are marked.
    shuffled : int
        Graphs of shuffled nodes beside it.
    floor : float
        Associations below it count as none.

    Raises
    ------
    TrueliftError
        For a node whose column is not in the table, or too few rows or users.
    """
    with naming_extras():
        drawn = causal_graph(graph)
        found = identify(drawn, effect) if isinstance(effect, str) else effect
        columns = {name: drawn.by_name[name].column for name in drawn.measured}
        return falsified(
            drawn, coded_columns(opened(table), columns, cluster), found, shuffled, floor
        )


def discover(
    table: Any, *, columns: Names = (), categories: Names = (), cluster: str | None = None,
    tiers: str | Iterable[Names] | None = None, required: Names = (), forbidden: Names = (),
    method: str = "order", alpha: float = 0.01, floor: float = 0.01, share: float = 0.5,
    graphs: int = 100, seed: int = 0,
) -> DiscoveryResult:  # fmt: skip
    """What a table can say of a causal graph: a class of graphs, and how often each edge comes.

    Parameters
    ----------
    table : DataFrame, Arrow table, str or path
        A table at an address is read some rows at a time.
    columns, categories : str or list of str
        Of the graph (default: those of the tiers, or all); columns of numbers that are names.
    cluster : str, optional
        Rows that share it may be dependent (a user).
    tiers : str or list, optional
        In which order causes come: ``"age, region < mailed < sales"``, or ``[["age", "region"], "mailed"]``.
    required, forbidden : str or list of str
        Arrows ``"a -> b"`` that are known to be there, and not to be.
    method : {'order', 'pc', 'fci'}
        A search over orders, tests, or tests that allow hidden common causes.
    alpha, floor : float
        Level of each test; a dependence below the floor counts as none.
    share : float
        Of the users that are learned on; the rest is left for estimation.
    graphs : int
        Of halves of the users, for the frequencies.
    seed : int

    Returns
    -------
    DiscoveryResult
        Prints edges with frequencies; ``to_pandas()`` has them, ``graph("a -> b", ...)`` makes a causal graph of
        them once you say which way open edges go, :func:`draw_graph` shows them.

    Raises
    ------
    TrueliftError
        For columns, tiers, arrows and users that cannot be learned from.
    """
    with naming_extras():
        named = (
            tiers if tiers is None or isinstance(tiers, str)
            else Tiers.of([_names(group) for group in tiers])
        )  # fmt: skip
        known = Tiers.parse(named) if named is None or isinstance(named, str) else named
        options = DiscoveryOptions(
            columns=_names(columns), categories=_names(categories), cluster=cluster,
            tiers=known.having("\n".join(_names(required)), "\n".join(_names(forbidden))),
            method=method, alpha=alpha, floor=floor, share=share, bootstraps=graphs, seed=seed,
        )  # fmt: skip
        return learned_class(opened(table), options)


def learn_network(
    graph: str | os.PathLike[str] | CausalGraph, table: Any, *, prior: str = "bdeu:1", cluster: str | None = None,
) -> LearnedNetwork:  # fmt: skip
    """The tables of a Bayesian network, P of every node given its parents, from a table of rows.

    Parameters
    ----------
    graph : str, path or CausalGraph
        Without latent nodes; ``cuts`` of a node say how a number is cut into classes.
    table : DataFrame, Arrow table, str or path
    prior : str
        ``none`` (maximum likelihood), ``k2``, or ``bdeu:ROWS``.
    cluster : str, optional
        Rows that share it are held out together.

    Returns
    -------
    LearnedNetwork
        Prints how likely it makes users that were held out; ``network`` answers :func:`query`.
    """
    with naming_extras():
        return learned_network(causal_graph(graph), opened(table), Prior.parse(prior), cluster)


def query(
    question: str, network: str | os.PathLike[str] | BayesianNetwork | LearnedNetwork
) -> Answer:
    """Chances that a network gives: ``tl.query("P(buy | do(mail), age=30)", "shop.bif")``.

    Parameters
    ----------
    question : str
    network : str, path, BayesianNetwork or LearnedNetwork
        A BIF file, or what :func:`learn_network` gave.
    """
    with naming_extras():
        if isinstance(network, LearnedNetwork):
            network = network.network
        if not isinstance(network, BayesianNetwork):
            network = read_network(os.fspath(network))
        return answered(network, question)


def draw_graph(
    shown: str | os.PathLike[str] | CausalGraph | Identification | DiscoveryResult,
    width: Any = "wide",
) -> Figure:
    """A picture of a graph, of what identifies an effect in it, or of what was learned; notebooks show it.

    Parameters
    ----------
    shown : str, path, CausalGraph, Identification or DiscoveryResult
    width : {'wide', 'narrow'}
    """
    with naming_extras():
        from truelift.report.plots.discovery import learned_graph
        from truelift.report.plots.graphs import graph_picture

        if isinstance(shown, DiscoveryResult):
            return learned_graph(shown, width)
        what = shown if isinstance(shown, Identification) else causal_graph(shown)
        return graph_picture(what, width)


def _names(given: Names) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
