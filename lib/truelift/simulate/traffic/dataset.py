"""The YAML that maps simulated traffic, the items, and how to go on from there."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from truelift.simulate.traffic.dirt import MAX_QUANTITY, MAX_VALUE, RETURN_DAYS
from truelift.simulate.traffic.people import typical_cents
from truelift.simulate.traffic.plan import TrafficPlan
from truelift.simulate.traffic.text import EVENT_TYPES, digits_text
from truelift.simulate.traffic.world import TrafficWorld

_CATEGORIES = 20


def dataset_yaml(plan: TrafficPlan, root: str, form: str) -> str:
    """The configuration of a folder of traffic, for ``--dataset``.

    Parameters
    ----------
    plan : TrafficPlan
    root : str
        Path or URI of the folder.
    form : str
        Format of its files.
    """
    world = plan.world
    first = datetime.date.fromisoformat(world.first_day)
    held_out = max(1, world.days // 7)
    settings: dict[str, Any] = {
        "source": {
            "format": form,
            "path": f"{root}/events",
            "mapping": {
                "user": "user",
                "item": "item",
                "time": "time",
                "event_type": "type",
                "quantity": "quantity",
                "value": "price",
                "session": "session",
                "event_id": "event_id",
                "ingest_time": "received",
                "user_agent": "agent",
                "campaign": "campaign",
                "context": ["page"],
            },
            "items": {
                "path": f"{root}/items.csv",
                "columns": {"item_id": "item", "name": "name", "category": "category"},
            },
        },
        "clean": {
            "min_time": (first - datetime.timedelta(days=1)).isoformat(),
            "clock_skew_seconds": 3600,
            "event_types": {name: name for name in EVENT_TYPES},
            "max_quantity": MAX_QUANTITY,
            "max_value": MAX_VALUE,
            "allow_negative_quantity": True,
            "return_days": RETURN_DAYS,
            "repeat_window_seconds": 3600,
            "double_click_seconds": 0.5,
            "misclick_seconds": 0.7,
            "outlier_mads": 10,
            "outlier_min_events": 200,
            "actions": {"return_without_purchase": "reject"},
            "max_quarantine_share": 0.5,
        },
        "features": {"category_column": "category"},
        "sequence": {"evaluation": {"validation_days": held_out, "test_days": held_out}},
    }
    heading = (
        f"# Simulated traffic: {plan.rows:,} rows over {world.days} days, seed {plan.seed}.\n"
        "# What is true of each row lies in truth/, by file and row of the file.\n"
    )
    return heading + yaml.safe_dump(settings, sort_keys=False)


def item_table(world: TrafficWorld) -> pa.Table:
    """The catalogue: ``item, name, category, price``; neighbours are of one category."""
    number = np.arange(world.items)
    category = [f"section {place:02d}" for place in number * _CATEGORIES // world.items]
    return pa.table(
        {
            "item": digits_text("i", (number, 7)),
            "name": [f"{section}, no. {n}" for n, section in enumerate(category)],
            "category": category,
            "price": typical_cents(number) / 100,
        }
    )


def run_command(dataset: str) -> str:
    """How to run the pipeline on the traffic."""
    if "://" in dataset:
        return f"copy {dataset} here, then: truelift run_pipeline --dataset dataset.yaml"
    return f"truelift run_pipeline --dataset {dataset}"
