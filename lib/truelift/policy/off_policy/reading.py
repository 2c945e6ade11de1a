"""A batch of a bandit log as arrays: actions, propensities, features, and what each policy would do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.keys import hash_keys, hash_repeated
from truelift.effects.panel.columns import number_column
from truelift.errors import ConfigError
from truelift.policy.off_policy.candidates import PolicySpec
from truelift.policy.off_policy.chances import Chances
from truelift.policy.off_policy.log import column_of, texts
from truelift.policy.off_policy.spec import BALANCED, BanditSpec

#: Columns that a text is hashed into.
TEXT_SLOTS = 16
_MOST_FEATURES = 400


class Rewards(Protocol):
    """Predictions of rewards, of :class:`~.reward_model.RewardModel`."""

    def of_actions(self, features: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Of one action a row."""

    def of_one(self, features: np.ndarray, action: int) -> np.ndarray:
        """Of the same action in every row."""

    def of_mixtures(
        self, features: np.ndarray, cells: np.ndarray, entries: tuple[np.ndarray, ...], count: int
    ) -> np.ndarray:
        """Of mixtures of actions."""


class Estimated(Protocol):
    """Propensities by a model, :class:`~.estimated_chances.EstimatedChances`."""

    def of_rows(self, batch: pa.RecordBatch, bucket: int, actions: np.ndarray) -> np.ndarray:
        """Of each row's action."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a log.

    Parameters
    ----------
    action : ndarray of int, n
    propensity : ndarray, n
    rewards : ndarray, n x R
    users : ndarray of uint64, n
    features : ndarray, n x d
    chances : ndarray, n x P
        Of the logged action under each policy.
    unlogged : ndarray, P
        Mass of the policies on actions that no row of the log has, summed over the rows.
    batch : pyarrow.RecordBatch
    logger : ndarray of int, n
        Who wrote each row.
    """

    action: np.ndarray
    propensity: np.ndarray
    rewards: np.ndarray
    users: np.ndarray
    features: np.ndarray
    chances: np.ndarray
    unlogged: np.ndarray
    batch: pa.RecordBatch
    logger: np.ndarray


@dataclass(frozen=True)
class Logger:
    """One of several policies that wrote a log: its name, the column of its chances, its share of the rows."""

    name: str
    column: str
    share: float


