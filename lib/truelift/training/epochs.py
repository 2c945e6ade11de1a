"""The epochs of a training, able to go on from any checkpoint as if nothing had happened."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from truelift.distributed.heartbeat import Heartbeat
from truelift.errors import StorageError
from truelift.models.sequence.package import assign_weights, named_weights
from truelift.settings import SequenceOptions
from truelift.training.checkpoints import BestWeights, Checkpoint, CheckpointFolder
from truelift.training.divergence import check_loss, check_weights
from truelift.training.feed import Feed
from truelift.training.loop import Trainer
from truelift.training.results import EpochRecord

# Loss, weight, sequences, seconds waited for input and seconds of a rank in an epoch.
_SUMS = 5


class Training:
    """Trains epoch after epoch on all ranks together.

    Parameters
    ----------
    run : str
        Key of the training; only checkpoints of the same key are taken up.
    options : SequenceOptions
    steps : int
        Batches of an epoch.
    feed : Feed
    trainer : Trainer
        With the ranks that train together.
    validate : callable
        Gives the validation loss and the value that chooses the epoch (higher is better).
    folder : CheckpointFolder, optional
        Where checkpoints are kept.
    report : callable
        Told how far the training is.
    heartbeat : Heartbeat

    Attributes
    ----------
    epochs : list of EpochRecord
    best : BestWeights
    warnings : list of str
        What went wrong without stopping the training.
    """

    def __init__(
        self,
        run: str,
        options: SequenceOptions,
        steps: int,
        feed: Feed,
        trainer: Trainer,
        validate: Callable[[], tuple[float, float]],
        folder: CheckpointFolder | None,
        report: Callable[..., None],
        heartbeat: Heartbeat,
    ) -> None:
        self.options = options
        self.task = str(getattr(trainer.model, "task", "ranking"))
        self.epochs: list[EpochRecord] = []
        self.best = BestWeights()
        self.warnings: list[str] = []
        self._run, self._steps, self._feed, self._trainer = run, steps, feed, trainer
        self._ranks = trainer.ranks
        self._validate, self._folder = validate, folder
        self._report, self._heartbeat = report, heartbeat
        self._next = (1, 0)
        self._sums = np.zeros(_SUMS)

    def run(self, until: int) -> None:
        """Train up to and including epoch ``until``, or until validation has stopped to improve."""
        self._take_up()
        for epoch in range(self._next[0], until + 1):
            if self.epochs and epoch - 1 - self.best.epoch >= self.options.training.patience:
                return
            record = self._epoch(epoch)
            self._heartbeat.beat(f"validation of epoch {epoch}")
            loss, value = self._validate()
            self.best.offer(value, epoch, named_weights(self._trainer.model))
            self.epochs.append(_with_validation(record, loss, value, self.task))
            k, epochs = self.options.evaluation.top_k, self.options.training.epochs
            measure = "accuracy" if self.task == "classification" else f"NDCG@{k}"
            self._tell(epoch, self._steps, f"epoch {epoch}/{epochs}, validation "
                       f"{measure} {value:.4f}", always=True)  # fmt: skip
            self._next, self._sums = (epoch + 1, 0), np.zeros(_SUMS)
            self._keep()

    def _epoch(self, epoch: int) -> EpochRecord:
        first, self._feed.waited = self._next[1], 0.0
        last_kept = first
        before, begun = self._sums, time.perf_counter()
        sums = before.copy()
        for step, batch in enumerate(self._feed.epoch(epoch, self._steps, first), start=first + 1):
            self._heartbeat.beat(f"epoch {epoch}, step {step}")
            loss, weight = self._trainer.step(batch)
            check_loss(loss, epoch, step, self._trainer.rate)
            sums[:3] += loss, weight, batch.sequences
            sums[3:] = before[3:] + np.array([self._feed.waited, time.perf_counter() - begun])
            rate = sums[2] / sums[4] * self._ranks.size
            self._tell(epoch, step, f"epoch {epoch}/{self.options.training.epochs}, step {step}/"
                       f"{self._steps}, loss {sums[0] / max(sums[1], 1.0):.3f}, "
                       f"{rate:.0f} sequences/s")  # fmt: skip
            due = step - last_kept >= self.options.recovery.checkpoint_steps
            if due and self._trainer.settled and step < self._steps:
                self._next, self._sums = (epoch, step), sums
                self._keep()
                last_kept = step
        self._trainer.flush()
        check_weights(
            self._trainer.model.trainable_variables, epoch, self._steps, self._trainer.rate
        )
        loss, weight, sequences, waited, spent = self._ranks.sum(sums, "epoch")
        return EpochRecord(
            epoch=epoch,
            train_loss=float(loss / max(weight, 1e-12)),
            validation_loss=float("nan"),
            validation_ndcg=float("nan"),
            seconds=float(spent / self._ranks.size),
            sequences_per_second=float(sequences / (spent / self._ranks.size)),
            input_wait_share=float(waited / spent),
        )

    def _tell(self, epoch: int, step: int, text: str, always: bool = False) -> None:
        total = self.options.training.epochs * self._steps
        done = (epoch - 1) * self._steps + step
        self._report(always=always, text=text, done=done, total=total)

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        print(f"truelift: {text}", file=sys.stderr, flush=True)
        self._report(always=True, text=text)

    def _keep(self) -> None:
        """Write a checkpoint; the training goes on without it where that is not possible."""
        if self._folder is None:
            return
        self._heartbeat.beat("checkpoint")
        # These two are a rank's own; what else there is, all ranks have alike.
        states = [np.asarray(v).ravel() for v in random_states(self._trainer.model)]
        own = np.concatenate([np.zeros(0, np.uint32), *states])
        random = self._ranks.join(own[None], "random states")
        sums = self._ranks.join(self._sums[None], "sums")
        if self._ranks.rank > 0:
            return
        epoch, step = self._next
        checkpoint = Checkpoint(
            run=self._run,
            epoch=epoch,
            step=step,
            number=(epoch - 1) * self._steps + step,
            best_epoch=self.best.epoch,
            best_value=float(self.best.value),
            epochs=tuple(self.epochs),
            arrays={"random": random, "sums": sums, **self._arrays()},
        )
        try:
            self._folder.write(checkpoint)
        except StorageError as error:
            self._warn(f"{error} Training goes on.")

    def _arrays(self) -> dict[str, np.ndarray]:
        trainer = self._trainer
        best = self.best.weights if self.best.found else {}
        return {
            **{f"weight:{name}": value for name, value in named_weights(trainer.model).items()},
            **{f"best:{name}": value for name, value in best.items()},
            **{f"optimizer:{i}": np.asarray(v) for i, v in enumerate(trainer.state)},
        }

    def _take_up(self) -> None:
        """Go to where the newest whole checkpoint is, if there is one."""
        found = None
        if self._ranks.rank == 0 and self._folder is not None:
            found, passed = self._folder.newest(self._run)
            for line in passed:
                self._warn(line)
        data = self._ranks.of_first(b"" if found is None else found.to_bytes())
        if not data:
            return
        checkpoint = Checkpoint.from_bytes(data)
        arrays, trainer = checkpoint.arrays, self._trainer
        assign_weights(trainer.model, _named(arrays, "weight:"))
        for i, variable in enumerate(trainer.state):
            variable.assign(arrays[f"optimizer:{i}"])
        self.best = BestWeights.restored(
            checkpoint.best_value, checkpoint.best_epoch, _named(arrays, "best:")
        )
        self.epochs = list(checkpoint.epochs)
        self._next = (checkpoint.epoch, checkpoint.step)
        if len(arrays["sums"]) == self._ranks.size:
            self._sums = arrays["sums"][self._ranks.rank]
            _set_random_states(trainer.model, arrays["random"][self._ranks.rank])
        elif self._ranks.rank == 0:  # another number of ranks: dropout draws anew
            self._sums = arrays["sums"].sum(axis=0)
        where = f"epoch {checkpoint.epoch}, step {checkpoint.step}"
        self._tell(checkpoint.epoch, checkpoint.step, f"resumed at {where}", always=True)


def _with_validation(record: EpochRecord, loss: float, value: float, task: str) -> EpochRecord:
    if task == "classification":
        return replace(record, validation_loss=loss, validation_accuracy=value)
    return replace(record, validation_loss=loss, validation_ndcg=value)


def random_states(model: Any) -> list[Any]:
    """The variables that random numbers of a model come from: those that are no weights."""
    weights = {id(v) for v in model.weights}
    return [v for v in model.variables if id(v) not in weights]


def _set_random_states(model: Any, values: np.ndarray) -> None:
    begin = 0
    for variable in random_states(model):
        size = int(np.prod(variable.shape))
        variable.assign(values[begin : begin + size].reshape(variable.shape))
        begin += size


def _named(arrays: Any, prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
