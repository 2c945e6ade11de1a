"""The page of experiments: decisions and their reasons, and an index of all of the lake's."""

from __future__ import annotations

import datetime
from pathlib import Path

from truelift.experiments.analysis.results import Experiments
from truelift.report.content import ReportContent
from truelift.report.job import report_folder, write_page
from truelift.report.markup import element
from truelift.report.page import document
from truelift.report.sections.experiments import EXPERIMENTS
from truelift.settings import Settings


def experiments_page(found: Experiments, settings: Settings) -> str:
    """The page as one HTML document that needs nothing from outside."""
    at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    content = ReportContent(settings.dataset, at, "", others=(found,))
    names = ", ".join(a.name for a in found.analyses)
    body = element(
        "body",
        element("a", "Skip to the answer", href="#experiments", class_="skip"),
        element(
            "header",
            element("p", f"Table: {found.analyses[0].table}", class_="eyebrow"),
            element("h1", f"What follows from {names}?"),
        ),
        element("main", EXPERIMENTS.draw(content)),
        element("footer", element("p", f"Made {at} by truelift.")),
    )
    return document(f"truelift experiments: {names}", body)


def write_experiments_page(found: Experiments, settings: Settings) -> Path:
    """Write the page into ``experiments/`` of the report's folder.

    Raises
    ------
    MachineError
        If it cannot be written there.
    """
    folder = report_folder(settings) / "experiments"
    return write_page(folder, experiments_page(found, settings))
