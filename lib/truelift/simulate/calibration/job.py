"""A lake's own world: its marginals, the fit, and the file that ``simulate_world`` and ``run_loop`` take."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from truelift.errors import MachineError
from truelift.simulate.calibration.fit import Calibration, calibrate
from truelift.simulate.calibration.lake import lake_marginals
from truelift.typed import to_plain

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.simulate.shop_world.parameters import ShopWorld

_MOST_ROUNDS = 60


def calibrate_world(
    job: Job, world: ShopWorld, users: int, round_days: float, out: Path
) -> Calibration:
    """Fit a world to a lake, and write it.

    Parameters
    ----------
    job : Job
    world : ShopWorld
        To begin from.
    users : int
        Simulated to compare.
    round_days : float
        How long a round of the world is.
    out : Path
        The YAML file; written whole or not at all.

    Raises
    ------
    NotSupportedError
        If the lake has no events, or nothing that can be fitted.
    MachineError
        If the file cannot be written.
    """
    groups, span = lake_marginals(job, round_days)
    rounds = max(min(span.rounds, _MOST_ROUNDS), span.cap + 2)
    found = calibrate(groups, world, job.settings.seed, users, rounds, job.progress.update)
    for m in found.marginals:
        distances = {"before": m.before, "after": m.after, "resampled": m.floor}
        job.log_metrics({f"{m.marginal}.{name}": value for name, value in distances.items()})
    job.run.log_dict("world.yaml", to_plain(found.world))
    part = out.with_name(f"{out.name}.{os.getpid()}.part")
    try:
        part.write_text(written(found, round_days), encoding="utf-8")
        part.replace(out)
    except OSError as error:
        raise MachineError(
            f"--out {out} cannot be written ({error.strerror}). Choose another file."
        ) from error
    return found


def written(found: Calibration, round_days: float) -> str:
    """The world as YAML, with how near it came."""
    near = "\n".join(
        f"#   {m.marginal}: {m.before:.4f} before, {m.after:.4f} after, {m.floor:.4f} by resampled users ({m.unit})"
        for m in found.marginals
    )
    return (
        f"# A shop with the marginals of a lake; a round is {round_days:g} day(s). Distances:\n{near}\n"
        + yaml.safe_dump(to_plain(found.world), sort_keys=False)
    )
