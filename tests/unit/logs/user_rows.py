"""Rows as cleaning hands them to the rules on neighbours, as short literal tables."""

from __future__ import annotations

import datetime

import pyarrow as pa

from truelift.logs.neighbours.order import user_events
from truelift.logs.neighbours.verdicts import NeighbourRules, judge_users
from truelift.settings import BotOptions, CleanOptions

TEXTS = pa.map_(pa.string(), pa.string())
SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("user_key", pa.string()),
        ("event_time", pa.timestamp("us", tz="UTC")),
        ("event_type", pa.string()),
        ("item_id", pa.string()),
        ("quantity", pa.float64()),
        ("value", pa.float64()),
        ("context", TEXTS),
        ("labels", pa.list_(pa.string())),
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
        ("reasons", pa.list_(pa.string())),
        ("bucket", pa.int32()),
        ("period", pa.string()),
        ("_own", pa.bool_()),
        ("_user_agent", pa.string()),
    ]
)
QUIET = BotOptions(None, None, None, hours_per_day=None)
_START = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)


def rows(*changes, **every):
    """Rows of user ``a`` at second 0, with changes; ``at`` is in seconds of 1 January 2024."""
    made = []
    for number, change in enumerate(changes):
        row = {
            "event_id": f"e{number:03}", "user_key": "a", "at": 0.0, "event_type": "view",
            "item_id": "x", "quantity": 1.0, "value": 1.0, "context": [], "labels": [],
            "source_file": "f.csv", "source_row": number, "reasons": [], "bucket": 0,
            "period": "2024-01", "_own": True, "_user_agent": None, **every, **change,
        }  # fmt: skip
        seconds = row.pop("at")
        time = None if seconds is None else _START + datetime.timedelta(seconds=seconds)
        made.append({**row, "event_time": time})
    return pa.Table.from_pylist(made, SCHEMA)


def events(*changes, **every):
    """The same as arrays in the order of the rules."""
    return user_events(rows(*changes, **every))


def judged(table, ids_are_given=True, **options):
    """``{source_row: (reasons, labels, context)}`` of the own rows, under these rules alone."""
    rules = NeighbourRules(CleanOptions(**{"bots": QUIET, **options}), ids_are_given)
    kept, removed = judge_users(table, rules)
    assert not any(kept["reasons"].to_pylist())
    assert all(removed["reasons"].to_pylist())
    found = pa.concat_tables([kept, removed]).to_pylist()
    return {r["source_row"]: (r["reasons"], r["labels"], dict(r["context"])) for r in found}
