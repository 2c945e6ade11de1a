"""What a row can only be told by its neighbours: repetitions, slips of the hand, returns, bots.

All rules look at the events of one user in one *slice* (bucket and period), in one order. A
slice is given the rows of its neighbours that lie within the rules' reach, so that what a rule
says of a row never depends on where a period ends; these copies are dropped afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.errors import ConfigError
from truelift.lake.periods import period_column, period_number
from truelift.logs import bots
from truelift.logs.rules import action_of, listed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.window import WindowSpec

    from truelift.settings import CleanOptions, Settings

DUPLICATE = "duplicate"
COPIES = {
    DUPLICATE: "The row repeats an earlier one, value for value.",
    "repeated_event_id": "The event id came before, within clean.repeat_window_seconds.",
}
SLIPS = {
    "double_click": "The user did the same with the item within clean.double_click_seconds.",
    "misclick": "The user left for another item within clean.misclick_seconds.",
}
RETURNS = {
    "return_of_purchase": "A return; the context names the purchase (purchase_event_id).",
    "return_without_purchase": "A return without a purchase within clean.return_days before it.",
}
LINK = "purchase_event_id"
_PLACE = ("event_time", "event_id", "source_file", "source_row")
_DAYS = {"day": 1, "week": 7, "month": 28, "quarter": 90, "year": 365, "all": 10**6}
_LOOK_BACK = 3


def default_action(name: str) -> str:
    """What a neighbour rule does unless ``clean.actions`` says otherwise."""
    return "reject" if name in COPIES or name in SLIPS else "label"


def neighbour_labels() -> tuple[str, ...]:
    """Names that these rules may put on a row; they are taken anew with every cleaning."""
    return (*COPIES, *SLIPS, *RETURNS, *bots.DAY_SIGNS)


def reach_seconds(settings: Settings) -> float:
    """How far in time a row can matter to another, all rules together.

    Raises
    ------
    ConfigError
        If that is more than a period; then a slice's neighbours would not be enough.
    """
    options = settings.clean
    reach = bots.reach_seconds(options.bots)
    if settings.source.mapping.event_id:
        reach += options.repeat_window_seconds
    reach += max(options.double_click_seconds or 0.0, options.misclick_seconds or 0.0)
    if options.return_days is not None:
        reach += options.return_days * 86_400
    if reach > _DAYS[settings.period] * 86_400:
        raise ConfigError(
            f"period: found {settings.period!r}, and the rules of cleaning look {reach / 86_400:.1f} "
            "days around an event (clean.return_days, repeat_window_seconds). Choose a longer period."
        )
    return reach


def placed(
    rows: DataFrame,
    settings: Settings,
    within: str | None = None,
    shuffle: bool = True,
    partitions: int | None = None,
) -> DataFrame:
    """Rows with the slices in which they are looked at, in the order of the rules.

    Parameters
    ----------
    rows : DataFrame
        Columns of ``silver.quarantine``.
    within : str, optional
        A condition on ``bucket`` and ``period``: the slices that are looked at.
    shuffle : bool
        Bring the rows of a bucket together.
    partitions : int, optional
        Into so many tasks, of one or several buckets each; as many as there are buckets by
        default.

    Returns
    -------
    DataFrame
        ``period`` is the slice, ``_own`` whether the row belongs to it (False for copies).
    """
    from pyspark.sql import functions as F

    reach = round(reach_seconds(settings) * 1_000_000)
    placed = rows.withColumnRenamed("period", "_period")
    if reach and settings.period != "all":
        placed = placed.withColumn("period", F.explode(_slices(reach, settings.period)))
    else:
        placed = placed.withColumn("period", F.col("_period"))
    placed = placed.filter(within) if within else placed
    placed = placed.withColumn("_own", F.col("period") == F.col("_period")).drop("_period")
    return placed.repartition(partitions or settings.buckets, "bucket") if shuffle else placed


def _slices(reach: int, unit: str) -> Column:
    from pyspark.sql import functions as F

    time, own = F.unix_micros("event_time"), F.col("_period")
    first, last = F.timestamp_micros(time - reach), F.timestamp_micros(time + reach)
    within = period_number(first, unit) == period_number(last, unit)
    inside = (F.size("reasons") > 0) | within
    before, after = period_column(first, unit), period_column(last, unit)
    return F.when(inside, F.array(own)).otherwise(F.array_distinct(F.array(before, own, after)))


def judge_neighbours(rows: DataFrame, settings: Settings) -> DataFrame:
    """The rows of :func:`placed` with what their neighbours say added to reasons and labels.

    Returns
    -------
    DataFrame
        Own rows only, sorted by bucket, period, user, time and event id.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    options = settings.clean
    slice_of_user = ("bucket", "period", "user_key")
    by_user = Window.partitionBy(*slice_of_user).orderBy("_day", *_PLACE)
    by_day = Window.partitionBy(*slice_of_user, "_day")
    rows = rows.withColumn("_valid", F.size("reasons") == 0)
    if settings.source.mapping.event_id:
        rows = _with_repeats(rows, options)
    if options.return_days is not None:
        rows = _with_returns(rows, options)
    rows = rows.withColumn("_day", F.floor(F.unix_micros("event_time") / 86_400_000_000))
    rows = rows.sortWithinPartitions(*slice_of_user, "_day", *_PLACE)
    rows = _with_copies(rows, by_user, bool(settings.source.mapping.event_id))
    counted = F.col("_valid") & ~F.col("_copy")
    signs = bots.row_signs(options.bots, counted, by_user)
    same_day = F.coalesce(F.lag("_day").over(by_user) == F.col("_day"), F.lit(False))
    found = {**_slips(options, by_user), **signs, "_same_day": same_day}
    rows = rows.withColumns(found)
    days = bots.day_signs(options.bots, counted, by_day)
    rows = rows.withColumns({f"_{name}": sign for name, sign in days.items()})
    conditions = {
        DUPLICATE: F.col("_copy") & F.col("_equal"),
        "repeated_event_id": F.col("_copy") & ~F.col("_equal"),
        **{name: counted & F.col(f"_{name}") for name in SLIPS if f"_{name}" in found},
        **{name: counted & F.col(f"_{name}") for name in RETURNS if options.return_days},
        **{name: F.col(f"_{name}") for name in days},
    }
    return _concluded(rows, conditions, options)


