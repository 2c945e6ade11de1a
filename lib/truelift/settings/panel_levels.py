"""Columns of a panel that the data name: shares of the most frequent levels, and indicators."""

from __future__ import annotations

from dataclasses import dataclass

from truelift.settings.checks import require

#: The lower end of a window that holds all of the past.
EVER = "ever"
MOST_LEVELS = 100


@dataclass(frozen=True)
class PanelLookupOptions:
    """A small table in which a value is looked up; every worker reads it whole, once.

    ``key`` is what is looked up and ``value`` what is found, both columns of ``table``. The raw items
    of a lake (``bronze.items``) are read by their mapping (``source.items.columns``).
    """

    table: str
    key: str
    value: str


@dataclass(frozen=True)
class PanelShareOptions:
    """For each of the ``most`` frequent levels, the share of a source's rows that have it.

    The level of a row is ``value``, or what ``lookup`` holds for it. Levels are counted before the
    first occasion, so no outcome decides which of them get a column: ``<name>_<level>``.
    """

    source: str
    value: str
    window: tuple[float | str, float | str] = (EVER, 0.0)
    most: int = 8
    lookup: PanelLookupOptions | None = None

    def __post_init__(self) -> None:
        fine = 0 <= self.most <= MOST_LEVELS
        require(fine, "shares.most", self.most, f"0 to {MOST_LEVELS}")


@dataclass(frozen=True)
class PanelIndicatorOptions:
    """For each level of an attribute a column of 0 and 1, but for the most frequent one.

    ``value`` is SQL on a row of ``source``; with ``name``, rows of several attributes lie below each
    other. A column ``missing`` is made where subjects lack the attribute. Attributes of more than
    ``most`` levels are names, dates or numbers and are left out. ``measured`` says when, as of an
    attribute.
    """

    source: str
    value: str
    measured: str
    name: str | None = None
    most: int = 30

    def __post_init__(self) -> None:
        fine = 1 <= self.most <= MOST_LEVELS
        require(fine, "indicators.most", self.most, f"1 to {MOST_LEVELS}")
