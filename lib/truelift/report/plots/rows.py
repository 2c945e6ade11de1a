"""Where the rows went."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from truelift.logs.results import CleanResult, IngestResult
from truelift.report.numbers import count
from truelift.report.plots.canvas import (
    BLUE,
    ORANGE,
    Width,
    bare_left,
    drawn,
    literal,
    new_figure,
    title,
    wrapped,
)


def stages(ingest: IngestResult | None, clean: CleanResult | None) -> list[tuple[str, int]]:
    """The stages that rows pass, each with the rows that reached it."""
    found: list[tuple[str, int]] = []
    if ingest is not None:
        found.append(("Read from files", ingest.rows_read))
        if ingest.rows_sampled_out:
            found.append(("In the sample", ingest.rows_read - ingest.rows_sampled_out))
    if clean is not None:
        found += [("Bronze (raw)", clean.bronze), ("Silver (clean)", clean.silver)]
    elif ingest is not None:
        found.append(("Bronze (raw)", ingest.rows_written + ingest.rows_already_known))
    return found


def set_aside(clean: CleanResult | None) -> list[tuple[str, int]]:
    """Reasons for which rows left the stream, the most frequent first."""
    if clean is None:
        return []
    reasons = dict(clean.reasons)
    if clean.duplicates:
        reasons.setdefault("duplicate", clean.duplicates)
    return sorted(((k, v) for k, v in reasons.items() if v), key=lambda r: (-r[1], r[0]))


@drawn
def rows_funnel(
    ingest: IngestResult | None, clean: CleanResult | None, width: Width = "wide"
) -> Figure:
    """Rows at each stage, and below, on a scale of their own, those set aside by reason.

    Parameters
    ----------
    ingest : IngestResult or None
    clean : CleanResult or None
    width : {'wide', 'narrow'}
        For a desktop page or a phone.

    Returns
    -------
    matplotlib.figure.Figure
    """
    kept, removed = stages(ingest, clean), set_aside(clean)
    parts = [part for part in (kept, removed) if part]
    figure = new_figure(width, 0.55 * len(parts) + 0.3 * sum(len(part) for part in parts) + 0.1)
    grid = figure.subplots(
        max(len(parts), 1), 1, squeeze=False, height_ratios=[len(p) + 0.6 for p in parts] or [1]
    )[:, 0]
    for axes, part in zip(grid, parts, strict=False):
        is_kept = part is kept
        title(axes, "Rows at each stage" if is_kept else "Set aside, by reason (own scale)")
        _bars(axes, part, BLUE if is_kept else ORANGE, 20 if width == "narrow" else 36)
    return figure


def _bars(axes: Axes, part: list[tuple[str, int]], colour: str, characters: int) -> None:
    labels = [literal(wrapped(name.replace("_", " "), characters)) for name, _ in part]
    values = [value for _, value in part]
    bars = axes.barh(range(len(part)), values, color=colour, height=0.62)
    axes.bar_label(bars, [count(v) for v in values], padding=3, fontsize=8.5)
    axes.set_yticks(range(len(part)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, max([*values, 1]) * 1.28)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    bare_left(axes)
