"""From a bandit log and candidate policies to their values: the passes in order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from truelift.errors import ConfigError, DataError
from truelift.policy.off_policy.chances import Chances, chances_of, read_chances, unknown_action
from truelift.policy.off_policy.distribution import distributions, ranges_of
from truelift.policy.off_policy.estimated_chances import estimated_chances
from truelift.policy.off_policy.estimators import Layout
from truelift.policy.off_policy.group_weights import learned_weights
from truelift.policy.off_policy.groups import ActionGroups
from truelift.policy.off_policy.judging import judge
from truelift.policy.off_policy.learned_rewards import learned_rewards
from truelift.policy.off_policy.lists import list_values
from truelift.policy.off_policy.log import BanditLog, first_few, is_numeric
from truelift.policy.off_policy.passes import (
    CheckKernel,
    CountKernel,
    ModelKernel,
    ValueKernel,
    all_actions,
    check_rows,
)
from truelift.policy.off_policy.pseudo import split_sums
from truelift.policy.off_policy.reading import Logger, Reader
from truelift.policy.off_policy.results import (
    DistributionEstimate,
    ListEstimate,
    PoliciesResult,
)
from truelift.policy.off_policy.reward_model import (
    MOST_NUMBERS,
    RewardModel,
    explained_by_context,
    fit,
    of_reward,
)
from truelift.policy.off_policy.spec import BALANCED, PSEUDO, BanditSpec
from truelift.policy.off_policy.support import UNSUPPORTED
from truelift.progress import Tell

# Numbers of a model's sums, above which there is none by action unless it is asked for.
_MOST_BY_ACTION = 4_000_000
_TRUTH_VALUES = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0"}
# Share of a reward's variance that nothing explains which was known before the action.
_LEAK = 0.98


def evaluate(
    log: BanditLog, spec: BanditSpec, progress: Tell = lambda text: None
) -> PoliciesResult:
    """Values of all candidate policies by all estimators, with one covariance clustered by user.

    Parameters
    ----------
    log : BanditLog
    spec : BanditSpec
    progress : callable
        Told what is being done, a line a pass.

    Raises
    ------
    TableError, DataError, ConfigError
        For a log or a policy that cannot be used.
    """
    progress("counting actions")
    spec = with_truth_values(log, spec)
    reader = reader_of(log, spec)
    layout = spec.layout()
    progress("checking rows")
    checked = log.sum(CheckKernel(reader))
    check_rows(log, reader, checked)
    if spec.propensity_model:
        reader = replace(reader, estimated=estimated_chances(log, reader, progress))
    groups = ActionGroups.read(spec.groups, reader) if spec.groups else None
    squares = checked["squares"]
    models, robust, told = reward_models(log, reader, layout, progress, groups, squares)
    learned = learned_rewards(log, reader, progress) if spec.learns and layout.needs_model else None
    if learned is not None:
        told = f"{learned.name}, a model of each action, {spec.folds} folds of users"
        told += " (MRDR: ridge)" if layout.needs_robust_model else ""
    kernel = ValueKernel(reader, layout, models, robust, groups, learned)
    if groups is not None and spec.groups is not None and spec.groups.learned:
        progress("weights of groups")
        kernel = replace(kernel, groups=replace(groups, learned=learned_weights(log, kernel)))
    progress("values")
    state = log.sum(kernel)
    if spec.select == PSEUDO:
        progress("splits of the log")
        state |= split_sums(log, kernel, state)
    lists: tuple[ListEstimate, ...] = ()
    worth: tuple[float, ...] = ()
    if spec.slate:
        progress("lists")
        lists, worth = list_values(log, reader, -checked["max_least"])
    found = [judge(spec, layout, state, checked, reward) for reward in range(len(spec.rewards))]
    told_of: tuple[DistributionEstimate, ...] = ()
    if spec.distribution:
        progress("quantiles")
        served = [p for p, s in enumerate(found[0].support) if s.verdict != UNSUPPORTED]
        told_of = distributions(log, reader, served, ranges_of(spec, checked))
    return PoliciesResult(
        table=log.name,
        table_version=log.version,
        rows=found[0].values.rows,
        users=found[0].values.clusters,
        actions=len(reader.actions),
        present=tuple(one.present for one in found),
        estimates=tuple(e for one in found for e in one.estimates),
        values=tuple(v for one in found for v in one.judged),
        support=found[0].support,
        plans=found[0].plans,
        confidence=spec.confidence,
        margin=spec.margin,
        propensities=_propensities_in_words(spec),
        reward_model=told,
        select=spec.select,
        folds=spec.folds,
        loggers=tuple(share for one in found for share in one.loggers),
        distribution=told_of,
        lists=lists,
        list_worth=worth,
        groups="" if groups is None else _groups_in_words(spec, groups),
    )


def with_truth_values(log: BanditLog, spec: BanditSpec) -> BanditSpec:
    """Actions of the specification as a log of truth values has them, whose labels are 0 and 1."""
    if not pa.types.is_boolean(log.panel.schema.field(spec.action).type):
        return spec

    def label(name: str) -> str:
        return _TRUTH_VALUES.get(name.strip().lower(), name)

    policies = {
        name: replace(
            policy,
            always=label(str(policy.always)) if policy.always else None,
            chances={label(action): column for action, column in policy.chances.items()},
        )
        for name, policy in spec.policies.items()
    }
    return replace(spec, policies=policies, actions=tuple(label(a) for a in spec.actions))


def reader_of(log: BanditLog, spec: BanditSpec) -> Reader:
    """Actions, propensities and tables of policies, checked."""
    counted = log.counted(CountKernel(spec.action, spec.propensity_by or ()))
    actions = all_actions(counted, spec)
    known = counted.filter(pc.is_valid(counted["action"]))
    codes = pc.index_in(known["action"], value_set=actions).to_numpy().astype(np.int64)
    rows = known["rows"].to_numpy().astype(float)
    if not len(actions):
        raise DataError(f"{log.name}, column {spec.action!r}: found no action in any row.")
    propensities = None
    if spec.propensity_by is not None:
        propensities = _shares(known, spec.propensity_by, codes, rows)
    elif spec.propensity_table:
        propensities = read_chances(spec.propensity_table, actions, "propensity_table")
    tables = {}
    names = set(actions.to_pylist())
    for name, policy in spec.policies.items():
        key = f"policies.{name}"
        if policy.table:
            tables[name] = read_chances(policy.table, actions, key)
        arms = policy.learned.arms if policy.learned else ()
        unknown = [
            a for a in [str(policy.always or ""), *policy.chances, *arms] if a and a not in names
        ]
        if unknown:
            raise DataError(unknown_action(key, unknown))
    context = [*spec.context, *([spec.position] if spec.position else [])]
    schema = log.panel.schema
    numeric = frozenset(n for n in context if is_numeric(schema.field(n).type))
    logged = np.bincount(codes, rows, len(actions)) > 0
    if spec.position:
        numeric -= {spec.position}  # a place is no amount
    mixture = _mixture(log, spec)
    reader = Reader(spec, actions, logged, numeric, propensities, tables, mixture)
    reader.check()
    return reader


def _mixture(log: BanditLog, spec: BanditSpec) -> tuple[Logger, ...]:
    """Who wrote the log, and how much of it."""
    several = spec.loggers
    if several is None:
        return ()
    counted = log.counted(CountKernel(several.column, ()))
    wrote = dict(zip(counted["action"].to_pylist(), counted["rows"].to_pylist(), strict=True))
    unknown = [str(name) for name in wrote if name not in several.propensities]
    if unknown:
        raise DataError(
            f"loggers: {log.name}, column {several.column!r}: found {first_few(unknown)}, expected "
            f"those of loggers.propensities: {', '.join(several.propensities)}."
        )
    rows = sum(wrote.values())
    return tuple(
        Logger(name, column, wrote.get(name, 0) / rows)
        for name, column in several.propensities.items()
    )


def _shares(counted: pa.Table, by: tuple[str, ...], codes: np.ndarray, rows: np.ndarray) -> Chances:
    """Shares of the actions in each cell."""
    hashes = counted["cell"].to_numpy().view(np.uint64)
    _, cell = np.unique(hashes, return_inverse=True)
    return chances_of(by, hashes, codes, rows / np.bincount(cell, rows)[cell])


def reward_models(
    log: BanditLog,
    reader: Reader,
    layout: Layout,
    progress: Tell,
    groups: ActionGroups | None = None,
    squares: np.ndarray | None = None,
) -> tuple[tuple[list[RewardModel], ...], tuple[tuple[list[RewardModel], ...], ...], str]:
    """Reward models by reward and fold, those of every policy, and what they are in words.

    With the sums of the rewards' squares, a reward that the context tells is refused.
    """
    spec = reader.spec
    if not layout.needs_model:
        return (), (), "none"
    robust = layout.needs_robust_model
    models = 1 + (len(spec.policies) if robust else 0)
    count, width = len(reader.actions), reader.width
    tables = spec.folds * models * len(spec.rewards) * count
    by_action = spec.reward_model.name == "by action"
    if spec.reward_model.name == "auto":
        by_action = tables * width**2 <= _MOST_BY_ACTION
    numbers = tables * (width + 2 + (width**2 if by_action else 0))
    if numbers > MOST_NUMBERS:
        raise ConfigError(
            f"reward_model: {models} models of {count:,} actions and {width} features in {spec.folds} "
            f"folds take {numbers:,} numbers a bucket, expected at most {MOST_NUMBERS:,}. "
            + ("Leave MRDR, a model for each policy, out of estimators, " if robust else "")
            + "name fewer columns in context, or set reward_model: additive."
        )
    progress("reward models")
    sums = log.sum(ModelKernel(reader, by_action, robust))
    fitted, of_policies = [], []
    of_action = None if groups is None else groups.of_action
    for j in range(len(spec.rewards)):
        own = of_reward(sums, j)
        if squares is not None:
            _check_leak(explained_by_context(own, float(squares[j])), spec, j)
        fitted.append(fit(own, 0, of_action))
        of_policies.append(tuple(fit(own, m, of_action) for m in range(1, models)))
    how = "by action" if by_action else "additive in context and action"
    shrunk = "" if groups is None else ", shrunk towards its group"
    told = f"ridge, {how}{shrunk}, {width} features, {spec.folds} folds of users"
    return tuple(fitted), tuple(of_policies) if robust else (), told


def _groups_in_words(spec: BanditSpec, groups: ActionGroups) -> str:
    table = spec.groups
    assert table is not None
    made = "clusters by" if table.clusters else "groups by"
    told = f"{groups.count:,} {made} {', '.join(table.columns)}"
    if table.learned:
        told += ", their weights learned from those of the logged actions"
    return told


def _propensities_in_words(spec: BanditSpec) -> str:
    if spec.propensity:
        return f"logged in {spec.propensity!r}"
    if spec.propensity_table:
        return f"of the table {spec.propensity_table.table}"
    if spec.propensity_model:
        return (
            f"estimated from {', '.join(spec.context)} by {spec.propensity_model.name}, calibrated, without each "
            "user's own fold; no interval counts how well they fit, nor what else the log chose by"
        )
    if spec.loggers:
        count = len(spec.loggers.propensities)
        if spec.loggers.weights == BALANCED:
            return f"of the mixture of {count} loggers (balanced)"
        return f"of {count} loggers, each row's own ({spec.loggers.weights})"
    return f"shares of the actions among rows alike in {', '.join(spec.propensity_by or ()) or 'nothing'}"


def _check_leak(explained: float, spec: BanditSpec, reward: int) -> None:
    """Refuse a context that tells the reward whatever was done.

    A model that knows the reward predicts the same for every policy, with no error left.
    """
    if explained >= _LEAK:
        raise DataError(
            f"context: {', '.join(spec.context)} explain {explained:.1%} of the variance of "
            f"{spec.rewards[reward]!r}, whatever was done. Where a part of the reward is among them, or "
            "something that was measured after the action, every policy seems to be worth the same: take "
            "such columns out. If all of it was known before, name estimators without a model: [IPS, SNIPS]."
        )
