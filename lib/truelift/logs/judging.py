"""Bronze text to typed rows, each judged by itself: its reasons to be rejected, its labels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from truelift.lake import bucket_column
from truelift.lake.periods import period_column
from truelift.logs.bots import DECLARED
from truelift.logs.neighbours.flat import CONTEXT
from truelift.logs.parsing import (
    instant_of,
    normal_form,
    number_of,
    only_text_of,
)
from truelift.logs.records import Spelling, content_id, mapped_text, with_mapped
from truelift.logs.rules import RuleContext, action_of, labels_text, listed, reasons_text
from truelift.logs.sources.columns import (
    BATCH_ID,
    CORRUPT,
    PROVENANCE,
    SOURCE_FILE,
    SOURCE_ROW,
    bronze_name,
    held_name,
)
from truelift.logs.sources.mapping import context_columns, mapped_columns
from truelift.settings import ALL_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column, DataFrame

    from truelift.logs.pseudonyms import UserKeys
    from truelift.settings import CleanOptions, Settings

# No source has such a name.
_RAW = "__truelift_raw_"


def judge_rows(
    bronze: DataFrame,
    settings: Settings,
    users: UserKeys,
    item_limits: DataFrame | None = None,
    rejected_slice: str = "rejected",
) -> DataFrame:
    """Typed rows with what the row rules say of them; no row looks at another.

    It is :func:`judge_flat` in the form of the tables.

    Parameters
    ----------
    bronze : DataFrame
        Rows of ``bronze.events``.
    settings : Settings
    users : UserKeys
        How the source's user becomes the ``user_key``.
    item_limits : DataFrame, optional
        ``ops.item_limits``, for the outlier rules.
    rejected_slice : str
        The period under which rejected rows are filed.

    Returns
    -------
    DataFrame
        The columns of ``silver.quarantine``: ``reasons`` is empty for rows to keep, and
        ``raw`` is null for them. The ``user_key`` stays null where the source names none.
        Beside them ``_user_agent``, where the rules ask for it.
    """
    from pyspark.sql import functions as F

    names = context_names(bronze.columns, settings)
    pairs = [p for n, name in enumerate(names) for p in (F.lit(name), F.col(f"{CONTEXT}{n}"))]
    rejected = F.col("reasons") != ""
    day = period_column(F.col("event_time"), settings.period)
    return judge_flat(bronze, settings, users, item_limits).select(
        "event_id",
        "user_key",
        "event_time",
        "event_type",
        "item_id",
        "quantity",
        "value",
        "source_session",
        F.create_map(*pairs).cast("map<string,string>").alias("context"),
        listed(F.col("labels")).alias("labels"),
        SOURCE_FILE,
        SOURCE_ROW,
        BATCH_ID,
        listed(F.col("reasons")).alias("reasons"),
        F.map_filter("raw", lambda _, text: text.isNotNull()).alias("raw"),
        "bucket",
        F.when(rejected, F.lit(rejected_slice)).otherwise(day).alias("period"),
        "_user_agent",
    )


def judge_flat(
    bronze: DataFrame,
    settings: Settings,
    users: UserKeys,
    item_limits: DataFrame | None = None,
) -> DataFrame:
    """The same as flat rows (see :mod:`truelift.logs.neighbours.flat`), without their period.

    ``raw`` may have empty entries. The context's entries are those of :func:`context_names`.
    """
    from pyspark.sql import functions as F

    source, options = settings.source, settings.clean
    typed = users.joined(_typed(bronze, settings), "user_text")
    if item_limits is not None:
        typed = typed.join(F.broadcast(item_limits), "item_id", "left")
    context = RuleContext(options, has_ingest_time=source.mapping.ingest_time is not None)
    # Under a secret the person stands in the record by the key alone.
    user = held_name(source.mapping.user, bronze.columns)
    hidden = user if users.secret is not None else None
    judged = typed.withColumn("reasons", reasons_text(context)).withColumn(
        "labels", labels_text(context)
    )
    rejected = F.col("reasons") != ""
    by_user = bucket_column("user_key", settings.buckets)
    by_file = F.pmod(F.xxhash64(SOURCE_FILE), F.lit(settings.buckets)).cast("int")
    return judged.select(
        "event_id",
        "user_key",
        "event_time",
        "event_type",
        "item_id",
        "quantity",
        "value",
        "source_session",
        *(f"{CONTEXT}{n}" for n in range(len(context_names(bronze.columns, settings)))),
        "labels",
        SOURCE_FILE,
        SOURCE_ROW,
        BATCH_ID,
        "reasons",
        F.when(rejected, _record(bronze.columns, hidden)).alias("raw"),
        F.when(rejected, by_file).otherwise(by_user).alias("bucket"),
        _agent(options).alias("_user_agent"),
    )


def _typed(bronze: DataFrame, settings: Settings) -> DataFrame:
    """Source columns under the names that the rules know; the raw ones stay, prefixed."""
    from pyspark.sql import functions as F

    source, options = settings.source, settings.clean
    mapping = source.mapping
    context = _context(bronze.columns, settings)
    rates = (c for c in (options.amounts.currency_column, options.amounts.unit_column) if c)
    wanted = (*mapped_columns(mapping).values(), *context.values(), *rates)
    spelling = Spelling.of(settings, bronze.columns)
    # The record as it came is for the quarantine; what it means is for the rules.
    own = [c for c in bronze.columns if c not in PROVENANCE]
    raw = {f"{_RAW}{c}": F.col(f"`{c}`") for c in own}
    filled = with_mapped(bronze.withColumns(raw), wanted, spelling)
    content = content_id(bronze.columns, spelling, _RAW)
    own_text = partial(mapped_text, available=filled.columns)
    item = _key("item", mapping.item, own_text, options)
    kind = _key("event_type", mapping.event_type, own_text, options)
    quantity, value = own_text(mapping.quantity), own_text(mapping.value)
    unit = _rate(own_text, options.amounts.unit_column, options.amounts.unit_factors)
    currency = _rate(own_text, options.amounts.currency_column, options.amounts.currency_rates)
    time = own_text(mapping.time)
    if mapping.time_of_day is not None:
        time = F.concat(time, F.lit(" "), own_text(mapping.time_of_day))
    fallback = options.impute.get("event_type", source.event_type_default)
    parsed = filled.select(
        *(F.col(f"`{_RAW}{c}`").alias(f"raw_{c}") for c in own),
        *PROVENANCE,
        F.col(CORRUPT),
        own_text(mapping.user).alias("user_text"),
        _imputed(item, options.impute.get("item")).alias("item_id"),
        item.isNull().alias("item_imputed"),
        time.alias("time_text"),
        own_text(mapping.ingest_time).alias("ingest_time"),
        F.coalesce(_translated(kind, options.event_types), F.lit(fallback)).alias("event_type"),
        kind.isNull().alias("event_type_imputed"),
        quantity.alias("quantity_text"),
        _imputed(
            number_of(quantity, source) * unit, options.impute.get("quantity"), quantity
        ).alias("quantity"),
        unit.alias("unit_factor"),
        value.alias("value_text"),
        _imputed(number_of(value, source) * currency, options.impute.get("value"), value).alias(
            "value"
        ),
        currency.alias("currency_rate"),
        own_text(mapping.session).alias("source_session"),
        only_text_of(own_text(mapping.user_agent)).alias("user_agent"),
        *(own_text(column).alias(f"{CONTEXT}{n}") for n, column in enumerate(context.values())),
        F.coalesce(own_text(mapping.event_id), content).alias("event_id"),
    )
    # Instants by themselves: their expressions name a text some thirty times.
    ingest_time = instant_of(F.col("ingest_time"), source)
    if mapping.ingest_time is None:
        ingest_time = F.lit(None).cast("timestamp")
    instants = {"event_time": instant_of(F.col("time_text"), source), "ingest_time": ingest_time}
    return parsed.withColumns(instants)


def _key(
    field: str, column: str | None, text_of: Callable[[str | None], Column], options: CleanOptions
) -> Column:
    """The text of a key field in its normal form."""
    from pyspark.sql import functions as F

    text = text_of(column)
    if options.keys.unicode is not None and column is not None:
        text = normal_form(options.keys.unicode)(text)
    return F.lower(text) if field in options.keys.lower else text


def _translated(kind: Column, names: dict[str, str]) -> Column:
    """The event type by our name; one that is not listed stays, for the rule to see."""
    from pyspark.sql import functions as F

    if not names:
        return kind
    pairs = [
        F.lit(text) for pair in {**{v: v for v in names.values()}, **names}.items() for text in pair
    ]
    return F.coalesce(F.create_map(*pairs)[kind], kind)


def _rate(
    text_of: Callable[[str | None], Column], column: str | None, rates: dict[str, float]
) -> Column:
    """What one unit of the row's currency or measure is worth; null where it is unknown."""
    from pyspark.sql import functions as F

    if column is None:
        return F.lit(1.0)
    if not rates:
        return F.lit(None).cast("double")
    pairs = [F.lit(part) for pair in rates.items() for part in pair]
    return F.create_map(*pairs)[text_of(column)]


