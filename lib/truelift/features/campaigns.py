"""Which campaigns can carry a before-and-after comparison, and why others cannot."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from truelift.arrays.times import MICROSECONDS_PER_DAY

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


@dataclass(frozen=True, order=True)
class Campaign:
    """A campaign and its half-open window, in microseconds since epoch (UTC).

    Parameters
    ----------
    start : int
        First instant of the window; covariates are strictly before it.
    campaign : str
        Its identifier.
    end : int
        First instant after the window (the end day itself is inside).
    """

    start: int
    campaign: str
    end: int


@dataclass(frozen=True)
class ArmCounts:
    """Users with enough history at a campaign's start: all of them, and the treated ones."""

    eligible: int
    treated: int


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


def select_campaigns(
    campaigns: Sequence[Campaign],
    data_start: int,
    data_end: int,
    lookback_days: int,
    require_complete_window: bool,
) -> tuple[tuple[Campaign, ...], dict[str, str]]:
    """Campaigns whose lookback and outcome window lie inside the data.

    Parameters
    ----------
    campaigns : sequence of Campaign
    data_start, data_end : int
        The days covered, half-open (:func:`day_bounds`).
    lookback_days : int
        Days of data needed before the start.
    require_complete_window : bool
        Whether the outcome window must end inside the data; it must begin there in any case.

    Returns
    -------
    eligible : tuple of Campaign
        In order of start, then identifier.
    excluded : dict of str to str
        Identifier to reason.
    """
    eligible: list[Campaign] = []
    excluded: dict[str, str] = {}
    for campaign in sorted(campaigns):
        history = (campaign.start - data_start) / MICROSECONDS_PER_DAY
        missing = (campaign.end - data_end) / MICROSECONDS_PER_DAY
        if campaign.end <= campaign.start:
            excluded[campaign.campaign] = "its end is not after its start"
        elif history < lookback_days:
            excluded[campaign.campaign] = (
                f"{_days(history)} of data before its start, {lookback_days} needed"
                if history > 0
                else f"it starts {_days(-history)} before the data"
            )
        elif campaign.start >= data_end:
            excluded[campaign.campaign] = "it starts after the data end"
        elif require_complete_window and missing > 0:
            excluded[campaign.campaign] = f"its window ends {_days(missing)} after the data"
        else:
            eligible.append(campaign)
    return tuple(eligible), excluded


def require_both_arms(
    campaigns: Sequence[Campaign], counts: Mapping[str, ArmCounts]
) -> tuple[tuple[Campaign, ...], dict[str, str]]:
    """Campaigns with treated and untreated eligible users; the reasons for the others."""
    kept: list[Campaign] = []
    excluded: dict[str, str] = {}
    for campaign in campaigns:
        arms = counts.get(campaign.campaign, ArmCounts(0, 0))
        if arms.eligible == 0:
            excluded[campaign.campaign] = "no user has enough history at its start"
        elif arms.treated == 0:
            excluded[campaign.campaign] = f"none of {arms.eligible} eligible users was treated"
        elif arms.treated == arms.eligible:
            excluded[campaign.campaign] = f"all {arms.eligible} eligible users were treated"
        else:
            kept.append(campaign)
    return tuple(kept), excluded


def _days(days: float) -> str:
    return f"{days:.0f} days" if round(days) != 1 else "1 day"
