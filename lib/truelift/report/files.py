"""Figures and pages as files beside the report."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from truelift.errors import MachineError
from truelift.report.job import report_folder
from truelift.settings import Settings


def save_figure(settings: Settings, name: str, figure: Figure, chosen: str | None = None) -> Path:
    """Write a figure where it was asked for, or into ``experiments/`` of the report's folder.

    Raises
    ------
    MachineError
        If it cannot be written there.
    """
    return save_at(chosen or report_folder(settings) / "experiments" / name, figure)


def save_at(place: str | Path, figure: Figure) -> Path:
    """Write a figure to a file, in the format of its ending.

    Raises
    ------
    MachineError
        If it cannot be written there.
    """
    place = Path(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(place, dpi=150)
    except (OSError, ValueError) as error:
        raise MachineError(
            f"The figure cannot be written to {place} ({error}). Choose another place, such as "
            "power.png or power.svg."
        ) from error
    return place
