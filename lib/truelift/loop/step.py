"""The step ``play_loop``: a small loop in a simulated shop, for those who read the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from truelift.loop.job import run_loop
from truelift.loop.options import LoopOptions
from truelift.loop.pinned import world_of
from truelift.loop.results import LoopResult
from truelift.loop.strategies import STRATEGIES
from truelift.loop.table import TABLE
from truelift.settings.checks import require_known
from truelift.steps import StepReport

if TYPE_CHECKING:
    from truelift.job import Job

#: What a round's run in MLflow holds of every strategy.
_LOGGED = (
    "additional", "additional_total", "purchases_a_visit", "click_rate", "satisfaction",
    "regret_oracle", "forecast", "forecast_lower", "forecast_upper",
)  # fmt: skip


def play_loop(job: Job) -> StepReport:
    """Play the strategies, write ``gold.rounds``, and log a run a round.

    Raises
    ------
    ConfigError
        For an unknown strategy or world.
    """
    asked = job.settings.loop
    if not asked.enabled:
        return StepReport(0, 0, {"skipped": "loop.enabled is false"})
    require_known(asked.strategies, STRATEGIES, "loop.strategies")
    options = LoopOptions(rounds=asked.rounds, explore=asked.explore)
    seeds = range(asked.first_seed, asked.first_seed + asked.worlds)
    name = Path(asked.world).stem
    found = run_loop(
        world_of(job.settings), options, asked.strategies, seeds, None, name, job.progress.update
    )
    job.progress.update("writing gold.rounds")
    job.replace_rows(TABLE, found.rounds)
    for number, metrics in _by_round(found):
        below = job.run.nested(
            f"round {number}", {}, f"Round {number} of the loop in the run above."
        )
        below.log_metrics(metrics, number)
        below.finish({})
    job.save_result(found)
    played = len(found.rounds)
    return StepReport(played, played, _headline(found))


def _by_round(found: LoopResult) -> Iterator[tuple[int, dict[str, float]]]:
    """Means over worlds of every round, by strategy and measure."""
    curves = {(s, m): found.curve(s, m).mean for s in found.strategies for m in _LOGGED}
    for place in range(len(next(iter(curves.values())))):
        told = {f"{s}.{m}": mean[place] for (s, m), mean in curves.items()}
        yield place + 1, {key: value for key, value in told.items() if np.isfinite(value)}


def _headline(found: LoopResult) -> dict[str, float | str | int]:
    """Every strategy's additional purchases against the one that others are held against."""
    told: dict[str, float | str | int] = {"worlds": len(found.seeds)}
    for compared in found.comparisons():
        if compared.measure == "additional_total":
            told[f"{compared.strategy} less {compared.against}"] = round(compared.difference)
    return told
