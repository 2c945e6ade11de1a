"""Several keys of one person, stitched together by a table that the source hands over.

``bronze.identities`` has a row for each ``alias`` and the ``person`` it belongs to; a person
may be the alias of another. The table goes over all events, old ones too: where it changes,
cleaning begins anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.errors import ConfigError, DataError
from truelift.logs.parsing import text_of
from truelift.logs.records import known_text
from truelift.logs.sources.columns import held_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job

_DOUBLINGS = 5


def persons(job: Job) -> tuple[DataFrame | None, int | None]:
    """``alias, person`` with chains resolved, and the version of the table; or None twice.

    Raises
    ------
    ConfigError
        If a mapped column is not there.
    DataError
        If an alias belongs to two persons, or aliases go round in a circle.
    """
    if not job.has("bronze.identities"):
        return None, None
    reference = job.settings.source.identities
    columns = reference.columns if reference is not None else {}
    table = job.read("bronze.identities")
    named = {
        target: held_name(columns.get(target, target), table.columns)
        for target in ("alias", "person")
    }
    for target, column in named.items():
        if column not in table.columns:
            raise ConfigError(
                f"source.identities.columns: {target!r} is read from column {column!r}, which "
                f"bronze.identities does not have (found {', '.join(table.columns)})."
            )
    missing = job.settings.source.words_for_missing
    is_integer = "user" in job.settings.clean.keys.integer_ids
    texts = {target: text_of(column) for target, column in named.items()}
    pairs = table.select(
        *(known_text(text, missing, is_integer).alias(target) for target, text in texts.items())
    )
    return resolved(pairs), job.inputs["bronze.identities"]


def resolved(pairs: DataFrame) -> DataFrame:
    """Each alias with the last person of its chain.

    Parameters
    ----------
    pairs : DataFrame
        ``alias string, person string``; incomplete rows and self-references do not count.
    """
    from pyspark.sql import functions as F

    links = pairs.dropna().filter("alias <> person").distinct()
    double = links.groupBy("alias").count().filter("count > 1").first()
    if double is not None:
        raise DataError(
            f"bronze.identities: the alias {double['alias']!r} belongs to {double['count']} persons; "
            "it must belong to one."
        )
    current = links
    for _ in range(_DOUBLINGS):
        # Every round doubles how far along its chain an alias has come.
        further = current.select(F.col("alias").alias("person"), F.col("person").alias("next"))
        step = current.join(further, "person", "left").localCheckpoint()
        if step.filter("next is not null").isEmpty():
            return current
        current = step.select("alias", F.coalesce("next", "person").alias("person"))
        if not current.filter("alias = person").isEmpty():
            break
    raise DataError(
        f"bronze.identities: aliases go round in a circle, or in chains over {2**_DOUBLINGS} long."
    )
