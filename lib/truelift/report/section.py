"""Sections of the page: a row each, ours and those that other packages bring.

A package adds one by an entry point of the group ``truelift.sections`` (:mod:`truelift.registry`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from truelift.report.content import ReportContent
    from truelift.report.markup import Html

#: Plots of a section by name; each is drawn when it is called.
Figures = Mapping[str, "Callable[[], Figure]"]


def _no_figures(content: ReportContent) -> Figures:  # noqa: ARG001
    return {}


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading of its own.

    Parameters
    ----------
    name : str
        Its anchor on the page.
    title : str
        Its line in the contents.
    order : int
        Sections stand from low to high; ours take tens, from the answer (10) to the pedigree (100).
    draw : callable
        Takes the :class:`~truelift.report.content.ReportContent`; None where the run has nothing to
        say in it.
    figures : callable
        Takes the same; its plots, by name, are logged with the MLflow run.
    reads : tuple of type
        Classes of steps' results that it takes by ``content.result(...)``. Of a table of one's
        own, which has no steps before its estimation, a section whose results are all missing is
        left out instead of being stated as missing.
    """

    name: str
    title: str
    order: int
    draw: Callable[[ReportContent], Html | None]
    figures: Callable[[ReportContent], Figures] = _no_figures
    reads: tuple[type, ...] = ()


#: Ours, by anchor.
SECTIONS: Registry[Section] = Registry(
    "truelift.sections",
    {
        "answer": "truelift.report.sections.answer:ANSWER",
        "experiments": "truelift.report.sections.experiments:EXPERIMENTS",
        "trust": "truelift.report.sections.trust:TRUST",
        "beyond": "truelift.report.sections.beyond:BEYOND",
        "whom": "truelift.report.sections.whom:WHOM",
        "policy": "truelift.report.sections.policy:POLICY",
        "fragile": "truelift.report.sections.fragile:FRAGILE",
        "what-if": "truelift.report.sections.what_if:WHATIF",
        "policies": "truelift.report.sections.policies:POLICIES",
        "doses": "truelift.report.sections.doses:DOSES",
        "needs": "truelift.report.sections.needs:NEEDS",
        "ranking": "truelift.report.sections.ranking:RANKING",
        "recommendations": "truelift.report.sections.ranking:RECOMMENDATIONS",
        "loop": "truelift.report.sections.loop:LOOP",
        "rows": "truelift.report.sections.data:ROWS",
        "sessions": "truelift.report.sections.data:SESSIONS",
        "decision": "truelift.report.sections.closing:DECISION",
        "pedigree": "truelift.report.sections.pedigree:PEDIGREE",
    },
)


def sections() -> Iterator[Section]:
    """All sections in the order of the page."""
    return iter(sorted(SECTIONS, key=lambda section: section.order))
