"""Training and evaluation as one rank lives them, from the feed to the test metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import horovod.tensorflow as hvd
import keras
import numpy as np

from truelift.errors import DataError, InvariantError
from truelift.lake.scan import ScanPlan, read_unit
from truelift.models import registry
from truelift.models.package import assign_weights, named_weights
from truelift.models.scoring import SequenceRanker
from truelift.recommend.baselines import ALL_TIME, RECENT_DAYS, Popularity, rankers, recent_name
from truelift.recommend.metrics import mean_interval
from truelift.recommend.splits import TemporalSplit
from truelift.training.checkpoints import BestWeights
from truelift.training.evaluation import Ranker, count_popularity, evaluate
from truelift.training.feed import Feed, FeedOptions
from truelift.training.loop import Trainer
from truelift.training.optimizer import (
    WarmupCosine,
    broadcast,
    largest_over_ranks,
    sum_over_ranks,
    weights_spread,
)
from truelift.training.rank import RankJob, RankResult, reporter
from truelift.training.results import EpochRecord, RankingMetrics


@dataclass(frozen=True)
class Pooled:
    """Metrics over the users of all ranks."""

    hit: np.ndarray
    ndcg: np.ndarray
    loss: float


def train_and_evaluate(job: RankJob) -> tuple[RankResult, dict[str, np.ndarray]]:
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
    started = time.perf_counter()
    options = job.sequence
    split = TemporalSplit(job.validation_start, job.test_start, job.end)
    feed = _feed(job)
    report = reporter(job.progress, hvd.rank())
    # Initial weights come from rank 0; what differs by rank is which units dropout drops.
    keras.utils.set_random_seed(job.seed * 1009 + hvd.rank())

    windows = sum_over_ranks(feed.census(), "census")
    if windows.sum() == 0:
        raise DataError(
            "gold.sequences: found no session before the validation window, expected some to "
            "train on; give more data or lower sequence.validation_days and test_days."
        )
    steps = largest_over_ranks(feed.options.buckets.batches(feed.census()), "steps")
    popularity = _pooled_popularity(feed, job, split)

    entry = registry.entry(options.model)
    model = entry.build(entry.options(job.items, options))
    model.start_from_popularity(popularity[split.validation_start][ALL_TIME])
    variables = model.trainable_variables
    total = steps * options.epochs
    # A sample may have fewer steps than the warm-up: it gets a tenth of what there is.
    schedule = WarmupCosine(options.learning_rate, min(options.warmup_steps, total // 10), total)
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build(variables)
    broadcast([*variables, *optimizer.variables])
    trainer = Trainer(model, optimizer)
    ranker = SequenceRanker(model, job.items, options.max_length, options.step)

    recent_days = _best_recent_window(feed, split, popularity, options.top_k)
    prepared = time.perf_counter()
    best = BestWeights(Path(job.checkpoint) if job.checkpoint and hvd.rank() == 0 else None)
    epochs = []
    for epoch in range(1, options.epochs + 1):
        record = _epoch(trainer, feed, epoch, steps, options.epochs, report)
        pooled = _evaluate(feed, split.validation, {"model": ranker}, options.top_k)["model"]
        value = float(pooled.ndcg.mean())
        epochs.append(_with_validation(record, pooled.loss, value))
        best.offer(value, epoch, named_weights(model))
        report(always=True, text=f"epoch {epoch}/{options.epochs}, validation "
               f"NDCG@{options.top_k} {value:.4f}", done=epoch * steps, total=options.epochs * steps)  # fmt: skip
        if epoch - best.epoch >= options.patience:
            break

    spread = weights_spread(variables)
    if spread > 0:
        raise InvariantError(
            f"After training the weights differ between ranks (checksums by {spread:.3g}), "
            "expected equal weights; a collective did not reach all of them."
        )
    trained = time.perf_counter()
    assign_weights(model, best.weights)
    report(always=True, text="evaluating on the test window")
    first = options.model.upper()
    baselines = rankers(popularity[split.test_start], recent_days)
    tested = _evaluate(feed, split.test, {first: ranker, **baselines}, options.top_k)
    result = RankResult(
        epochs=tuple(epochs),
        test=tuple(_ranking_metrics(n, p, options.top_k) for n, p in tested.items()),
        best_epoch=best.epoch,
        parameters=int(sum(np.prod(v.shape) for v in variables)),
        train_windows=int(windows.sum()),
        steps_per_epoch=steps,
        recent_days=recent_days,
        processes=hvd.size(),
        gains={n: mean_interval(tested[first].ndcg - tested[n].ndcg) for n in baselines},
        seconds={
            "prepare": prepared - started,
            "train": trained - prepared,
            "test": time.perf_counter() - trained,
        },
    )
    return result, best.weights


def _feed(job: RankJob) -> Feed:
    options = FeedOptions(
        cut=job.validation_start,
        max_length=job.sequence.max_length,
        step=job.sequence.step,
        batch_size=job.sequence.batch_size,
        shuffle_buffer=job.sequence.shuffle_buffer,
        seed=job.seed,
    )
    return Feed(ScanPlan.from_json(job.plan), hvd.rank(), hvd.size(), options, read_unit)


def _pooled_popularity(
    feed: Feed, job: RankJob, split: TemporalSplit
) -> dict[int, dict[str, np.ndarray]]:
    own = count_popularity(feed.histories(), job.items, (split.validation_start, split.test_start))
    return {
        start: {name: sum_over_ranks(c, f"{start} {name}") for name, c in sorted(counts.items())}
        for start, counts in sorted(own.items())
    }


def _best_recent_window(
    feed: Feed, split: TemporalSplit, popularity: dict[int, dict[str, np.ndarray]], k: int
) -> int:
    counts = popularity[split.validation_start]
    candidates = {recent_name(d): Popularity(counts[recent_name(d)]) for d in RECENT_DAYS}
    pooled = _evaluate(feed, split.validation, candidates, k)
    return max(RECENT_DAYS, key=lambda d: (float(pooled[recent_name(d)].ndcg.mean()), -d))


def _evaluate(feed: Feed, window: Any, named: Mapping[str, Ranker], k: int) -> dict[str, Pooled]:
    own = evaluate(feed.histories(), window, named, k)
    pooled = {}
    for name, evaluation in own.items():
        both = np.stack([evaluation.metrics.hit, evaluation.metrics.ndcg], axis=1)
        users = hvd.allgather(both, name=f"metrics {name}").numpy()
        if len(users) == 0:
            raise DataError(
                "gold.sequences: found no user with sessions both before and inside the "
                "evaluation window; lengthen sequence.validation_days or test_days, or give "
                "more data."
            )
        loss = float(sum_over_ranks(np.array([evaluation.loss_sum]), f"loss {name}")[0])
        pooled[name] = Pooled(users[:, 0], users[:, 1], loss / len(users))
    return pooled


def _epoch(
    trainer: Trainer, feed: Feed, epoch: int, steps: int, epochs: int, report: Callable[..., None]
) -> EpochRecord:
    started, feed.waited = time.perf_counter(), 0.0
    loss = weight = sequences = 0.0
    for number, batch in enumerate(feed.epoch(epoch, steps), start=1):
        batch_loss, batch_weight = trainer.step(batch)
        loss += batch_loss
        weight += batch_weight
        sequences += batch.sequences
        rate = sequences / (time.perf_counter() - started)
        report(text=f"epoch {epoch}/{epochs}, step {number}/{steps}, loss "
               f"{loss / max(weight, 1.0):.3f}, {rate * hvd.size():.0f} sequences/s",
               done=(epoch - 1) * steps + number, total=epochs * steps)  # fmt: skip
    seconds = time.perf_counter() - started
    own = np.array([loss, weight, sequences, feed.waited, seconds])
    loss, weight, sequences, waited, spent = sum_over_ranks(own, "epoch")
    return EpochRecord(
        epoch=epoch,
        train_loss=float(loss / weight),
        validation_loss=float("nan"),
        validation_ndcg=float("nan"),
        seconds=float(spent / hvd.size()),
        sequences_per_second=float(sequences / (spent / hvd.size())),
        input_wait_share=float(waited / spent),
    )


def _with_validation(record: EpochRecord, loss: float, ndcg: float) -> EpochRecord:
    from dataclasses import replace

    return replace(record, validation_loss=loss, validation_ndcg=ndcg)


def _ranking_metrics(name: str, pooled: Pooled, k: int) -> RankingMetrics:
    ndcg, lower, upper = mean_interval(pooled.ndcg)
    return RankingMetrics(name, float(pooled.hit.mean()), ndcg, len(pooled.ndcg), k, lower, upper)
