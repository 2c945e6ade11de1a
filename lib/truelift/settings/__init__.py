"""The options of every room, as frozen dataclasses that validate themselves.

Values come from the YAML layers (see :mod:`truelift.config`); the defaults here are those of
``conf/base.yaml`` and are used when a room is called from Python without any file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from truelift.errors import ConfigError
from truelift.settings.checks import require
from truelift.settings.effects import ESTIMANDS as ESTIMANDS
from truelift.settings.effects import EffectOptions
from truelift.settings.sequence import SequenceOptions

# As the context of an event: every column that no other field takes.
ALL_COLUMNS = "*"


@dataclass(frozen=True)
class MappingOptions:
    """Names of the source's columns for each field of an event (None = not in the source).

    ``context`` lists the columns to keep beside these, or is ``"*"`` for all others.
    """

    user: str = "user"
    item: str = "item"
    time: str = "time"
    event_type: str | None = None
    quantity: str | None = None
    value: str | None = None
    session: str | None = None
    event_id: str | None = None
    ingest_time: str | None = None
    user_agent: str | None = None
    campaign: str | None = None
    context: tuple[str, ...] | str = ()

    def __post_init__(self) -> None:
        if isinstance(self.context, str):
            object.__setattr__(self, "context", (self.context,))
        alone = ALL_COLUMNS not in self.context or len(self.context) == 1
        require(alone, "source.mapping.context", self.context, 'a list of columns or "*" alone')


@dataclass(frozen=True)
class ReferenceOptions:
    """A stream beside the events: its files, and ``target name -> source column``."""

    path: str | None = None
    columns: dict[str, str] = field(default_factory=dict)


FORMATS = (
    "access_log", "complete_journey", "csv", "delta", "interactions", "jsonl", "otto", "parquet",
)  # fmt: skip


@dataclass(frozen=True)
class SourceOptions:
    """Where the raw rows lie and how to read them; ``version`` is that of a Delta table."""

    format: str = "csv"
    path: str | None = None
    version: int | None = None
    delimiter: str = ","
    encoding: str = "utf-8"
    mapping: MappingOptions = field(default_factory=MappingOptions)
    event_type_default: str = "event"
    time_format: str = "iso"
    time_zone: str = "UTC"
    items: ReferenceOptions | None = None
    users: ReferenceOptions | None = None
    exposures: ReferenceOptions | None = None
    responses: ReferenceOptions | None = None
    identities: ReferenceOptions | None = None

    def __post_init__(self) -> None:
        require(self.format in FORMATS, "source.format", self.format, f"one of {FORMATS}")
        is_pinned = self.version is not None
        require(
            not is_pinned or self.format == "delta",
            "source.version",
            self.version,
            "none, for only source.format 'delta' has versions",
        )
        require(len(self.delimiter) == 1, "source.delimiter", self.delimiter, "one character")


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
class CleanOptions:
    """What the rules of cleaning look for; None switches a rule off.

    Parameters
    ----------
    min_time, max_time : str
        ISO dates; without ``max_time`` an event may lie ``future_seconds`` after its file.
    clock_skew_seconds, max_delay_seconds : float
        How much later than its ingest time an event may be, and how much earlier
        (``source.mapping.ingest_time``).
    event_types : dict of str to str
        The source's event types and what they become; any other is unknown. Empty: all pass.
    min_quantity, max_quantity, min_value, max_value : float
    allow_negative_quantity : bool
        Returns are kept, not rejected.
    return_days : float
        A return is linked to the user's last purchase of the item within so many days.
    repeat_window_seconds : float
        A repeated event id is a repetition if it comes no later than this after the last one.
    double_click_seconds, misclick_seconds : float
        See the rules of those names; ``misclick_types`` are the event types that they look at.
    outlier_mads, outlier_min_events : float, int
        A quantity or value is an outlier when it is further than so many median absolute
        deviations from its item's median, for items with so many events.
    bots : BotOptions
    impute : dict of str to str
        Field (item, event_type, quantity, value) to what a missing one becomes.
    unicode : str
        Normal form of user and item keys: NFC, NFKC, NFD or NFKD.
    lower : tuple of str
        Fields that are lower-cased: user, item, event_type.
    currency_column, currency_rates : str, dict of str to float
        Column of the source that names the currency, and what one unit of it is worth.
    unit_column, unit_factors : str, dict of str to float
        Column of the source that names the quantity's unit, and how many of ours it is.
    actions : dict of str to str
        What a rule does, by its name: ``reject``, ``label`` or ``ignore``.
    warn : tuple of str
        Metrics whose broken expectation is reported and does not stop the job.
    max_quarantine_share : float
    rebuild : bool
        Clean all of bronze anew, not only what has arrived since the last time.
    """

    min_time: str | None = "1990-01-01"
    max_time: str | None = None
    future_seconds: float = 86400.0
    clock_skew_seconds: float | None = 3600.0
    max_delay_seconds: float | None = None
    event_types: dict[str, str] = field(default_factory=dict)
    min_quantity: float | None = None
    max_quantity: float | None = None
    min_value: float | None = None
    max_value: float | None = None
    allow_negative_quantity: bool = False
    return_days: float | None = None
    repeat_window_seconds: float = 3600.0
    double_click_seconds: float | None = None
    misclick_seconds: float | None = None
    misclick_types: tuple[str, ...] = ("view", "click", "clicks")
    outlier_mads: float | None = None
    outlier_min_events: int = 30
    bots: BotOptions = field(default_factory=BotOptions)
    impute: dict[str, str] = field(default_factory=dict)
    unicode: str | None = None
    lower: tuple[str, ...] = ()
    currency_column: str | None = None
    currency_rates: dict[str, float] = field(default_factory=dict)
    unit_column: str | None = None
    unit_factors: dict[str, float] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)
    warn: tuple[str, ...] = ()
    max_quarantine_share: float = 0.5
    rebuild: bool = False

    def __post_init__(self) -> None:
        require(
            0 < self.max_quarantine_share <= 1,
            "clean.max_quarantine_share",
            self.max_quarantine_share,
            "a share in (0, 1]",
        )
        for name in ("return_days", "double_click_seconds", "misclick_seconds", "outlier_mads"):
            value = getattr(self, name)
            require(value is None or value > 0, f"clean.{name}", value, "more than 0, or null")
        require(
            self.repeat_window_seconds >= 0,
            "clean.repeat_window_seconds",
            self.repeat_window_seconds,
            "seconds, 0 or more",
        )
        for rule, action in self.actions.items():
            require(
                action in ("reject", "label", "ignore"),
                f"clean.actions.{rule}",
                action,
                "'reject', 'label' or 'ignore'",
            )
        require(
            self.unicode in (None, "NFC", "NFKC", "NFD", "NFKD"),
            "clean.unicode",
            self.unicode,
            "NFC, NFKC, NFD, NFKD or null",
        )
        for key, known in (("lower", ("user", "item", "event_type")),
                           ("impute", ("item", "event_type", "quantity", "value"))):  # fmt: skip
            for name in getattr(self, key):
                require(name in known, f"clean.{key}", name, f"one of {known}")


@dataclass(frozen=True)
class SessionOptions:
    """What ends a session, and what the session ids of the source count for.

    A session ends where the gap to the next event is greater than ``timeout_seconds``; the
    names in ``split_on`` add further ends: the calendar ``day`` of ``time_zone``, a change to
    another ``campaign`` (``campaign_key`` of the events' context), or ``max_duration``
    (``max_duration_seconds`` after the start). ``given`` session ids are left alone
    (``ignore``), compared with the sessions by time (``check``), or are the sessions
    (``respect``). A bucket of more than ``most_bytes`` in memory is cut stretch by stretch of
    time.
    """

    timeout_seconds: int = 1800
    split_on: tuple[str, ...] = ("gap",)
    time_zone: str = "UTC"
    campaign_key: str = "campaign"
    max_duration_seconds: int | None = None
    given: str = "check"
    conversion_types: tuple[str, ...] = ("purchase", "transaction", "order", "orders")
    most_bytes: int = 256 * 2**20

    def __post_init__(self) -> None:
        seconds = "a positive number of seconds"
        require(self.timeout_seconds > 0, "sessions.timeout_seconds", self.timeout_seconds, seconds)
        known = ("gap", "day", "campaign", "max_duration")
        require(
            set(self.split_on) <= set(known), "sessions.split_on", self.split_on, f"some of {known}"
        )
        ways = ("ignore", "check", "respect")
        require(self.given in ways, "sessions.given", self.given, f"one of {ways}")
        most = self.max_duration_seconds
        if "max_duration" in self.split_on:
            require(most is not None and most > 0, "sessions.max_duration_seconds", most, seconds)
        else:
            require(
                most is None,
                "sessions.max_duration_seconds",
                most,
                "no value unless sessions.split_on names max_duration",
            )
        require(
            _is_time_zone(self.time_zone),
            "sessions.time_zone",
            self.time_zone,
            "a name such as UTC or Europe/Berlin",
        )


def _is_time_zone(name: str) -> bool:
    if name == "UTC":
        return True
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


@dataclass(frozen=True)
class FeatureOptions:
    """The item level of sequences and profiles, and the category used for shares.

    ``repeats`` keeps an item as often as it comes within a session; by default it stands there
    once. ``sequence_of`` makes a row of ``gold.sequences`` of each ``user`` or of each ``session``.
    """

    item_level: str = "item_id"
    min_item_count: int = 5
    max_sequence_events: int | None = None
    top_categories: int = 8
    category_column: str = "category"
    repeats: bool = False
    sequence_of: str = "user"

    def __post_init__(self) -> None:
        require(
            self.sequence_of in ("user", "session"),
            "features.sequence_of",
            self.sequence_of,
            "'user' or 'session'",
        )
        require(
            self.min_item_count >= 1, "features.min_item_count", self.min_item_count, "at least 1"
        )
        require(
            0 <= self.top_categories <= 100,
            "features.top_categories",
            self.top_categories,
            "0 to 100",
        )


@dataclass(frozen=True)
class PanelOptions:
    """Units and windows of the unit-treatment-outcome panel; times in days."""

    outcomes: tuple[str, ...] = ("spend", "visits")
    lookback_days: int = 56
    min_history_days: int = 28
    require_complete_window: bool = True

    def __post_init__(self) -> None:
        known = ("spend", "visits")
        for outcome in self.outcomes:
            require(outcome in known, "panel.outcomes", outcome, f"names out of {known}")
        require(len(self.outcomes) > 0, "panel.outcomes", self.outcomes, "at least one outcome")
        require(
            self.lookback_days > 0, "panel.lookback_days", self.lookback_days, "a positive number"
        )


@dataclass(frozen=True)
class RecommendOptions:
    """How many items a user gets, and whether items already seen may come again."""

    per_user: int = 10
    seen_items: str = "keep"

    def __post_init__(self) -> None:
        require(self.per_user >= 1, "recommend.per_user", self.per_user, "at least 1")
        require(
            self.seen_items in ("keep", "drop"),
            "recommend.seen_items",
            self.seen_items,
            "'keep' or 'drop'",
        )


@dataclass(frozen=True)
class PrivacyOptions:
    """Where the secret lies under which users are made pseudonymous.

    ``key_variable`` names a variable of the environment; ``secret_scope`` and ``secret_name``
    a secret of the platform (Databricks), which goes first. ``required`` asks for one in the
    environment ``local`` too; elsewhere there has to be one.
    """

    key_variable: str = "TRUELIFT_USER_KEY"
    secret_scope: str | None = None
    secret_name: str = "truelift-user-key"
    required: bool = False


@dataclass(frozen=True)
class TrackingOptions:
    """Where MLflow keeps its runs, under which names, and when a model becomes champion.

    A new sequence model takes the alias where its NDCG is above the champion's by more than
    ``promote_margin`` with one-sided ``promote_confidence``. ``system_metrics`` logs use of
    processor, memory, disk and network every ten seconds.
    """

    uri: str = "sqlite:///.truelift/mlflow.db"
    artifacts: str | None = None
    experiment: str = "truelift"
    model_name: str = "truelift-sequence"
    promote_confidence: float = 0.95
    promote_margin: float = 0.0
    system_metrics: bool = True

    def __post_init__(self) -> None:
        require(
            0.5 <= self.promote_confidence < 1,
            "tracking.promote_confidence",
            self.promote_confidence,
            "a confidence in [0.5, 1)",
        )


@dataclass(frozen=True)
class ReportOptions:
    """The directory that receives the HTML report and the Data Docs."""

    path: str = ".truelift/report"


@dataclass(frozen=True)
class SparkOptions:
    """The embedded session; an existing session (a cluster, Databricks) is used as it is."""

    master: str | None = "local[*]"
    driver_memory: str = "3g"
    shuffle_partitions: int = 8
    conf: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """The resolved configuration of one run.

    ``lake`` is the URI of the data set's lake; ``buckets`` (of users) and ``period`` (of time)
    are how its large tables are partitioned.
    """

    dataset: str = "complete_journey"
    env: str = "local"
    lake: str = ".truelift/lake"
    seed: int = 7
    sample: float = 1.0
    buckets: int = 40
    period: str = "month"
    source: SourceOptions = field(default_factory=SourceOptions)
    clean: CleanOptions = field(default_factory=CleanOptions)
    sessions: SessionOptions = field(default_factory=SessionOptions)
    features: FeatureOptions = field(default_factory=FeatureOptions)
    panel: PanelOptions = field(default_factory=PanelOptions)
    sequence: SequenceOptions = field(default_factory=SequenceOptions)
    effects: EffectOptions = field(default_factory=EffectOptions)
    recommend: RecommendOptions = field(default_factory=RecommendOptions)
    privacy: PrivacyOptions = field(default_factory=PrivacyOptions)
    tracking: TrackingOptions = field(default_factory=TrackingOptions)
    report: ReportOptions = field(default_factory=ReportOptions)
    spark: SparkOptions = field(default_factory=SparkOptions)

    def __post_init__(self) -> None:
        require(0 < self.sample <= 1, "sample", self.sample, "a share of users in (0, 1]")
        require(self.buckets >= 1, "buckets", self.buckets, "at least 1")
        periods = ("day", "week", "month", "quarter", "year", "all")
        require(self.period in periods, "period", self.period, f"one of {periods}")
        require(
            self.buckets >= self.effects.folds,
            "buckets",
            self.buckets,
            f"at least effects.folds ({self.effects.folds}), for folds are made of buckets",
        )

    def section(self, name: str) -> Any:
        """The value under one top-level key; used for fingerprints."""
        if name not in {f.name for f in fields(self)}:
            raise ConfigError(f"There is no settings section {name!r}.")
        return getattr(self, name)
