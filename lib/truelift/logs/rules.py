"""The row rules of cleaning: each gives its name as the reason, or null.

A rule is a function of the settings that returns a condition on the parsed columns
(``user_key``, ``item_id``, ``event_time``, ``quantity``, ``value``, and their raw text as
``time_text``, ``quantity_text``, ``value_text``), or None where the settings switch it off.
To add one, write the function and decorate it; its docstring is what the reports say.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.errors import ConfigError
from truelift.logs.sources.columns import CORRUPT
from truelift.settings import CleanOptions

if TYPE_CHECKING:
    from pyspark.sql import Column

DUPLICATE = "duplicate"
CLOCK_SKEW = datetime.timedelta(days=1)


@dataclass(frozen=True)
class RuleContext:
    """What a rule may look at besides the row.

    Attributes
    ----------
    options : CleanOptions
    landed : datetime
        When the raw rows were written to bronze (UTC): the "now" of these rows, so that the
        same table is judged alike whenever it is cleaned.
    """

    options: CleanOptions
    landed: datetime.datetime


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
    """The time is before ``clean.min_time`` or after ``clean.max_time``."""
    early = _moment("clean.min_time", context.options.min_time)
    late = _moment("clean.max_time", context.options.max_time)
    bounds: list[Column] = []
    if early is not None:
        bounds.append(_col("event_time") < _instant(early))
    if late is not None:
        bounds.append(_col("event_time") > _instant(late))
    return bounds[0] | bounds[-1] if bounds else None


@rule
def time_in_future(context: RuleContext) -> Column | None:
    """The time is more than a day after the row landed in bronze; ``clean.max_time`` replaces it."""
    if context.options.max_time is not None:
        return None
    return _col("event_time") > _instant(context.landed + CLOCK_SKEW)


@rule
def unreadable_quantity(context: RuleContext) -> Column:
    """The quantity is there and is not a finite number."""
    return _col("quantity_text").isNotNull() & _col("quantity").isNull()


@rule
def negative_quantity(context: RuleContext) -> Column | None:
    """The quantity is below zero (a return), unless ``clean.allow_negative_quantity``."""
    return None if context.options.allow_negative_quantity else _col("quantity") < 0


@rule
def quantity_over_maximum(context: RuleContext) -> Column | None:
    """The quantity is above ``clean.max_quantity``."""
    limit = context.options.max_quantity
    return None if limit is None else _col("quantity") > limit


@rule
def unreadable_value(context: RuleContext) -> Column:
    """The value is there and is not a finite number."""
    return _col("value_text").isNotNull() & _col("value").isNull()


@rule
def value_over_maximum(context: RuleContext) -> Column | None:
    """The value is above ``clean.max_value``."""
    limit = context.options.max_value
    return None if limit is None else _col("value") > limit


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
    return _col("quantity") < 0 if context.options.allow_negative_quantity else None


def time_limits(context: RuleContext) -> tuple[datetime.datetime | None, datetime.datetime]:
    """The earliest and the latest time that the rules let pass."""
    late = _moment("clean.max_time", context.options.max_time)
    return (
        _moment("clean.min_time", context.options.min_time),
        context.landed + CLOCK_SKEW if late is None else late,
    )


def reasons_column(context: RuleContext) -> Column:
    """Names of all rules that the row breaks; a row that could not be parsed has one reason."""
    from pyspark.sql import functions as F

    corrupt = F.array(F.lit("corrupt_row"))
    return F.when(F.col(CORRUPT).isNotNull(), corrupt).otherwise(_names(RULES, context))


def labels_column(context: RuleContext) -> Column:
    """Names of all labels that the row earns."""
    return _names(LABELS, context)


def _names(registry: dict[str, Condition], context: RuleContext) -> Column:
    from pyspark.sql import functions as F

    conditions = {name: condition(context) for name, condition in registry.items()}
    marks = [F.when(c, F.lit(name)) for name, c in conditions.items() if c is not None]
    return F.array_compact(F.array(*marks))


def _col(name: str) -> Column:
    from pyspark.sql import functions as F

    return F.col(name)


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
