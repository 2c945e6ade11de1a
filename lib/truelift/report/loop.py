"""The page of a closed loop."""

from __future__ import annotations

import datetime
from pathlib import Path

from truelift.loop.results import LoopResult
from truelift.report.content import ReportContent
from truelift.report.job import write_page
from truelift.report.markup import element
from truelift.report.page import document
from truelift.report.sections.loop import HEADING, LOOP


def loop_page(found: LoopResult) -> str:
    """The page as one HTML document that needs nothing from outside."""
    at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    content = ReportContent(found.world, at, "", others=(found,))
    body = element(
        "body",
        element("a", "Skip to the answer", href="#loop", class_="skip"),
        element(
            "header",
            element("p", f"Simulated world: {found.world}", class_="eyebrow"),
            element("h1", HEADING),
        ),
        element("main", LOOP.draw(content)),
        element("footer", element("p", f"Made {at} by truelift.")),
    )
    return document(f"truelift loop: {found.world}", body)


def write_loop_page(found: LoopResult, folder: Path) -> Path:
    """Write the page into the loop's folder.

    Raises
    ------
    MachineError
        If it cannot be written there.
    """
    return write_page(folder, loop_page(found))
