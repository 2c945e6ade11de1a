"""The raw rows: where they lie and how to read them (the section ``source``)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from truelift.registry import Registry
from truelift.settings.checks import require, require_known, require_time_zone

EPOCHS = ("epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
MAIL = "rfc_2822"
# Java's pattern letters that can be read (others can only be written).
_READABLE = frozenset("GyuMLdDahKkHmsSVzOXxZ")
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


#: Names of formats, ours and those that other packages bring; what they are is logs/sources'.
_OWN = (
    "access_log", "alb", "caddy", "complete_journey", "csv", "delta", "interactions", "jsonl",
    "nginx_json", "otto", "parquet", "w3c",
)  # fmt: skip
FORMATS: Registry[Any] = Registry("truelift.formats", dict.fromkeys(_OWN, ""))


# Characters that may part thousands; those that look alike count as one.
THOUSANDS = {".": ".", ",": ",", " ": " \u00a0\u2009\u202f", "'": "'\u2019"}
# What the columns of these streams may be mapped to; items and users may have any.
_TARGETS = {
    "exposures": (
        *("user", "campaign", "campaign_type", "start", "end"),
        *("list", "time", "item", "slot", "propensity", "list_propensity", "context", "segment"),
    ),
    "responses": ("user", "campaign", "time"),
    "identities": ("alias", "person"),
}
_TABS = {"\\t": "\t", "tab": "\t"}


@dataclass(frozen=True)
class SourceOptions:
    r"""Where the raw rows lie and how to read them; ``version`` is that of a Delta table.

    Delimited text: ``delimiter`` is a tab for files named ``.tsv`` and a comma for others, unless
    it is given; ``quote`` is empty where no value is in quotes; ``escape`` is the character that may
    stand before a quote in place of another quote (empty: none, and a backslash before a quote is
    text); ``columns`` names the columns of
    files without a header (and the values of a line of interactions) in their order, and
    ``skip_lines`` says how many lines come before header or rows. ``decimal`` and ``thousands``
    are how numbers are written.

    ``missing`` lists texts that stand for nothing in this source, spelt exactly so (``NULL``,
    ``\N``, ``(not set)``). ``redelivered`` says what becomes of the rows of a file that comes again
    under its path with other content: ``keep`` both, ``replace`` the old ones, or ``refuse``.
    A last line without its line end is taken once the file has been at rest for
    ``settle_seconds``.
    """

    format: str = "csv"
    path: str | None = None
    version: int | None = None
    delimiter: str | None = None
    quote: str = '"'
    escape: str | None = None
    columns: tuple[str, ...] = ()
    skip_lines: int = 0
    encoding: str = "utf-8"
    decimal: str = "."
    thousands: str | None = None
    mapping: MappingOptions = field(default_factory=MappingOptions)
    event_type_default: str = "event"
    time_format: str = "iso"
    time_zone: str = "UTC"
    missing: tuple[str | None, ...] = ()
    redelivered: str = "keep"
    settle_seconds: float = 300.0
    items: ReferenceOptions | None = None
    users: ReferenceOptions | None = None
    exposures: ReferenceOptions | None = None
    responses: ReferenceOptions | None = None
    identities: ReferenceOptions | None = None

    def __post_init__(self) -> None:
        require(self.format in FORMATS, "source.format", self.format, f"one of {FORMATS.names}")
        is_pinned = self.version is not None
        require(
            not is_pinned or self.format == "delta",
            "source.version",
            self.version,
            "none, for only source.format 'delta' has versions",
        )
        ways = ("keep", "replace", "refuse")
        require(self.redelivered in ways, "source.redelivered", self.redelivered, f"one of {ways}")
        settle = self.settle_seconds
        require(settle >= 0, "source.settle_seconds", settle, "seconds, 0 or more")
        for stream, targets in _TARGETS.items():
            reference = getattr(self, stream)
            names = reference.columns if reference is not None else ()
            require_known(names, targets, f"source.{stream}.columns")
        self._check_time()
        self._check_text()
        if self.format == "interactions" and self.columns:
            check_columns(self.columns)

    @property
    def words_for_missing(self) -> tuple[str, ...]:
        """The texts of ``missing``; YAML takes the bare word null for nothing, here it is the word."""
        words = (("null", "Null", "NULL") if text is None else (text,) for text in self.missing)
        return tuple(word.strip() for found in words for word in found)

    def _check_time(self) -> None:
        """A time format and a zone that can be read."""
        zone, key = self.time_zone, "source.time_zone"
        # EST is a fixed offset in the list of zones, and who writes it mostly means New York.
        short = zone.isupper() and "/" not in zone and zone not in ("UTC", "GMT")
        wanted = "a name such as UTC or Europe/Berlin (no abbreviation: each means several zones)"
        require(not short, key, zone, wanted)
        require_time_zone(zone, key)
        letters = pattern_letters(self.time_format)
        odd = sorted(letters - _READABLE)
        require(
            self.time_format in ("iso", MAIL, *EPOCHS) or (len(letters) > 0 and not odd),
            "source.time_format",
            self.time_format,
            f"'iso', {', '.join(map(repr, (*EPOCHS, MAIL)))} or a date pattern such as 'dd/MM/yyyy HH:mm'"
            + (f" (letters not readable: {', '.join(odd)})" if odd else ""),
        )
        slip = (
            None if self.time_format in ("iso", MAIL, *EPOCHS) else pattern_slip(self.time_format)
        )
        require(slip is None, "source.time_format", self.time_format, slip or "")

    def _check_text(self) -> None:
        """How values, lines and numbers are written."""
        if self.delimiter is not None:
            named = _TABS.get(self.delimiter.lower(), self.delimiter)
            object.__setattr__(self, "delimiter", named)
            wanted = 'one character; a tab is "\\t" (in double quotes) or tab'
            require(len(named) == 1, "source.delimiter", self.delimiter, wanted)
        one = "one character, or '' where no value is in quotes"
        require(len(self.quote) <= 1, "source.quote", self.quote, one)
        alone = self.escape is None or (len(self.escape) <= 1 and self.escape != self.quote)
        require(alone, "source.escape", self.escape, "one character, such as '\\', or ''")
        lost = bool(self.escape) and any(w.startswith(str(self.escape)) for w in self.missing if w)
        without = "texts as they are without source.escape before them, such as N for \\N"
        require(not lost, "source.missing", self.missing, without)
        require(self.skip_lines >= 0, "source.skip_lines", self.skip_lines, "0 or more lines")
        named_here = self.format in ("csv", "interactions")
        csv_only = "none, for only files of source.format 'csv' and 'interactions' lack a header"
        require(not self.columns or named_here, "source.columns", self.columns, csv_only)
        require(self.decimal in (".", ","), "source.decimal", self.decimal, "'.' or ','")
        known = f"none or one of {[t for t in THOUSANDS if t != self.decimal]}"
        fits = self.thousands is None or self.thousands in THOUSANDS
        fits = fits and self.thousands != self.decimal
        require(fits, "source.thousands", self.thousands, known)


def pattern_slip(pattern: str) -> str | None:
    """What a date pattern should have in place of a letter that means something else; None if fine.

    Java reads such a pattern, and most of what it reads is another time.
    """
    bare = "".join(pattern.split("'")[::2])
    runs = [found[0] for found in re.findall(r"(([A-Za-z])\2*)", bare)]
    letters = {run[0] for run in runs}
    if "m" in letters and not letters & set("HhKk"):
        return "M for months (m are minutes, and it has no hour)"
    if sum(run[0] == "M" for run in runs) > 1:
        return "m for minutes (M are months, and it has two)"
    if "D" in letters and letters & set("Md"):
        return "d for the day of the month (D is that of the year)"
    if letters & set("hK") and "a" not in letters:
        return "H for hours to 23, or a for AM and PM (h goes to 12)"
    if "S" in letters and "s" not in letters:
        return "s for seconds (S is a fraction of one)"
    return None


def pattern_letters(pattern: str) -> set[str]:
    """The letters of a date pattern outside of quotes."""
    return {c for part in pattern.split("'")[::2] for c in part if c.isalpha()}


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