def _imputed(found: Column, default: str | None, text: Column | None = None) -> Column:
    from pyspark.sql import functions as F

    if default is None:
        return found
    missing = (found if text is None else text).isNull()
    return F.when(missing, F.lit(default).cast("string" if text is None else "double")).otherwise(
        found
    )


def _agent(options: CleanOptions) -> Column:
    """The user agent, if somebody is to look at it; else there is no need to carry it along."""
    from pyspark.sql import functions as F

    asked = options.bots.declared and action_of(DECLARED, options, "label") == "label"
    return F.col("user_agent") if asked else F.lit(None).cast("string")


def context_names(bronze_columns: list[str], settings: Settings) -> tuple[str, ...]:
    """Names of the entries of the context, in their order."""
    return tuple(_context(bronze_columns, settings))


def _context(bronze_columns: list[str], settings: Settings) -> dict[str, str]:
    """The columns that may pass, and the campaign under its own name."""
    mapping = settings.source.mapping
    if ALL_COLUMNS in mapping.context:
        named = {c: c for c in context_columns(mapping, bronze_columns)}
    else:
        # Under the configuration's own spelling, whatever that of a first file was.
        named = {bronze_name(c): c for c in mapping.context}
    if mapping.campaign is not None:
        named["campaign"] = mapping.campaign
    return named


def _record(columns: list[str], hidden: str | None) -> Column:
    """The raw record, with its empty columns: taking them out is a function that Spark interprets."""
    from pyspark.sql import functions as F

    texts = [c for c in columns if c not in PROVENANCE and c != hidden]
    return F.create_map(*(part for c in texts for part in (F.lit(c), F.col(f"`raw_{c}`"))))
