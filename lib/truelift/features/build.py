"""The job ``build_features``: silver tables and reference streams to the gold tables.

Everything that can be wrong with the inputs is found before the first write. No event is
shuffled: kernels see one bucket at a time; only items, users and exposures are joined in
Spark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.errors import ConfigError
from truelift.features.catalogue import ITEM_ID, LookupSource
from truelift.features.exposures import ExposureRows, exposure_rows
from truelift.features.items import item_columns, item_table, lookup_of, spark_schema
from truelift.features.panel import PanelKernel
from truelift.features.planning import PanelPlan, plan_panel
from truelift.features.results import FeaturesResult
from truelift.features.sequences import EntryCountKernel, SequenceKernel, SequenceShape
from truelift.features.streams import required_columns
from truelift.features.users import profile_rows
from truelift.features.vocabulary import coded_names, event_types
from truelift.lake.tables import table_spec
from truelift.logs.pseudonyms import UserKeys
from truelift.steps import StepReport

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job

_EVENTS = ("user_key", "event_time", "item_id", "value")
_TYPED_EVENTS = ("user_key", "event_time", "item_id", "event_type", "quantity")
_SESSIONS = ("user_key", "start")
_STEPS = 6


def build_features(job: Job) -> StepReport:
    """Write ``gold.users``, ``.items``, ``.sequences``, ``.exposures`` and ``.panel``.

    Parameters
    ----------
    job : Job
        Reads ``silver.events`` and ``silver.sessions``; ``bronze.items``, ``.users``,
        ``.exposures`` and ``.responses`` where the data set has them. Without exposures there
        is no panel, and the result says so.

    Raises
    ------
    UserError
        For unmapped columns, an item level that does not exist, or exposures that leave
        nothing to compare; no table is touched.
    """
    job.progress.update("reading users and campaigns", 0, _STEPS)
    events = job.plan("silver.events", _EVENTS)
    sessions = job.plan("silver.sessions", _SESSIONS)
    catalogue, has_categories = _catalogue(job)
    keys = UserKeys.of_job(job)
    users = _keyed(job, "users", keys) if job.has("bronze.users") else None
    profiles = profile_rows(job.lake, events, sessions, users, job.settings).persist()
    exposures, panel = None, None
    if job.has("bronze.exposures"):
        responses = _keyed(job, "responses", keys) if job.has("bronze.responses") else None
        exposures = exposure_rows(_keyed(job, "exposures", keys), responses, job.settings)
        exposures.frame.persist()
        panel = plan_panel(
            job.lake,
            events.select(_EVENTS[:3]),
            profiles,
            exposures.frame,
            catalogue if has_categories else None,
            job.settings,
        )
    job.progress.update("counting items", 1, _STEPS)
    items = item_table(job.lake, events.select(_EVENTS[:3]), catalogue, job.settings)

    job.progress.update("gold.items", 2, _STEPS)
    item_commit = job.replace("gold.items", items.frame)
    job.progress.update("gold.users", 3, _STEPS)
    user_commit = job.replace("gold.users", profiles)
    job.progress.update("gold.sequences", 4, _STEPS)
    level = catalogue if job.settings.features.item_level != ITEM_ID else None
    vocabulary = job.plan("gold.items", ("item_key", "item_index", "category_index"))
    features = job.settings.features
    shape = SequenceShape(
        features.max_sequence_events,
        features.repeats,
        features.sequence_of,
        _vocabularies(job),
    )
    sequence_kernel = SequenceKernel(level, lookup_of(job.lake, vocabulary), shape)
    sequence_plans = {"events": job.plan("silver.events", _TYPED_EVENTS), "sessions": sessions}
    sequence_commit = job.replace_buckets("gold.sequences", sequence_kernel, sequence_plans)
    units, treated = 0, 0
    if exposures is not None and panel is not None:
        job.progress.update("gold.panel", 5, _STEPS)
        units, treated = _write_panel(job, exposures, panel, catalogue)
        exposures.frame.unpersist()
    profiles.unpersist()
    job.progress.update("done", _STEPS, _STEPS)
    result = FeaturesResult(
        items=item_commit.rows,
        users=user_commit.rows,
        sequences=sequence_commit.rows,
        sequence_events=_sequence_events(job),
        panel_units=units,
        panel_treated=treated,
        campaigns=len(panel.design.campaigns) if panel else 0,
        item_level=job.settings.features.item_level,
        panel_skipped_reason=None if panel else "the data set has no exposures (bronze.exposures)",
        excluded_campaigns=panel.excluded if panel else {},
    )
    job.save_result(result)
    headline: dict[str, float | str | int] = {
        "items": result.items,
        "users": result.users,
        "sequence_events": result.sequence_events,
        "events_without_item_key": items.events_without_key,
        "events_of_rare_items": items.events_below_minimum,
        "panel_units": units,
        "panel_treated": treated,
        "campaigns": result.campaigns,
        "campaigns_excluded": len(result.excluded_campaigns),
        "exposures_rejected": exposures.rejected if exposures else 0,
    }
    rows_out = sum((result.items, result.users, result.sequences, units))
    return StepReport(events.rows, rows_out, headline)


def _vocabularies(job: Job) -> tuple[str, ...]:
    """Write the codes of event types and categories; returns the event types by code."""
    names = event_types(job)
    plan = job.plan("gold.items", ("category", "category_index"))
    rows = coded_names(names, lookup_of(job.lake, plan).load())
    columns = table_spec("gold.vocabularies").columns
    job.replace("gold.vocabularies", job.lake.spark.createDataFrame(rows, columns))
    return names


def _keyed(job: Job, stream: str, keys: UserKeys) -> DataFrame:
    """A raw stream with the lake's user keys in place of the source's users."""
    rows = job.read(f"bronze.{stream}")
    user = required_columns(job.settings, stream, rows.columns, ("user",))["user"]
    return keys.replaced(rows, user)


def _catalogue(job: Job) -> tuple[LookupSource | None, bool]:
    """The item stream as a lookup, and whether it names categories."""
    if not job.has("bronze.items"):
        # Without an item stream only the item id itself can be the level.
        if job.settings.features.item_level != ITEM_ID:
            raise ConfigError(
                f"features.item_level: found {job.settings.features.item_level!r}, but the data "
                "set has no item stream (bronze.items). Add source.items, or use 'item_id'."
            )
        return None, False
    available = tuple(job.plan("bronze.items").columns)
    columns = item_columns(job.settings, available)
    lookup = lookup_of(job.lake, job.plan("bronze.items", columns.used()), columns)
    return lookup, columns.category is not None


def _write_panel(
    job: Job, exposures: ExposureRows, panel: PanelPlan, catalogue: LookupSource | None
) -> tuple[int, int]:
    from pyspark.sql import functions as F

    job.replace("gold.exposures", exposures.frame)
    kernel = PanelKernel(panel.design, catalogue if panel.design.categories else None)
    plans = {
        "events": job.plan("silver.events", _EVENTS),
        "sessions": job.plan("silver.sessions", _SESSIONS),
        "users": job.plan("gold.users", ("user_key", "attributes")),
        "exposures": job.plan(
            "gold.exposures", ("user_key", "campaign", "start", "end", "responses")
        ),
    }
    units = job.lake.map_buckets(kernel, plans, spark_schema(panel.design.schema()))
    commit = job.replace("gold.panel", units)
    treated = job.lake.read("gold.panel", commit.version).agg(F.sum("treated")).collect()[0][0]
    return commit.rows, int(treated or 0)


def _sequence_events(job: Job) -> int:
    plan = job.plan("gold.sequences", ("item_index",))
    return int(job.lake.sum_buckets(EntryCountKernel(), {"sequences": plan}).get("entries", 0))
