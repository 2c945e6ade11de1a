"""The search of :mod:`~truelift.training.tuning` with real trainings, each a nested MLflow run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from truelift.training.launcher import launch
from truelift.training.rank import RankJob, run_key
from truelift.training.tuning import Trial, TrialScore, draw_trials, successive_halving


class TrialLog(Protocol):
    """Where a trial is recorded; see :class:`~truelift.tracking.NestedRun`."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Numbers, by epoch."""

    def finish(self, tags: Mapping[str, str]) -> None:
        """The trial is over."""


def search(
    job: RankJob,
    root: str,
    folder: Path,
    open_log: Callable[[str, Mapping[str, Any]], TrialLog],
    on_progress: Callable[[Mapping[str, Any]], None],
) -> tuple[Trial, list[str]]:
    """Try ``job.sequence.training.tune`` settings; the test window is not looked at.

    Parameters
    ----------
    job : RankJob
        With the configured settings.
    root : str
        URI of a folder below which each trial has its checkpoints.
    folder : Path
        Scratch directory.
    open_log : callable
        Opens the record of a trial by its name and settings.
    on_progress : callable

    Returns
    -------
    Trial, list of str
        The best, and the checkpoint folders of all trials, the best one's at its end.
    """
    trials = draw_trials(job.sequence, job.sequence.training.tune, job.seed)
    jobs = {t.number: with_checkpoints(replace(job, sequence=t.options), root) for t in trials}
    logs = {t.number: open_log(f"trial {t.number}", t.values) for t in trials}
    logged = dict.fromkeys(jobs, 0)

    def train(trial: Trial, until: int) -> float:
        title = f"trial {trial.number} of {len(trials)} up to epoch {until}"
        place = folder / f"trial-{trial.number}-{until}"
        ours = replace(jobs[trial.number], until_epoch=until, test=False)
        result, _ = launch(
            ours, place, lambda event: on_progress({**event, "text": f"{title}: {event['text']}"})
        )
        for record in result.epochs[logged[trial.number] :]:
            logs[trial.number].log_metrics(record.metrics(), step=record.epoch)
        logged[trial.number] = len(result.epochs)
        return result.best_value

    def tell(score: TrialScore) -> None:
        log = logs[score.trial.number]
        if math.isfinite(score.value):
            log.log_metrics({"best_validation": score.value}, step=score.until)
        if not score.goes_on:
            logs.pop(score.trial.number).finish(
                {"truelift.tuning": f"left after epoch {score.until}"}
            )

    outcome = "failed"
    try:
        best = successive_halving(trials, job.sequence.training.epochs, train, tell)
        outcome = "best"
    finally:
        for log in logs.values():
            log.finish({"truelift.tuning": outcome})
    return best, [str(ours.checkpoints) for ours in jobs.values()]


def with_checkpoints(job: RankJob, root: str) -> RankJob:
    """The job with a checkpoint folder of its own below ``root``."""
    return replace(job, checkpoints=f"{root.rstrip('/')}/{run_key(job)}")
