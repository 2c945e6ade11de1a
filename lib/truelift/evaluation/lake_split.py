"""The split that the settings ask for, on the events that the lake has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from truelift.errors import DataError
from truelift.evaluation.given_test import given_test
from truelift.evaluation.splits import Split, split_from

if TYPE_CHECKING:
    from truelift.job import Job


def split_of(job: Job, item_keys: Sequence[str]) -> tuple[Split, tuple[str, ...]]:
    """The split that the settings ask for, on the events that there are, and sentences on it."""
    from pyspark.sql import functions as F

    if job.settings.sequence.evaluation.test_file is not None:
        return given_test(job, item_keys)
    bounds = (
        job.read("gold.sequences")
        .agg(F.min(F.array_min("event_time")), F.max(F.array_max("event_time")))
        .first()
    )
    if bounds is None or bounds[0] is None:
        raise DataError("gold.sequences: found no event, expected some in at least one history.")
    return split_from(job.settings.sequence, bounds[0], bounds[1]), ()
