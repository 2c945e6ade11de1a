"""Rows of scores of a panel in a lake: which scores there are, joined once with the panel's columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from truelift.effects.panel.any_table import panel_plan
from truelift.effects.panel.lake_panel import LakePanel
from truelift.effects.panel.parts import as_number, is_number
from truelift.effects.results import EffectsResult
from truelift.effects.support.supported import Support
from truelift.errors import ConfigError, TableError
from truelift.fingerprints import fingerprint_of
from truelift.lake.address import TableAddress
from truelift.lake.copies import bucketed_copy, copy_place, discard_copy
from truelift.lake.foreign import open_foreign
from truelift.lake.scan import ScanPlan
from truelift.lake.tables import TABLES, is_panel
from truelift.policy.options import RewardOptions
from truelift.policy.rows import JoinKernel, RowColumns
from truelift.settings import EffectOptions
from truelift.settings.effect_sections import FeatureSection
from truelift.steps import StepStore

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.lake import Lake

SCORES = "gold.scores"


@dataclass(frozen=True, eq=False)
class ScoredPanel:
    """The scores of one outcome of a panel.

    Parameters
    ----------
    panel : ScanPlan
        At the version that the scores are of.
    version : int
    arms : tuple of str
        The control first.
    folds : int
    support : tuple of Support
        What the estimation said of the arms; empty where its record is gone.
    """

    panel: ScanPlan
    version: int
    arms: tuple[str, ...]
    folds: int
    support: tuple[Support, ...]


def own_table_options(
    table: str, schema: pa.Schema, reward: RewardOptions, unit: str, cluster: str, treatment: str,
    columns: tuple[str, ...],
) -> EffectOptions:  # fmt: skip
    """Which columns of a table of one's own are brought into buckets.

    Groups, levels of limits and categorical covariates may be texts, which effects take as categories.

    Raises
    ------
    TableError
        For a column that is not there.
    """
    paid = (text for text in reward.costs.values() if as_number(text) is None)
    wanted = tuple(dict.fromkeys((*columns, *paid)))
    if missing := [n for n in wanted if n not in schema.names]:
        raise TableError(
            f"{table} has no column {', '.join(map(repr, missing))}, which the specification names; its columns are "
            f"{', '.join(schema.names)}."
        )
    coded = [n for n in wanted if not is_number(schema.field(n).type)]
    return EffectOptions(
        treatment=treatment, outcomes=(reward.outcome,), cluster=cluster, unit=unit,
        covariates=tuple(n for n in wanted if n not in coded),
        features=FeatureSection(categorical=dict.fromkeys(coded, "one_hot")),
    )  # fmt: skip


def scored_panel(
    job: Job, address: str, reward: RewardOptions, unit: str, cluster: str, treatment: str,
    columns: tuple[str, ...],
) -> ScoredPanel:  # fmt: skip
    """The scores of a panel, and the panel at their version.

    Parameters
    ----------
    job : Job
    address : str
        ``gold.panel``, another panel of the lake, or the address of a table of one's own.
    reward : RewardOptions
    unit, cluster, treatment : str
        Columns of the panel.
    columns : tuple of str
        Others that are wanted of a table of one's own.

    Raises
    ------
    TableError
        If there are no scores of it.
    ConfigError
        For an outcome that it has no scores of.
    """
    from pyspark.sql import functions as F

    lake, named = job.lake, TableAddress.parse(address)
    if not lake.exists(SCORES):
        raise TableError(
            f"The lake {lake.root} has no scores. Run truelift estimate_effects on {address} first."
        )
    scores = lake.read(SCORES)
    own = named.uri in TABLES or is_panel(named.uri)
    known = sorted(row[0] for row in scores.select("panel").distinct().collect())
    if named.uri not in known:
        raise TableError(
            f"--panel: there are no scores of {named.uri}; gold.scores has those of "
            f"{', '.join(known)}. Run truelift estimate_effects on it first."
        )
    found = (
        scores.filter(F.col("panel") == named.uri)
        .select("panel_version", "outcome", "arm", "fold")
        .distinct()
        .collect()
    )
    outcomes = sorted({row["outcome"] for row in found})
    if reward.outcome not in outcomes:
        raise ConfigError(
            f"reward.outcome: found {reward.outcome!r}, and {named.uri} has scores of "
            f"{', '.join(outcomes)}."
        )
    if reward.cost_outcome is not None and reward.cost_outcome not in outcomes:
        raise ConfigError(
            f"reward.cost_outcome: found {reward.cost_outcome!r}, and {named.uri} has scores of "
            f"{', '.join(outcomes)}. Name it among the effects' outcomes and estimate them again."
        )
    version = max(row["panel_version"] for row in found)
    arms = sorted({row["arm"] for row in found})
    if own:
        plan = lake.plan(named.uri, version=version)
    else:
        options = own_table_options(
            named.uri, open_foreign(named).schema, reward, unit, cluster, treatment, columns
        )
        plan = panel_plan(lake, named, options, lake.buckets)
    effects = _effects_of(job, named.uri)
    control = _control(reward, arms, effects)
    first = (control, *(a for a in arms if a != control)) if control in arms else tuple(arms)
    support = effects.support if effects is not None else ()
    return ScoredPanel(
        replace(plan, table=named.uri),
        version,
        first,
        1 + max(row["fold"] for row in found),
        support,
    )


def _effects_of(job: Job, panel: str) -> EffectsResult | None:
    """What the estimation of a panel left behind."""
    for record in StepStore(job.lake.root).records():
        result = record.result(EffectsResult) if record.step == "estimate_effects" else None
        if result is not None and result.table == panel:
            return result
    return None


def _control(reward: RewardOptions, arms: list[str], effects: EffectsResult | None) -> str:
    if reward.control is not None:
        return reward.control
    if effects is not None:
        return next(iter(effects.arms))
    if "0" in arms:
        return "0"
    raise ConfigError(
        f"control: the estimation's record is gone, so the control has to be named: one of "
        f"{', '.join(arms)}."
    )


@contextmanager
def joined(
    lake: Lake, scored: ScoredPanel, columns: RowColumns, outcome: str, unit: str
) -> Iterator[LakePanel]:
    """Rows of :mod:`~.rows`, in buckets, as long as the block lasts: they hold the keys of people."""
    schema = scored.panel.schema
    if unit not in schema.names:
        raise TableError(
            f"{scored.panel.table} has no column {unit!r} (unit); its columns are "
            f"{', '.join(schema.names)}."
        )
    kernel = JoinKernel(columns, scored.panel.table, outcome, unit)
    scores = lake.plan(SCORES)
    ours = tuple(u for u in scores.units if u.partition.get("panel") in (None, scored.panel.table))
    wanted = ("panel", "outcome", "arm", "unit_id", "user_key", "fold", "weight", "score")
    plans = {
        "scores": replace(scores, units=ours).select((*wanted, "outcome_regression")),
        "panel": scored.panel.select(tuple(dict.fromkeys([unit, *columns.carried]))),
    }
    name = "policy-" + fingerprint_of(
        panel=scored.panel.table, version=scored.version, scores=scores.version, outcome=outcome,
        arms=columns.arms, carried=columns.carried, texts=columns.texts, paid=columns.paid,
    )  # fmt: skip

    def rows():  # type: ignore[no-untyped-def]
        from pyspark.sql.pandas.types import from_arrow_schema

        return lake.map_buckets(kernel, plans, from_arrow_schema(columns.schema))

    try:
        plan = bucketed_copy(copy_place(lake.root, name), rows, lake.buckets, scored.panel.table)
        yield LakePanel(lake, plan)
    finally:
        discard_copy(lake.root, name)
