"""Dirty logs of a small shop whose sessions, treatments and effects are known.

On each day a user visits at most once, with a probability of their own, between 8 and 20
o'clock; inside a visit events follow within ten minutes. So the true sessions are the visits
for any timeout between ten minutes and ten hours. A campaign multiplies the visit
probability of those who got it; active users are more likely to get it (confounding).
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from truelift.simulate.shop import CATEGORIES, Shop

_SEGMENTS = ("family", "single", "student")
_LOGGED_COLUMNS = ("id", "visitor", "product", "at", "action", "qty", "amount")


@dataclass(frozen=True)
class LogWorld:
    """How a small shop behaves.

    Parameters
    ----------
    items : int
        Size of the catalogue.
    first_day : str
        ISO date of day 0.
    campaign_days : int
        Length of each campaign.
    campaign_starts : tuple of float
        Starts, as shares of the simulated days; campaigns must not overlap.
    uplift : float
        A campaign multiplies visit probabilities by ``1 + uplift`` (at most to 0.95).
    duplicate_share, broken_share : float
        Rows repeated as they are, and rows of each kind of damage, per clean row.
    """

    items: int = 60
    first_day: str = "2024-01-01"
    campaign_days: int = 10
    campaign_starts: tuple[float, ...] = (0.1, 0.4, 0.6, 0.95)
    uplift: float = 0.5
    duplicate_share: float = 0.02
    broken_share: float = 0.005


@dataclass(frozen=True, eq=False)
class SimulatedLogs:
    """Raw tables as text, and the truth behind them.

    Parameters
    ----------
    events, items, users, exposures, responses : pa.Table
        What a shop would hand over; events are dirty and in no order.
    sessions : pa.Table
        The true visits: ``visitor, start, end`` (UTC), ``events``.
    units : pa.Table
        One row a visitor and campaign: ``campaign, visitor, treated, expected_visits_untreated,
        expected_visits_treated`` in the campaign's window.
    campaigns : dict of str to (date, date)
        First and last day of each.
    clean_events : int
        Rows that should reach ``silver.events``.
    dirt : dict of str to int
        Rows that should not, by kind: ``duplicate``, ``no_user``, ``unreadable_time``,
        ``negative_quantity``.
    """

    events: pa.Table
    items: pa.Table
    users: pa.Table
    exposures: pa.Table
    responses: pa.Table
    sessions: pa.Table
    units: pa.Table
    campaigns: dict[str, tuple[datetime.date, datetime.date]]
    clean_events: int
    dirt: dict[str, int] = field(default_factory=dict)

    def effect_on_visits(self, campaigns: tuple[str, ...], treated_only: bool = False) -> float:
        """The true average effect on visits over the units of some campaigns (ATE or ATT)."""
        units = self.units.to_pylist()
        effects = [
            unit["expected_visits_treated"] - unit["expected_visits_untreated"]
            for unit in units
            if unit["campaign"] in campaigns and (unit["treated"] or not treated_only)
        ]
        return float(np.mean(effects))


def simulate_logs(
    users: int = 200, days: int = 84, world: LogWorld | None = None, seed: int = 0
) -> SimulatedLogs:
    """Draw a shop's logs.

    Parameters
    ----------
    users, days : int
    world : LogWorld, optional
    seed : int
        Same seed, same logs.

    Returns
    -------
    SimulatedLogs
    """
    world = world or LogWorld()
    random = np.random.default_rng(seed)
    visitors = [f"v{number:04d}" for number in range(users)]
    visit_share = np.clip(random.beta(2.0, 8.0, users), 0.02, 0.6)
    windows = _windows(days, world)
    treated, chance = _treatments(random, visit_share, windows, days, world.uplift)
    visits = np.argwhere(random.random((users, days)) < chance)
    shop = Shop(random, world.items, datetime.datetime.fromisoformat(world.first_day))
    drawn = [shop.visit(int(day), int(user) % len(CATEGORIES)) for user, day in visits]
    clean = [
        {**event, "visitor": visitors[int(user)]}
        for (user, _), events in zip(visits, drawn, strict=True)
        for event in events
    ]
    for number, event in enumerate(clean):
        event["id"] = f"e{number:07d}"
    raw, dirt = _with_dirt(random, clean, world)
    return SimulatedLogs(
        events=_text_table(raw, _LOGGED_COLUMNS),
        items=shop.catalogue(),
        users=_user_table(random, visitors),
        exposures=_exposure_table(visitors, treated, windows, world),
        responses=_response_table(random, visitors, treated, windows, world),
        sessions=_session_table(visitors, visits, drawn),
        units=_unit_table(visitors, treated, visit_share, windows, days, world.uplift),
        campaigns={
            name: (_date(world, low), _date(world, high - 1)) for name, low, high in windows
        },
        clean_events=len(clean),
        dirt=dirt,
    )


_Windows = list[tuple[str, int, int]]


def _windows(days: int, world: LogWorld) -> _Windows:
    """Name, first day and the day after the last; the last may lie beyond the data."""
    starts = [round(share * days) for share in world.campaign_starts]
    windows = [(f"m{n + 1}", s, s + world.campaign_days) for n, s in enumerate(starts)]
    for before, after in pairwise(windows):
        if after[1] < before[2]:
            raise ValueError(f"campaign_starts: {before[0]} and {after[0]} overlap.")
    return windows


def _treatments(
    random: np.random.Generator,
    visit_share: np.ndarray,
    windows: _Windows,
    days: int,
    uplift: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Who gets what, shape (users, campaigns); probability of a visit, shape (users, days)."""
    activity = (np.log(visit_share) - np.log(visit_share).mean()) / np.log(visit_share).std()
    propensity = 1 / (1 + np.exp(0.5 - activity))
    treated = random.random((len(visit_share), len(windows))) < propensity[:, None]
    chance = np.repeat(visit_share[:, None], days, axis=1)
    for place, (_, low, high) in enumerate(windows):
        lifted = _lifted(visit_share, uplift)[:, None]
        chance[:, low:high] = np.where(treated[:, [place]], lifted, chance[:, low:high])
    return treated, chance


