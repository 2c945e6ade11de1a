"""A panel of one's own: what a unit is, its treatment, outcomes and covariates, and when each is
measured. ``truelift build_panel --spec FILE`` reads it; docs/panels.md explains every key.

What is measured after the treatment may not explain it: the options refuse such a covariate
before any table is opened.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from truelift.errors import ConfigError
from truelift.settings.checks import require
from truelift.settings.panel_levels import EVER as EVER
from truelift.settings.panel_levels import PanelIndicatorOptions, PanelShareOptions

#: The upper end of an outcome's window: the end of the occasion.
END = "end"
#: The word of the spec's author that an attribute was known before the first occasion.
BEFORE = "before"
CLOCKS = ("days", "periods")
AGGREGATES = (
    "count", "sum", "mean", "last", "count_distinct", "time_since_first", "time_since_last",
)  # fmt: skip
_WITHOUT_VALUE = ("count", "time_since_first", "time_since_last")
_OWN = frozenset({"unit_id", "elapsed", "bucket"})
_NAME = re.compile(r"[A-Za-z_]\w*")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
# A row's own columns know nothing of later rows; windows over rows and subqueries may.
_OTHER_ROWS = re.compile(r"\bover\s*\(|\bover\s+\w|\bselect\b", re.IGNORECASE)
MOST_FLAGS = 4
#: What a specification can name for page and sentences, in the singular.
LABELS = ("subject", "treatment")


def check_labels(key: str, labels: Mapping[str, str]) -> None:
    """Refuse labels that nothing reads, or that are empty."""
    unknown = set(labels) - set(LABELS)
    require(not unknown, key, sorted(unknown), f"some of {LABELS}")
    empty = [name for name, noun in labels.items() if not noun.strip()]
    require(not empty, key, empty, "a noun in the singular, such as 'user'")


@dataclass(frozen=True)
class PanelSourceOptions:
    """A table that a panel is made of; texts but ``table`` are SQL on one row of it.

    ``table`` is a table of the lake, a Delta or Parquet table (``URI`` or ``URI@version``), or
    ``complete_journey:FILE``, a file of that package. ``keys`` says where the columns of the
    subject are, if not under their names; a source may know some of them only. A row at ``time``
    is known ``known_after`` clock units later. With ``rows_of``, a column that is a list or a map, each
    of its elements is a row; SQL calls it ``element``, and the key of a map ``element_key``.
    """

    table: str
    keys: dict[str, str] = field(default_factory=dict)
    time: str | None = None
    where: str | None = None
    known_after: float = 0.0
    rows_of: str | None = None


@dataclass(frozen=True)
class PanelTreatmentOptions:
    """Who was treated on which occasion.

    Rows of ``source`` name an ``occasion`` and its ``start`` and ``end`` (half-open). ``arms`` maps
    a flag to its condition on a row; a unit's arm is the flags that hold in any of its rows, joined
    by ``+``, and ``control`` where none does.
    """

    source: str
    occasion: str
    start: str
    end: str
    arms: dict[str, str]
    control: str = "0"
    column: str = "treated"
    occasion_column: str = "occasion"

    def __post_init__(self) -> None:
        fine = 1 <= len(self.arms) <= MOST_FLAGS and self.control not in self.arms
        expected = f"1 to {MOST_FLAGS} flags with their conditions, none named as the control"
        require(fine, "treatment.arms", sorted(self.arms), expected)
        require(
            not any("+" in name for name in self.arms),
            "treatment.arms",
            sorted(self.arms),
            "names without '+', which joins them",
        )

    def labels(self) -> tuple[str, ...]:
        """Label of each combination of flags, by its bits; the control first."""
        names = tuple(self.arms)
        return tuple(
            "+".join(n for bit, n in enumerate(names) if code >> bit & 1) or self.control
            for code in range(2 ** len(names))
        )


@dataclass(frozen=True)
class PanelMeasureOptions:
    """One number of a unit: an aggregate of a source's rows whose time lies in a window.

    ``window`` is half-open, in clock units from the start of the occasion: ``[-56, 0]`` holds the
    56 days before it, ``[ever, 0]`` all of the past, ``[0, end]`` the occasion.
    """

    source: str
    window: tuple[float | str, float | str]
    aggregate: str = "count"
    value: str | None = None


@dataclass(frozen=True)
class PanelAttributeOptions:
    """A column of a source without time, one row a subject.

    ``measured`` says when: an instant of the clock (an ISO date, a period), or ``before``, by which
    the author states that it was known before the first occasion.
    """

    source: str
    value: str
    measured: str


@dataclass(frozen=True)
class PanelOccasionOptions:
    """Which occasions the data can carry.

    ``observed`` names the source whose times say what the data cover; ``history`` clock units have
    to be covered before an occasion and, with ``complete``, every outcome's window. ``indicators`` is
    the beginning of the names of columns of 0 and 1, one for each occasion but the first.
    """

    observed: str
    history: float = 0.0
    complete: bool = True
    indicators: str | None = None


@dataclass(frozen=True)
class PanelSpec:
    """Units, treatment, outcomes and covariates of a panel.

    A *subject* (columns ``subject``) meets *occasions*; a unit is one subject at one occasion.
    Subjects are those of the source ``population``. ``cluster`` is one of the subject's columns.
    ``eligible`` gives the least value of covariates that a unit must have, and ``derived`` SQL on
    covariates, attributes and ``elapsed`` (clock units since the data begin). ``shares`` and
    ``indicators`` are columns that the data name. ``measured_in`` says, by outcome, what its numbers
    count, and ``labels`` what page and sentences call a ``subject`` and a ``treatment`` (``user``,
    ``campaign``).
    """

    name: str
    subject: tuple[str, ...]
    cluster: str
    population: str
    sources: dict[str, PanelSourceOptions]
    treatment: PanelTreatmentOptions
    occasions: PanelOccasionOptions
    outcomes: dict[str, PanelMeasureOptions]
    covariates: dict[str, PanelMeasureOptions] = field(default_factory=dict)
    attributes: dict[str, PanelAttributeOptions] = field(default_factory=dict)
    shares: dict[str, PanelShareOptions] = field(default_factory=dict)
    indicators: dict[str, PanelIndicatorOptions] = field(default_factory=dict)
    derived: dict[str, str] = field(default_factory=dict)
    eligible: dict[str, float] = field(default_factory=dict)
    measured_in: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    clock: str = "days"
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        plain = re.fullmatch(r"[a-z][a-z0-9_]*", self.name) is not None
        require(plain, "name", self.name, "lower-case letters, digits and underscores")
        require(self.clock in CLOCKS, "clock", self.clock, f"one of {CLOCKS}")
        require(len(self.subject) > 0, "subject", self.subject, "at least one column")
        require(self.cluster in self.subject, "cluster", self.cluster, f"one of {self.subject}")
        require(len(self.outcomes) > 0, "outcomes", self.outcomes, "at least one outcome")
        self._check_names()
        self._check_sources()
        for name, measure in self.covariates.items():
            self._check_measure(f"covariates.{name}", measure)
            self._refuse_later(f"covariates.{name}", measure)
        for name, measure in self.outcomes.items():
            self._check_measure(f"outcomes.{name}", measure)
            self._refuse_earlier(f"outcomes.{name}", measure)
        for name, share in self.shares.items():
            self._check_window(f"shares.{name}", share.source, share.window)
            self._refuse_later(f"shares.{name}", share)
        unknown = set(self.eligible) - set(self.covariates)
        require(not unknown, "eligible", sorted(unknown), "names under covariates")
        check_labels("labels", self.labels)
        for key, text in self._expressions():
            others = _OTHER_ROWS.search(_QUOTED.sub("''", text))
            expected = "SQL on one row: no windows over rows and no subqueries"
            require(others is None, key, text, expected)

    def measures(self) -> dict[str, PanelMeasureOptions]:
        """Outcomes, then covariates, by name."""
        return {**self.outcomes, **self.covariates}

    def keys_of(self, source: str) -> dict[str, str]:
        """The subject's columns that a source knows, in the subject's order, with their SQL."""
        keys = self.sources[source].keys or {name: f"`{name}`" for name in self.subject}
        return {name: keys[name] for name in self.subject if name in keys}

    def columns(self, of_levels: tuple[str, ...] = ()) -> tuple[str, ...]:
        """All columns of the panel but the bucket, in order; ``of_levels`` are those the data name."""
        treatment = self.treatment
        own = ("unit_id", *self.subject, treatment.occasion_column, "elapsed", treatment.column)
        before = (*self.outcomes, *self.covariates, *self.attributes)
        return (*own, *before, *of_levels, *self.derived)

    def sources_in_use(self) -> tuple[str, ...]:
        """Sources whose rows units are made of, in order."""
        used = {self.population, self.treatment.source}
        used |= {m.source for m in self.measures().values()}
        used |= {a.source for a in self.attributes.values()} | self.sources_of_levels()
        return tuple(name for name in self.sources if name in used)

    def sources_of_levels(self) -> set[str]:
        """Sources of the columns that the data name."""
        shares = {share.source for share in self.shares.values()}
        return shares | {indicator.source for indicator in self.indicators.values()}

    def _check_names(self) -> None:
        prefixes = [*self.shares, *self.indicators, self.occasions.indicators]
        for prefix in (p for p in prefixes if p is not None):
            plain = _NAME.fullmatch(prefix) is not None
            require(plain, "names of columns", prefix, "letters, digits and underscores")
        names = (*self.columns(), "bucket")
        # Delta tells names apart by their letters, not by their case.
        lower = [name.casefold() for name in names]
        own = ", ".join(sorted(_OWN))
        for name in names:
            plain = _NAME.fullmatch(name) is not None
            require(plain, "names of columns", name, "letters, digits and underscores")
            expected = (
                f"another name: {own} are columns that every panel has besides"
                if name.casefold() in _OWN
                else "every column of the panel once, in whatever case it is written"
            )
            require(lower.count(name.casefold()) == 1, "names of columns", name, expected)

    def _check_sources(self) -> None:
        used = [("population", self.population), ("treatment.source", self.treatment.source)]
        used += [("occasions.observed", self.occasions.observed)]
        used += [(f"attributes.{n}.source", a.source) for n, a in self.attributes.items()]
        used += [(f"{n}.source", m.source) for n, m in self.measures().items()]
        used += [(f"shares.{n}.source", s.source) for n, s in self.shares.items()]
        used += [(f"indicators.{n}.source", i.source) for n, i in self.indicators.items()]
        for key, source in used:
            known = source in self.sources
            require(known, key, source, f"one of the sources ({', '.join(self.sources)})")
        for name, options in self.sources.items():
            if options.table.partition("@")[0] == "gold.needs":
                raise ConfigError(
                    f"sources.{name}.table: found gold.needs, expected what was recorded. A need is inferred from behaviour "
                    "and outcomes, so an effect that is adjusted for it is not identified by that. Take what was seen "
                    "before the treatment as covariates; needs may tell groups of a table of your own (docs/needs.md)."
                )
            surplus = set(options.keys) - set(self.subject)
            key = f"sources.{name}.keys"
            require(not surplus, key, sorted(surplus), f"columns of the subject {self.subject}")
            there = self.cluster in self.keys_of(name)
            require(there, key, sorted(options.keys), f"the cluster {self.cluster!r} among them")
            late = options.known_after >= 0
            require(late, f"sources.{name}.known_after", options.known_after, "0 or more")
        for key, name in (("population", self.population), ("treatment", self.treatment.source)):
            whole = len(self.keys_of(name)) == len(self.subject)
            expected = f"all of {self.subject}"
            require(whole, f"sources.{name}.keys, of the {key}", self.keys_of(name), expected)
        timed = self.sources[self.occasions.observed].time is not None
        require(timed, f"sources.{self.occasions.observed}.time", None, "the column of its times")

    def _check_measure(self, key: str, measure: PanelMeasureOptions) -> None:
        known = measure.aggregate in AGGREGATES
        require(known, f"{key}.aggregate", measure.aggregate, f"one of {AGGREGATES}")
        if measure.aggregate in _WITHOUT_VALUE:
            bare = measure.value is None
            require(bare, f"{key}.value", measure.value, f"none with {measure.aggregate!r}")
        else:
            given = measure.value is not None
            require(given, f"{key}.value", None, "SQL on a row of the source, what is aggregated")
        self._check_window(key, measure.source, measure.window)

    def _check_window(self, key: str, source: str, window: tuple[float | str, float | str]) -> None:
        timed = self.sources[source].time is not None
        require(timed, f"sources.{source}.time", None, f"a time, which {key} looks at")
        first, last = window
        require(last != EVER and first != END, f"{key}.window", window, "[first, last]")
        for bound in window:
            finite = isinstance(bound, str) or math.isfinite(bound)
            require(finite, f"{key}.window", bound, f"a finite number ({EVER!r}: all of the past)")
            text = isinstance(bound, str) and bound not in (EVER, END)
            require(not text, f"{key}.window", bound, f"numbers, {EVER!r} or {END!r}")
            whole = isinstance(bound, str) or self.clock == "days" or float(bound).is_integer()
            require(whole, f"{key}.window", bound, "whole numbers of periods")
        if not isinstance(first, str) and not isinstance(last, str):
            require(first < last, f"{key}.window", window, "an end after its beginning")

    def _refuse_later(self, key: str, measure: PanelMeasureOptions | PanelShareOptions) -> None:
        """The guard: what explains a treatment is known before it begins."""
        last, after = measure.window[1], self.sources[measure.source].known_after
        if last == END:
            raise ConfigError(
                f"{key}: measured until the end of the occasion, but the treatment begins at 0. A "
                "covariate must be known before the treatment; what comes after it is an outcome."
            )
        if not isinstance(last, str) and last + after > 0:
            later = f" and known {after:g} later" if after else ""
            raise ConfigError(
                f"{key}: measured until {last:g}{later}, which is {last + after:g} {self.clock} "
                "after the treatment begins (0). A covariate must be known before the treatment: "
                f"let its window end at {0 - after:g} or before, or make it an outcome."
            )

    def _refuse_earlier(self, key: str, measure: PanelMeasureOptions) -> None:
        first = measure.window[0]
        if isinstance(first, str) or first < 0:
            since = "all of the past" if isinstance(first, str) else f"{first:g} {self.clock}"
            raise ConfigError(
                f"{key}: measured from {since}, before the treatment begins (0). The treatment "
                "cannot change what was before it: let the window begin at 0 or later."
            )

    def _expressions(self) -> Iterator[tuple[str, str]]:
        """Every SQL text, with its key."""
        for name, source in self.sources.items():
            texts = {"time": source.time, "where": source.where, "rows_of": source.rows_of}
            yield from ((f"sources.{name}.{k}", t) for k, t in texts.items() if t)
            yield from ((f"sources.{name}.keys.{k}", t) for k, t in source.keys.items())
        for part in ("occasion", "start", "end"):
            yield f"treatment.{part}", getattr(self.treatment, part)
        yield from ((f"treatment.arms.{k}", t) for k, t in self.treatment.arms.items())
        for name, measure in self.measures().items():
            if measure.value is not None:
                yield f"{name}.value", measure.value
        yield from ((f"attributes.{k}.value", a.value) for k, a in self.attributes.items())
        yield from ((f"shares.{k}.value", s.value) for k, s in self.shares.items())
        for name, indicator in self.indicators.items():
            yield f"indicators.{name}.value", indicator.value
            if indicator.name is not None:
                yield f"indicators.{name}.name", indicator.name
        yield from ((f"derived.{k}", t) for k, t in self.derived.items())
