"""The raw rows: where they lie and how to read them (the section ``source``)."""

from __future__ import annotations

from dataclasses import dataclass, field

from truelift.settings.checks import require

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
    """Where the raw rows lie and how to read them; ``version`` is that of a Delta table.

    ``columns`` names the values of a line of interactions, in their order.
    """

    format: str = "csv"
    path: str | None = None
    version: int | None = None
    delimiter: str = ","
    encoding: str = "utf-8"
    columns: tuple[str, ...] = ()
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
        if self.format == "interactions" and self.columns:
            check_columns(self.columns)


def check_columns(columns: tuple[str, ...]) -> None:
    """Refuse names of an interaction file's columns that leave no user or no item."""
    named = [name for name in columns if name in ("user", "item", "rating", "time")]
    require(
        {"user", "item"} <= set(named) and len(named) == len(set(named)),
        "source.columns",
        ",".join(columns),
        "user and item, and where there are any rating and time, once each ('-' for a column to "
        "leave out), such as user,item,rating,time",
    )
