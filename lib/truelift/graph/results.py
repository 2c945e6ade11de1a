"""What a graph says of an effect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from truelift.graph.adjustment import Adjustment, Judged
from truelift.graph.designs import Instrument, Mediation
from truelift.graph.formula import Formula, shown
from truelift.graph.model import CausalGraph

if TYPE_CHECKING:
    import pyarrow as pa

#: What an effect is estimated by, and how it is read out.
METHODS = {
    "back door": "is identified by adjusting for {names}",
    "front door": "is identified by the front door, through {names}",
    "formula": "is identified by a formula of what is measured, though no set of covariates does",
    "instrument": "is not identified by itself; {names} is an instrument",
    "none": "is not identified",
}


@dataclass(frozen=True)
class Identification:
    """How an effect follows from what is measured, if it does.

    Parameters
    ----------
    graph : CausalGraph
    treatment, outcome : str
        Nodes.
    method : str
        One of :data:`METHODS`.
    covariates : tuple of str
        Nodes to adjust for: the set that was given, if it is valid, else the most precise one.
    formula : Formula or None
        Of P(outcome | do(treatment)).
    causes : bool
        Whether the graph has a way from the treatment to the outcome at all.
    given : Judged or None
        The set that was asked for.
    minimal, optimal : tuple of str or None
        Sets of :class:`~truelift.graph.adjustment.Adjustment`.
    front_door : tuple of str or None
    instruments : tuple of Instrument
    mediation : Mediation or None
    missing : tuple of str or None
        Where nothing identifies: the smallest set of latent nodes that would, if measured.
    """

    graph: CausalGraph
    treatment: str
    outcome: str
    method: str
    covariates: tuple[str, ...] = ()
    formula: Formula | None = None
    causes: bool = True
    given: Judged | None = None
    minimal: tuple[str, ...] | None = None
    optimal: tuple[str, ...] | None = None
    front_door: tuple[str, ...] | None = None
    instruments: tuple[Instrument, ...] = ()
    mediation: Mediation | None = None
    missing: tuple[str, ...] | None = None
    asked_mediators: bool = field(default=False, repr=False)

    @property
    def supported(self) -> bool:
        """Whether something estimates the effect, and a set that was asked for is valid."""
        return self.method != "none" and (self.given is None or self.given.valid)

    @property
    def exit_code(self) -> int:
        """How a command ends: 3 where the graph does not carry what was asked."""
        return 0 if self.supported else 3

    def way(self) -> set[str]:
        """Nodes on directed paths from the treatment to the outcome, without the treatment."""
        return Adjustment(self.graph, self.treatment, self.outcome).way

    def effect_keys(self, schema: pa.Schema | None = None) -> dict[str, Any]:
        """What it fixes in an effect's specification (:func:`truelift.graph.effect_spec.effect_keys`)."""
        from truelift.graph.effect_spec import effect_keys

        return effect_keys(self, schema)

    def sentence(self) -> str:
        """The answer."""
        names = {
            "back door": named(self.covariates) or "nothing",
            "front door": named(self.front_door or ()),
            "instrument": named(tuple(i.name for i in self.instruments[:1])),
        }.get(self.method, "")
        return f"The effect of {self.treatment} on {self.outcome} {METHODS[self.method].format(names=names)}."

    def formula_text(self) -> str:
        """The formula with the question before it; empty where there is none."""
        if self.formula is None:
            return ""
        both = (self.treatment, self.outcome)
        return f"P({self.outcome} | do({self.treatment})) = {shown(self.formula, both)}"

    def summary(self) -> str:
        """The sentence, the formula, the sets, and what to do."""
        return "\n".join(self._lines())

    def __str__(self) -> str:
        return self.summary()

    def _lines(self) -> Iterator[str]:
        yield self.sentence()
        if not self.causes:
            yield (
                f"  no way    the graph has no path of arrows from {self.treatment} to {self.outcome}: it "
                "says that the effect is zero"
            )
        if self.formula is not None:
            yield f"  formula   {self.formula_text()}"
        if self.given is not None:
            verdict = "valid" if self.given.valid else "not valid"
            yield f"  given     {named(self.given.names) or 'nothing'}: {verdict}, for {self.given.reason}"
        yield from self._sets()
        if self.front_door and self.method != "front door":
            yield f"  front     door: {named(self.front_door)}"
        for one in self.instruments:
            given = f", given {named(one.given)}" if one.given else ""
            yield (
                f"  instrument {one.name}{given}: for those whose treatment it moves, if it moves nobody's "
                "the other way"
            )
        if self.mediation is not None:
            yield self._mediation(self.mediation)
        if self.method in ("none", "instrument"):
            yield self._what_is_missing()

    def _sets(self) -> Iterator[str]:
        if self.minimal is not None:
            yield f"  minimal   {named(self.minimal) or 'nothing'}: none of it can be left out"
        if self.optimal is not None:
            yield f"  optimal   {named(self.optimal) or 'nothing'}: the most precise of all valid sets"
        elif self.minimal is not None and self.causes:
            yield (
                f"  precise   {named(self.covariates) or 'nothing'}: no set is the best whatever the "
                "numbers, for a part of it is latent"
            )

    def _mediation(self, found: Mediation) -> str:
        through = f"  mediation through {named(found.mediators)}"
        if found.reason:
            return f"{through}: shares are not identified, for {found.reason}"
        return f"{through}: shares are identified, given {named(found.given) or 'nothing'}"

    def _what_is_missing(self) -> str:
        if self.missing is None:
            return (
                "  measure   nothing that can be measured would do: an experiment on "
                f"{self.treatment}, or an instrument, is needed"
            )
        told = [_in_words(name) for name in self.missing]
        return f"  measure   {named(tuple(told))}: the smallest set that would identify it"


def named(names: tuple[str, ...]) -> str:
    """Names in a sentence."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _in_words(name: str) -> str:
    a, sign, b = name.partition(" <-> ")
    return f"what moves both {a} and {b}" if sign else name
