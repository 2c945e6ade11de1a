"""A small search for good settings by successive halving.

``N`` settings are drawn from a space around the configured ones (which are the first trial) and
trained for a few epochs; the better half goes on, and so forth until the best of the last rung
has been trained to the end (Jamieson & Talwalkar 2016). The learning rate follows the full
number of epochs from the start, and a trial that goes on does so from its own checkpoint, so
the winner's training is the one that it would have had alone.

The space, each drawn independently:

=================  ==================================================================
``learning_rate``  configured rate times a factor from 1/5 to 5, uniform in its logarithm
``units``          half, once or twice the configured number
``layers``         1, 2 or 3
``dropout``        0, 0.1, 0.2, 0.3, 0.4 or 0.5
``batch_size``     half, once or twice the configured number
=================  ==================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from truelift.errors import DataError
from truelift.settings import SequenceOptions

TUNED = {"training": ("learning_rate", "batch_size"), "network": ("units", "layers", "dropout")}


@dataclass(frozen=True)
class Trial:
    """One drawn setting, numbered from 1."""

    number: int
    options: SequenceOptions

    @property
    def values(self) -> dict[str, Any]:
        """What the search decides."""
        return {
            name: getattr(getattr(self.options, section), name)
            for section, names in TUNED.items()
            for name in names
        }


@dataclass(frozen=True)
class TrialScore:
    """How a trial stood at the end of a rung.

    Parameters
    ----------
    trial : Trial
    until : int
        Epoch up to which the rung went.
    value : float
        Best validation value so far; -inf for a trial that diverged.
    goes_on : bool
        Whether it was among the better half, or in the end the best.
    """

    trial: Trial
    until: int
    value: float
    goes_on: bool


def draw_trials(options: SequenceOptions, count: int, seed: int) -> tuple[Trial, ...]:
    """The configured settings and ``count - 1`` drawn ones; the same for the same seed."""
    draw = np.random.default_rng([seed, count])
    trials, heads = [Trial(1, options)], options.network.heads
    for number in range(2, count + 1):
        factor = 5.0 ** draw.uniform(-1.0, 1.0)
        units = round(options.network.units * float(draw.choice([0.5, 1.0, 2.0])))
        network = replace(
            options.network,
            units=max(heads, units // heads * heads),
            layers=int(draw.integers(1, 4)),
            dropout=float(draw.integers(0, 6)) / 10,
        )
        windows = options.training.batch_size * float(draw.choice([0.5, 1.0, 2.0]))
        training = replace(
            options.training,
            learning_rate=float(f"{options.training.learning_rate * factor:.3g}"),
            batch_size=max(1, round(windows)),
        )
        drawn = replace(options, network=network, training=training)
        trials.append(Trial(number, drawn))
    return tuple(trials)


def rungs(count: int, epochs: int) -> tuple[int, ...]:
    """Epochs after which trials are halved, doubling up to ``epochs``."""
    halvings = math.ceil(math.log2(count))
    return tuple(sorted({max(1, round(epochs / 2**i)) for i in range(halvings + 1)}))


def successive_halving(
    trials: Sequence[Trial],
    epochs: int,
    train: Callable[[Trial, int], float],
    tell: Callable[[TrialScore], None] = lambda score: None,
) -> Trial:
    """The best trial.

    Parameters
    ----------
    trials : sequence of Trial
    epochs : int
        Of the last rung.
    train : callable
        Trains a trial up to an epoch, going on from where it was, and gives its best validation
        value so far.
    tell : callable
        Told how each trial stood at the end of each rung.

    Raises
    ------
    DataError
        If training failed for every trial, with the reason of the first.
    """
    alive = list(trials)
    levels = rungs(len(trials), epochs)
    for until in levels:
        values, reasons = {}, []
        for trial in alive:
            try:
                values[trial.number] = train(trial, until)
            except DataError as error:  # it diverged: others may not
                values[trial.number] = -math.inf
                reasons.append(error)
        if len(reasons) == len(alive):
            raise reasons[0]
        # Among equals the earlier: the configured settings before any drawn ones.
        ranked = sorted(alive, key=lambda t: (-values[t.number], t.number))
        kept = 1 if until == levels[-1] else math.ceil(len(alive) / 2)
        for place, trial in enumerate(ranked):
            tell(TrialScore(trial, until, values[trial.number], place < kept))
        alive = ranked[:kept]
    return alive[0]
