"""Training and evaluation as one rank lives them, from the feed to the test metrics."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from truelift.distributed.collective import TensorCollective
from truelift.distributed.heartbeat import Heartbeat
from truelift.distributed.rank import reporter
from truelift.errors import DataError, InvariantError
from truelift.evaluation.comparison import Tested
from truelift.evaluation.evaluator import Ranker
from truelift.evaluation.in_ranks import RankComparison
from truelift.evaluation.splits import Split, split_from_plain
from truelift.lake.scan import ScanPlan, read_unit
from truelift.models.runtime import product_precision
from truelift.models.schedules import WarmupCosine
from truelift.models.sequence import registry
from truelift.models.sequence.event_model import EventModel
from truelift.models.sequence.exposure import exposure_weights, refuse_without_items
from truelift.models.sequence.histories import Histories
from truelift.models.sequence.package import assign_weights
from truelift.models.sequence.scoring import SequenceRanker
from truelift.training import warm_start
from truelift.training.checkpoints import CheckpointFolder
from truelift.training.divergence import weights_spread
from truelift.training.epochs import Training
from truelift.training.feed import Feed, FeedOptions
from truelift.training.loop import Trainer
from truelift.training.rank import RankJob, RankResult, run_key
from truelift.training.sparse_rows import RowAdam


def train_and_evaluate(
    job: RankJob, ranks: TensorCollective
) -> tuple[RankResult, dict[str, np.ndarray]]:
    """Train on this rank's share together with the others; see :class:`RankJob`.

    Returns
    -------
    RankResult, dict of str to numpy.ndarray
        Equal on all ranks; the weights are the best on validation.

    Raises
    ------
    DataError
        If there is nothing to train on or nobody to evaluate.
    InvariantError
        If the ranks' weights differ after training.
    """
    heartbeat = Heartbeat(job.heartbeats, ranks.rank)
    try:
        return _train_and_evaluate(job, ranks, heartbeat)
    finally:
        heartbeat.stop()


def _train_and_evaluate(
    job: RankJob, ranks: TensorCollective, heartbeat: Heartbeat
) -> tuple[RankResult, dict[str, np.ndarray]]:
    started = time.perf_counter()
    options = job.sequence
    split = split_from_plain(job.split)
    feed = _feed(job, split, ranks)
    report = reporter(job.progress, ranks.rank)
    # Initial weights come from rank 0; what differs by rank is which units dropout drops.
    keras.utils.set_random_seed(job.seed * 1009 + ranks.rank)

    heartbeat.beat("counting windows")
    own = feed.census()
    windows = ranks.sum(own, "census")
    if windows.sum() == 0:
        raise DataError(
            "gold.sequences: found no session before the validation window, expected some to "
            "train on; give more data or lower sequence.evaluation.validation_days and test_days."
        )
    if options.training.reading == "all":
        steps = feed.buckets.batches(windows)
    else:
        steps = int(ranks.max(np.array(feed.buckets.batches(own), np.int64), "steps"))
    entry = registry.entry(options.model)
    made = entry.options(job.items, options, job.codes)
    # What the model ranks: items, or a classifier's actions.
    ranked = int(made["items"])
    comparison = RankComparison(
        feed.histories, split, ranked, options, job.seed, job.arrays, entry.task, ranks=ranks
    )
    heartbeat.beat("counting items")
    counts = comparison.training_counts
    model = entry.build(made)
    model.start_from_popularity(counts)
    refuse_without_items(options.training, entry.task)
    if options.training.correction != "none":
        model.exposure = exposure_weights(counts, options.training)
    if warm_start.begin(model, job.arrays):
        version = options.training.warm_start
        report(always=True, text=f"begins with the weights of version {version}")
    precision, unmet = precision_of(model, options.training.mixed_precision)
    report(always=True, text=unmet or f"products in {precision}")
    trainer = _trainer(job, model, steps, ranks)
    histories = options.histories
    ranker = _Watched(
        SequenceRanker(model, ranked, histories.max_length, histories.step), heartbeat
    )

    heartbeat.beat("choosing the window of recent popularity")
    recent_days = comparison.recent_days
    prepared = time.perf_counter()

    def validate() -> tuple[float, float]:
        return comparison.validation_value(ranker)

    folder = CheckpointFolder(job.checkpoints, job.owner) if job.checkpoints else None
    training = Training(
        run_key(job), options, steps, feed, trainer, validate, folder, report, heartbeat
    )
    training.run(job.until_epoch or options.training.epochs)
    spread = weights_spread(model.trainable_variables, ranks)
    if spread > 0:
        raise InvariantError(
            f"After training the weights differ between ranks (checksums by {spread:.3g}), "
            "expected equal weights; a collective did not reach all of them."
        )
    trained = time.perf_counter()
    assign_weights(model, training.best.weights)
    tested = Tested()
    if job.test:
        report(always=True, text="evaluating on the test window")
        heartbeat.beat("evaluation on the test window")
        tested = comparison.test(options.model.upper(), ranker)
    result = RankResult(
        epochs=tuple(training.epochs),
        test=tested.metrics,
        best_epoch=training.best.epoch,
        best_value=float(training.best.value),
        parameters=int(sum(np.prod(v.shape) for v in model.trainable_variables)),
        train_windows=int(windows.sum()),
        steps_per_epoch=steps,
        recent_days=recent_days,
        processes=ranks.size,
        gains=tested.gains,
        best_baseline=tested.best_baseline,
        left_out=tested.left_out,
        seconds={
            "prepare": prepared - started,
            "train": trained - prepared,
            "test": time.perf_counter() - trained,
        },
        warnings=(*training.warnings, *((unmet,) if unmet else ())),
        precision=precision,
    )
    return result, training.best.weights


def precision_of(model: Any, mixed: bool) -> tuple[str, str | None]:
    """Precision of a model's products, and a sentence where it is not the one asked for."""
    can = isinstance(model, EventModel)
    precision = product_precision(mixed and can)
    if not mixed or precision != "float32":
        return precision, None
    why = "there is no GPU" if can else f"{model.name} has no products in 16 bits"
    return precision, f"sequence.training.mixed_precision had no effect: {why}; trained in float32."