def _concluded(rows: DataFrame, conditions: dict[str, Column], options: CleanOptions) -> DataFrame:
    from pyspark.sql import functions as F

    def named(action: str) -> Column:
        marks = [
            F.when(condition, F.lit(name))
            for name, condition in conditions.items()
            if action_of(name, options, default_action(name)) == action
        ]
        return listed(marks)

    # Whatever is not valid by itself keeps its reasons; neighbours have no say in it.
    reasons = F.when(F.col("_valid"), named("reject")).otherwise(F.col("reasons"))
    labels = F.when(F.col("_valid"), F.concat("labels", named("label"))).otherwise(F.col("labels"))
    rows = rows.filter("_own").withColumns({"reasons": reasons, "labels": labels})
    return rows.drop(*(c for c in rows.columns if c.startswith("_") and not c.startswith("_was")))


def _with_repeats(rows: DataFrame, options: CleanOptions) -> DataFrame:
    """``_repeat``: the id came before, no longer ago than the window."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    by_id = Window.partitionBy("bucket", "period", "user_key", "event_id").orderBy(
        "event_time", "source_file", "source_row"
    )
    time = F.when(F.col("_valid"), F.unix_micros("event_time"))
    limit = round(options.repeat_window_seconds * 1_000_000)
    again = F.coalesce(time - F.lag(time).over(by_id) <= limit, F.lit(False))
    return rows.withColumn("_repeat", again)


def _with_copies(rows: DataFrame, by_user: WindowSpec, ids_are_given: bool) -> DataFrame:
    """``_copy``: a valid row that an earlier one makes superfluous; ``_equal``: value for value."""
    from pyspark.sql import functions as F

    content = F.struct("event_id", "event_time", "item_id", "event_type", "quantity", "value")
    before = F.lag(F.when(F.col("_valid"), content)).over(by_user)
    rows = rows.withColumn("_before", before)
    same_id = F.col("_before.event_id") == F.col("event_id")
    same_place = F.coalesce(
        same_id & (F.col("_before.event_time") == F.col("event_time")), F.lit(False)
    )
    equal = F.coalesce(F.col("_before").eqNullSafe(content), F.lit(False))
    copy = F.col("_repeat") if ids_are_given else same_place
    return rows.withColumns(
        {"_copy": F.col("_valid") & copy, "_equal": F.lit(not ids_are_given) | equal}
    )


def _slips(options: CleanOptions, by_user: WindowSpec) -> dict[str, Column]:
    from pyspark.sql import functions as F

    time = F.unix_micros("event_time")
    seen = F.when(
        F.col("_valid") & ~F.col("_copy"),
        F.struct(time.alias("t"), F.col("item_id").alias("i"), F.col("event_type").alias("k")),
    )
    found: dict[str, Column] = {}
    if options.double_click_seconds is not None:
        limit = round(options.double_click_seconds * 1_000_000)
        again = F.lit(False)
        for steps in range(1, _LOOK_BACK + 1):
            other = F.lag(seen, steps).over(by_user)
            same = (other["i"] == F.col("item_id")) & (other["k"] == F.col("event_type"))
            again = again | F.coalesce(same & (time - other["t"] <= limit), F.lit(False))
        found["_double_click"] = again
    if options.misclick_seconds is not None:
        limit = round(options.misclick_seconds * 1_000_000)
        left = F.lit(False)
        for steps in range(1, _LOOK_BACK):
            other = F.lead(seen, steps).over(by_user)
            elsewhere = (other["i"] != F.col("item_id")) & (other["t"] - time <= limit)
            left = left | F.coalesce(elsewhere, F.lit(False))
        found["_misclick"] = F.col("event_type").isin(list(options.misclick_types)) & left
    return found


def _with_returns(rows: DataFrame, options: CleanOptions) -> DataFrame:
    """Negative quantities with the user's last purchase of the item before them."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    by_item = (
        Window.partitionBy("bucket", "period", "user_key", "item_id")
        .orderBy("event_time", "event_id", "source_file", "source_row")
        .rowsBetween(Window.unboundedPreceding, -1)
    )
    time = F.unix_micros("event_time")
    bought = F.when(
        F.col("_valid") & (F.col("quantity") > 0),
        F.struct(time.alias("t"), F.col("event_id").alias("id")),
    )
    last = F.last(bought, ignorenulls=True).over(by_item)
    limit = round((options.return_days or 0) * 86_400 * 1_000_000)
    back = F.coalesce(F.col("_valid") & (F.col("quantity") < 0), F.lit(False))
    rows = rows.withColumn("_bought", last)
    linked = back & F.coalesce(time - F.col("_bought.t") <= limit, F.lit(False))
    return rows.withColumns(
        {
            "_return_of_purchase": linked,
            "_return_without_purchase": back & ~linked,
            "context": F.when(
                linked, F.map_concat("context", F.create_map(F.lit(LINK), F.col("_bought.id")))
            ).otherwise(F.col("context")),
        }
    )
