"""One person in the tables of a lake: under which names and keys, and in which rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from truelift.errors import TableError
from truelift.lake.tables import TABLES, is_table, table_spec
from truelift.logs.parsing import BLANKS, trimmed_text
from truelift.logs.pseudonyms import UserKeys
from truelift.logs.sources.columns import CORRUPT, held_name
from truelift.logs.sources.mapping import user_column
from truelift.logs.sources.unit import STREAMS
from truelift.settings import SourceOptions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job

# Gold tables are made by later jobs; each of them may be older than the secret in use.
_MADE_BY = {
    "silver.events": "clean",
    "silver.quarantine": "clean",
    "ops.refused": "clean",
    "silver.sessions": "sessionize",
    "gold.panel": "build_panel",
    "gold.scores": "estimate_effects",
    "gold.learned_policies": "learn_policy",
    "gold.allocations": "allocate",
    "gold.needs": "fit_needs",
    "gold.recommendations": "recommend",
}

# Units of experiments may be anything; where they are users, those are found like everywhere.
_ANY_UNITS = frozenset({"gold.assignments"})
# Needs are also learned from tables of one's own, whose users may be anyone.
_OF_THE_LAKE = {"gold.needs": "source = 'silver.sessions'"}


@dataclass(frozen=True)
class Person:
    """A person as source and tables know them.

    Attributes
    ----------
    key : str
        Their ``user_key``.
    names : frozenset of str
        What the source calls them: every alias, in every spelling that means the same.
    keys : frozenset of str
        ``key``, and the keys that the names had before they were stitched together.
    pseudonymous : bool
        Whether keys are other texts than names.
    """

    key: str
    names: frozenset[str]
    keys: frozenset[str]
    pseudonymous: bool

    def frame(self, job: Job) -> DataFrame:
        """``name, key, pattern``: what the person's rows are joined with.

        The texts go in as rows, not as literals: Delta writes a deletion's condition into the
        table's log, where they would outlast the person's rows.
        """
        rows: list[tuple[str | None, ...]] = []
        rows += [(name, None, pattern_of(name)) for name in sorted(self.names)]
        rows += [(None, key, None) for key in sorted(self.keys)]
        return job.lake.spark.createDataFrame(rows, "name string, key string, pattern string")


def find_person(job: Job, user: str) -> Person:
    """Who a user of the source is, by the tables of identities and the secret in use."""
    keys = UserKeys.of_job(job)
    spark = job.lake.spark
    names = {user}
    if keys.identities is not None:
        own = keys.identities.filter(keys.identities["alias"] == user).first()
        person = own["person"] if own else user
        found = keys.identities.filter(keys.identities["person"] == person).collect()
        names |= {person, *(row["alias"] for row in found)}
    row = keys.joined(spark.createDataFrame([(user,)], "name string"), "name").first()
    assert row is not None
    key = str(row["user_key"])
    users = users_of_bronze(job, keys)
    names |= {row["user"] for row in users.filter(users["user_key"] == key).collect()}
    alone = replace(keys, identities=None)
    listed = spark.createDataFrame([(name,) for name in sorted(names)], "name string")
    before = {str(row["user_key"]) for row in alone.joined(listed, "name").collect()}
    return Person(key, frozenset(names), frozenset({key, *before}), keys.secret is not None)


def users_of_bronze(job: Job, keys: UserKeys | None = None) -> DataFrame:
    """``user, user_key``: every user of the raw tables with the key under the secret in use."""
    from pyspark.sql import functions as F

    keys = keys or UserKeys.of_job(job)
    found = job.lake.spark.createDataFrame([], "user string")
    for stream in STREAMS:
        name = f"bronze.{stream}"
        if stream == "identities" or job.lake.version(name) is None:
            continue
        table = job.lake.read(name)
        column = user_column(job.settings.source, stream, table.columns)
        if column in table.columns:
            found = found.union(table.select(trimmed_text(F.col(f"`{column}`"))))
    texts = found.filter("user <> ''").distinct().withColumn("text", F.col("user"))
    return keys.joined(texts, "text").select("user", "user_key")


def require_this_secret(job: Job, users: DataFrame) -> None:
    """Refuse tables whose keys are of another secret: the person could not be found in them.

    Parameters
    ----------
    users : DataFrame
        :func:`users_of_bronze`.

    Raises
    ------
    TableError
        Naming the tables and the jobs that key them anew.
    """
    stale = [
        name
        for name in keyed_tables(job)
        if name not in _ANY_UNITS
        and not shares_keys(
            job.lake.read(name).where(_OF_THE_LAKE.get(name, "true")).select("user_key").dropna(),
            users,
        )
    ]
    if stale:
        jobs = list(dict.fromkeys(_MADE_BY.get(name, "build_features") for name in stale))
        raise TableError(
            f"{', '.join(stale)}: none of the user keys is one of a user in bronze under the secret "
            "in use, so nobody can be found there. Expected tables that were made under this secret: "
            f"run {', '.join(jobs)} first, or give the secret that they were made under. "
            "Nothing was deleted."
        )


def shares_keys(keyed: DataFrame, users: DataFrame) -> bool:
    """Whether a column of user keys has a key in common with the users; so has one without keys."""
    return keyed.isEmpty() or not keyed.join(users, "user_key", "left_semi").isEmpty()


def keyed_tables(job: Job) -> Iterator[str]:
    """The tables of the lake with a column that is marked as one of people."""
    for name, spec in TABLES.items():
        if not spec.people or job.lake.version(name) is None:
            continue
        if not spec.is_open or set(spec.people) & set(job.lake.plan(name).schema.names):
            yield name
    for name in job.lake.panels():
        if set(table_spec(name).people) & set(job.lake.plan(name).schema.names):
            yield name


def people_columns(source: SourceOptions, table: str, available: Iterable[str]) -> frozenset[str]:
    """Those of a table's columns that hold a person's name or key and nothing else."""
    held = tuple(available)
    layer, _, stream = table.partition(".")
    if layer != "bronze":
        found = set(table_spec(table).people) if is_table(table) else {"user_key"}
    elif stream == "identities":
        mapped = source.identities.columns if source.identities else {}
        found = {held_name(mapped.get(target, target), held) for target in ("alias", "person")}
    else:
        found = {user_column(source, stream, held)}
    return frozenset(found & set(held))


def condition_of(job: Job, table: str) -> str:
    """Which rows ``t`` of a table are those of a person ``f`` (:meth:`Person.frame`).

    Torn records that mention the person are among them.
    """
    columns = job.lake.read(table).columns
    people = sorted(people_columns(job.settings.source, table, columns))
    if not table.startswith("bronze."):
        terms = [f"t.`{column}` = f.key" for column in people]
    else:
        terms = [f"btrim(t.`{column}`, '{BLANKS}') = f.name" for column in people]
    torn = [f"t.`{CORRUPT}`"] if CORRUPT in columns else []
    torn += [f"t.raw['{CORRUPT}']"] if table in ("silver.quarantine", "ops.refused") else []
    terms += [f"coalesce(regexp_like({text}, f.pattern), false)" for text in torn]
    return " OR ".join(terms) or "false"


def pattern_of(name: str) -> str:
    """A regular expression, for Java and Python, of a name that stands as a word in a text."""
    return f"(^|[^A-Za-z0-9_]){re.escape(name)}([^A-Za-z0-9_]|$)"


def words_of(texts: pa.Array, names: Iterable[str]) -> list[bool]:
    """Which texts have one of the names as a word."""
    marks = [re.compile(pattern_of(name)) for name in names]
    return [t is not None and any(m.search(t) for m in marks) for t in texts.to_pylist()]
