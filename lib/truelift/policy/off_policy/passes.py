"""The passes over a bandit log: what actions there are, whether rows are sound, sums, values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.arrays.keys import count_nameless
from truelift.effects.panel.columns import number_column
from truelift.errors import DataError
from truelift.policy.off_policy.chances import cell_hashes, unknown_action
from truelift.policy.off_policy.estimators import Layout
from truelift.policy.off_policy.groups import ActionGroups
from truelift.policy.off_policy.kernel import cluster_products
from truelift.policy.off_policy.learned_rewards import LearnedRewards
from truelift.policy.off_policy.log import BanditLog, column_of, texts
from truelift.policy.off_policy.loggers import by_logger
from truelift.policy.off_policy.reading import Reader, Rewards, Rows
from truelift.policy.off_policy.reward_model import RewardModel, in_fold, model_state
from truelift.policy.off_policy.spec import BanditSpec
from truelift.policy.off_policy.support import weight_state

State = dict[str, np.ndarray]
_SUM = 1e-6


@dataclass(frozen=True)
class CountKernel:
    """Rows by action, and by cell where the propensities are shares of counts."""

    action: str
    by: tuple[str, ...]

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        (rows,) = tables.values()
        labels = texts(column_of(rows, self.action))
        cells = pa.array(cell_hashes(rows, self.by).view(np.int64))
        table = pa.table({"action": labels, "cell": cells})
        found = table.group_by(["action", "cell"]).aggregate([([], "count_all")])
        return found.rename_columns(["action", "cell", "rows"]).select(["action", "cell", "rows"])


@dataclass(frozen=True, eq=False)
class CheckKernel:
    """Counts of rows that cannot be used, and the range of the rewards."""

    reader: Reader

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        spec, seen = self.reader.spec, 0
        rewards, policies = len(spec.rewards), len(spec.policies)
        state: State = {
            "rows": np.zeros(1), "no_action": np.zeros(1), "no_user": np.zeros(1),
            "bad_propensity": np.zeros(1), "max_least": np.full(rewards, -np.inf),
            "max_reward": np.full(rewards, -np.inf), "no_reward": np.zeros(rewards),
            "not_binary": np.zeros(rewards), "squares": np.zeros(rewards),
            "unknown": np.zeros(policies), "off": np.zeros(policies),
        }  # fmt: skip
        for batch in batches:
            rows = self.reader.rows(batch, seen, bucket)
            seen += batch.num_rows
            state["rows"] += batch.num_rows
            state["no_action"] += np.count_nonzero(rows.action < 0)
            if spec.user:
                state["no_user"] += count_nameless(column_of(batch, spec.user))[0]
            sound = (rows.propensity > 0) & (rows.propensity <= 1)
            state["bad_propensity"] += np.count_nonzero(~sound & (rows.action >= 0))
            known = np.isfinite(rows.rewards)
            state["no_reward"] += (~known).sum(axis=0)
            values = np.where(known, rows.rewards, 0.0)
            state["not_binary"] += ((values != 0) & (values != 1)).sum(axis=0)
            state["squares"] += (values**2).sum(axis=0)
            state["max_reward"] = np.maximum(
                state["max_reward"], values.max(axis=0, initial=-np.inf)
            )
            state["max_least"] = np.maximum(
                state["max_least"], (-values).max(axis=0, initial=-np.inf)
            )
            for p, (name, policy) in enumerate(spec.policies.items()):
                if policy.action:
                    taken = self.reader.codes(column_of(batch, policy.action))
                    state["unknown"][p] += np.count_nonzero(taken < 0)
                state["off"][p] += self._off(name, rows, p)
        return state if seen else None

    def _off(self, name: str, rows: Rows, p: int) -> int:
        """Rows in which a policy's chances are none, or do not add up."""
        policy = self.reader.spec.policies[name]
        if policy.chances:
            total, bad = np.zeros(len(rows.action)), np.zeros(len(rows.action), bool)
            for column in policy.chances.values():
                chance = number_column(rows.batch, column)
                bad |= ~((chance >= 0) & (chance <= 1))
                total += chance
            return int(np.count_nonzero(bad | ~(np.abs(total - 1) <= _SUM)))
        if policy.table:
            return int(np.count_nonzero(self.reader.tables[name].cells_of(rows.batch)[1] < 0))
        if policy.logging:
            return 0
        chance = rows.chances[:, p]
        return int(np.count_nonzero(~((chance >= 0) & (chance <= 1))))


