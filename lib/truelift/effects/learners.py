"""The nuisance learners by name: each fits cross-fitted models from the first pass and the source."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from truelift.arrays.keys import hash_keys
from truelift.effects.boosting.nuisances import BoostingNuisances
from truelift.effects.boosting.options import BoostingOptions
from truelift.effects.boosting.reading import Block
from truelift.effects.columns import PanelColumns, Scale, weight_column
from truelift.effects.design import Design
from truelift.effects.linear import fit_linear
from truelift.effects.moments import Moments
from truelift.effects.neural.options import NeuralOptions
from truelift.effects.nuisances import Fitted, Predictions
from truelift.effects.source import PanelSource
from truelift.effects.stack import fit_stack
from truelift.errors import ConfigError
from truelift.settings import EffectOptions
from truelift.typed import from_plain

# Networks and linear models: their weights are drawn to equal ones as if by so many units, so that few
# rows do not choose between learners that err alike, and many rows do.
_EQUAL_UNITS = 70.0

Progress = Callable[[str], None]
Learner = Callable[[PanelSource, Moments, EffectOptions, Progress], Fitted]


@dataclass(frozen=True, eq=False)
class DesignReader:
    """Blocks of a panel's features for the boosting package."""

    design: Design
    outcomes: Scale
    panel: PanelColumns

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of the features."""
        return self.design.names

    @property
    def arms(self) -> int:
        """A."""
        return len(self.panel.arms.values)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns to read."""
        return tuple(dict.fromkeys([*self.panel.of_moments(), self.panel.cluster]))

    @property
    def outcome_count(self) -> int:
        """J."""
        return len(self.outcomes.names)

    def __call__(self, batch: pa.RecordBatch, fold: int | np.ndarray) -> Block:
        """The batch's rows as arrays."""
        n = batch.num_rows
        features = self.design.rows(batch, np.empty((len(self.design), n)), fold)
        cluster = batch.column(batch.schema.get_field_index(self.panel.cluster))
        return Block(
            features.astype(np.float32),
            self.panel.arms.codes(batch),
            self.outcomes.rows(batch, np.empty((self.outcome_count, n))),
            hash_keys(cluster),
            np.full(n, fold),
            weight_column(batch, self.panel.weight),
        )


@dataclass(frozen=True, eq=False)
class BoostedTrees:
    """Boosting models behind the interface of all nuisances."""

    models: BoostingNuisances
    name: str = "boosting"

    def predict(self, block: np.ndarray, fold: int) -> Predictions:
        """See :class:`~.nuisances.Nuisances`."""
        return Predictions(*self.models.predict(block[1:], fold))


def fit_boosting(
    source: PanelSource, moments: Moments, options: EffectOptions, progress: Progress
) -> Fitted:
    """Gradient-boosted trees on top of linear models; all of a fold's models from one binned copy."""
    chosen = from_plain(BoostingOptions, options.boosting, "effects.boosting")
    progress("boosting: binning, then the models of every fold and arm")
    reader = DesignReader(moments.design, moments.outcomes, moments.columns)
    models = source.fit_boosting(reader, options.folds, chosen)
    seconds = {f"boosting_seconds_{part}": float(s) for part, s in models.seconds.items()}
    quality = {
        "boosting_propensity_rounds": float(models.propensity_rounds.mean()),
        "boosting_outcome_rounds": float(models.outcome_rounds.mean()),
        **seconds,
    }
    return Fitted(BoostedTrees(models), True, quality, 2)


def fit_both(
    source: PanelSource, moments: Moments, options: EffectOptions, progress: Progress
) -> Fitted:
    """A convex combination of the linear and the boosted models; see :mod:`~.stack`."""
    linear = fit_linear(source, moments, options, progress)
    boosted = fit_boosting(source, moments, options, progress)
    return fit_stack(source, moments, options, (linear, boosted), progress)


def fit_neural(
    source: PanelSource, moments: Moments, options: EffectOptions, progress: Progress
) -> Fitted:
    """TARNet or DragonNet, all folds' models in one network that Horovod ranks train.

    Unless ``effects.neural.stacked`` is off, they are stacked with the linear models
    (:mod:`~.stack`): where rows are few a network's chances of treatment are noisier than a
    logistic model's, and a doubly robust score divides by them.
    """
    chosen = from_plain(NeuralOptions, options.neural, "effects.neural")
    if chosen.model is not None:
        networks = _registered(source, moments, options.folds, chosen.model)
    else:
        networks = _trained(source, moments, options.folds, chosen, progress)
    if not chosen.stacked:
        return networks
    linear = fit_linear(source, moments, options, progress)
    parts = (linear, networks)
    name, units = networks.nuisances.name, float(moments.arm_units.sum())
    return fit_stack(source, moments, options, parts, progress, name, _EQUAL_UNITS / units)


def _trained(
    source: PanelSource, moments: Moments, folds: int, chosen: NeuralOptions, progress: Progress
) -> Fitted:
    reader = DesignReader(moments.design, moments.outcomes, moments.columns)
    fit = source.fit_neural(reader, folds, chosen, progress)
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


LEARNERS: dict[str, Learner] = {
    "linear": fit_linear,
    "boosting": fit_boosting,
    "neural": fit_neural,
    "stack": fit_both,
}


def learner_named(name: str) -> Learner:
    """A learner of the registry.

    Raises
    ------
    ConfigError
        Naming those that there are.
    """
    if name not in LEARNERS:
        raise ConfigError(
            f"effects.learner: found {name!r}, expected one of {', '.join(LEARNERS)}."
        )
    return LEARNERS[name]
