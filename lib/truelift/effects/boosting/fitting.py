"""One worker's whole part: take up rows, fit the linear start, grow all trees."""

from __future__ import annotations

import time
from collections.abc import Iterator

from truelift.distributed.collective import Collective
from truelift.effects.boosting.linear_start import fit_linear_start
from truelift.effects.boosting.nuisances import BoostingNuisances, make_nuisances
from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.boosting.reading import Block, prepare
from truelift.effects.boosting.training import fit_all
from truelift.effects.panel.training_folds import training_folds
from truelift.errors import DataError


def fit_blocks(
    blocks: Iterator[Block], covariates: tuple[str, ...], outcomes: int, arms: int, folds: int,
    options: BoostingOptions, workers: Collective, threads: int, table: str, *,
    sequential: bool = False,
) -> BoostingNuisances:  # fmt: skip
    """Fit all models on the rows of all workers; each gets the same result.

    Parameters
    ----------
    blocks : iterator of Block
        This worker's rows.
    workers : Collective
        Who shares the work; all call this with the same options.
    arms : int
        A; 1 for regressions alone, without a propensity.
    threads : int
        Cores of this worker.
    sequential : bool
        See :func:`~truelift.effects.panel.training_folds.training_folds`.

    Raises
    ------
    ConfigError, DataError
        For options that name no covariate, and for rows that cannot be used.
    """
    options.check_names(covariates, table)
    if arms < 1 or folds < 2:
        raise DataError(
            f"{table}: found {arms} arms and {folds} folds; cross-fitted models need at least one "
            "arm and 2 folds."
        )
    begun = time.perf_counter()
    rows, preparation = prepare(blocks, covariates, outcomes, arms, options, workers, table)
    read = time.perf_counter()
    signs = options.signs(covariates)
    uses = training_folds(folds, sequential)
    start = fit_linear_start(rows, preparation, uses, arms, signs, options.ridge, workers)
    started = time.perf_counter()
    fits = fit_all(rows, preparation, start, uses, arms, signs, options, workers, threads)
    seconds = {"read": read - begun, "start": started - read}
    return make_nuisances(covariates, preparation.bins, start, fits, seconds)