@dataclass(frozen=True, eq=False)
class Reader:
    """What turns batches into arrays.

    Parameters
    ----------
    spec : BanditSpec
    actions : pyarrow.Array of string
        All of them; their places are their codes.
    logged : ndarray of bool, K
        Which of them the log has.
    numeric : frozenset of str
        Columns of the context that are numbers.
    propensities : Chances, optional
        Where they do not stand in a column.
    tables : mapping of str to Chances
        Of policies that stand in a table.
    mixture : tuple of Logger
        Who wrote the log, where several did.
    estimated : Estimated, optional
        Propensities by a model. Rows that are looked at before it is fitted have 1.
    """

    spec: BanditSpec
    actions: pa.Array
    logged: np.ndarray
    numeric: frozenset[str]
    propensities: Chances | None
    tables: dict[str, Chances]
    mixture: tuple[Logger, ...] = ()
    estimated: Estimated | None = None

    @property
    def width(self) -> int:
        """Features."""
        return 1 + sum(1 if name in self.numeric else TEXT_SLOTS for name in self._context)

    @property
    def _context(self) -> tuple[str, ...]:
        position = [self.spec.position] if self.spec.position else []
        return tuple(dict.fromkeys([*self.spec.context, *position]))

    def check(self) -> None:
        """Refuse more features than a table of sums by action should have.

        Raises
        ------
        ConfigError
        """
        if self.width > _MOST_FEATURES:
            raise ConfigError(
                f"context: found {self.width} features ({TEXT_SLOTS} a text column), expected at most "
                f"{_MOST_FEATURES}. Name fewer columns."
            )

    def codes(self, column: pa.Array) -> np.ndarray:
        """Codes of actions; -1 for none and for what there is not."""
        found = pc.fill_null(pc.index_in(texts(column), value_set=self.actions), -1)
        return found.to_numpy(zero_copy_only=False).astype(np.int64)

    def rows(self, batch: pa.RecordBatch, seen: int, bucket: int) -> Rows:
        """The rows of a batch, of which ``seen`` rows of its bucket came before."""
        spec, n = self.spec, batch.num_rows
        logger = self._loggers(batch)
        action = self.codes(column_of(batch, spec.action))
        if self.propensities is not None:
            hashes, _ = self.propensities.cells_of(batch)
            propensity = self.propensities.of_actions(hashes, action)
        elif self.mixture:
            propensity = self._of_loggers(batch, logger)
        elif spec.propensity_model:
            propensity = np.ones(n)
            if self.estimated is not None:
                propensity = self.estimated.of_rows(batch, bucket, action)
        else:
            assert spec.propensity is not None
            propensity = number_column(batch, spec.propensity)
        if spec.user:
            users = hash_keys(column_of(batch, spec.user))
        else:
            users = np.arange(seen, seen + n, dtype=np.uint64)
        chances, unlogged = np.zeros((n, len(spec.policies))), np.zeros(len(spec.policies))
        for p, (name, policy) in enumerate(spec.policies.items()):
            chances[:, p], unlogged[p] = self._chance(name, policy, batch, action, propensity)
        return Rows(
            action, propensity, np.column_stack([number_column(batch, r) for r in spec.rewards]),
            users, self._features(batch), chances, unlogged, batch, logger,
        )  # fmt: skip

    def _loggers(self, batch: pa.RecordBatch) -> np.ndarray:
        """Who wrote each row (n); 0 where one policy wrote the log."""
        several = self.spec.loggers
        if several is None:
            return np.zeros(batch.num_rows, np.int64)
        names = pa.array([one.name for one in self.mixture], pa.string())
        found = pc.fill_null(
            pc.index_in(texts(column_of(batch, several.column)), value_set=names), 0
        )
        return found.to_numpy(zero_copy_only=False).astype(np.int64)

    def _of_loggers(self, batch: pa.RecordBatch, logger: np.ndarray) -> np.ndarray:
        """Propensities of the mixture of all loggers, or of the one that wrote the row."""
        assert self.spec.loggers is not None
        found = np.zeros(len(logger))
        for k, one in enumerate(self.mixture):
            chance = number_column(batch, one.column)
            if self.spec.loggers.weights == BALANCED:
                found += one.share * chance
            else:
                found = np.where(logger == k, chance, found)
        return found

    def _features(self, batch: pa.RecordBatch) -> np.ndarray:
        n = batch.num_rows
        found = np.zeros((n, self.width))
        found[:, 0], place = 1.0, 1
        for name in self._context:
            if name in self.numeric:
                found[:, place] = np.nan_to_num(number_column(batch, name), posinf=0.0, neginf=0.0)
                place += 1
                continue
            slot = hash_repeated(texts(column_of(batch, name))) % np.uint64(TEXT_SLOTS)
            found[np.arange(n), place + slot.astype(np.int64)] = 1.0
            place += TEXT_SLOTS
        return found

    def _chance(
        self, name: str, policy: PolicySpec, batch: pa.RecordBatch, action: np.ndarray,
        propensity: np.ndarray,
    ) -> tuple[np.ndarray, float]:  # fmt: skip
        """The chance of each logged action, and the mass on actions that were never logged."""
        n, count = len(action), len(self.actions)
        missing = ~self.logged
        if policy.logging:
            return propensity, 0.0
        if policy.logged_chance:
            return number_column(batch, policy.logged_chance), 0.0
        if policy.uniform:
            return np.full(n, 1 / count), n * float(missing.mean())
        unlogged = 0.0
        if policy.action or policy.always:
            taken = self.taken(policy, batch)
            found = (taken == action).astype(float)
            unlogged = float(np.count_nonzero(missing[np.maximum(taken, 0)] & (taken >= 0)))
        elif policy.chances or policy.learned:
            found = np.zeros(n)
            for code, chance in self.action_chances(policy, batch):
                found = np.where(action == code, chance, found)
                unlogged += float(chance.sum()) if missing[code] else 0.0
        else:
            table = self.tables[name]
            hashes, cells = table.cells_of(batch)
            found = table.of_actions(hashes, action)
            lacks = np.bincount(table.cell, table.chance * missing[table.action], len(table.cells))
            unlogged = float(lacks[np.maximum(cells, 0)] @ (cells >= 0))
        share = policy.explore
        if share:
            found = (1 - share) * found + share / count
            unlogged = (1 - share) * unlogged + share * n * float(missing.mean())
        return found, unlogged

    def taken(self, policy: PolicySpec, batch: pa.RecordBatch) -> np.ndarray:
        """Codes of the actions of a policy that takes one a row."""
        if policy.always:
            return np.full(batch.num_rows, self.codes(pa.array([policy.always]))[0])
        assert policy.action is not None
        return self.codes(column_of(batch, policy.action))

    def action_chances(
        self, policy: PolicySpec, batch: pa.RecordBatch
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Code of each action that a policy may take, with its chance in every row (n)."""
        package = policy.learned
        if package is None:
            codes = self.codes(pa.array(list(policy.chances), pa.string()))
            for code, column in zip(codes.tolist(), policy.chances.values(), strict=True):
                yield code, number_column(batch, column)
            return
        looked: dict[str, np.ndarray | pa.Array] = {
            name: np.asarray(number_column(batch, name)) for name in policy.numbers
        }
        looked |= {name: texts(column_of(batch, name)) for name in policy.texts}
        chances = package.propensities(package.rule.choose(looked))
        codes = self.codes(pa.array(list(chances), pa.string()))
        yield from zip(codes.tolist(), chances.values(), strict=True)

    def predictions(self, rows: Rows, name: str, model: Rewards, own: np.ndarray) -> np.ndarray:
        """A policy's mean prediction in each row (n); ``own`` are those of the logged actions."""
        policy, n = self.spec.policies[name], len(rows.action)
        if policy.logging:
            return own
        if policy.logged_chance:
            return np.zeros(n)  # nobody knows
        if policy.uniform:
            return self._uniform(rows.features, model)
        if policy.action or policy.always:
            found = model.of_actions(rows.features, self.taken(policy, rows.batch))
        elif policy.chances or policy.learned:
            found = np.zeros(n)
            for code, chance in self.action_chances(policy, rows.batch):
                found += chance * model.of_one(rows.features, code)
        else:
            table = self.tables[name]
            _, cells = table.cells_of(rows.batch)
            entries = (table.cell, table.action, table.chance)
            found = model.of_mixtures(
                rows.features, np.maximum(cells, 0), entries, len(table.cells)
            ) * (cells >= 0)
        if policy.explore:
            share = policy.explore
            found = (1 - share) * found + share * self._uniform(rows.features, model)
        return found

    def _uniform(self, features: np.ndarray, model: Rewards) -> np.ndarray:
        count = len(self.actions)
        entries = (np.zeros(count, np.int64), np.arange(count), np.full(count, 1 / count))
        return model.of_mixtures(features, np.zeros(len(features), np.int64), entries, 1)
