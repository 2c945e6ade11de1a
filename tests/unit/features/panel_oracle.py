"""The panel of campaigns by its definition: one unit at a time, in plain Python over the raw rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pyarrow as pa

from tests.unit.features.rows import DAY
from truelift.features.panels.levels import AttributeLevels


@dataclass(frozen=True)
class Asked:
    """What the panel of campaigns is asked for: ``(name, start, end)`` each, and levels."""

    campaigns: tuple[tuple[str, int, int], ...]
    lookback_days: int
    min_history_days: int
    categories: tuple[str, ...]
    attributes: tuple[AttributeLevels, ...]


def brute_force_panel(
    events: pa.Table,
    sessions: pa.Table,
    exposures: pa.Table,
    users: pa.Table,
    categories: dict[str, str],
    design: Asked,
) -> dict[str, dict[str, object]]:
    """Unit id to its row, computed without any code of the kernel."""
    rows = events.set_column(1, "event_time", events["event_time"].cast(pa.int64())).to_pylist()
    visits = sessions.set_column(1, "start", sessions["start"].cast(pa.int64())).to_pylist()
    sent = [
        {**row, "start": start, "end": end}
        for row, start, end in zip(
            exposures.to_pylist(),
            exposures["start"].cast(pa.int64()).to_pylist(),
            exposures["end"].cast(pa.int64()).to_pylist(),
            strict=True,
        )
    ]
    attributes = {row["user_key"]: dict(row["attributes"]) for row in users.to_pylist()}
    panel = {}
    for campaign, start, end in design.campaigns:
        for user in sorted({row["user_key"] for row in rows}):
            mine = [r for r in rows if r["user_key"] == user]
            starts = [v["start"] for v in visits if v["user_key"] == user]
            received = [e for e in sent if e["user_key"] == user]
            past = [r for r in mine if r["event_time"] < start]
            first = min(r["event_time"] for r in mine)
            if not past or first > start - design.min_history_days * DAY:
                continue
            unit = {
                "treated": int(any(e["campaign"] == campaign for e in received)),
                **_outcomes(mine, starts, start, end),
                **_behaviour(past, starts, start, design.lookback_days * DAY),
                **_shares(past, categories, design),
                **_received(received, start),
                **_attributes(attributes.get(user, {}), design),
                **{
                    f"x_campaign_{name}": float(name == campaign)
                    for name, _, _ in design.campaigns[1:]
                },
            }
            panel[f"{campaign}:{user}"] = unit
    return panel


def _value(rows) -> float:
    return math.fsum(r["value"] or 0.0 for r in rows)


def _outcomes(mine, starts, start, end):
    window = [r for r in mine if start <= r["event_time"] < end]
    visits = sum(1 for s in starts if start <= s < end)
    return {"y_spend": _value(window), "y_visits": float(visits)}


def _behaviour(past, starts, start, lookback):
    recent = [r for r in past if r["event_time"] >= start - lookback]
    half = [r for r in past if r["event_time"] >= start - lookback // 2]
    visits = [s for s in starts if s < start]
    return {
        "x_recency_days": (start - max(r["event_time"] for r in past)) / DAY,
        "x_tenure_days": (start - min(r["event_time"] for r in past)) / DAY,
        "x_visits_lookback": float(sum(1 for s in visits if s >= start - lookback)),
        "x_log_visits_total": math.log(1 + len(visits)),
        "x_spend_lookback": _value(recent),
        "x_log_spend_lookback": _slog(_value(recent)),
        "x_log_spend_total": _slog(_value(past)),
        "x_mean_basket": _value(past) / max(len(visits), 1),
        "x_spend_trend": _slog(2 * _value(half)) - _slog(_value(recent)),
        "x_log_distinct_items": math.log(1 + len({r["item_id"] for r in past} - {None})),
    }


def _slog(value: float) -> float:
    return math.copysign(math.log(1 + abs(value)), value)


def _shares(past, categories, design):
    return {
        f"x_share_{name}": sum(categories.get(r["item_id"]) == name for r in past) / len(past)
        for name in design.categories
    }


def _received(received, start):
    earlier = [e for e in received if e["start"] < start]
    answers = sum(1 for e in received for time in e["responses"] if time < start)
    return {
        "x_earlier_campaigns": float(len(earlier)),
        "x_running_campaigns": float(sum(1 for e in earlier if e["end"] > start)),
        "x_log_earlier_responses": math.log(1 + answers),
    }


def _attributes(mine, design):
    columns = {}
    for each in design.attributes:
        for level in each.levels:
            columns[f"x_user_{each.name}_{level}"] = float(mine.get(each.name) == level)
        if each.has_missing:
            columns[f"x_user_{each.name}_missing"] = float(each.name not in mine)
    return columns
