"""The rules of cleaning: the section ``clean``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from truelift.older_names import sectioned
from truelift.registry import Registry
from truelift.settings.checks import needs, require, require_known, require_moment

if TYPE_CHECKING:
    from truelift.logs.added_rules import NeighbourRule, RowRule

# The rules that clean.actions may name; a row that could not be cut into columns can only be
# rejected.
RULES = (
    "missing_user", "missing_item", "missing_time", "unreadable_time", "time_out_of_range",
    "time_before_epoch", "time_in_future", "clock_skew", "late_arrival", "unknown_event_type",
    "unreadable_quantity", "negative_quantity", "quantity_over_maximum", "quantity_under_minimum",
    "unknown_unit", "unreadable_value", "value_over_maximum", "value_under_minimum",
    "unknown_currency", "quantity_outlier", "value_outlier", "imputed_item", "imputed_event_type",
    "imputed_quantity", "imputed_value", "zero_quantity", "zero_value", "negative_value",
    "negative_quantity_allowed", "duplicate", "repeated_event_id", "double_click", "misclick",
    "return_of_purchase", "return_without_purchase", "bot_declared", "bot_rate", "bot_breadth",
    "bot_metronome", "bot_round_the_clock",
)  # fmt: skip
#: Rules that other packages bring; they work where ``clean.actions`` names them.
ROW_RULES: Registry[RowRule] = Registry("truelift.row_rules", dict.fromkeys(RULES, ""))
NEIGHBOUR_RULES: Registry[NeighbourRule] = Registry(
    "truelift.neighbour_rules", dict.fromkeys(RULES, "")
)
# The metrics of the contract on silver that clean.warn may name.
METRICS = (
    "null_event_id", "null_user_key", "null_event_time", "null_event_type", "null_item_id",
    "null_source_file", "null_source_row", "null_batch_id", "null_bucket", "null_period",
    "not_finite_quantity", "not_finite_value", "misplaced_users", "misplaced_times",
    "latest_event", "earliest_event", "least_quantity", "greatest_quantity", "least_value",
    "greatest_value",
)  # fmt: skip


@dataclass(frozen=True)
class BotOptions:
    """When a user's day looks like a machine's; None switches a sign off.

    Parameters
    ----------
    events_per_minute : int
        More events than this within any 60 seconds.
    items_per_day : int
        More distinct items than this on one day (UTC).
    metronome_events, metronome_variation : int, float
        At least so many events on a day whose gaps have a coefficient of variation (standard
        deviation over mean) of at most so much.
    hours_per_day : int
        Events in at least so many of the day's 24 hours.
    declared : bool
        The user agent (``source.mapping.user_agent``) is that of a known crawler.
    """

    events_per_minute: int | None = 60
    items_per_day: int | None = 500
    metronome_events: int | None = 50
    metronome_variation: float = 0.05
    hours_per_day: int | None = 22
    declared: bool = True

    def __post_init__(self) -> None:
        for name in ("events_per_minute", "items_per_day", "metronome_events", "hours_per_day"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"clean.bots.{name}", value, "at least 1, or null")


@dataclass(frozen=True)
class TimeSection:
    """Which times can be: the section ``clean.times``.

    Parameters
    ----------
    min_time, max_time : str
        ISO dates; without ``max_time`` an event may lie ``future_seconds`` after its file.
    clock_skew_seconds, max_delay_seconds : float
        How much later than its ingest time an event may be, and how much earlier
        (``source.mapping.ingest_time``).
    """

    min_time: str | None = "1990-01-01"
    max_time: str | None = None
    future_seconds: float = 86400.0
    clock_skew_seconds: float | None = 3600.0
    max_delay_seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("min_time", "max_time"):
            require_moment(getattr(self, name), f"clean.times.{name}")


@dataclass(frozen=True)
class AmountSection:
    """Which quantities and values can be, and in what they count: the section ``clean.amounts``.

    Parameters
    ----------
    min_quantity, max_quantity, min_value, max_value : float
    allow_negative_quantity : bool
        Returns are kept, not rejected.
    currency_column, currency_rates : str, dict of str to float
        Column of the source that names the currency, and what one unit of it is worth.
    unit_column, unit_factors : str, dict of str to float
        Column of the source that names the quantity's unit, and how many of ours it is.
    outlier_mads, outlier_min_events : float, int
        A quantity or value is an outlier when it is further than so many median absolute
        deviations from its item's median, for items with so many events.
    """

    min_quantity: float | None = None
    max_quantity: float | None = None
    min_value: float | None = None
    max_value: float | None = None
    allow_negative_quantity: bool = False
    currency_column: str | None = None
    currency_rates: dict[str, float] = field(default_factory=dict)
    unit_column: str | None = None
    unit_factors: dict[str, float] = field(default_factory=dict)
    outlier_mads: float | None = None
    outlier_min_events: int = 30

    def __post_init__(self) -> None:
        above = self.outlier_mads is None or self.outlier_mads > 0
        needs("clean.amounts", self)("outlier_mads", above, "more than 0, or null")


@dataclass(frozen=True)
class RepeatSection:
    """What comes twice or is taken back: the section ``clean.repeats``.

    Parameters
    ----------
    repeat_window_seconds : float
        A repeated event id is a repetition if it comes no later than this after the last one.
    double_click_seconds, misclick_seconds : float
        See the rules of those names; ``misclick_types`` are the event types that they look at.
    return_days : float
        A return is linked to the user's last purchase of the item within so many days.
    """

    repeat_window_seconds: float = 3600.0
    double_click_seconds: float | None = None
    misclick_seconds: float | None = None
    misclick_types: tuple[str, ...] = ("view", "click", "clicks")
    return_days: float | None = None

    def __post_init__(self) -> None:
        need = needs("clean.repeats", self)
        for name in ("return_days", "double_click_seconds", "misclick_seconds"):
            value = getattr(self, name)
            need(name, value is None or value > 0, "more than 0, or null")
        need("repeat_window_seconds", self.repeat_window_seconds >= 0, "seconds, 0 or more")


@dataclass(frozen=True)
class KeySection:
    """How keys of users and items are written: the section ``clean.keys``.

    Parameters
    ----------
    unicode : str
        Normal form of user and item keys: NFC, NFKC, NFD or NFKD.
    lower : tuple of str
        Fields that are lower-cased: user, item, event_type.
    integer_ids : tuple of str
        Fields whose ids came as floating point numbers in some files, so that ``123.0`` is
        ``123``: user, item, session, event_id.
    """

    unicode: str | None = None
    lower: tuple[str, ...] = ()
    integer_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        forms = (None, "NFC", "NFKC", "NFD", "NFKD")
        needs("clean.keys", self)("unicode", self.unicode in forms, "NFC, NFKC, NFD, NFKD or null")
        require_known(self.lower, ("user", "item", "event_type"), "clean.keys.lower")
        ids = ("user", "item", "session", "event_id")
        require_known(self.integer_ids, ids, "clean.keys.integer_ids")


@sectioned("clean", "times", "amounts", "repeats", "keys")
@dataclass(frozen=True)
class CleanOptions:
    """What the rules of cleaning look for; None switches a rule off.

    Parameters
    ----------
    times, amounts, repeats, keys, bots
        Sections of their own. Options of the first four may also be given here by their own names, as
        before there were sections: for one release, with a message.
    event_types : dict of str to str
        The source's event types and what they become; any other is unknown. Empty: all pass.
    impute : dict of str to str
        Field (item, event_type, quantity, value) to what a missing one becomes.
    actions : dict of str to str
        What a rule does, by its name: ``reject``, ``label`` or ``ignore``.
    warn : tuple of str
        Metrics whose broken expectation is reported and does not stop the job.
    max_quarantine_share : float
    rebuild : bool
        Clean all of bronze anew, not only what has arrived since the last time.
    """

    times: TimeSection = field(default_factory=TimeSection)
    amounts: AmountSection = field(default_factory=AmountSection)
    repeats: RepeatSection = field(default_factory=RepeatSection)
    keys: KeySection = field(default_factory=KeySection)
    bots: BotOptions = field(default_factory=BotOptions)
    event_types: dict[str, str] = field(default_factory=dict)
    impute: dict[str, str] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)
    warn: tuple[str, ...] = ()
    max_quarantine_share: float = 0.5
    rebuild: bool = False

    def __post_init__(self) -> None:
        need = needs("clean", self)
        need("max_quarantine_share", 0 < self.max_quarantine_share <= 1, "a share in (0, 1]")
        for rule, action in self.actions.items():
            known = action in ("reject", "label", "ignore")
            require(known, f"clean.actions.{rule}", action, "'reject', 'label' or 'ignore'")
        imputed = ("item", "event_type", "quantity", "value")
        rules = tuple(dict.fromkeys((*ROW_RULES.names, *NEIGHBOUR_RULES.names)))
        for key, names in (("impute", imputed), ("warn", METRICS), ("actions", rules)):
            require_known(getattr(self, key), names, f"clean.{key}")
        for name in ("quantity", "value"):
            default = self.impute.get(name)
            fine = default is None or _is_number(default)
            require(fine, f"clean.impute.{name}", default, "a number")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
