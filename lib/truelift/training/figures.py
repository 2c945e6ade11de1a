"""The figure of a training for the MLflow run; the report draws its own."""

from __future__ import annotations

from typing import Any

from truelift.training.rank import RankResult


def learning_curve(trained: RankResult) -> Any:
    """Losses and validation NDCG (a classifier's accuracy) an epoch, as a matplotlib figure."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [e.epoch for e in trained.epochs]
    classifies = trained.epochs[0].validation_accuracy is not None
    measure = "accuracy" if classifies else f"NDCG@{trained.test[0].k}"
    figure = Figure(figsize=(7, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    points = "o" if len(epochs) <= 20 else None
    left.plot(epochs, [e.train_loss for e in trained.epochs], marker=points, label="training")
    left.plot(
        epochs, [e.validation_loss for e in trained.epochs], marker=points, label="validation"
    )
    left.set(xlabel="epoch", ylabel="cross-entropy (nats)")
    left.legend(frameon=False)
    right.plot(epochs, [e.validation_value for e in trained.epochs], marker=points, color="C2")
    right.axvline(trained.best_epoch, color="0.7", linewidth=1, zorder=0)
    right.set_title(f"kept: epoch {trained.best_epoch}", fontsize=10)
    right.set(xlabel="epoch", ylabel=f"validation {measure}")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
        axes.spines[["top", "right"]].set_visible(False)
    return figure
