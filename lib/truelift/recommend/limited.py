"""Lists under limits in a lake: what is given, and the table that keeps to it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from truelift.errors import DataError
from truelift.evaluation import lists
from truelift.lake.tables import table_spec
from truelift.recommend.by_effect import QUEUED, EffectKernel
from truelift.recommend.limits.given import Offered, limits_given
from truelift.recommend.limits.limits import Cutoffs, Limits
from truelift.recommend.limits.settled import SparkAsked, kept, settled
from truelift.recommend.relevance import RecommendKernel
from truelift.recommend.results import LimitKept

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.lake import Commit, ScanPlan

_TABLE = "gold.recommendations"


def limits_of(job: Job, kernel: RecommendKernel) -> tuple[Limits | None, tuple[str, ...]]:
    """What lists may cost and hold, and sentences on the files that say it.

    Raises
    ------
    SourceError, DataError, ConfigError
        For files that cannot be read, and limits that cannot be kept.
    """
    options = job.settings.recommend
    if not options.limits.any:
        return None, ()
    kinds = {r["item_key"]: r["category"] for r in job.read("gold.items").collect()}
    usable = kernel.index > 0
    offered = Offered(
        kernel.item_keys, tuple(kinds[key] or "" for key in kernel.item_keys),
        usable if kernel.allowed is None else usable & kernel.allowed,
    )  # fmt: skip
    return limits_given(options, offered, lambda names: lists.user_keys(job, names))


def written(
    job: Job, rows: RecommendKernel | EffectKernel, plan: ScanPlan
) -> tuple[Commit, RecommendKernel | EffectKernel, tuple[LimitKept, ...], int]:
    """Write ``gold.recommendations``: the commit, the kernel that did it, what limits came to, and in how many rounds.

    Raises
    ------
    DataError
        If limits leave nobody anything; nothing is written then.
    """
    plans = {"sequences": plan}
    if not isinstance(rows, EffectKernel) or rows.made.limits is None:
        frame = job.lake.map_buckets(rows, plans, table_spec(_TABLE).schema())
        return job.replace(_TABLE, frame), rows, (), 0
    from pyspark.sql.pandas.types import from_arrow_schema

    kernel, limits, schema = rows, rows.made.limits, from_arrow_schema(QUEUED)

    def queued(cutoffs: Cutoffs, after: Cutoffs | None) -> SparkAsked:
        own = replace(kernel.made, cutoffs=cutoffs, after=after)
        return SparkAsked.of(
            job.lake.map_buckets(replace(kernel, made=own, queued=True), plans, schema)
        )

    found = settled(limits, queued)
    asked = cast("SparkAsked", found.lists)
    held = asked.taken()
    if not held:
        raise DataError(
            "recommend.limits: no list can hold anything under these limits; expected some item that somebody may get."
        )
    taken = kept(limits, held, kernel.base.item_keys)
    commit = job.replace(_TABLE, asked.rows.select(*table_spec(_TABLE).arrow.names))
    asked.close()
    made = replace(kernel.made, cutoffs=found.cutoffs, after=found.after)
    return commit, replace(kernel, made=made), taken, found.rounds