def check_rows(log: BanditLog, reader: Reader, state: State) -> None:
    """Refuse a log whose rows cannot be used.

    Raises
    ------
    DataError
        Naming the column, how many rows, what was expected and what to do.
    """
    spec, name = reader.spec, log.name
    rows = int(state["rows"][0])

    def refuse(count: float, column: str, found: str, expected: str) -> None:
        if count:
            raise DataError(
                f"{name}, {column}: {found} in {int(count):,} of {rows:,} rows; expected {expected}."
            )

    refuse(
        state["no_action"][0], f"column {spec.action!r}", "no action", "the action that was taken"
    )
    for reward, missing in zip(spec.rewards, state["no_reward"], strict=True):
        refuse(
            missing, f"column {reward!r}", "the reward is missing",
            "a number in every row: 0 where nothing came of it, and no row where it is not known yet",
        )  # fmt: skip
    for reward, most, least in zip(
        spec.rewards, state["max_reward"], state["max_least"], strict=True
    ):
        if most == -least:
            raise DataError(
                f"{name}, column {reward!r}: the reward is {most:g} in every row, so every policy is worth "
                "the same. Look at how it was made, or leave it out."
            )
    if spec.user:
        refuse(state["no_user"][0], f"column {spec.user!r}", "no user", "a key in every row")
    where = f"column {spec.propensity!r}" if spec.propensity else "propensities"
    refuse(
        state["bad_propensity"][0], where, "propensities that are missing or outside of (0, 1]",
        "the chance with which the logged action was taken, above 0 and at most 1",
    )  # fmt: skip
    for p, (policy_name, policy) in enumerate(spec.policies.items()):
        key = f"policies.{policy_name}"
        if state["unknown"][p]:
            assert policy.action is not None
            known = set(reader.actions.to_pylist())
            labels = texts(pa.array(log.panel.distinct([policy.action])[policy.action])).to_pylist()
            unknown = [label for label in labels if label not in known]
            if unknown:
                raise DataError(unknown_action(f"{key}: column {policy.action!r}", unknown))
            refuse(
                state["unknown"][p], f"column {policy.action!r}", "no action", "one in every row"
            )
        expected = "chances from 0 to 1, those of all actions adding up to 1"
        if policy.table:
            refuse(
                state["off"][p], key, "a context that its table does not have", "one of its cells"
            )
        refuse(state["off"][p], key, "chances that are none or do not add up", expected)


@dataclass(frozen=True, eq=False)
class ModelKernel:
    """Sums for the reward models of every reward (and of every policy), by fold."""

    reader: Reader
    by_action: bool
    robust: bool

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        spec, seen, count = self.reader.spec, 0, len(self.reader.actions)
        total: State = {}
        for batch in batches:
            rows = self.reader.rows(batch, seen, bucket)
            seen += batch.num_rows
            weights = np.ones((batch.num_rows, 1))
            if self.robust:
                # The weights of obp's MRDR, exact for policies that take one action.
                chance = rows.propensity[:, None]
                weights = np.column_stack([weights, rows.chances * (1 - chance) / chance**2])
            for j in range(len(spec.rewards)):
                state = model_state(
                    rows.features, rows.action, rows.rewards[:, j], weights, count, self.by_action
                )
                for key, value in state.items():
                    name = f"{key}.{j}"
                    total[name] = value if name not in total else total[name] + value
        return in_fold(total, bucket % spec.folds, spec.folds) if total else None


