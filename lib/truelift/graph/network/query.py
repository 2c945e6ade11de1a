"""Questions to a network: ``P(buy | do(mail=1), age=30)``, answered by exact inference.

An intervention cuts the arrows into its node and fixes it; evidence conditions what is left (Pearl 2009,
section 3.2). Inference is pyAgrum's, on tables of ours: its reader of BIF has single precision and is not used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from truelift.errors import ConfigError, NotSupportedError
from truelift.graph.network.coding import level_of
from truelift.graph.network.model import BayesianNetwork

_QUESTION = re.compile(r"^\s*P\s*\((?P<of>[^|]*)(?:\|(?P<given>.*))?\)\s*$", re.DOTALL)
_ITEM = re.compile(
    r"\s*(do\s*\(\s*)?(\"[^\"]*\"|[^=,()\"]+?)\s*(?:=\s*(\"[^\"]*\"|\[[^)]*\)|[^,()]+?))?\s*(\))?\s*(?:,|$)"
)


@dataclass(frozen=True)
class Question:
    """What is asked.

    Parameters
    ----------
    of : tuple of (str, str or None)
        Nodes, and the level that is asked for; None for all.
    done : tuple of (str, str or None)
        Interventions; None for each level in turn.
    seen : tuple of (str, str)
        Evidence.
    """

    of: tuple[tuple[str, str | None], ...]
    done: tuple[tuple[str, str | None], ...] = ()
    seen: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Answer:
    """Chances.

    Parameters
    ----------
    question : str
    rows : tuple of (mapping of str to str, mapping of str to str, float)
        Interventions, levels of what is asked, the chance.
    """

    question: str
    rows: tuple[tuple[dict[str, str], dict[str, str], float], ...]

    def __str__(self) -> str:
        return "\n".join([self.question, *self._lines()])

    def _lines(self) -> Iterator[str]:
        for done, of, chance in self.rows:
            told = ", ".join(f"do({n}={v})" for n, v in done.items())
            names = ", ".join(f"{n}={v}" for n, v in of.items())
            yield f"  {chance:.6g}  {names}{f'  | {told}' if told else ''}"


def question_of(text: str, network: BayesianNetwork) -> Question:
    """A question from its text.

    Raises
    ------
    ConfigError
        For a text that is none, a name that is no node, or a value that is no level.
    """
    found = _QUESTION.match(text)
    if found is None:
        raise ConfigError(f"query: found {text!r}, expected such as 'P(buy | do(mail=1), age=30)'.")
    of = list(_items(found["of"], text, network))
    given = list(_items(found["given"] or "", text, network)) if found["given"] else []
    if not of or any(is_done for is_done, _, _ in of):
        raise ConfigError(
            f"query: found {text!r}, expected names before the bar, and do(...) behind it."
        )
    seen = [(name, level) for is_done, name, level in given if not is_done]
    open_ended = [name for name, level in seen if level is None]
    if open_ended:
        raise ConfigError(
            f"query: found {open_ended[0]} behind the bar, expected {open_ended[0]}=VALUE or do(...)."
        )
    names = [name for _, name, _ in (*of, *given)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"query: found {twice[0]} twice, expected each name once.")
    return Question(
        tuple((name, level) for _, name, level in of),
        tuple((name, level) for is_done, name, level in given if is_done),
        tuple((name, str(level)) for name, level in seen),
    )


def answered(network: BayesianNetwork, text: str) -> Answer:
    """The chances that a question asks for.

    Raises
    ------
    ConfigError
        As :func:`question_of`.
    NotSupportedError
        For evidence that cannot happen.
    """
    question = question_of(text, network)
    choices = [
        [(name, level)] if level is not None else [(name, each) for each in network.levels[name]]
        for name, level in question.done
    ]
    rows = []
    for done in product(*choices):
        found = joint(network, tuple(n for n, _ in question.of), dict(done), dict(question.seen))
        for place in np.ndindex(found.shape):
            levels = {n: network.levels[n][i] for (n, _), i in zip(question.of, place, strict=True)}
            if all(level in (None, levels[name]) for name, level in question.of):
                rows.append((dict(done), levels, float(found[place])))
    return Answer(text.strip(), tuple(rows))


def joint(
    network: BayesianNetwork, of: tuple[str, ...], done: Mapping[str, str], seen: Mapping[str, str]
) -> np.ndarray:
    """P(of | do(done), seen), an axis a node of ``of``."""
    import pyagrum

    model, names = _model(network, done)
    inference = pyagrum.LazyPropagation(model)
    inference.setEvidence(
        {names[n]: network.levels[n].index(v) for n, v in {**done, **seen}.items()}
    )
    asked = {names[name] for name in of}
    inference.addJointTarget(asked)
    told = ", ".join(f"{n}={v}" for n, v in seen.items()) or "the question"
    try:
        possible = inference.evidenceProbability() > 0
        found = inference.jointPosterior(asked) if possible else None
    except pyagrum.IncompatibleEvidence:
        found = None
    if found is None:
        raise NotSupportedError(f"query: {told} has no chance in this network.")
    axes = list(found.names)[::-1]  # pyAgrum's arrays begin with its last variable
    values = np.asarray(found.toarray())
    return np.transpose(values, [axes.index(names[name]) for name in of])


def _model(network: BayesianNetwork, done: Mapping[str, str]) -> tuple[Any, dict[str, str]]:
    """The network in pyAgrum, under names of ours, without arrows into what is done."""
    import pyagrum

    model = pyagrum.BayesNet()
    names = {name: f"v{number}" for number, name in enumerate(network.levels)}
    for name, ours in names.items():
        model.add(pyagrum.RangeVariable(ours, "", 0, len(network.levels[name]) - 1))
    for name, table in network.tables.items():
        if name in done:
            size = len(network.levels[name])
            model.cpt(names[name]).fillWith([1.0 / size] * size)
            continue
        for parent in network.parents[name]:
            model.addArc(names[parent], names[name])
        # The node varies fastest, then its first parent.
        axes = [*range(table.ndim - 2, -1, -1), table.ndim - 1]
        model.cpt(names[name]).fillWith(np.transpose(table, axes).ravel().tolist())
    return model, names


def _items(
    text: str, whole: str, network: BayesianNetwork
) -> Iterator[tuple[bool, str, str | None]]:
    place = 0
    while place < len(text):
        found = _ITEM.match(text, place)
        if found is None or bool(found[1]) != bool(found[4]):
            raise ConfigError(f"query: cannot read {text[place:].strip()!r} in {whole!r}.")
        place = found.end()
        name = found[2].strip().strip('"')
        network.graph().node(name, "query")
        value = None if found[3] is None else found[3].strip().strip('"')
        level = None if value is None else level_of(network.levels[name], value)
        if value is not None and level is None:
            raise ConfigError(
                f"query: found {name}={value}, expected one of {', '.join(network.levels[name])}."
            )
        yield bool(found[1]), name, level
