"""The report job: collects what the steps left behind and writes one page."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from matplotlib.figure import Figure

from truelift.config import without_secrets
from truelift.effects.results import EffectsResult
from truelift.effects.telling.names import in_words
from truelift.errors import ConfigError, MachineError
from truelift.features.panels.results import PanelBuilt
from truelift.logs.results import CleanResult, IngestResult, SessionsResult
from truelift.recommend.results import RecommendResult
from truelift.report.content import ReportContent
from truelift.report.page import render_page
from truelift.report.section import sections
from truelift.settings import Settings
from truelift.steps import StepReport, code_version
from truelift.tool_records import newest_of_tools
from truelift.training.results import TrainingResult
from truelift.typed import to_plain

if TYPE_CHECKING:
    from truelift.job import Job

PAGE = "index.html"
# Results with a field of their own in the content.
_OWN = (
    IngestResult,
    CleanResult,
    SessionsResult,
    PanelBuilt,
    TrainingResult,
    EffectsResult,
    RecommendResult,
)


def report(job: Job) -> StepReport:
    """Write ``index.html`` under ``settings.report.path`` and log it with its figures.

    Parts whose step has not run are stated as missing; the page needs nothing from outside.

    Raises
    ------
    ConfigError
        If ``report.path`` is a URI; the page is a file for people to open.
    MachineError
        If the directory cannot be written.
    """
    folder = report_folder(job.settings)
    content = collect(job, folder)
    job.progress.update("drawing the page")
    page = write_page(folder, render_page(content))
    figures = logged_figures(content)
    for name, draw in figures.items():
        job.log_figure(f"{name}.png", draw())
    job.log_artifact(page, "report")
    job.files.append(str(page))
    return StepReport(
        rows_in=len(content.pedigree),
        rows_out=1,
        headline={
            "figures": len(figures),
            "kilobytes": round(page.stat().st_size / 1024),
            "page": str(page),
        },
    )


def report_folder(settings: Settings) -> Path:
    """The directory of the page.

    Raises
    ------
    ConfigError
        If it is given as a URI.
    """
    path = settings.report.path
    if "://" in path:
        raise ConfigError(
            f"report.path: found {path!r}, expected a directory that this machine mounts. Write "
            "the page to a mounted path (on Databricks /Volumes/...); MLflow keeps a copy too."
        )
    return Path(path)


def collect(job: Job, folder: Path) -> ReportContent:
    """Gather the results and records of all finished steps."""
    clean = job.load_result(CleanResult)
    content = ReportContent(
        dataset=job.settings.dataset,
        generated_at=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        configuration=yaml.safe_dump(without_secrets(to_plain(job.settings)), sort_keys=False),
        ingest=job.load_result(IngestResult),
        clean=clean,
        sessions=job.load_result(SessionsResult),
        panel=job.load_result(PanelBuilt),
        training=job.load_result(TrainingResult),
        effects=job.load_result(EffectsResult),
        recommend=job.load_result(RecommendResult),
        pedigree=job.records_before(),
        data_docs=relative_link(clean.data_docs if clean else None, folder),
        version=code_version(),
        sample=job.settings.sample,
    )
    asked = dict.fromkeys(kind for section in sections() for kind in section.reads)
    others = (job.load_result(kind) for kind in asked if kind not in _OWN)
    by_tools = (_of_tool(job, kind) for kind in asked if kind not in _OWN)
    found = tuple(result for result in (*others, *by_tools) if result is not None)
    return replace(content, others=found, unread=tuple(job.said))


def _of_tool(job: Job, kind: type) -> object | None:
    """What a command beside the steps left for the panel of this page, or for no panel."""
    panel = job.after.get("estimate_effects", "") or "gold.panel"
    root = job.lake.root
    return newest_of_tools(root, panel, kind) or newest_of_tools(root, "", kind)


def relative_link(target: str | None, folder: Path) -> str | None:
    """A link from the page to a local file; None where the file is not there."""
    if target is None:
        return None
    path = Path(target.removeprefix("file://"))
    if path.is_dir():
        path = path / PAGE
    if not path.is_file():
        return None
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def write_page(folder: Path, text: str) -> Path:
    """Write the page so that a reader sees the old one or the new one.

    Raises
    ------
    MachineError
        If the directory cannot be written.
    """
    page = folder / PAGE
    part = folder / f"{PAGE}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(page)
    except OSError as error:
        raise MachineError(
            f"report.path {str(folder)!r} cannot be written ({error.strerror}). Choose another "
            "with --set report.path=DIRECTORY."
        ) from error
    return page


def logged_figures(content: ReportContent) -> dict[str, Callable[[], Figure]]:
    """The plots of the page, by name, for the MLflow run."""
    if content.effects is not None:
        content = replace(content, effects=in_words(content.effects))
    return {name: draw for s in sections() for name, draw in s.figures(content).items()}