@dataclass(frozen=True, eq=False)
class ValueKernel:
    """Sums over users for all estimates, and of weights for the gate.

    Parameters
    ----------
    reader : Reader
    layout : Layout
    models : tuple of list of RewardModel
        By reward and fold; empty where no estimator needs predictions.
    robust : tuple of tuple of list of RewardModel
        By reward, policy and fold.
    groups : ActionGroups, optional
    learned : LearnedRewards, optional
        In place of ``models``.
    """

    reader: Reader
    layout: Layout
    models: tuple[list[RewardModel], ...] = ()
    robust: tuple[tuple[list[RewardModel], ...], ...] = ()
    groups: ActionGroups | None = None
    learned: LearnedRewards | None = None

    def __call__(self, bucket: int, batches: Iterator[pa.RecordBatch]) -> State | None:
        spec, seen = self.reader.spec, 0
        names, rewards = spec.names, range(len(spec.rewards))
        fold = bucket % spec.folds
        state: State = {}
        kept: dict[str, list[np.ndarray]] = {}

        def keep(key: str, value: np.ndarray) -> None:
            kept.setdefault(key, []).append(value)

        for batch in batches:
            if not batch.num_rows:
                continue
            rows = self.reader.rows(batch, seen, bucket)
            seen += batch.num_rows
            w = self._apart(rows.chances / rows.propensity[:, None], rows)
            for key, value in weight_state(w, rows.propensity, rows.unlogged).items():
                both = np.maximum if key.startswith("max_") else np.add
                state[key] = both(state[key], value) if key in state else value
            keep("users", rows.users)
            keep("w", w)
            keep("r", rows.rewards)
            groups = self.groups if self.layout.needs_groups else None
            if groups is not None:
                keep("grouped", self._apart(groups.weights(self.reader, rows, fold), rows))
            if self.layout.loggers > 1:
                keep("logger", rows.logger)
            looked = rows if self.learned is None else self.learned.seen(rows, fold)
            for j in rewards:
                if groups is not None and groups.learned is not None:
                    own = groups.learned.foretold(rows.features, groups.of_rows(rows), j, fold)
                    keep(f"gr.{j}", own[0])
                    keep(f"gx.{j}", own[1])
                q, v = self._predicted(looked, names, self.model_of(j, fold))
                keep(f"q.{j}", q)
                keep(f"v.{j}", self._apart(v, rows))
                if self.robust:
                    logged, mean = [], []
                    for p, name in enumerate(names):
                        model = self.robust[j][p][fold]
                        logged.append(model.of_actions(rows.features, rows.action))
                        mean.append(self.reader.predictions(rows, name, model, logged[-1]))
                    keep(f"rq.{j}", self._apart(np.column_stack(logged), rows))
                    keep(f"rv.{j}", self._apart(np.column_stack(mean), rows))
        if not seen:
            return None
        held = {key: np.concatenate(parts) for key, parts in kept.items()}
        none = np.zeros((0, self.layout.policies))
        for j in rewards:
            sums = cluster_products(
                self.layout, held["users"], held["w"], np.ascontiguousarray(held["r"][:, j]),
                held[f"q.{j}"], held[f"v.{j}"], held.get(f"rq.{j}", none), held.get(f"rv.{j}", none),
                held.get("grouped"), held.get("logger"),
                (held[f"gr.{j}"], held[f"gx.{j}"]) if f"gr.{j}" in held else None,
            )  # fmt: skip
            state |= {f"{key}.{j}": value for key, value in sums.items()}
        _, counts = np.unique(held["users"], return_counts=True)
        state["max_rows_a_user"] = np.array([float(counts.max())])
        return state

    def model_of(self, reward: int, fold: int) -> Rewards | None:
        """What predicts a reward in a fold; None where no estimator needs it."""
        if self.learned is not None:
            return self.learned.of_reward(reward)
        return self.models[reward][fold] if self.models else None

    def _apart(self, values: np.ndarray, rows: Rows) -> np.ndarray:
        """A number a row and policy, in columns of the row's logger where loggers are kept apart."""
        loggers = self.layout.loggers
        return by_logger(values, rows.logger, loggers) if loggers > 1 else values

    def _predicted(
        self, rows: Rows, names: tuple[str, ...], model: Rewards | None
    ) -> tuple[np.ndarray, np.ndarray]:
        n = len(rows.action)
        if model is None:
            return np.zeros(n), np.zeros((n, len(names)))
        own = model.of_actions(rows.features, rows.action)
        return own, np.column_stack(
            [self.reader.predictions(rows, name, model, own) for name in names]
        )


def all_actions(counted: pa.Table, spec: BanditSpec) -> pa.Array:
    """Actions of the log and of the specification, in the order of their names."""
    logged = pc.unique(counted["action"]).drop_null().to_pylist()
    return pa.array(sorted({*logged, *spec.actions}), pa.string())
