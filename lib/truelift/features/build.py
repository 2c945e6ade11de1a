"""The job ``build_features``: silver tables and reference streams to the gold tables.

Everything that can be wrong with the inputs is found before the first write. No event is
shuffled: kernels see one bucket at a time; only items, users and exposures are joined in
Spark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.errors import ConfigError
from truelift.features.catalogue import ITEM_ID, LookupSource
from truelift.features.exposures import exposure_rows
from truelift.features.items import item_columns, item_table, lookup_of
from truelift.features.results import FeaturesResult
from truelift.features.sequences import EntryCountKernel, SequenceKernel, SequenceShape
from truelift.features.shown_lists import has_lists, list_rows
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
    """Write ``gold.users``, ``.items``, ``.sequences`` and ``.exposures``.

    Parameters
    ----------
    job : Job
        Reads ``silver.events`` and ``silver.sessions``; ``bronze.items``, ``.users``,
        ``.exposures`` and ``.responses`` where the data set has them.

    Raises
    ------
    UserError
        For unmapped columns, an item level that does not exist, or unreadable exposures; no
        table is touched.
    """
    job.progress.update("reading users and exposures", 0, _STEPS)
    events = job.plan("silver.events", _EVENTS)
    sessions = job.plan("silver.sessions", _SESSIONS)
    catalogue = _catalogue(job)
    keys = UserKeys.of_job(job)
    users = _keyed(job, "users", keys) if job.has("bronze.users") else None
    profiles = profile_rows(job.lake, events, sessions, users, job.settings).persist()
    exposures = None
    if job.has("bronze.exposures"):
        sent_rows = _keyed(job, "exposures", keys)
        if has_lists(job.settings):
            exposures = list_rows(sent_rows, job.settings)
        else:
            responses = _keyed(job, "responses", keys) if job.has("bronze.responses") else None
            exposures = exposure_rows(sent_rows, responses, job.settings)
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
    sent = 0
    if exposures is not None:
        job.progress.update("gold.exposures", 5, _STEPS)
        sent = job.replace("gold.exposures", exposures.frame).rows
    profiles.unpersist()
    job.progress.update("done", _STEPS, _STEPS)
    result = FeaturesResult(
        items=item_commit.rows,
        users=user_commit.rows,
        sequences=sequence_commit.rows,
        sequence_events=_sequence_events(job),
        item_level=job.settings.features.item_level,
        exposures=sent,
    )
    job.save_result(result)
    headline: dict[str, float | str | int] = {
        "items": result.items,
        "users": result.users,
        "sequence_events": result.sequence_events,
        "events_without_item_key": items.events_without_key,
        "events_of_rare_items": items.events_below_minimum,
        "exposures": sent,
        "exposures_rejected": exposures.rejected if exposures else 0,
    }
    rows_out = sum((result.items, result.users, result.sequences, sent))
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


def _catalogue(job: Job) -> LookupSource | None:
    """The item stream as a lookup."""
    if not job.has("bronze.items"):
        # Without an item stream only the item id itself can be the level.
        if job.settings.features.item_level != ITEM_ID:
            raise ConfigError(
                f"features.item_level: found {job.settings.features.item_level!r}, but the data "
                "set has no item stream (bronze.items). Add source.items, or use 'item_id'."
            )
        return None
    available = tuple(job.plan("bronze.items").columns)
    columns = item_columns(job.settings, available)
    return lookup_of(job.lake, job.plan("bronze.items", columns.used()), columns)


def _sequence_events(job: Job) -> int:
    plan = job.plan("gold.sequences", ("item_index",))
    return int(job.lake.sum_buckets(EntryCountKernel(), {"sequences": plan}).get("entries", 0))
