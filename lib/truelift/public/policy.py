"""Policies on a table at hand, in one call: scores, a rule, and its worth on units that did not choose it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from truelift.effects.estimate import estimate_panel
from truelift.effects.panel.any_table import memory_panel, numbered_panel
from truelift.effects.panel.arms import label_of
from truelift.effects.panel.source import MemoryPanel
from truelift.effects.scores.rows import ScoreRowsKernel
from truelift.extras import naming_extras
from truelift.policy.learning import Ground, LearnedPolicy, arms_of, learn, row_columns
from truelift.policy.options import LearnOptions, RewardOptions
from truelift.policy.rows import JoinKernel
from truelift.progress import Tell
from truelift.public.effects import Names, options_of
from truelift.public.tables import opened
from truelift.settings import Settings


def learn_policy(
    table: Any,
    *,
    treatment: str,
    outcome: str,
    covariates: Names | None = None,
    cluster: str | None = None,
    costs: Mapping[str, float | str] | None = None,
    worth: float = 1.0,
    method: str = "tree",
    depth: int = 2,
    bins: int = 32,
    min_leaf: int = 100,
    exploration: float = 0.0,
    groups: Names = (),
    buckets: int | None = None,
    progress: Tell = lambda text: None,
    **options: Any,
) -> LearnedPolicy:
    """Learn whom to treat how, and what that is worth.

    Doubly robust scores are made as :func:`truelift.estimate_effects` makes them; a rule is fitted to
    those of all folds but one and valued on that one.

    Parameters
    ----------
    table : DataFrame, Arrow table, str or path
        As for :func:`truelift.estimate_effects`, without a lake.
    treatment, outcome : str
    covariates : str or list of str, optional
        What effects adjust for and the policy looks at.
    cluster : str, optional
        Rows that share it may be dependent.
    costs : mapping of str to float or str, optional
        By arm, a number or a column.
    worth : float
        Of one more of the outcome, in the units of the costs.
    method : str
        ``'tree'``, ``'linear'`` or ``'threshold'``.
    depth, bins, min_leaf, exploration, groups
        As in docs/policy-learning.md.
    **options
        Options of the effects, such as ``propensity``, ``folds``, ``control`` or ``learner``.

    Returns
    -------
    LearnedPolicy
        Prints the rule and its worth; ``choose(frame)`` applies it.

    Examples
    --------
    >>> import truelift as tl
    >>> tl.learn_policy(orders, treatment="mailed", outcome="sales", covariates=["age"],
    ...                 cluster="customer", costs={"1": 0.4})  # doctest: +SKIP
    """
    given = {
        "treatment": treatment, "outcomes": [outcome], "covariates": covariates, "cluster": cluster,
    } | options  # fmt: skip
    named = (groups,) if isinstance(groups, str) else tuple(groups)
    learning = LearnOptions(
        reward=RewardOptions(outcome, worth, {label_of(a): str(c) for a, c in (costs or {}).items()}),
        method=method, depth=depth, bins=bins, min_leaf=min_leaf, exploration=exploration, groups=named,
    )  # fmt: skip
    with naming_extras():
        held = opened(table)
        chosen = options_of({**given, "groups": named} if named else given, held.schema)
        count = Settings.buckets if buckets is None else buckets
        paid = tuple(learning.reward.costs.values())
        if chosen.cluster:
            panel = memory_panel(held, chosen, count, paid)
        else:
            panel = numbered_panel(held, chosen, count, paid)
            chosen = dataclasses.replace(chosen, cluster=panel.schema.names[-1])
        estimation = estimate_panel(panel, dataclasses.replace(chosen, groups=()), progress)
        rows = estimation.rows_of(panel)
        assert isinstance(rows, MemoryPanel)
        scoring = estimation.scoring
        looked = scoring.columns
        learning = dataclasses.replace(
            learning, covariates=looked.covariates, categorical=looked.categories, unit=looked.unit
        )
        arms = arms_of(scoring.columns.arms.labels, estimation.result.support, learning.reward)
        columns = row_columns(arms.labels, learning, panel.schema, panel.name)
        row = _free(rows.schema.names)
        numbered = _numbered(rows, row)
        scorer = ScoreRowsKernel(
            dataclasses.replace(scoring, columns=dataclasses.replace(scoring.columns, unit=row)),
            panel.name,
        )
        join = JoinKernel(columns, panel.name, outcome, row)
        made = {
            bucket: join(bucket, {"scores": scorer(bucket, {"panel": part}), "panel": part})
            for bucket, part in numbered.buckets.items()
        }
        source = MemoryPanel(made, panel.name, panel.version)
        return learn(Ground(source, columns, scoring.folds, arms.notes), learning, progress)


def _free(taken: Sequence[str]) -> str:
    """A name that no column has."""
    name = "row"
    while name in taken:
        name += "_"
    return name


def _numbered(panel: MemoryPanel, name: str) -> MemoryPanel:
    """Rows in memory with numbers, so they join whatever the units are called."""
    parts = {
        bucket: part.append_column(name, pa.array(range(part.num_rows), pa.int64()))
        for bucket, part in panel.buckets.items()
    }
    return dataclasses.replace(panel, buckets=parts)
