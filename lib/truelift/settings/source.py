"""The raw rows: where they lie and how to read them (the section ``source``)."""

from __future__ import annotations

from dataclasses import dataclass, field

from truelift.settings.checks import require

# As the context of an event: every column that no other field takes.
ALL_COLUMNS = "*"


@dataclass(frozen=True)
class MappingOptions:
    """Names of the source's columns for each field of an event (None = not in the source).

    ``time_of_day`` is the clock's column where ``time`` holds the date only. ``context`` lists the
    columns to keep beside these, or is ``"*"`` for all others.
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
    time_of_day: str | None = None
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
    "access_log", "alb", "caddy", "complete_journey", "csv", "delta", "interactions", "jsonl",
    "nginx_json", "otto", "parquet", "w3c",
)  # fmt: skip


# Characters that may part thousands; those that look alike count as one.
THOUSANDS = {".": ".", ",": ",", " ": " \u00a0\u2009\u202f", "'": "'\u2019"}
_TABS = {"\\t": "\t", "tab": "\t"}


@dataclass(frozen=True)
class SourceOptions:
    """Where the raw rows lie and how to read them; ``version`` is that of a Delta table.

    Delimited text: ``delimiter`` is a tab for files named ``.tsv`` and a comma for others, unless
    it is given; ``quote`` is empty where no value is in quotes; ``columns`` names the columns of
    files without a header (and the values of a line of interactions) in their order, and
    ``skip_lines`` says how many lines come before header or rows. ``decimal`` and ``thousands``
    are how numbers are written.
    """

    format: str = "csv"
    path: str | None = None
    version: int | None = None
    delimiter: str | None = None
    quote: str = '"'
    columns: tuple[str, ...] = ()
    skip_lines: int = 0
    encoding: str = "utf-8"
    decimal: str = "."
    thousands: str | None = None
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
        self._check_text()
        if self.format == "interactions" and self.columns:
            check_columns(self.columns)

    def _check_text(self) -> None:
        """How values, lines and numbers are written."""
        if self.delimiter is not None:
            named = _TABS.get(self.delimiter.lower(), self.delimiter)
            object.__setattr__(self, "delimiter", named)
            wanted = 'one character; a tab is "\\t" (in double quotes) or tab'
            require(len(named) == 1, "source.delimiter", self.delimiter, wanted)
        one = "one character, or '' where no value is in quotes"
        require(len(self.quote) <= 1, "source.quote", self.quote, one)
        require(self.skip_lines >= 0, "source.skip_lines", self.skip_lines, "0 or more lines")
        named_here = self.format in ("csv", "interactions")
        csv_only = "none, for only files of source.format 'csv' and 'interactions' lack a header"
        require(not self.columns or named_here, "source.columns", self.columns, csv_only)
        require(self.decimal in (".", ","), "source.decimal", self.decimal, "'.' or ','")
        known = f"none or one of {[t for t in THOUSANDS if t != self.decimal]}"
        fits = self.thousands is None or self.thousands in THOUSANDS
        fits = fits and self.thousands != self.decimal
        require(fits, "source.thousands", self.thousands, known)


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
