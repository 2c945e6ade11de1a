"""Rewards predicted by the learners of effects: actions are arms, rewards outcomes, folds those of users.

What :data:`~truelift.registries.LEARNERS` can name serves here too (trees, networks, those of other
packages), with a regression for every action, so the log may have as many actions as a treatment arms.
Chances are given to the learner as known and alike, for it is asked for regressions alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.effects.nuisances.first_pass import first_moments
from truelift.effects.nuisances.fitted import Nuisances
from truelift.effects.nuisances.moments import Moments
from truelift.effects.panel.arms import MOST_ARMS
from truelift.effects.panel.columns import panel_columns
from truelift.errors import ConfigError, DataError
from truelift.policy.off_policy.log import BanditLog, first_few, texts
from truelift.policy.off_policy.reading import Reader, Rows
from truelift.progress import Tell
from truelift.registries import LEARNERS
from truelift.settings import EffectOptions
from truelift.settings.effect_sections import FeatureSection, NuisanceSection
from truelift.settings.learner_choice import LearnerChoice


@dataclass(frozen=True)
class PredictedColumns:
    """Predictions that stand in columns, an action each; see :class:`~.reward_model.RewardModel`.

    Parameters
    ----------
    first, actions : int
        The first column, and how many there are.
    """

    first: int
    actions: int

    def of_actions(self, features: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Of one action a row (n); 0 for an action that there is not (-1)."""
        found = features[np.arange(len(actions)), self.first + np.maximum(actions, 0)]
        return np.where(actions >= 0, found, 0.0)

    def of_one(self, features: np.ndarray, action: int) -> np.ndarray:
        """Of the same action in every row (n)."""
        return features[:, self.first + action]

    def of_mixtures(
        self, features: np.ndarray, cells: np.ndarray, entries: tuple[np.ndarray, ...], count: int
    ) -> np.ndarray:
        """Mean rewards of mixtures of actions (n); see :meth:`.reward_model.RewardModel.of_mixtures`."""
        cell, action, share = entries
        weights = np.zeros((count, self.actions))
        np.add.at(weights, (cell, action), share)
        own = features[:, self.first : self.first + self.actions]
        return np.einsum("nk,nk->n", own, weights[cells])


@dataclass(frozen=True, eq=False)
class LearnedRewards:
    """A learner's regressions of every reward, by action and fold.

    Parameters
    ----------
    moments : Moments
        Features and scales.
    nuisances : Nuisances
    arms : ndarray of int, K
        The arm of each action; -1 for one that the log never took.
    name : str
    """

    moments: Moments
    nuisances: Nuisances
    arms: np.ndarray
    name: str

    def seen(self, rows: Rows, fold: int) -> Rows:
        """The rows with predictions in place of their features (n x R K), reward by reward."""
        outcomes = self.moments.outcomes
        block = self.moments.design.block(rows.batch, fold)
        found = self.nuisances.predict(block, fold).outcome_regression  # A x R x n
        natural = found * outcomes.scale[:, None] + outcomes.centre[:, None]
        # Of an action never logged nobody knows more than of all: the gate counts its mass.
        every = np.concatenate([natural, natural.mean(axis=0, keepdims=True)])
        wide = every[self.arms].transpose(2, 1, 0).reshape(rows.batch.num_rows, -1)
        return replace(rows, features=np.ascontiguousarray(wide))

    def of_reward(self, reward: int) -> PredictedColumns:
        """Where a reward's predictions stand."""
        return PredictedColumns(reward * len(self.arms), len(self.arms))


def learned_rewards(log: BanditLog, reader: Reader, progress: Tell) -> LearnedRewards:
    """Fit a learner's regressions on a log, each fold's without its users.

    Raises
    ------
    ConfigError
        For a learner that there is not, and for a log without users.
    DataError
        For more actions than it takes, and for one with too few rows.
    """
    spec, choice = reader.spec, reader.spec.reward_model
    count = check_learner(log, reader, choice, "reward_model", "set reward_model: auto")
    labels = reader.actions.filter(pa.array(reader.logged))
    nuisances = NuisanceSection(
        learner=choice,
        folds=spec.folds,
        propensity=dict.fromkeys(labels.to_pylist(), str(1 / count)),
    )
    options = as_effects(reader, nuisances)
    moments = action_moments(log, options, progress)
    _check_folds(moments, log.name, choice.name)
    progress(f"reward models: {choice.name}")
    learner = LEARNERS.row(choice.name, "reward_model")
    fitted = learner.fit(log.panel, moments, options, progress)
    arms = arms_of_actions(log, reader, moments)
    return LearnedRewards(moments, fitted.nuisances, arms, fitted.nuisances.name)


def check_learner(
    log: BanditLog, reader: Reader, choice: LearnerChoice, key: str, otherwise: str
) -> int:
    """Refuse a learner that cannot serve a log; how many actions it will have.

    Raises
    ------
    ConfigError, DataError
    """
    count = int(reader.logged.sum())
    LEARNERS.row(choice.name, key).check(key)
    if reader.spec.user is None:
        raise ConfigError(
            f"{key}: found {choice.name!r} without user; expected the column of users, for parts of "
            f"the users choose when the learner stops. Or {otherwise}."
        )
    if not 2 <= count <= MOST_ARMS:
        raise DataError(
            f"{key}: {log.name} has {count:,} actions, and {choice.name!r} fits a model of each: "
            f"expected 2 to {MOST_ARMS}. Otherwise {otherwise}."
        )
    return count


def as_effects(reader: Reader, nuisances: NuisanceSection) -> EffectOptions:
    """A log as a panel of effects: actions are arms, the context covariates."""
    spec = reader.spec
    numbers = tuple(name for name in spec.context if name in reader.numeric)
    taken = [n for n in [*spec.context, spec.position] if n and n not in numbers]
    return EffectOptions(
        treatment=spec.action,
        outcomes=spec.rewards,
        covariates=numbers,
        cluster=spec.user or "",
        unit=spec.user or "",
        features=FeatureSection(categorical=dict.fromkeys(taken, "one_hot")),
        nuisances=nuisances,
        seed=spec.seed,
    )


def action_moments(log: BanditLog, options: EffectOptions, progress: Tell) -> Moments:
    """The first pass of a learner over a log."""
    source = log.panel
    columns = panel_columns(
        source.schema, options, log.name, lambda names: source.distinct(list(names))
    )
    return first_moments(source, columns, options, progress)


def arms_of_actions(log: BanditLog, reader: Reader, moments: Moments) -> np.ndarray:
    """The arm of each action (K); -1 for one that the log never took."""
    kind = log.panel.schema.field(reader.spec.action).type
    values = pa.array(moments.columns.arms.values, kind)
    arms = pc.fill_null(pc.index_in(reader.actions, value_set=texts(values)), -1)
    return np.asarray(arms.to_numpy())


def _check_folds(moments: Moments, log: str, name: str) -> None:
    """Every action has to be there without each fold, or the fold has no model of it."""
    absent = np.flatnonzero((moments.units_without <= len(moments.design)).any(axis=0))
    if len(absent):
        labels = [moments.columns.arms.labels[a] for a in absent]
        raise DataError(
            f"reward_model: {log} has too few rows of the action {first_few(labels)} outside of some fold "
            f"for a model of its own by {name!r} (expected more than {len(moments.design)}, the features). "
            "Set reward_model: auto, which shrinks an action towards all."
        )
