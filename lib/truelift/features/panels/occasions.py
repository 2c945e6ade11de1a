"""The occasions that subjects meet, and which of them the data can carry."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from truelift.arrays.times import MICROSECONDS_PER_DAY
from truelift.errors import ConfigError
from truelift.settings.panel_spec import BEFORE, END, PanelMeasureOptions, PanelSpec

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
#: Each occasion is looked at by itself.
MOST_OCCASIONS = 1000


@dataclass(frozen=True, order=True)
class Occasion:
    """An occasion and its half-open window: microseconds since 1970 (UTC), or periods."""

    start: int
    name: str
    end: int


@dataclass(frozen=True)
class Clock:
    """How the times of a panel are counted.

    Parameters
    ----------
    unit : str
        ``days`` (times are instants) or ``periods`` (times are whole numbers).
    time_zone : str
        Zone of days, and of dates without an offset.
    """

    unit: str
    time_zone: str = "UTC"

    @property
    def scale(self) -> int:
        """Ticks of stored times in one clock unit."""
        return MICROSECONDS_PER_DAY if self.unit == "days" else 1

    def ticks(self, offset: float) -> int:
        """Clock units as ticks."""
        return round(offset * self.scale)

    def covered(self, first: int, last: int) -> tuple[int, int]:
        """The whole days, or periods, that hold all of ``first`` to ``last``; half-open."""
        if self.unit == "days":
            return day_bounds(first, last, self.time_zone)
        return first, last + 1

    def length(self, units: float) -> str:
        """A span in whole units, in words."""
        return f"{units:.0f} {self.unit if round(units) != 1 else self.unit.removesuffix('s')}"

    def text(self, ticks: int) -> str:
        """A stored time as people write it."""
        if self.unit == "days":
            return (_EPOCH + datetime.timedelta(microseconds=ticks)).isoformat()
        return str(ticks)

    def parse(self, text: str, key: str) -> int:
        """A time as people write it, in ticks.

        Raises
        ------
        ConfigError
            If it is no time of this clock.
        """
        try:
            if self.unit != "days":
                return int(text)
            moment = datetime.datetime.fromisoformat(text)
        except ValueError:
            expected = "an ISO date" if self.unit == "days" else "a whole number"
            raise ConfigError(
                f"{key}: found {text!r}, expected {expected}, or {BEFORE!r}."
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(self.time_zone))
        return (moment - _EPOCH) // datetime.timedelta(microseconds=1)


def day_bounds(first: int, last: int, time_zone: str) -> tuple[int, int]:
    """The whole local days that the data cover, as a half-open window.

    Parameters
    ----------
    first, last : int
        First and last event, microseconds since epoch.
    time_zone : str
        Zone whose midnights bound a day.

    Returns
    -------
    start, end : int
        Midnight at or before ``first``, and the midnight after ``last``.
    """
    zone = ZoneInfo(time_zone)

    def midnight(instant: int, days: int) -> int:
        local = (_EPOCH + datetime.timedelta(microseconds=instant)).astimezone(zone)
        day = local.date() + datetime.timedelta(days=days)
        moment = datetime.datetime.combine(day, datetime.time(), zone)
        return round((moment - _EPOCH).total_seconds() * 1_000_000)

    return midnight(first, 0), midnight(last, 1)


def bound(clock: Clock, occasion: Occasion, edge: float | str) -> int:
    """An edge of a window (a number of clock units, or ``end``), in ticks."""
    if isinstance(edge, str):
        return occasion.end
    return occasion.start + clock.ticks(edge)


def select_occasions(
    occasions: Sequence[Occasion], covered: tuple[int, int], spec: PanelSpec, clock: Clock
) -> tuple[tuple[Occasion, ...], dict[str, str]]:
    """Occasions whose history and outcomes lie inside the data; the reasons for the others.

    Parameters
    ----------
    occasions : sequence of Occasion
    covered : tuple of int
        What the data cover, half-open, in ticks.
    spec : PanelSpec
    clock : Clock

    Returns
    -------
    kept : tuple of Occasion
        In order of start, then name.
    excluded : dict of str to str
        Name to reason.
    """
    kept: list[Occasion] = []
    excluded: dict[str, str] = {}
    for occasion in sorted(occasions):
        history = (occasion.start - covered[0]) / clock.scale
        last = max(bound(clock, occasion, _last(m)) for m in spec.outcomes.values())
        missing = (last - covered[1]) / clock.scale
        if occasion.end <= occasion.start:
            excluded[occasion.name] = "its end is not after its start"
        elif history < spec.occasions.history:
            excluded[occasion.name] = (
                f"{clock.length(history)} of data before its start, "
                f"{spec.occasions.history:g} needed"
                if history >= 0
                else f"it starts {clock.length(-history)} before the data"
            )
        elif occasion.start >= covered[1]:
            excluded[occasion.name] = "it starts after the data end"
        elif spec.occasions.complete and missing > 0:
            excluded[occasion.name] = f"its window ends {clock.length(missing)} after the data"
        else:
            kept.append(occasion)
    return tuple(kept), excluded


def require_measured_before(spec: PanelSpec, occasions: Sequence[Occasion], clock: Clock) -> None:
    """The guard for attributes and indicators: each was measured before the first occasion began.

    Raises
    ------
    ConfigError
        Naming the attribute, when it was measured and when the treatment began.
    """
    first = min(occasions)
    asked = {f"attributes.{name}": one.measured for name, one in spec.attributes.items()}
    asked |= {f"indicators.{name}": one.measured for name, one in spec.indicators.items()}
    for key, text in asked.items():
        if text == BEFORE:
            continue
        measured = clock.parse(text, f"{key}.measured")
        if measured >= first.start:
            raise ConfigError(
                f"{key}: measured at {clock.text(measured)}, but the treatment of occasion "
                f"{first.name!r} begins at {clock.text(first.start)}. A covariate must be known "
                "before the treatment: take an earlier measurement, or leave it out."
            )


def require_arms(
    occasions: Sequence[Occasion], counts: Mapping[tuple[str, int], int]
) -> tuple[tuple[Occasion, ...], dict[str, str]]:
    """Occasions with units of at least two arms; the reasons for the others.

    Parameters
    ----------
    occasions : sequence of Occasion
    counts : mapping of (occasion, arm's bits) to int
        Eligible units.
    """
    kept: list[Occasion] = []
    excluded: dict[str, str] = {}
    for occasion in occasions:
        arms = {code: n for (name, code), n in counts.items() if name == occasion.name and n}
        units = sum(arms.values())
        if not arms:
            excluded[occasion.name] = "no subject is eligible"
        elif set(arms) == {0}:
            excluded[occasion.name] = f"none of {units} eligible subjects was treated"
        elif len(arms) == 1:
            excluded[occasion.name] = f"all {units} eligible subjects had one arm"
        else:
            kept.append(occasion)
    return tuple(kept), excluded


def _last(measure: PanelMeasureOptions) -> float | str:
    edge = measure.window[1]
    return END if isinstance(edge, str) else edge
