"""A batch of a bandit log as arrays: actions, propensities, features, and what each policy would do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.keys import hash_keys, hash_repeated, mix
from truelift.effects.panel.columns import number_column
from truelift.errors import ConfigError, DataError, TableError
from truelift.lake.address import TableAddress
from truelift.lake.foreign import ForeignTable, open_foreign
from truelift.policy.off_policy.log import column_of, first_few, is_numeric, texts
from truelift.policy.off_policy.spec import BALANCED, BanditSpec, ChanceTable, PolicySpec

#: Columns that a text is hashed into.
TEXT_SLOTS = 16
_MOST_FEATURES = 400
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SUM = 1e-6


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


@dataclass(frozen=True, eq=False)
class Chances:
    """Chances of actions by cells of the context; nothing is stored for a chance of zero.

    Parameters
    ----------
    by : tuple of str
    cells : ndarray of uint64, C
        Hashes of the cells, ascending.
    cell, action, chance : ndarray, E
        Entries, by their keys.
    keys : ndarray of uint64, E
        Of cell and action, ascending.
    """

    by: tuple[str, ...]
    cells: np.ndarray
    cell: np.ndarray
    action: np.ndarray
    chance: np.ndarray
    keys: np.ndarray

    def cells_of(self, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        """Hash and number of each row's cell; -1 for one that there is not."""
        hashes = cell_hashes(batch, self.by)
        place = np.minimum(np.searchsorted(self.cells, hashes), len(self.cells) - 1)
        return hashes, np.where(self.cells[place] == hashes, place, -1)

    def of_actions(self, hashes: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """The chance of one action a row; zero where there is no entry."""
        keys = _pair_keys(hashes, actions)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.chance[place], 0.0)


def cell_hashes(batch: pa.RecordBatch | pa.Table, by: Iterable[str]) -> np.ndarray:
    """A 64-bit hash of each row's context."""
    found = np.zeros(batch.num_rows, np.uint64)
    for name in by:
        found = mix(found ^ hash_repeated(texts(column_of(batch, name))))
    return found


def _pair_keys(hashes: np.ndarray, actions: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return mix(hashes + actions.astype(np.int64).view(np.uint64) * _GOLDEN)


def chances_of(
    by: tuple[str, ...], hashes: np.ndarray, actions: np.ndarray, chances: np.ndarray
) -> Chances:
    """Chances from entries, in any order."""
    keys = _pair_keys(hashes, actions)
    order = np.argsort(keys, kind="stable")
    cells, cell = np.unique(hashes, return_inverse=True)
    return Chances(by, cells, cell[order], actions[order], chances[order], keys[order])


def table_rows(uri: str, wanted: list[str], key: str) -> tuple[ForeignTable, pa.Table]:
    """Some columns of a table that a key of the specification names, in one chunk each.

    Raises
    ------
    TableError
        For columns that are missing.
    """
    found = open_foreign(TableAddress.parse(uri))
    missing = [name for name in wanted if name not in found.schema.names]
    if missing:
        raise TableError(
            f"{key}: {found.name} has no column {first_few(missing)}; its columns are "
            f"{', '.join(found.schema.names)}."
        )
    return found, found.here(wanted).combine_chunks()


def read_chances(table: ChanceTable, actions: pa.Array, key: str) -> Chances:
    """The chances in a table, checked: each cell's add up to one.

    Raises
    ------
    TableError, DataError
        For columns that are missing, chances that are none, cells that do not add up, and actions
        that there are not.
    """
    found, rows = table_rows(table.table, [*table.by, table.action, table.chance], key)
    labels = texts(column_of(rows, table.action))
    codes = pc.fill_null(pc.index_in(labels, value_set=actions), -1).to_numpy()
    if np.any(codes < 0):
        unknown = sorted({str(v) for v in labels.filter(pa.array(codes < 0)).to_pylist()})
        raise DataError(unknown_action(key, unknown))
    if not is_numeric(rows.schema.field(table.chance).type):
        raise TableError(
            f"{key}: {found.name}, column {table.chance!r}: found type "
            f"{rows.schema.field(table.chance).type}, expected chances."
        )
    chance = (
        np.asarray(number_column(rows.to_batches()[0], table.chance)) if len(rows) else np.zeros(0)
    )
    if not len(chance) or not np.all((chance >= 0) & (chance <= 1)):
        raise DataError(
            f"{key}: {found.name}, column {table.chance!r}: found chances that are missing or outside "
            "of 0 to 1, expected those of each cell to add up to 1."
        )
    made = chances_of(table.by, cell_hashes(rows, table.by), codes.astype(np.int64), chance)
    sums = np.bincount(made.cell, made.chance, len(made.cells))
    off = np.flatnonzero(np.abs(sums - 1) > _SUM)
    if len(off):
        raise DataError(
            f"{key}: the chances of {len(off):,} of {len(sums):,} cells of {found.name} do not add up to "
            f"1 (the first to {sums[off[0]]:.6g}). Expected, for each combination of "
            f"{', '.join(table.by) or 'nothing'}, the chances of all actions."
        )
    if len(np.unique(made.keys)) < len(made.keys):
        raise DataError(
            f"{key}: {found.name} has several rows of one action in one cell; expected one."
        )
    return made


def unknown_action(key: str, unknown: list[str]) -> str:
    """The message for actions that a policy names and that there are not."""
    return (
        f"{key}: found {first_few(unknown)}, which the log never took. Expected an action of the log, or "
        "one that 'actions' lists: list it there if it exists, and its mass counts as not supported."
    )


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
    """

    spec: BanditSpec
    actions: pa.Array
    logged: np.ndarray
    numeric: frozenset[str]
    propensities: Chances | None
    tables: dict[str, Chances]
    mixture: tuple[Logger, ...] = ()

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
