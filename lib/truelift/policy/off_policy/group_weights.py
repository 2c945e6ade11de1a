"""Weights of groups that nobody logged, learned from those of the logged actions.

The weight of a group is what the weight of the logged action is on average where the context and the group are
alike, ``w(x, g) = E[w(x, a) | x, g]`` (Saito & Joachims 2022, who learn the actions' chances given both, for
which the log's chances of all actions have to be known). A regression of the logged weights on context and group
needs the logged action's chance alone. It is linear in the context within each group where that is small, else
additive, and fitted without the user's own fold, as are the rewards' own regressions m(x, g). The estimate is

    mean of m(x, g) w + w(x, g) (r - m(x, g))

which is right where *either* regression is, and whose first-order error has neither of theirs in it, so that
its interval is that of any mean. Logged weights count where rewards are foretold; what the reward varies by
beyond that is weighted by groups alone, which is most of it where rewards are rare.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from truelift.errors import ConfigError
from truelift.policy.off_policy.log import BanditLog
from truelift.policy.off_policy.reward_model import (
    MOST_NUMBERS,
    RewardModel,
    fit,
    in_fold,
    model_state,
    of_reward,
)

if TYPE_CHECKING:
    from truelift.policy.off_policy.passes import ValueKernel

State = dict[str, np.ndarray]
# Numbers of the sums, above which context and group only add up.
_MOST_BY_GROUP = 4_000_000


@dataclass(frozen=True, eq=False)
class LearnedWeights:
    """Regressions on context and group, by what is foretold and by fold.

    Parameters
    ----------
    policies : tuple of list of RewardModel
        Of the logged actions' weights.
    rewards, rests : tuple of list of RewardModel
        Of the rewards, and of what the reward model leaves of them.
    """

    policies: tuple[list[RewardModel], ...]
    rewards: tuple[list[RewardModel], ...]
    rests: tuple[list[RewardModel], ...]

    def weights(self, features: np.ndarray, group: np.ndarray, fold: int) -> np.ndarray:
        """Of the rows' groups, under every policy (n x P)."""
        models = [by_fold[fold] for by_fold in self.policies]
        return np.column_stack([model.of_actions(features, group) for model in models])

    def foretold(
        self, features: np.ndarray, group: np.ndarray, reward: int, fold: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """A reward, and what is left of it (n each)."""
        own, rest = self.rewards[reward][fold], self.rests[reward][fold]
        return own.of_actions(features, group), rest.of_actions(features, group)


@dataclass(frozen=True, eq=False)
class GroupSums:
    """Sums for the regressions of weights, rewards and rests, by fold."""

    values: ValueKernel
    by_group: bool

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        kernel, seen = self.values, 0
        total: State = {}
        spec, groups = kernel.reader.spec, kernel.groups
        assert groups is not None
        fold = bucket % spec.folds
        for batch in batches:
            rows = kernel.reader.rows(batch, seen, bucket)
            seen += batch.num_rows
            looked = rows if kernel.learned is None else kernel.learned.seen(rows, fold)
            targets = [*(rows.chances / rows.propensity[:, None]).T, *rows.rewards.T]
            for j in range(len(spec.rewards)):
                model, own = kernel.model_of(j, fold), rows.rewards[:, j]
                targets.append(
                    own if model is None else own - model.of_actions(looked.features, rows.action)
                )
            ones = np.ones((batch.num_rows, 1))
            group = groups.of_rows(rows)
            for t, target in enumerate(targets):
                state = model_state(rows.features, group, target, ones, groups.count, self.by_group)
                for key, value in state.items():
                    name = f"{key}.{t}"
                    total[name] = value if name not in total else total[name] + value
        return in_fold(total, fold, spec.folds) if total else None


def learned_weights(log: BanditLog, values: ValueKernel) -> LearnedWeights:
    """Fit all regressions in one pass.

    Parameters
    ----------
    log : BanditLog
    values : ValueKernel
        With groups, and with the models of rewards where estimators need them.

    Raises
    ------
    ConfigError
        For sums that no bucket should have.
    """
    reader, groups = values.reader, values.groups
    assert groups is not None
    policies, rewards = len(reader.spec.policies), len(reader.spec.rewards)
    tables = reader.spec.folds * (policies + 2 * rewards) * groups.count
    if tables * (reader.width + 2) > MOST_NUMBERS:
        raise ConfigError(
            f"groups.weights: regressions of {policies} policies and {rewards} rewards on {groups.count:,} groups and "
            f"{reader.width} features in {reader.spec.folds} folds take {tables * (reader.width + 2):,} numbers a bucket, "
            f"expected at most {MOST_NUMBERS:,}. Make fewer groups, or name fewer columns in context."
        )
    sums = log.sum(GroupSums(values, tables * reader.width**2 <= _MOST_BY_GROUP))
    fitted = tuple(fit(of_reward(sums, t), 0) for t in range(policies + 2 * rewards))
    return LearnedWeights(
        fitted[:policies], fitted[policies : policies + rewards], fitted[policies + rewards :]
    )
