"""The page of needs, in ``needs/`` of the report's folder."""

from __future__ import annotations

import datetime
from pathlib import Path

from truelift.graph.need.results import NeedsResult
from truelift.report.content import ReportContent
from truelift.report.job import report_folder, write_page
from truelift.report.markup import element
from truelift.report.page import document
from truelift.report.sections.needs import HEADING, NEEDS
from truelift.settings import Settings


def needs_page(result: NeedsResult, dataset: str) -> str:
    """The page as one HTML document that needs nothing from outside."""
    at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    content = ReportContent(dataset, at, "", others=(result,))
    body = element(
        "body",
        element("a", "Skip to the needs", href="#needs", class_="skip"),
        element(
            "header",
            element("p", f"Table: {result.table} version {result.version}", class_="eyebrow"),
            element("h1", HEADING),
        ),
        element("main", NEEDS.draw(content)),
        element("footer", element("p", f"Made {at} by truelift.")),
    )
    return document(f"truelift needs: {result.table}", body)


def write_needs_page(result: NeedsResult, settings: Settings) -> Path:
    """Write the page.

    Raises
    ------
    MachineError
        If it cannot be written there.
    """
    return write_page(report_folder(settings) / "needs", needs_page(result, settings.dataset))