def _trainer(job: RankJob, model: Any, steps: int, ranks: TensorCollective) -> Trainer:
    options = job.sequence.training
    # Gradients that wait at the end of an epoch make an update of their own.
    updates = -(-steps // options.accumulate) * options.epochs
    # A sample may have fewer updates than the warm-up: it gets a tenth of what there is.
    warmup = min(options.warmup_steps, updates // 10)
    schedule = WarmupCosine(options.learning_rate, warmup, updates, options.final_rate)
    optimizer = keras.optimizers.Adam(schedule)
    # Gradients that wait for further batches are laid out.
    tables = list(getattr(model, "sparse_variables", ())) if options.accumulate == 1 else []
    known = {id(v) for v in tables}
    optimizer.build([v for v in model.trainable_variables if id(v) not in known])
    rows = RowAdam(tables, schedule) if tables else None
    trainer = Trainer(model, optimizer, options.accumulate, rows, ranks)
    # The random states stay each rank's own.
    ranks.share([*model.trainable_variables, *trainer.state])
    return trainer


@dataclass
class _Watched:
    """A ranker that gives a sign of life with every chunk of users."""

    ranker: Ranker
    heartbeat: Heartbeat

    def scores(self, histories: Histories) -> np.ndarray:
        self.heartbeat.beat("ranking")
        return self.ranker.scores(histories)


def _feed(job: RankJob, split: Split, ranks: TensorCollective) -> Feed:
    histories, training = job.sequence.histories, job.sequence.training
    options = FeedOptions(
        max_length=histories.max_length,
        step=histories.step,
        batch_size=training.batch_size,
        shuffle_buffer=training.shuffle_buffer,
        seed=job.seed,
        reading=training.reading,
    )
    plan = ScanPlan.from_json(job.plan)
    return Feed(plan, ranks.rank, ranks.size, options, split.training, read_unit)
