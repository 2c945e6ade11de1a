"""Networks of rows in memory, in this process: coverage studies and tests."""

from __future__ import annotations

from collections.abc import Iterable

from truelift.distributed.collective import Alone
from truelift.effects.boosting.reading import Block
from truelift.effects.neural.batches import RankRows
from truelift.effects.neural.results import NeuralFit
from truelift.models.causal.options import NeuralOptions
from truelift.models.runtime import start_tensorflow


def fit_in_memory(
    blocks: Iterable[Block], options: NeuralOptions, folds: int, arms: int, *,
    sequential: bool = False,
) -> NeuralFit:  # fmt: skip
    """Cross-fitted networks of blocks that are all held.

    Parameters
    ----------
    blocks : iterable of Block
        At least one; covariates are the features of the design, without the intercept.
    options : NeuralOptions
        ``processes`` has no meaning here.
    folds, arms : int
    sequential : bool
        See :func:`~truelift.effects.panel.training_folds.training_folds`.
    """
    start_tensorflow(options.threads_per_process)
    from truelift.effects.neural.fitting import fit_networks

    held = tuple(blocks)
    rows = RankRows(
        parts=[lambda block=block: iter([block]) for block in held],  # type: ignore[misc]
        validation=options.validation,
        batch_size=options.batch_size,
        seed=(options.seed, 0),
    )
    features, outcomes = len(held[0].covariates), len(held[0].outcome)
    return fit_networks(
        rows, options, folds, features, arms, outcomes, Alone(), sequential=sequential
    )