def _lifted(visit_share: np.ndarray, uplift: float) -> np.ndarray:
    return np.minimum(visit_share * (1 + uplift), 0.95)


def _with_dirt(
    random: np.random.Generator, clean: list[dict[str, Any]], world: LogWorld
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The clean rows as text, with repeated and damaged ones among them, shuffled."""
    rows = [{**row, "at": f"{row['at'].isoformat(timespec='microseconds')}Z"} for row in clean]
    damage: dict[str, dict[str, Any]] = {
        "no_user": {"visitor": ""},
        "unreadable_time": {"at": "yesterday"},
        "negative_quantity": {"qty": -1},
    }
    repeated = _some(random, rows, world.duplicate_share)
    raw = [*rows, *repeated]
    dirt = {"duplicate": len(repeated)}
    for kind, change in damage.items():
        hit = _some(random, rows, world.broken_share)
        raw += [{**row, **change, "id": f"{kind}-{n}"} for n, row in enumerate(hit)]
        dirt[kind] = len(hit)
    return [raw[place] for place in random.permutation(len(raw))], dirt


def _some(
    random: np.random.Generator, rows: list[dict[str, Any]], share: float
) -> list[dict[str, Any]]:
    count = int(np.ceil(share * len(rows)))
    return [rows[place] for place in random.choice(len(rows), count, replace=False)]


def _text_table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pa.Table:
    return pa.table({name: pa.array([str(r[name]) for r in rows], pa.string()) for name in columns})


def _user_table(random: np.random.Generator, visitors: list[str]) -> pa.Table:
    segments = [str(s) for s in random.choice(_SEGMENTS, len(visitors))]
    known = random.random(len(visitors)) < 0.7
    return pa.table(
        {
            "visitor": visitors,
            "segment": [s if k else "" for s, k in zip(segments, known, strict=True)],
            "channel": [str(c) for c in random.choice(["app", "web"], len(visitors))],
        }
    )


def _exposure_table(
    visitors: list[str], treated: np.ndarray, windows: _Windows, world: LogWorld
) -> pa.Table:
    rows = [
        {
            "mailing": name,
            "visitor": visitors[user],
            "from": _date(world, low).isoformat(),
            "until": _date(world, high - 1).isoformat(),
        }
        for place, (name, low, high) in enumerate(windows)
        for user in np.flatnonzero(treated[:, place])
    ]
    return _text_table(rows, ("mailing", "visitor", "from", "until"))


def _response_table(
    random: np.random.Generator,
    visitors: list[str],
    treated: np.ndarray,
    windows: _Windows,
    world: LogWorld,
) -> pa.Table:
    rows = [
        {
            "mailing": name,
            "visitor": visitors[user],
            "at": _date(world, low + int(random.integers(high - low))).isoformat(),
        }
        for place, (name, low, high) in enumerate(windows)
        for user in np.flatnonzero(treated[:, place] & (random.random(len(visitors)) < 0.3))
    ]
    return _text_table(rows, ("mailing", "visitor", "at"))


def _session_table(
    visitors: list[str], visits: np.ndarray, drawn: list[list[dict[str, Any]]]
) -> pa.Table:
    instant = pa.timestamp("us", tz="UTC")
    utc = datetime.timezone.utc
    return pa.table(
        {
            "visitor": [visitors[int(user)] for user, _ in visits],
            "start": pa.array([v[0]["at"].replace(tzinfo=utc) for v in drawn], instant),
            "end": pa.array([v[-1]["at"].replace(tzinfo=utc) for v in drawn], instant),
            "events": [len(v) for v in drawn],
        }
    )


def _unit_table(
    visitors: list[str],
    treated: np.ndarray,
    visit_share: np.ndarray,
    windows: _Windows,
    days: int,
    uplift: float,
) -> pa.Table:
    lifted = _lifted(visit_share, uplift)
    parts = []
    for place, (name, low, high) in enumerate(windows):
        length = min(high, days) - low
        parts.append(
            pa.table(
                {
                    "campaign": [name] * len(visitors),
                    "visitor": visitors,
                    "treated": pa.array(treated[:, place].astype(np.int32)),
                    "expected_visits_untreated": visit_share * length,
                    "expected_visits_treated": lifted * length,
                }
            )
        )
    return pa.concat_tables(parts)


def _date(world: LogWorld, day: int) -> datetime.date:
    return datetime.date.fromisoformat(world.first_day) + datetime.timedelta(days=day)
