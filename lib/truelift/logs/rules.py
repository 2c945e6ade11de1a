"""The row rules of cleaning: each gives its name as the reason or label, or null.

A rule is a function of the settings that returns a condition on the parsed columns
(``user_key``, ``item_id``, ``event_time``, ``event_type``, ``quantity``, ``value``,
``ingest_time``, ``file_time``, and raw text as ``time_text``, ``quantity_text``,
``value_text``), or None where the settings switch it off. To add one, write the function and
decorate it; its docstring is what the reports say. ``clean.actions`` overrides what a rule
does with the row: ``reject``, ``label`` or ``ignore``.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.errors import ConfigError
from truelift.logs.added_rules import row_rules
from truelift.logs.sources.columns import CORRUPT
from truelift.settings import CleanOptions

if TYPE_CHECKING:
    from pyspark.sql import Column


@dataclass(frozen=True)
class RuleContext:
    """What a rule may look at besides the row.

    Attributes
    ----------
    options : CleanOptions
    has_ingest_time : bool
        Whether the source says when it received an event.
    """

    options: CleanOptions
    has_ingest_time: bool = False


# Stands between names in one text; it is in no rule's name and means nothing to a regular expression.
BETWEEN = "\x1f"
Condition = Callable[[RuleContext], "Column | None"]
RULES: dict[str, Condition] = {}
LABELS: dict[str, Condition] = {}


def rule(condition: Condition) -> Condition:
    """Register a reason to reject a row."""
    RULES[condition.__name__] = condition
    return condition


def label(condition: Condition) -> Condition:
    """Register a mark for a row that is kept."""
    LABELS[condition.__name__] = condition
    return condition


@rule
def missing_user(context: RuleContext) -> Column:
    """The user is empty."""
    return _col("user_key").isNull()


@rule
def missing_item(context: RuleContext) -> Column:
    """The item is empty."""
    return _col("item_id").isNull()


@rule
def missing_time(context: RuleContext) -> Column:
    """The time is empty."""
    return _col("time_text").isNull()


@rule
def unreadable_time(context: RuleContext) -> Column:
    """The time is not in ``source.time_format``."""
    return _col("time_text").isNotNull() & _col("event_time").isNull()


@rule
def time_out_of_range(context: RuleContext) -> Column | None:
    """The time is before ``clean.times.min_time`` or after ``clean.times.max_time``."""
    early = _moment("clean.times.min_time", context.options.times.min_time)
    late = _moment("clean.times.max_time", context.options.times.max_time)
    bounds: list[Column] = []
    if early is not None:
        bounds.append(_col("event_time") < _instant(early))
    if late is not None:
        bounds.append(_col("event_time") > _instant(late))
    return bounds[0] | bounds[-1] if bounds else None


@rule
def time_before_epoch(context: RuleContext) -> Column:
    """The time is before 1970, where clocks begin."""
    return _col("event_time") < _instant(_EPOCH)


@rule
def time_in_future(context: RuleContext) -> Column | None:
    """The time is more than ``clean.times.future_seconds`` after the last change of its file, which may be
    older than what it holds (a copy, an archive): ``clean.times.max_time`` replaces the rule.
    """
    if context.options.times.max_time is not None:
        return None
    late = _micros("event_time") - _micros("file_time")
    return late > _as_micros(context.options.times.future_seconds)


@rule
def clock_skew(context: RuleContext) -> Column | None:
    """The event is more than ``clean.times.clock_skew_seconds`` later than its own ingest time."""
    limit = context.options.times.clock_skew_seconds
    if limit is None or not context.has_ingest_time:
        return None
    return _micros("event_time") - _micros("ingest_time") > _as_micros(limit)


@label
def late_arrival(context: RuleContext) -> Column | None:
    """The event was taken in more than ``clean.times.max_delay_seconds`` after it happened."""
    limit = context.options.times.max_delay_seconds
    if limit is None or not context.has_ingest_time:
        return None
    return _micros("ingest_time") - _micros("event_time") > _as_micros(limit)


@rule
def unknown_event_type(context: RuleContext) -> Column | None:
    """The event type is not among ``clean.event_types``."""
    known = context.options.event_types
    return ~_col("event_type").isin(sorted(set(known.values()))) if known else None


@rule
def unreadable_quantity(context: RuleContext) -> Column:
    """The quantity is there and is not a finite number."""
    return _col("quantity_text").isNotNull() & _col("quantity").isNull()


@rule
def negative_quantity(context: RuleContext) -> Column | None:
    """The quantity is below zero (a return), unless ``clean.amounts.allow_negative_quantity``."""
    return None if context.options.amounts.allow_negative_quantity else _col("quantity") < 0


@rule
def quantity_over_maximum(context: RuleContext) -> Column | None:
    """The quantity is above ``clean.amounts.max_quantity``."""
    limit = context.options.amounts.max_quantity
    return None if limit is None else _col("quantity") > limit


@rule
def quantity_under_minimum(context: RuleContext) -> Column | None:
    """The quantity is below ``clean.amounts.min_quantity``."""
    limit = context.options.amounts.min_quantity
    return None if limit is None else _col("quantity") < limit


@rule
def unknown_unit(context: RuleContext) -> Column | None:
    """The quantity's unit is not among ``clean.amounts.unit_factors``."""
    if context.options.amounts.unit_column is None:
        return None
    return _col("quantity_text").isNotNull() & _col("unit_factor").isNull()


