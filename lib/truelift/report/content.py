"""Everything the page is made from, in one object; a part that did not run is None."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

from truelift.effects.results import EffectsResult
from truelift.features.panels.results import PanelBuilt
from truelift.logs.results import CleanResult, IngestResult, SessionsResult
from truelift.recommend.results import RecommendResult
from truelift.steps import StepRecord
from truelift.training.results import TrainingResult

Result = TypeVar("Result")


@dataclass(frozen=True)
class ReportContent:
    """What :func:`truelift.report.page.render_page` needs.

    Parameters
    ----------
    dataset : str
        Name of the data set.
    generated_at : str
        ISO time (UTC) shown at the foot of the page.
    configuration : str
        The resolved configuration as YAML.
    ingest, clean, sessions, panel, training, effects, recommend
        Results of the steps; None where a step did not run.
    pedigree : tuple of truelift.steps.StepRecord
        The finished steps, in order.
    data_docs : str or None
        Link to the Data Docs, relative to the page.
    version : str
        Version of the code.
    sample : float
        Share of the users that was kept, 1.0 for all.
    unread : tuple of str
        What of the steps' results could not be read, in sentences.
    others : tuple
        Results of steps that sections of other packages read.
    """

    dataset: str
    generated_at: str
    configuration: str
    ingest: IngestResult | None = None
    clean: CleanResult | None = None
    sessions: SessionsResult | None = None
    panel: PanelBuilt | None = None
    training: TrainingResult | None = None
    effects: EffectsResult | None = None
    recommend: RecommendResult | None = None
    pedigree: tuple[StepRecord, ...] = ()
    data_docs: str | None = None
    version: str = ""
    sample: float = 1.0
    unread: tuple[str, ...] = ()
    others: tuple[object, ...] = ()

    def result(self, kind: type[Result]) -> Result | None:
        """The result of a class; None where its step did not run."""
        own = (getattr(self, field.name) for field in fields(self))
        return next((r for r in (*own, *self.others) if isinstance(r, kind)), None)
