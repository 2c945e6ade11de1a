"""A simulated shop as a new user would meet it: CSV files and the YAML that maps them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pyarrow import csv

from truelift.simulate.logs import SimulatedLogs


def write_logs(logs: SimulatedLogs, folder: str | Path, event_files: int = 2) -> Path:
    """Write CSV files and the YAML that maps them; returns the YAML's path.

    Parameters
    ----------
    logs : SimulatedLogs
    folder : str or Path
        Made if it does not exist.
    event_files : int
        Over how many files the events are spread.
    """
    target = Path(folder).resolve()
    target.mkdir(parents=True, exist_ok=True)
    bounds = np.linspace(0, logs.events.num_rows, event_files + 1).astype(int)
    for number, (low, high) in enumerate(pairwise(bounds)):
        csv.write_csv(logs.events.slice(low, high - low), target / f"events-{number}.csv")
    for name in ("items", "users", "exposures", "responses"):
        csv.write_csv(getattr(logs, name), target / f"{name}.csv")
    mapping = target / "shop.yaml"
    mapping.write_text(yaml.safe_dump(mapping_of(target), sort_keys=False), encoding="utf-8")
    return mapping


def mapping_of(folder: Path) -> dict[str, Any]:
    """The configuration of a folder written by :func:`write_logs`."""

    def stream(name: str, /, **columns: str) -> dict[str, Any]:
        return {"path": str(folder / f"{name}.csv"), "columns": columns}

    return {
        "source": {
            "format": "csv",
            "path": str(folder / "events-*.csv"),
            "mapping": {
                "user": "visitor",
                "item": "product",
                "time": "at",
                "event_type": "action",
                "quantity": "qty",
                "value": "amount",
                "event_id": "id",
            },
            "items": stream("items", item_id="sku", name="title", category="section"),
            "users": stream("users", user="visitor"),
            "exposures": stream(
                "exposures", user="visitor", campaign="mailing", start="from", end="until"
            ),
            "responses": stream("responses", user="visitor", campaign="mailing", time="at"),
        },
        "features": {"min_item_count": 3},
        "panel": {
            "changes": {
                "spans": {"lookback": 14, "min_history": 7},
                "shares": {"x_share": {"most": 4}},
            }
        },
        "sequence": {"evaluation": {"validation_days": 7, "test_days": 7}},
    }
