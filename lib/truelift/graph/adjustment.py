"""Sets that may be adjusted for: the general criterion, and which of them is the most precise.

A set is valid if and only if it has nothing that the treatment changes on the way to the outcome or
below that way, and closes every path that is not such a way (Shpitser, VanderWeele & Robins 2010;
Perkovic et al. 2018). Of all valid sets the parents of the nodes on the way, less what is forbidden, have the
least asymptotic variance (Henckel, Perkovic & Maathuis 2022; Witte et al. 2020; Rotnitzky & Smucler 2020).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from truelift.errors import ConfigError
from truelift.graph.model import CausalGraph
from truelift.graph.separation import ancestors, descendants, open_path, separated, separator

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class Judged:
    """Whether a set may be adjusted for, and why not.

    Parameters
    ----------
    names : tuple of str
    valid : bool
    reason : str
        A sentence.
    """

    names: tuple[str, ...]
    valid: bool
    reason: str


@dataclass(frozen=True)
class Adjustment:
    """Sets for the effect of one node on another.

    Parameters
    ----------
    graph : CausalGraph
    treatment, outcome : str
    """

    graph: CausalGraph
    treatment: str
    outcome: str

    @cached_property
    def way(self) -> set[str]:
        """Nodes on directed paths from the treatment to the outcome, without the treatment."""
        dag = self.graph.dag
        below = descendants(dag, [self.treatment]) & ancestors(dag, [self.outcome])
        return below - {self.treatment}

    @cached_property
    def forbidden(self) -> set[str]:
        """The treatment, and what lies on the way or below it."""
        return descendants(self.graph.dag, self.way) | {self.treatment}

    @cached_property
    def other_paths(self) -> nx.DiGraph:
        """The graph without the first arrows of the way: what is open there is not the effect."""
        cut = self.graph.dag.copy()
        cut.remove_edges_from([(self.treatment, child) for child in self.way])
        return cut

    @cached_property
    def allowed(self) -> set[str]:
        """Measured nodes that a set may have."""
        return set(self.graph.measured) - self.forbidden - {self.outcome}

    def judged(self, names: Iterable[str]) -> Judged:
        """Whether a set may be adjusted for.

        Raises
        ------
        ConfigError
            For a name that is no node, that is latent, or that is the treatment or the outcome.
        """
        chosen = tuple(dict.fromkeys(names))
        for name in chosen:
            if self.graph.node(name, "--adjust").latent:
                raise ConfigError(
                    f"--adjust: {name} is latent, so it cannot be adjusted for. Expected measured "
                    f"nodes, of {', '.join(sorted(self.allowed)) or 'which there are none'}."
                )
            if name in (self.treatment, self.outcome):
                raise ConfigError(f"--adjust: found {name}, which the effect is of or on.")
        bad = [name for name in chosen if name in self.forbidden]
        if bad:
            on = bad[0] in self.way
            return Judged(
                chosen, False,
                f"{bad[0]} lies on the way from {self.treatment} to {self.outcome}: to hold it fixed "
                "takes a part of the effect away." if on else
                f"{bad[0]} is changed by what lies on the way from {self.treatment} to {self.outcome}: "
                "to hold it fixed makes units alike that are not.",
            )  # fmt: skip
        path = open_path(self.other_paths, self.treatment, [self.outcome], chosen)
        if path is not None:
            return Judged(chosen, False, f"the path {spoken(path)} stays open.")
        return Judged(
            chosen, True, "it closes every other path and holds nothing on the way fixed."
        )

    def is_valid(self, names: Iterable[str]) -> bool:
        """The criterion alone."""
        chosen = set(names)
        if chosen & (self.forbidden | {self.outcome}):
            return False
        return separated(self.other_paths, self.treatment, self.outcome, chosen)

    def minimal(self) -> tuple[str, ...] | None:
        """A valid set from which nothing can be left out; None where no measured set is valid."""
        found = separator(self.other_paths, self.treatment, self.outcome, self.allowed)
        return None if found is None else tuple(sorted(found))

    def optimal(self) -> tuple[str, ...] | None:
        """The most precise set, where it is measured and valid.

        None where it has a latent node, or where no set is valid: then no set is the best whatever the
        numbers (Rotnitzky & Smucler 2020), and :meth:`precise` gives one.
        """
        if not self.way:
            return None
        dag = self.graph.dag
        found = {p for name in self.way for p in dag.pred[name]} - self.forbidden
        if not found <= self.allowed or not self.is_valid(found):
            return None
        return tuple(sorted(found))

    def precise(self) -> tuple[str, ...] | None:
        """A valid set that adding to or leaving out of does not improve by the graph alone.

        All allowed ancestors are a valid set if there is one (van der Zander et al. 2019); what tells
        nothing more of the outcome, given the treatment and the rest, costs precision and is left out
        (Henckel et al. 2022, lemma 3).
        """
        optimal = self.optimal()
        if optimal is not None:
            return optimal
        near = ancestors(self.graph.dag, [self.treatment, self.outcome]) & self.allowed
        if not self.is_valid(near):
            return self.minimal()
        kept = set(near)
        for name in sorted(near, key=self._far):
            rest = kept - {name}
            if separated(self.graph.dag, name, self.outcome, rest | {self.treatment}):
                kept = rest
        return tuple(sorted(kept))

    def _far(self, name: str) -> tuple[bool, str]:
        """Causes of the treatment go first."""
        return name not in self.graph.dag.pred[self.treatment], name


def spoken(path: Iterable[str]) -> str:
    """A walk as it is read."""
    return " ".join(f"({part})" if "<->" in part else part for part in path)
