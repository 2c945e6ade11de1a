"""The complete algorithm for P(outcome | do(treatment)), by pyAgrum, behind one function.

What of pyAgrum misleads is kept in here. It drops an arrow between two nodes with a common latent cause
unless it is told to keep it; it needs tables before it looks at a structure, and the table that it returns beside a
formula is of these tables, not of the data; a latent cause may have no parents; names are read by a
grammar. So it is given a projection with names of ours and tables by chance, and asked for the formula
alone; and whether there is one is held to our own recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from truelift.errors import InvariantError
from truelift.graph.formula import Formula, P, Product, Quotient, Sum
from truelift.graph.projection import Projection


def general_formula(
    graph: Projection, treatment: str, outcome: str, given: Iterable[str] = ()
) -> Formula | None:
    """The formula of an effect, or of one among units that are alike in something.

    Parameters
    ----------
    graph : Projection
    treatment, outcome : str
    given : iterable of str
        Nodes that are conditioned on.

    Returns
    -------
    Formula or None
        None where no formula of what is measured gives it.

    Raises
    ------
    InvariantError
        Where pyAgrum and the recursion of :mod:`truelift.graph.projection` disagree.
    """
    conditions = tuple(given)
    model, names = _model(graph)
    back = {ours: name for name, ours in names.items()}
    known = {"knowing": {names[name] for name in conditions}} if conditions else {}
    found, _, _ = _pyagrum().causalImpact(model, on=names[outcome], doing=names[treatment], **known)
    formula = None
    if found is not None and found.isIdentified():
        formula = _read(found.toDict(), back)
    if not conditions and (formula is not None) != graph.identifies(treatment, outcome):
        raise InvariantError(
            f"{treatment} -> {outcome}: pyAgrum says {'' if formula else 'not '}identified, and the recursion "
            "of Tian and Pearl says the contrary."
        )
    return formula


def _model(graph: Projection) -> tuple[Any, dict[str, str]]:
    gum = _pyagrum()
    network = gum.BayesNet()
    names = {name: f"v{number}" for number, name in enumerate(graph.parents)}
    for ours in names.values():
        network.add(gum.RangeVariable(ours, "", 0, 1))
    for name, above in graph.parents.items():
        for parent in sorted(above):
            network.addArc(names[parent], names[name])
    network.generateCPTs()
    hidden = [(f"u{i}", (names[a], names[b])) for i, (a, b) in enumerate(graph.pairs())]
    return gum.CausalModel(network, hidden, True), names


def _read(tree: Mapping[str, Any], back: Mapping[str, str]) -> Formula:
    kind = tree["op"]
    if kind not in _KINDS:
        raise InvariantError(
            f"pyAgrum's formula has {kind!r}, expected one of {', '.join(_KINDS)}."
        )
    return _KINDS[kind](tree, back)


def _chance(tree: Mapping[str, Any], back: Mapping[str, str]) -> P:
    given = sorted(back[name] for name in tree.get("knowing", ()))
    return P(tuple(back[name] for name in tree["vars"]), tuple(given))


_KINDS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, str]], Formula]] = {
    "P": _chance,
    "*": lambda tree, back: Product(_read(tree["op1"], back), _read(tree["op2"], back)),
    "/": lambda tree, back: Quotient(_read(tree["op1"], back), _read(tree["op2"], back)),
    "sum": lambda tree, back: Sum(back[tree["var"]], _read(tree["term"], back)),
}


def _pyagrum() -> Any:
    import pyagrum

    return pyagrum
