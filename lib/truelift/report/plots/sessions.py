"""Sessions over time."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from truelift.logs.results import SessionsResult
from truelift.report.numbers import count
from truelift.report.plots.canvas import BLUE, SKY, Width, drawn, new_figure, title

WEEK = 7


def daily_series(per_day: tuple[tuple[str, int], ...]) -> tuple[list[date], np.ndarray]:
    """Every day from the first to the last; days without sessions count zero."""
    counts = {date.fromisoformat(day): sessions for day, sessions in per_day}
    first, last = min(counts), max(counts)
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    return days, np.array([counts.get(day, 0) for day in days], dtype=float)


@drawn
def sessions_over_time(result: SessionsResult, width: Width = "wide") -> Figure:
    """Sessions a day, with their mean over the seven days around each day.

    Parameters
    ----------
    result : SessionsResult
        ``per_day`` must hold at least one day.
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    days, values = daily_series(result.per_day)
    figure = new_figure(width, 2.5)
    axes = figure.add_subplot()
    numbers = np.asarray(date2num(days))
    marker = "o" if len(days) < 2 * WEEK else ""
    axes.plot(
        numbers, values, color=SKY, linewidth=0.9, marker=marker, markersize=3, label="each day"
    )
    if len(days) >= 2 * WEEK:
        mean = np.convolve(values, np.full(WEEK, 1 / WEEK), mode="valid")
        middle = numbers[WEEK // 2 : WEEK // 2 + len(mean)]
        axes.plot(middle, mean, color=BLUE, linewidth=2, label="7-day mean")
        axes.legend(loc="lower right", ncols=2, borderaxespad=0.2)
    locator = AutoDateLocator(minticks=3, maxticks=5 if width == "narrow" else 9)
    axes.xaxis_date()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: count(v)))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(axis="y")
    axes.set_ylim(0, max(values.max() * 1.05, 1))
    title(axes, "Sessions a day")
    return figure
