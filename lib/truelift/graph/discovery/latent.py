"""FCI: what tests say where hidden common causes are allowed, by the rules of causal-learn.

The package comes with the extra [graphs]; tests are ours, on sums.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

import numpy as np

from truelift.graph.discovery.learning import Knowledge
from truelift.graph.discovery.pattern import ARROW, CIRCLE, NONE, TAIL, Pattern
from truelift.graph.discovery.pc import TestOptions
from truelift.graph.discovery.separation import Evidence

_NAME = "truelift_sums"
# causal-learn's marks at an end.
_MARKS = {0: NONE, -1: TAIL, 1: ARROW, 2: CIRCLE}


def fci(evidence: Evidence, known: Knowledge, options: TestOptions) -> Pattern:
    """The PAG that tests of independence leave (Spirtes et al. 2000; Zhang 2008).

    With tiers, a later column is no cause of an earlier one: the end at the later one is an arrow
    (:func:`lay_known_ends`).
    """
    from causallearn.search.ConstraintBased.FCI import fci as learn
    from causallearn.utils.cit import register_ci_test

    names = [f"N{i}" for i in range(len(known.names))]
    register_ci_test(_NAME, _test_class())
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        graph, _ = learn(
            np.zeros((2, len(names))), _NAME, options.alpha, depth=options.depth,
            show_progress=False, node_names=names, evidence=evidence, floor=options.floor,
            required=known.required | known.required.T,
        )  # fmt: skip
    return Pattern(known.names, _marks_of(graph, names, known))


def _marks_of(graph: Any, names: list[str], known: Knowledge) -> np.ndarray:
    place = {node.get_name(): number for node, number in graph.node_map.items()}
    at = [place[name] for name in names]
    # graph[j, i] is the mark at the end j of the edge between i and j.
    theirs = np.asarray(graph.graph)[np.ix_(at, at)]
    marks = np.vectorize(_MARKS.__getitem__, otypes=[np.int8])(theirs.T)
    found: np.ndarray = marks
    found[known.required.T & (found != NONE)] = TAIL  # what is known to cause has a tail
    lay_known_ends(found, known.ruled_out)
    return found


def lay_known_ends(marks: np.ndarray, ruled_out: np.ndarray) -> None:
    """An end at ``j`` is an arrow where ``j`` is no cause of the node at the other end, in place; and what follows.

    causal-learn makes a tail of the other end, as if there were no hidden common causes. Here that end stays what
    it is, and the first two of Zhang's rules are run again: ``a *-> b o-* c`` with ``a``, ``c`` apart gives
    ``b -> c``; ``a -> b *-> c`` or ``a *-> b -> c`` with ``a *-o c`` gives ``a *-> c``.
    """
    marks[(marks != NONE) & ruled_out.T] = ARROW
    near = marks != NONE
    changed = True
    while changed:
        changed = False
        into = marks == ARROW
        causes = into & (marks.T == TAIL)
        for b, c in np.argwhere(near & (marks.T == CIRCLE)):
            apart = into[:, b] & ~near[:, c]
            apart[c] = False
            if apart.any() and marks[c, b] == CIRCLE:
                marks[c, b], marks[b, c], changed = TAIL, ARROW, True
        for a, c in np.argwhere(marks == CIRCLE):
            if ((causes[a] & into[:, c]) | (into[a] & causes[:, c])).any():
                marks[a, c], changed = ARROW, True


def _test_class() -> Any:
    from causallearn.utils.cit import CIT_Base

    class OnSums(CIT_Base):
        """Our test in causal-learn's place for one."""

        def __init__(
            self, data: Any, evidence: Evidence, floor: float, required: np.ndarray, **rest: Any
        ):
            super().__init__(data, **rest)
            self.method, self.evidence, self.floor = _NAME, evidence, floor
            self.required = required
            self.asked: dict[tuple[int, int, tuple[int, ...]], float] = {}

        def __call__(self, x: int, y: int, given: Any = None) -> float:
            own = tuple(sorted(int(v) for v in (given or ())))
            a, b = sorted((int(x), int(y)))
            if self.required[a, b]:
                return 0.0  # no set separates them
            if (a, b, own) not in self.asked:
                p, effect = self.evidence.test(a, b, own)
                self.asked[a, b, own] = 1.0 if effect < self.floor else p
            return self.asked[a, b, own]

    return OnSums
