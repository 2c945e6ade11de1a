"""TARNet or DragonNet, all folds' models in one network, in this process or in Horovod's ranks."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from truelift.effects.nuisances.fitted import Fitted
from truelift.effects.nuisances.learners.learner import FoldRegressions, Learner
from truelift.effects.nuisances.learners.reading import DesignReader
from truelift.effects.nuisances.linear import fit_linear
from truelift.effects.nuisances.moments import Moments
from truelift.effects.nuisances.stack import fit_stack
from truelift.effects.panel.source import PanelSource
from truelift.models.causal.options import NeuralOptions
from truelift.progress import Tell
from truelift.settings import EffectOptions

if TYPE_CHECKING:
    from truelift.effects.boosting.barrier import Reader
    from truelift.effects.heterogeneity.forecasts import ScoreReader
    from truelift.effects.neural.results import NeuralFit

# Networks and linear models: their weights are drawn to equal ones as if by so many units, so that few
# rows do not choose between learners that err alike, and many rows do.
_EQUAL_UNITS = 70.0


def fit_neural(
    source: PanelSource, moments: Moments, options: EffectOptions, progress: Tell
) -> Fitted:
    """Networks, trained or taken from the registry of models.

    Unless ``effects.nuisances.learners.neural.stacked`` is off, they are stacked with the linear models
    (:mod:`~truelift.effects.nuisances.stack`): where rows are few a network's chances of treatment are noisier
    than a logistic model's, and a doubly robust score divides by them.
    """
    chosen: NeuralOptions = options.of_learner(NEURAL)
    if chosen.model is not None:
        networks = _registered(source, moments, options.nuisances.folds, chosen.model)
    else:
        networks = trained_networks(source, moments, options.nuisances.folds, chosen, progress)
    if not chosen.stacked:
        return networks
    linear = fit_linear(source, moments, options, progress)
    parts = (linear, networks)
    name, units = networks.nuisances.name, float(moments.arm_units.sum())
    return fit_stack(source, moments, options, parts, progress, name, _EQUAL_UNITS / units)


def trained_networks(
    source: PanelSource, moments: Moments, folds: int, chosen: NeuralOptions, progress: Tell
) -> Fitted:
    """Networks of every fold, trained on the rows, with how that went."""
    reader = DesignReader(moments.design, moments.outcomes, moments.columns)
    fit = train(source, reader, folds, chosen, progress)
    quality = {
        "neural_epochs": float(len(fit.curve)),
        "neural_best_epoch": float(fit.best_epoch.mean()),
        "neural_propensity_factor": float(fit.propensity_factor.mean()),
        "neural_validation_loss": float(fit.validation_loss.mean()),
        "neural_seconds": fit.seconds,
        "neural_processes": float(fit.processes),
    }
    return Fitted(fit.nuisances, True, quality, 1 + len(fit.curve))


def _registered(source: PanelSource, moments: Moments, folds: int, model: str) -> Fitted:
    """Networks of the registry, where they are of this very panel."""
    from truelift.effects.neural.job import load_package

    with tempfile.TemporaryDirectory(prefix="truelift-neural-") as folder:
        package = load_package(model, Path(folder))
    package.check(moments, folds, source.name, source.version, model)
    return Fitted(package.nuisances, True, {}, 1)


def forecast(
    source: PanelSource, reader: ScoreReader, options: EffectOptions, sequential: bool,
    progress: Tell,
) -> FoldRegressions:  # fmt: skip
    """Networks of scores on features."""
    progress("forecasts of effects: networks on the scores")
    # Scores are doubly robust already, and a registered model is one of nuisances.
    chosen = replace(options.of_learner(NEURAL, forecasts=True), targeted=0.0, model=None)
    return train(source, reader, options.nuisances.folds, chosen, progress, sequential).nuisances


def train(
    source: PanelSource, reader: Reader, folds: int, options: NeuralOptions, progress: Tell,
    sequential: bool = False,
) -> NeuralFit:  # fmt: skip
    """The networks of every fold: where the source's rows lie in files, by ranks that read them.

    Parameters
    ----------
    source : PanelSource
    reader : Reader
        Makes blocks of the source's rows.
    folds : int
    options : NeuralOptions
    progress : callable
    sequential : bool
        See :func:`~truelift.effects.panel.training_folds.training_folds`.
    """
    spread = source.spread()
    if spread is not None:
        from truelift.effects.neural.launching import fit_on_plan

        return fit_on_plan(spread.plan, reader, folds, options, progress, sequential=sequential)
    from truelift.effects.neural.memory import fit_in_memory

    blocks = source.blocks(reader, reader.columns, folds)
    return fit_in_memory(blocks, options, folds, reader.arms, sequential=sequential)


NEURAL = Learner(
    "neural", fit_neural, NeuralOptions, "effects.nuisances.learners.neural", ("tensorflow",), forecast=forecast
)  # fmt: skip
