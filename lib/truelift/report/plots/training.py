"""How the sequence model learned, and how well it ranks."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from truelift.report.numbers import model_name
from truelift.report.plots.canvas import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Width,
    bare_left,
    drawn,
    literal,
    new_figure,
    title,
    wrapped,
)
from truelift.training.results import EpochRecord, RankingMetrics, TrainingResult


def best_epoch(result: TrainingResult) -> EpochRecord:
    """The epoch with the best validation NDCG; the earliest of equals."""
    return max(result.epochs, key=lambda e: (e.validation_ndcg, -e.epoch))


@drawn
def learning_curve(result: TrainingResult, width: Width = "wide") -> Figure:
    """Loss and validation NDCG by epoch, with the best epoch marked.

    Parameters
    ----------
    result : TrainingResult
        ``epochs`` must hold at least one record.
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    narrow = width == "narrow"
    figure = new_figure(width, 4.4 if narrow else 2.5)
    losses = figure.add_subplot(*((2, 1) if narrow else (1, 2)), 1)
    quality = figure.add_subplot(*((2, 1) if narrow else (1, 2)), 2)
    epochs = [e.epoch for e in result.epochs]
    train = [e.train_loss for e in result.epochs]
    validation = [e.validation_loss for e in result.epochs]
    losses.plot(epochs, train, color=BLUE, marker="o", markersize=4, label="training")
    losses.plot(
        epochs,
        validation,
        color=ORANGE,
        marker="s",
        markersize=4,
        linestyle="--",
        label="validation",
    )
    losses.set_title("Loss (cross-entropy, lower is better)")
    losses.legend(loc="best")
    ndcg = [e.validation_ndcg for e in result.epochs]
    quality.plot(epochs, ndcg, color=GREEN, marker="o", markersize=4)
    best = best_epoch(result)
    quality.plot([best.epoch], [best.validation_ndcg], "o", markersize=10, mfc="none", color=GREEN)
    quality.annotate(
        f"best: {best.validation_ndcg:.4f}",
        (best.epoch, best.validation_ndcg),
        xytext=(0, -16),
        textcoords="offset points",
        ha="center",
        fontsize=8.5,
    )
    quality.set_title("Validation NDCG (higher is better)")
    quality.margins(x=0.14, y=0.3)
    for axes in (losses, quality):
        _epoch_axis(axes, epochs)
    return figure


def _epoch_axis(axes: Axes, epochs: list[int]) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="y")
    if len(epochs) == 1:
        axes.set_xlim(epochs[0] - 0.5, epochs[0] + 0.5)


@drawn
def ranking_bars(result: TrainingResult, width: Width = "wide") -> Figure:
    """NDCG on the test window with its interval: the model first, then the baselines.

    Parameters
    ----------
    result : TrainingResult
        ``test`` must hold at least one model.
    width : {'wide', 'narrow'}

    Returns
    -------
    matplotlib.figure.Figure
    """
    models: tuple[RankingMetrics, ...] = result.test
    figure = new_figure(width, 0.8 + 0.38 * len(models))
    axes = figure.add_subplot()
    for row, metrics in enumerate(models):
        colour = BLUE if row == 0 else GREY
        axes.barh(row, metrics.ndcg, color=colour, alpha=0.28, height=0.6)
        axes.plot(
            [metrics.ndcg_ci_lower, metrics.ndcg_ci_upper], [row, row], color=colour, linewidth=2
        )
        axes.plot([metrics.ndcg], [row], "o", color=colour, markersize=6)
        axes.annotate(
            f"{metrics.ndcg:.4f}",
            (max(metrics.ndcg_ci_upper, metrics.ndcg), row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
        )
    characters = 16 if width == "narrow" else 34
    names = [literal(wrapped(model_name(m.model), characters)) for m in models]
    axes.set_yticks(range(len(models)), names)
    axes.invert_yaxis()
    top = max(max(m.ndcg_ci_upper, m.ndcg) for m in models)
    axes.set_xlim(0, max(top * 1.25, 1e-6))
    axes.xaxis.set_major_locator(MaxNLocator(4 if width == "narrow" else 6))
    axes.grid(axis="x")
    title(axes, f"NDCG@{models[0].k} on the test window")
    bare_left(axes)
    return figure
