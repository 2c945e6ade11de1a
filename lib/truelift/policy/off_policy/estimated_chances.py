"""Propensities that no log has: estimated from the context by a learner of effects, and calibrated.

Actions are arms, and their chances those of the learner (a multinomial logistic regression, trees, networks), fitted
without the fold of a row's user; isotonic calibration moves their level (:mod:`truelift.effects.nuisances.calibration`).
What the log chose by and the context does not have makes every value wrong, and nothing in the log can tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.effects.nuisances.calibration import calibrated
from truelift.effects.nuisances.fitted import Nuisances
from truelift.effects.panel.design import Design
from truelift.policy.off_policy.learned_rewards import (
    action_moments,
    arms_of_actions,
    as_effects,
    check_learner,
)
from truelift.policy.off_policy.log import BanditLog
from truelift.policy.off_policy.reading import Reader
from truelift.progress import Tell
from truelift.registries import LEARNERS
from truelift.settings.effect_sections import NuisanceSection

# Of the action that was taken a chance of nothing is no estimate; weights this large are for the gate.
_LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class EstimatedChances:
    """A learner's chances of the actions, by fold.

    Parameters
    ----------
    design : Design
    nuisances : Nuisances
    arms : ndarray of int, K
        The arm of each action; -1 for one that the log never took.
    folds : int
    """

    design: Design
    nuisances: Nuisances
    arms: np.ndarray
    folds: int

    def of_rows(self, batch: pa.RecordBatch, bucket: int, actions: np.ndarray) -> np.ndarray:
        """The chance of each row's action (n); 0 for none."""
        fold = bucket % self.folds
        found = self.nuisances.predict(self.design.block(batch, fold), fold).propensity  # A x n
        arm = self.arms[np.maximum(actions, 0)]
        chance = found[np.maximum(arm, 0), np.arange(len(actions))]
        return np.where((actions >= 0) & (arm >= 0), np.maximum(chance, _LEAST), 0.0)


def estimated_chances(log: BanditLog, reader: Reader, progress: Tell) -> EstimatedChances:
    """Fit and calibrate the chances of a log's actions, each fold's without its users.

    Raises
    ------
    ConfigError, DataError
        For a learner that cannot serve the log.
    """
    spec, choice = reader.spec, reader.spec.propensity_model
    assert choice is not None
    check_learner(
        log, reader, choice, "propensity_model", "name columns of few values in propensity_by"
    )
    nuisances = NuisanceSection(learner=choice, folds=spec.folds, calibration=True)
    options = as_effects(reader, nuisances)
    moments = action_moments(log, options, progress)
    progress(f"propensities: {choice.name}")
    fitted = LEARNERS.row(choice.name, "propensity_model").fit(
        log.panel, moments, options, progress
    )
    fitted = calibrated(log.panel, moments, options, fitted, progress)
    arms = arms_of_actions(log, reader, moments)
    return EstimatedChances(moments.design, fitted.nuisances, arms, spec.folds)