@rule
def unreadable_value(context: RuleContext) -> Column:
    """The value is there and is not a finite number."""
    return _col("value_text").isNotNull() & _col("value").isNull()


@rule
def value_over_maximum(context: RuleContext) -> Column | None:
    """The value is above ``clean.amounts.max_value``."""
    limit = context.options.amounts.max_value
    return None if limit is None else _col("value") > limit


@rule
def value_under_minimum(context: RuleContext) -> Column | None:
    """The value is below ``clean.amounts.min_value``."""
    limit = context.options.amounts.min_value
    return None if limit is None else _col("value") < limit


@rule
def unknown_currency(context: RuleContext) -> Column | None:
    """The value's currency is not among ``clean.amounts.currency_rates``."""
    if context.options.amounts.currency_column is None:
        return None
    return _col("value_text").isNotNull() & _col("currency_rate").isNull()


@label
def quantity_outlier(context: RuleContext) -> Column | None:
    """The quantity is over ``clean.amounts.outlier_mads`` from its item's median."""
    return _outlier("quantity", context.options.amounts.outlier_mads)


@label
def value_outlier(context: RuleContext) -> Column | None:
    """The value is over ``clean.amounts.outlier_mads`` from its item's median."""
    return _outlier("value", context.options.amounts.outlier_mads)


@label
def imputed_item(context: RuleContext) -> Column | None:
    """The item was missing and is ``clean.impute.item``."""
    return _col("item_imputed") if "item" in context.options.impute else None


@label
def imputed_event_type(context: RuleContext) -> Column | None:
    """The event type was missing and is ``clean.impute.event_type``."""
    return _col("event_type_imputed") if "event_type" in context.options.impute else None


@label
def imputed_quantity(context: RuleContext) -> Column | None:
    """The quantity was missing and is ``clean.impute.quantity``."""
    return _col("quantity_text").isNull() if "quantity" in context.options.impute else None


@label
def imputed_value(context: RuleContext) -> Column | None:
    """The value was missing and is ``clean.impute.value``."""
    return _col("value_text").isNull() if "value" in context.options.impute else None


@label
def zero_quantity(context: RuleContext) -> Column:
    """The quantity is zero."""
    return _col("quantity") == 0


@label
def zero_value(context: RuleContext) -> Column:
    """The value is zero: given away or paid by a coupon."""
    return _col("value") == 0


@label
def negative_value(context: RuleContext) -> Column:
    """The value is below zero: a refund."""
    return _col("value") < 0


@label
def negative_quantity_allowed(context: RuleContext) -> Column | None:
    """The quantity is below zero, and the settings allow it."""
    return _col("quantity") < 0 if context.options.amounts.allow_negative_quantity else None


def time_limits(
    context: RuleContext,
) -> tuple[datetime.datetime | None, datetime.datetime | None]:
    """The earliest and the latest time that the settings let pass, where they name one."""
    return (
        _moment("clean.times.min_time", context.options.times.min_time),
        _moment("clean.times.max_time", context.options.times.max_time),
    )


def reasons_text(context: RuleContext) -> Column:
    """Names of all rules that reject the row; one that could not be parsed has one reason."""
    from pyspark.sql import functions as F

    corrupt = F.lit("corrupt_row")
    return F.when(F.col(CORRUPT).isNotNull(), corrupt).otherwise(_names("reject", context))


def labels_text(context: RuleContext) -> Column:
    """Names of all labels that the row earns, as one text."""
    return _names("label", context)


def action_of(name: str, options: CleanOptions, default: str) -> str:
    """What a rule does with a row that it meets: ``reject``, ``label`` or ``ignore``."""
    return options.actions.get(name, default)


def _names(action: str, context: RuleContext) -> Column:
    from pyspark.sql import functions as F

    rules = [
        *((name, condition, "reject") for name, condition in RULES.items()),
        *((name, condition, "label") for name, condition in LABELS.items()),
        *((rule.name, rule.condition, "ignore") for rule in row_rules(context.options)),
    ]
    marks = []
    for name, condition, default in rules:
        if action_of(name, context.options, default) == action:
            column = condition(context)
            marks += [] if column is None else [F.when(column, F.lit(name))]
    # Not as an array: array_compact is a higher-order function, and Spark would interpret it and
    # all conditions below it, row by row.
    return F.concat_ws(BETWEEN, *marks) if marks else F.lit("")


def listed(text: Column) -> Column:
    """The names in a text, as an array."""
    from pyspark.sql import functions as F

    empty = F.array().cast("array<string>")
    return F.when(text == "", empty).otherwise(F.split(text, BETWEEN))


def _outlier(field: str, mads: float | None) -> Column | None:
    """Distance from the item's median in units of its spread (see ``logs/outliers.py``)."""
    from pyspark.sql import functions as F

    if mads is None:
        return None
    distance = F.abs(_col(field) - _col(f"{field}_median"))
    return distance > F.lit(mads) * _col(f"{field}_spread")


def _col(name: str) -> Column:
    from pyspark.sql import functions as F

    return F.col(name)


def _micros(name: str) -> Column:
    from pyspark.sql import functions as F

    return F.unix_micros(name)


def _as_micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _instant(moment: datetime.datetime) -> Column:
    from pyspark.sql import functions as F

    micros = (moment - _EPOCH) // datetime.timedelta(microseconds=1)
    return F.timestamp_micros(F.lit(micros))


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def _moment(key: str, text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ConfigError(f"{key}: found {text!r}, expected a date such as 2024-12-31.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
