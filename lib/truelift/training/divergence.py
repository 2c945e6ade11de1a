"""A training that has run away is stopped at once, and says where; so are ranks that came apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from truelift.distributed.collective import Collective
from truelift.errors import DataError


def check_loss(loss: float, epoch: int, step: int, rate: float) -> None:
    """Refuse a loss that is no finite number.

    Parameters
    ----------
    loss : float
        Of a batch.
    epoch, step : int
        Counted from 1.
    rate : float
        The learning rate of the step.

    Raises
    ------
    DataError
        Naming epoch, step and rate: what follows could only be more of it.
    """
    if not math.isfinite(loss):
        raise _diverged(f"the loss is {loss}", epoch, step, rate)


def check_weights(variables: Iterable[Any], epoch: int, step: int, rate: float) -> None:
    """Refuse weights that are no finite numbers, which the last update of an epoch may leave.

    Raises
    ------
    DataError
        As :func:`check_loss`.
    """
    for variable in variables:
        if not np.isfinite(np.asarray(variable)).all():
            raise _diverged("a weight is no finite number", epoch, step, rate)


def weights_spread(variables: Sequence[Any], ranks: Collective) -> float:
    """Largest difference between ranks in checksums of the weights; 0 for equal weights.

    Two sums a weight, one of them over signed positions, find any change that is not a
    conspiracy, for a few bytes of traffic.
    """
    sums = []
    for variable in variables:
        values = np.asarray(variable, dtype=np.float64).ravel()
        sums += [values.sum(), values @ np.cos(np.arange(len(values)))]
    gathered = ranks.join(np.array([sums], dtype=np.float64), "weights_spread")
    return float(np.abs(gathered - gathered[:1]).max())


def _diverged(what: str, epoch: int, step: int, rate: float) -> DataError:
    return DataError(
        f"The training diverged: {what} in epoch {epoch}, step {step}, at the learning rate "
        f"{rate:.3g}. Lower sequence.training.learning_rate (a fifth of it is a start) or give it more "
        "sequence.training.warmup_steps."
    )
